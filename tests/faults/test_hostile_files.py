"""Every kind of hostile file through the real ingest: bounded memory and work, a row for all that is lost.

The bounds: no process rises by more than 512 MiB over what one row takes, nor above 900 MiB, nor works for
more than 20 CPU seconds; nothing ends in a traceback, and nothing is written outside the stage's folders.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile_files import KINDS, WORDS, odd_files

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]

RISE_MIB_MAX = 512
PEAK_MIB_MAX = 900
CPU_SECONDS_MAX = 20

DRIVER = """
import json, resource, sys
from pathlib import Path
from rpt_core.artifacts.build import LocalBuild
from rpt_core.corpus.ingest import ingest
from rpt_core.recipes.corpus import IngestRecipe
data, out = sys.argv[1:]
build = LocalBuild({}, Path(out) / "out", Path(out) / "scratch")
outcome = ingest(IngestRecipe(data=data), build)
usage = resource.getrusage(resource.RUSAGE_SELF)
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({
    "peak_mib": peak / 1024, "cpu_seconds": usage.ru_utime + usage.ru_stime, "rows_in": outcome.rows.rows_in,
    "kept": outcome.rows.kept, "dropped": dict(outcome.rows.dropped),
}))
"""


@dataclass(frozen=True)
class Seen:
    peak_mib: float
    cpu_seconds: float
    rows_in: int
    kept: int
    dropped: dict[str, int]


def read(folder: Path) -> Seen:
    """What the real ingest makes of a folder's ``data``, in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-c", DRIVER, folder / "data", folder / "stage"],
        capture_output=True, text=True, timeout=300, cwd=folder, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    return Seen(**json.loads(found.stdout.splitlines()[-1]))


def folder_with_a_good_row(folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "zz-good.jsonl").write_text(json.dumps({"text": WORDS}) + "\n")
    return folder


@pytest.fixture(scope="module")
def usual_mib(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The peak of a process that reads one row of each form."""
    return read(folder_with_a_good_row(tmp_path_factory.mktemp("usual"))).peak_mib


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    lines = [f"{'kind':55s} {'bytes':>9s} {'peak MiB':>9s} {'CPU s':>6s} rows and reasons"]
    yield lines
    print("\n" + "\n".join(lines))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_hostile_file_costs_little_and_is_named(kind, usual_mib, table, tmp_path):
    name, make = KINDS[kind]
    folder = folder_with_a_good_row(tmp_path)
    (folder / "data" / name).write_bytes(make())
    num_bytes = (folder / "data" / name).stat().st_size
    seen = read(folder)
    table.append(
        f"{kind:55s} {num_bytes:9d} {seen.peak_mib:9.0f} {seen.cpu_seconds:6.1f} "
        f"{seen.kept} kept, {seen.dropped}"
    )
    assert seen.peak_mib <= PEAK_MIB_MAX
    assert seen.peak_mib - usual_mib <= RISE_MIB_MAX
    assert seen.cpu_seconds <= CPU_SECONDS_MAX
    assert seen.rows_in == seen.kept + sum(seen.dropped.values())
    assert seen.kept >= 1, "the good file beside it is read"
    assert seen.kept > 1 or seen.dropped, "a file that gives nothing is named"
    assert sorted(path.name for path in folder.iterdir()) == ["data", "stage"], "nothing is written beside"


def test_what_is_no_file_is_named_at_once(tmp_path, usual_mib):
    folder = folder_with_a_good_row(tmp_path)
    for _ in odd_files(folder / "data"):
        seen = read(folder)
    assert seen.dropped == {"not-a-regular-file": 5}
    assert seen.kept == 1
    assert seen.peak_mib - usual_mib < 50
