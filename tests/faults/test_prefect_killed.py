"""A Prefect server that dies under a command reporting to it: nothing is lost, and one sentence says it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.storage.store import Store
from tests.faults.random_kills import SMALLEST
from tests.flows.test_operated import Operated
from tests.flows.test_secrets import surroundings

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.timeout(1200)]
FIELDS = [word for field in (*SMALLEST, "base.steps=1000") for word in ("-p", field)]
BEFORE = "  prepare-corpus: "
"""What the command says before it trains; the server is killed some seconds later."""
INTO_TRAINING_SECONDS = 5


class Command:
    """A journey's training, as a user starts it."""

    def __init__(self, folder: Path, home: Path, url: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.home, self.log = home, folder / "said.txt"
        named = {"PREFECT_API_URL": url} if url else {}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flows", "run", "tiny_rpt", "--to", "cold-start", *FIELDS],
                cwd=folder, env=surroundings(home, **named), stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def until(self, words: str, seconds: float = 300) -> None:
        give_up = time.monotonic() + seconds
        while words not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < give_up, self.said
            time.sleep(0.1)

    def digests(self) -> dict[str, str]:
        """What was made, by name."""
        store = Store(str(self.home / "state" / "store"), self.home / "cache")
        return {name: one.digest for name, versions in store.refs().items() for one in versions.values()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    """The artifacts of the same command when nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    command = Command(folder / "run", folder / "home")
    assert command.process.wait(600) == 0, command.said
    return command.digests()


@pytest.fixture
def server(tmp_path) -> Iterator[Operated]:
    operated = Operated(tmp_path)
    try:
        operated.serve()
        yield operated
    finally:
        operated.end()


def kill(server: Operated) -> None:
    part = server.parts.pop()
    os.killpg(part.pid, signal.SIGKILL)
    part.wait()


def test_a_server_that_comes_back_is_waited_for(server, undisturbed, tmp_path):
    command = Command(tmp_path / "run", tmp_path / "state", server.api.url)
    command.until(BEFORE)
    time.sleep(INTO_TRAINING_SECONDS)
    kill(server)
    time.sleep(8)
    server.serve()
    assert command.process.wait(600) == 0, command.said
    assert command.digests() == undisturbed
    assert "Traceback" not in command.said


@pytest.mark.long
def test_a_server_that_stays_away_ends_in_one_sentence_and_the_command_goes_on(server, undisturbed, tmp_path):
    command = Command(tmp_path / "run", tmp_path / "state", server.api.url)
    command.until(BEFORE)
    time.sleep(INTO_TRAINING_SECONDS)
    kill(server)
    assert command.process.wait(600) == 75, command.said
    told = [line for line in command.said.splitlines() if line.startswith("rpt: ")]
    assert len(told) == 1, command.said
    assert "Prefect" in told[0]
    assert "Traceback" not in command.said
    again = Command(tmp_path / "again", tmp_path / "state")
    assert again.process.wait(600) == 0, again.said
    assert again.digests() == undisturbed
