"""Jobs that run at once: in order, within the room there is, and all ended by what ends one."""

import signal
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.side_by_side import JourneyStage, Room, side_by_side
from infra.runs import stops
from rpt_core.errors import EngineError, Stopped


@pytest.fixture(autouse=True)
def not_asked_before():
    """A command that was asked to stop ends; here the next one runs in the same process."""
    yield
    with stops.listening():
        assert not stops.asked()


WIDE = Room(jobs=4, cores=4, num_bytes=4)


def job(key: str, *needs: str, cores: int = 1, num_bytes: int = 1) -> JourneyStage:
    return JourneyStage(key, frozenset(needs), cores, num_bytes)


def until(true, seconds: float = 10.0) -> None:
    give_up = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < give_up, "it did not come true in time"
        time.sleep(0.005)


def stopped() -> None:
    """What a stage does that is asked to stop."""
    until(stops.asked)
    raise Stopped("stopped after step 3.")


def test_jobs_that_need_nothing_of_each_other_run_at_once_and_the_rest_after_them():
    both, made = threading.Barrier(2), []

    def begin(key: str):
        return lambda: (both.wait(10) if key in "bc" else None, key)[1]

    jobs = [job("a"), job("b", "a"), job("c", "a"), job("d", "b", "c")]
    side_by_side(jobs, WIDE, begin, lambda key, result: made.append((key, result)), 1.0)
    assert made[0] == ("a", "a")
    assert sorted(made[1:3]) == [("b", "b"), ("c", "c")]
    assert made[3:] == [("d", "d")]


@given(
    jobs=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=6),
    room=st.builds(Room, st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)),
)
def test_never_more_at_once_than_there_is_room_for_and_never_before_what_is_needed(jobs, room):
    """Every job needs an earlier one, or none where the drawn number names no earlier one."""
    rows = {
        str(i): job(str(i), *([str(need)] if need < i else []), cores=cores, num_bytes=num_bytes)
        for i, (need, cores, num_bytes) in enumerate(jobs)
    }
    running, done, lock = set[str](), [], threading.Lock()

    def begin(key: str):
        with lock:
            assert rows[key].needs <= set(done)
            running.add(key)
            together = [rows[name] for name in running]
        alone = len(together) == 1
        assert alone or len(together) <= room.jobs
        assert alone or sum(one.cores for one in together) <= room.cores
        assert alone or sum(one.num_bytes for one in together) <= room.num_bytes
        return lambda: key

    def made(key: str, result: str) -> None:
        assert result == key
        with lock:
            running.remove(key)
            done.append(key)

    side_by_side(list(rows.values()), room, begin, made, 1.0)
    assert sorted(done) == sorted(rows)


def test_a_failure_stops_the_others_starts_nothing_more_and_is_what_is_raised():
    begun = []

    def begin(key: str):
        begun.append(key)

        def fail() -> None:
            until(lambda: "b" in begun)
            raise EngineError("it died")

        return fail if key == "a" else stopped

    with pytest.raises(EngineError, match="it died"):
        side_by_side([job("a"), job("b"), job("c", "a", "b")], WIDE, begin, lambda *made: None, 1.0)
    assert begun == ["a", "b"]
    assert not stops.asked(), "what was called off is over"


def test_what_is_made_before_the_others_stop_is_kept():
    made = []

    def begin(key: str):
        def fail() -> None:
            until(lambda: bool(made))
            raise EngineError("it died")

        return fail if key == "a" else lambda: key

    with pytest.raises(EngineError):
        side_by_side([job("a"), job("b")], WIDE, begin, lambda key, result: made.append(key), 1.0)
    assert made == ["b"]


@pytest.mark.parametrize("number", stops.SIGNALS)
def test_a_signal_stops_all_that_run_and_begins_no_more(number: signal.Signals, capfd):
    before = signal.signal(number, signal.SIG_DFL)  # a SIGHUP that nohup ignores stays ignored
    try:
        _stopped_by(number)
    finally:
        signal.signal(number, before)
    assert "up to 7 s" in capfd.readouterr().err


def _stopped_by(number: signal.Signals) -> None:
    begun = []

    def begin(key: str):
        begun.append(key)
        if len(begun) == 2:
            signal.raise_signal(number)
        return stopped

    with stops.listening(), pytest.raises(Stopped, match="step 3"):
        side_by_side([job("a"), job("b"), job("c")], Room(2, 2, 2), begin, lambda *made: None, 7.0)
    assert begun == ["a", "b"]


def test_a_signal_between_two_stages_says_that_nothing_is_lost():
    def made(key: str, result: str) -> None:
        signal.raise_signal(signal.SIGTERM)

    with stops.listening(), pytest.raises(Stopped, match="a rerun resumes"):
        side_by_side([job("a"), job("b", "a")], WIDE, lambda key: lambda: key, made, 1.0)


def test_an_interruption_waits_for_the_others_and_notes_how_they_ended():
    """Prefect's cancel raises in the main thread, wherever that is."""

    class Cancelled(BaseException):
        pass

    def made(key: str, result: str) -> None:
        raise Cancelled

    def begin(key: str):
        return (lambda: key) if key == "a" else stopped

    with pytest.raises(Cancelled) as raised:
        side_by_side([job("a"), job("b")], WIDE, begin, made, 1.0)
    assert raised.value.__notes__ == ["stopped after step 3."]


def test_one_after_the_other_where_only_one_may_run():
    at_once, most = [], []

    def begin(key: str):
        at_once.append(key)
        most.append(len(at_once))
        return lambda: key

    side_by_side(
        [job("a"), job("b"), job("c")], Room(1, 8, 8), begin, lambda key, _: at_once.remove(key), 1.0
    )
    assert most == [1, 1, 1]
