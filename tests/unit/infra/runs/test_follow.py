"""Machines with nothing but a shared folder: one leads, the others run what it runs."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from infra.runs import follow
from infra.runs.lifeline import RUN_TOKEN

WRITE = "import json, os, sys; open(sys.argv[1] + os.environ['WHO'], 'w').write(json.dumps(dict(os.environ)))"


@pytest.fixture
def follower(tmp_path):
    """A follower in another process, with an environment of its own."""
    folder = tmp_path / follow.FOLDER
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.runs.follow"],
        env={**os.environ, "RPT_HOME": str(tmp_path), "WHO": "follower", "AWS_SECRET_ACCESS_KEY": "its own"},
    )
    yield folder
    follow.end(folder)
    assert process.wait(240) == 0


def there(path: Path) -> dict[str, str]:
    """What is written there, once it is whole."""
    give_up = time.monotonic() + 240
    while time.monotonic() < give_up:
        with suppress(FileNotFoundError, json.JSONDecodeError):
            return json.loads(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"nothing in {path}")


def test_a_follower_runs_what_the_leader_runs_with_its_own_credentials(follower, tmp_path, monkeypatch):
    monkeypatch.setenv("WHO", "leader")
    given = {**os.environ, RUN_TOKEN: "abc", "OMP_NUM_THREADS": "3", "AWS_SECRET_ACCESS_KEY": "the leader's"}
    for turn in ("first-", "second-"):
        base = str(tmp_path / turn)
        wait = f"{WRITE}\nimport time\nwhile not os.path.exists({base + 'follower'!r}): time.sleep(.05)"
        assert follow.lead(follower, [sys.executable, "-c", wait, base], given) == 0
        found = there(Path(base + "follower"))
        assert (found[RUN_TOKEN], found["OMP_NUM_THREADS"]) == ("abc", "3")
        assert found["AWS_SECRET_ACCESS_KEY"] == "its own"
        assert not (follower / follow.NOTE).exists()


def test_the_note_holds_no_credentials(tmp_path):
    seen, kept = tmp_path / "seen", []
    wait = f"import os, time\nwhile not os.path.exists({str(seen)!r}): time.sleep(.05)"
    given = {"AWS_SECRET_ACCESS_KEY": "planted", "PREFECT_API_KEY": "planted", RUN_TOKEN: "abc"}

    def look() -> None:
        kept.append(json.dumps(there(tmp_path / follow.NOTE)))
        seen.write_text("")

    reader = threading.Thread(target=look)
    reader.start()
    assert follow.lead(tmp_path, [sys.executable, "-c", wait], given) == 0
    reader.join()
    assert "abc" in kept[0]
    assert "planted" not in kept[0]


def test_the_leaders_exit_code_is_the_commands(tmp_path):
    assert follow.lead(tmp_path, [sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_a_part_that_outlives_the_leaders_is_ended(follower, tmp_path, monkeypatch):
    """A leader that was killed leaves its note; the next one's is newer, and the old part goes."""
    monkeypatch.setattr(follow, "GRACE_SECONDS", 0.5)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    follower.mkdir(exist_ok=True)
    follow._until_ended(process, follower, begun=1)
    assert process.poll() == -9
