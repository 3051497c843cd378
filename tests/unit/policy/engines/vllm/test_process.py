"""One worker process behind its pipe, by scripts of a line: what is heard, how long is waited, what stays."""

import sys
import time

import pytest

from rpt_core.policy.engines.vllm import process
from rpt_core.policy.engines.vllm.process import LAST_LINES, PipeDeadlines, Worker, WorkerFailed, WorkerLost

WAIT = 20.0


@pytest.fixture
def started(tmp_path):
    """A function that starts a worker of some Python."""
    workers = []

    def start(script):
        workers.append(Worker([sys.executable, "-S", "-c", script], {"WORD": "w"}, tmp_path / "log"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def test_messages_go_both_ways_one_a_line(started):
    worker = started("import sys\nfor line in sys.stdin: sys.stdout.write(line); sys.stdout.flush()")
    worker.tell({"draw": {"ask": 3}}, WAIT)
    assert worker.hear(WAIT) == ("draw", {"ask": 3})
    large = "x" * (1 << 18)  # more than a pipe holds: it is sent and heard in pieces
    worker.tell({"load": large}, WAIT)
    worker.expect("load", large, WAIT)


def test_several_messages_in_one_piece_are_heard_one_by_one(started):
    worker = started(
        """import time; print('{"a": 1}\\n{"b": [2]}\\n{"c"', end='', flush=True); time.sleep(9)"""
    )
    assert [worker.hear(WAIT), worker.hear(WAIT)] == [("a", 1), ("b", [2])]
    with pytest.raises(WorkerLost, match=r"^has said nothing for too long$"):
        worker.hear(0.05)


def test_something_else_than_expected_is_told_with_both(started):
    worker = started("""print('{"opened": 4}'); print('{"slept": "%s"}' % ("y" * 99))""")
    with pytest.raises(WorkerLost, match=r"^was to say opened 5 and said opened 4$"):
        worker.expect("opened", 5, WAIT)
    with pytest.raises(WorkerLost, match=rf"^was to say woken True and said slept {'y' * 80}$"):
        worker.expect("woken", True, WAIT)


def test_what_it_says_itself_is_a_failure_and_what_is_no_message_a_loss(started):
    worker = started(
        """print('{"failed": "no memory"}'); print('x' * 99); print('[1]'); print('{"a":1,"b":2}')"""
    )
    with pytest.raises(WorkerFailed, match=r"^no memory$"):
        worker.hear(WAIT)
    with pytest.raises(WorkerLost, match=rf"^said b'{'x' * 80}', which is no message$"):
        worker.hear(WAIT)
    for said in ("[1]", '{"a":1,"b":2}'):
        with pytest.raises(WorkerLost) as found:
            worker.hear(WAIT)
        assert str(found.value) == f"said {said.encode()!r}, which is no message"


def test_an_end_is_told_with_its_code(started):
    worker = started("raise SystemExit(3)")
    with pytest.raises(WorkerLost, match=r"^ended with code 3$"):
        worker.hear(WAIT)
    with pytest.raises(WorkerLost, match=r"^ended with code 3$"):
        worker.tell({"sleep": True}, WAIT)


def test_a_pipe_that_is_closed_by_a_worker_that_lives_is_told(started, monkeypatch):
    monkeypatch.setattr(process, "EXIT_SECONDS", 0.05)
    worker = started("import os, time; os.close(1); time.sleep(60)")
    with pytest.raises(WorkerLost, match=r"^closed its pipe$"):
        worker.hear(WAIT)


def test_a_worker_that_takes_no_message_is_not_waited_for(started):
    worker = started("import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(WorkerLost, match="has said nothing for too long"):
        worker.tell({"load": "x" * (1 << 18)}, 0.2)
    assert 0.2 <= time.monotonic() - began < 15


def test_the_last_lines_of_its_log_are_told(started, tmp_path):
    worker = started("")
    assert worker.process.wait(WAIT) == 0
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(LAST_LINES + 3)))
    assert worker.tail() == "\n".join(f"line {number}" for number in range(3, LAST_LINES + 3))
    (tmp_path / "log").unlink()
    assert worker.tail() == ""


def test_its_errors_are_appended_to_the_log_and_its_surroundings_are_what_is_given(started, tmp_path):
    (tmp_path / "log").write_text("before\n")
    worker = started("import os, sys; sys.stderr.write(os.environ['WORD'] + str('PATH' in os.environ))")
    assert worker.process.wait(WAIT) == 0
    assert (tmp_path / "log").read_text() == "before\nwFalse"


def test_an_end_waits_for_a_worker_that_can_still_read(started):
    worker = started("import sys; sys.stdin.read(); raise SystemExit(7)")
    worker.end()
    assert worker.process.returncode == 7
    worker.end()


def test_a_worker_that_hangs_is_killed_with_its_group(started, monkeypatch):
    monkeypatch.setattr(process, "EXIT_SECONDS", 0.05)
    worker = started("import time; time.sleep(60)")
    worker.end()
    assert worker.process.returncode == -9


def test_how_long_is_waited_unless_told():
    assert PipeDeadlines() == PipeDeadlines(900.0, 300.0)
