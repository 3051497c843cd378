"""A server of a command's own: several commands may begin in a new home at once."""

import threading
import time
from pathlib import Path

import pytest

from infra import own_server


class Fake:
    """A server that is up when told."""

    def __init__(self) -> None:
        self.up, self.ended = False, False

    def poll(self) -> int | None:
        return 1 if self.ended else None


@pytest.mark.parametrize("end", ["up", "ended"])
def test_servers_of_one_home_start_one_after_the_other(end: str, tmp_path: Path, monkeypatch):
    started: list[Fake] = []

    def start(home: Path, port: int, log: Path) -> Fake:
        started.append(Fake())
        return started[-1]

    monkeypatch.setattr(own_server, "_start", start)
    monkeypatch.setattr(own_server, "answers", lambda health: started[int(health)].up)
    begin = [
        threading.Thread(target=own_server._started_alone, args=(tmp_path, 1, tmp_path / "log", str(number)))
        for number in range(2)
    ]
    begin[0].start()
    begin[0].join(10)
    begin[1].start()
    time.sleep(0.3)
    assert len(started) == 1
    setattr(started[0], end, True)
    begin[1].join(10)
    assert len(started) == 2
    started[1].ended = True
