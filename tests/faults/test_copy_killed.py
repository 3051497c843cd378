"""A copy into S3, and one back, killed in any of its requests: nothing half, and a rerun completes it."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.storage import garbage, uploads
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from tests.faults.test_s3_faults import server  # noqa: F401  (a fixture)
from tests.faulty_proxy import Fault, Proxy, proxy_to
from tests.s3_servers import ROOT, S3Server, environment
from tests.unit.flows.cli.test_copy_and_compare import put
from tests.unit.infra.storage.test_store import write

pytestmark = [pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(1800)]
NUM_KILLS = 8
BIG_BYTES = 110_000_000
"""More than what goes up in one request."""


@pytest.fixture
def way(server: S3Server) -> Iterator[Proxy]:  # noqa: F811
    with proxy_to(server.url) as proxy:
        yield proxy


def journey(store: Store, folder: Path) -> Manifest:
    """A training over a corpus and a start, of many small files and a large one."""
    rng = random.Random(0)
    texts = {f"file{i:02d}": f"{i} " * rng.randrange(1, 9999) for i in range(12)}
    corpus = put(store, write(folder / "c", **texts), "corpus", "c")
    start = write(folder / "s", w="0")
    (start / "model.bin").write_bytes(rng.randbytes(BIG_BYTES))
    begun = put(store, start, "base", "5", parents={"corpus": corpus.artifact})
    parents = {"start": begun.artifact, "corpus": corpus.artifact}
    return put(store, write(folder / "p", w="2", **texts), "policy", "e", parents=parents)


def killed(way: Proxy, words: list[str], env: dict[str, str], after: int) -> tuple[int, int]:
    """Run a program and kill it as it makes its n-th request; its exit code and its number of requests."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *words], cwd=ROOT, env=env, stdout=subprocess.DEVNULL
    )
    count = 0

    def choose(method: str, target: str) -> Fault | None:
        nonlocal count
        count += 1
        if count == after:
            process.send_signal(signal.SIGKILL)
            return Fault.HALF_UP
        return None

    way.choose = choose
    code = process.wait(600)
    way.never()
    return code, count


def holds(store: Store, wanted: dict[str, str], *, whole: bool) -> None:
    """Every manifest that is there is one of the source's, and every byte of it is there."""
    scan = store.scan()
    assert not scan.faults
    found = {each.fingerprint: each.digest for each in scan.manifests}
    assert found.items() <= wanted.items()
    assert not whole or found == wanted
    for manifest in scan.manifests:
        store.verify(manifest)


@pytest.mark.parametrize("direction", ["into S3", "out of S3"])
def test_a_copy_killed_in_any_request_goes_on(server, way, tmp_path, direction, capsys):  # noqa: F811
    begin, rng = time.monotonic(), random.Random(direction)
    folder, bucket = str(tmp_path / "store"), f"s3://{server.new_place()}/team"
    with environment(server.environment()):
        source, target = (folder, bucket) if direction == "into S3" else (bucket, folder)
        made = journey(Store(source, tmp_path / "cache"), tmp_path / "made")
        wanted = {each.fingerprint: each.digest for each in Store(source, tmp_path / "cache").manifests()}
        assert len(wanted) == 3
        words = ["tests.faults.copier", source, target, str(tmp_path / "copying"), made.artifact.short]
        env = {**os.environ, **server.environment(way.url), "PYTHONPATH": str(ROOT)}
        kills, most = 0, 40
        while kills < NUM_KILLS:
            code, count = killed(way, words, env, rng.randrange(1, most))
            if code == 0:  # it was done before; begin anew, nearer to its start
                holds(Store(target, tmp_path / "look"), wanted, whole=True)
                target, most = f"{target}-{kills}", max(count, 3)
                words[2] = target
                continue
            assert code == -signal.SIGKILL
            kills += 1
            holds(Store(target, tmp_path / "look"), wanted, whole=False)
        code, _ = killed(way, words, env, 0)
        assert code == 0
        there = Store(target, tmp_path / "look")
        holds(there, wanted, whole=True)
        garbage.sweep(there, tmp_path, -3600)
        garbage.remove(there, garbage.survey(there, -3600))
        holds(there, wanted, whole=True)
        assert uploads.unfinished(there.objects) == ()
    with capsys.disabled():
        print(f"\n{direction}: {kills} kills, {time.monotonic() - begin:.0f} s")
