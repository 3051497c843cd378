"""A worker's place, with workers that are lists: what is told, how long is waited, who is counted as lost."""

import logging

import pytest

from rpt_core.errors import EngineError
from rpt_core.policy.engines.vllm import replica as module
from rpt_core.policy.engines.vllm.process import PipeDeadlines, WorkerFailed, WorkerLost
from rpt_core.policy.engines.vllm.questions import EngineRequest, message_of
from rpt_core.policy.engines.vllm.replica import LOSSES_MAX, Replica
from rpt_core.policy.trunk import Sampling, Trunk
from rpt_core.policy.work import Work

PATIENCE = PipeDeadlines(start=30.0, silence=7.0)
TRUNKS = [Trunk("a", (), (2, 3, 4, 5))]
SAMPLING = Sampling(1.0, 3, frozenset({9}), 1, seed=0)
WORK = Work(per_token=1, per_pair=0, per_score=0, per_token_again=0)
QUESTIONS = [EngineRequest(0, cut, depth, (), frozenset({9}), 0) for cut, depth in ((0, 2), (1, 3))]
SETTINGS = {"folder": "/w", "version": 4, "digests": {"m": "d"}, "room": 64}


class FakeWorker:
    """Says what its script holds, exceptions included; ``expect`` takes from the script only what is lost."""

    scripts, made = [], []

    def __init__(self, command, env, log):
        self.told, self.ended, self.heard = [], [], []
        self.script = list(self.scripts.pop(0)) if self.scripts else []
        self.made.append(self)
        self.start = (command, env, log)

    def tell(self, message, seconds):
        (kind,) = message
        self.told.append((kind, message[kind], seconds))

    def expect(self, kind, content, seconds):
        self.heard.append((kind, content, seconds))
        if self.script and isinstance(self.script[0], tuple) and self.script[0][0] == f"at {kind}":
            raise self.script.pop(0)[1]

    def hear(self, seconds):
        assert seconds == PATIENCE.silence
        said = self.script.pop(0)
        if isinstance(said, BaseException):
            raise said
        return said

    def tail(self):
        return "the end of the log"

    def kill(self):
        self.ended.append("killed")

    def end(self):
        self.ended.append("ended")


@pytest.fixture
def workers(monkeypatch):
    monkeypatch.setattr(module, "Worker", FakeWorker)
    monkeypatch.setattr(FakeWorker, "scripts", [])
    monkeypatch.setattr(FakeWorker, "made", [])
    return FakeWorker


@pytest.fixture
def place(workers, tmp_path):
    return Replica(["serve"], {"A": "1"}, tmp_path / "log", PATIENCE, lambda: SETTINGS)


def _answer(cut, ask, token=5, version=4):
    row = {"ids": [token, 9], "logprobs": [-1.0, -2.0], "stopped": True, "cached": 0}
    return "answer", {"ask": ask, "cut": cut, "version": version, "samples": [row]}


def _drawn(replica):
    found = replica.draw(QUESTIONS, TRUNKS, SAMPLING, WORK)
    return {question.cut: group.samples[0].token_ids for question, group in found.items()}


def test_a_worker_is_opened_once_and_asked_each_time(place, workers):
    workers.scripts.append([
        ("beat", 1), _answer(1, 1), ("beat", 2), _answer(0, 1, token=6), ("drawn", 1),
        _answer(0, 2), _answer(1, 2), ("drawn", 2),
    ])  # fmt: skip
    assert _drawn(place) == {0: (6, 9), 1: (5, 9)}
    assert _drawn(place) == {0: (5, 9), 1: (5, 9)}
    (worker,) = workers.made
    assert worker.start == (["serve"], {"A": "1"}, place.log)
    assert worker.told == [
        ("open", SETTINGS, 30.0),
        ("draw", message_of(1, QUESTIONS, TRUNKS, SAMPLING), 7.0),
        ("draw", message_of(2, QUESTIONS, TRUNKS, SAMPLING), 7.0),
    ]
    assert worker.heard == [("opened", 4, 30.0)]
    assert place.num_lost == 0


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (("drawn", 1), "said drawn with 1 questions unanswered"),
        (("slept", True), "said slept with 1 questions unanswered"),
        (_answer(1, 7), "it is of ask 7, and 1 is open"),
        (_answer(0, 1), "gave an answer that was not asked for"),
        (_answer(5, 1), "gave an answer that was not asked for"),
        (("answer", 3), "gave an answer that was not asked for"),
        (WorkerLost("fell asleep"), "fell asleep"),
    ],
)
def test_only_what_a_lost_worker_left_is_asked_of_the_next(place, workers, caplog, said, why):
    workers.scripts += [[_answer(0, 1), said], [_answer(0, 2, token=7), ("drawn", 2)]]
    with caplog.at_level(logging.WARNING):
        assert _drawn(place) == {0: (5, 9), 1: (7, 9)}
    first, second = workers.made
    assert first.ended == ["killed"]
    assert second.told[1][1] == message_of(2, QUESTIONS[1:], TRUNKS, SAMPLING)
    assert place.num_lost == 1
    assert why in caplog.text
    assert f"another one takes over. Its log is {place.log}" in caplog.text


def test_losses_in_a_row_end_the_engine_and_an_answer_in_between_starts_the_row_anew(place, workers):
    lost = WorkerLost("is gone")
    workers.scripts += [[lost]] * LOSSES_MAX
    workers.scripts += [[_answer(0, LOSSES_MAX + 1), lost]]  # answers one, and is the first of a new row
    workers.scripts += [[lost]] * LOSSES_MAX
    with pytest.raises(EngineError, match=rf"is gone; {LOSSES_MAX + 1} in a row were lost so, and none"):
        _drawn(place)
    assert place.num_lost == len(workers.made) == 2 * LOSSES_MAX + 1
    assert all("killed" in one.ended for one in workers.made)
    assert place.worker is None


def test_a_whole_draw_starts_the_row_anew(place, workers):
    lost = WorkerLost("is gone")
    for ask in (LOSSES_MAX + 1, 2 * LOSSES_MAX + 2):
        workers.scripts += [[lost]] * LOSSES_MAX + [[_answer(0, ask), _answer(1, ask), ("drawn", ask)]]
    for _ in range(2):
        assert _drawn(place) == {0: (5, 9), 1: (5, 9)}
        place.drop()
    assert place.num_lost == 2 * LOSSES_MAX


def test_the_end_of_the_log_is_told_with_the_reason(place, workers):
    workers.scripts.append([("at opened", WorkerFailed("no such device"))])
    with pytest.raises(EngineError) as found:
        _drawn(place)
    assert str(found.value) == (
        "a vLLM worker could not serve the model: no such device. No answer was lost or counted; rerun to "
        f"resume from the last checkpoint. The end of its log {place.log}:\nthe end of the log"
    )
    assert workers.made[0].ended == ["killed"]
    assert place.num_lost == 0


def test_a_draw_that_is_interrupted_ends_its_worker(place, workers):
    workers.scripts.append([_answer(0, 1), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        _drawn(place)
    assert workers.made[0].ended == ["killed"]
    assert (place.worker, place.num_lost) == (None, 0)


def test_weights_are_loaded_by_the_worker_that_is_there(place, workers):
    place.load(4)
    assert workers.made == []  # one that is started later opens them
    workers.scripts.append([_answer(0, 1), _answer(1, 1), ("drawn", 1)])
    _drawn(place)
    place.load(4)
    (worker,) = workers.made
    message = {"folder": "/w", "version": 4, "digests": {"m": "d"}}
    assert worker.told[-1] == ("load", message, 7.0)
    assert worker.heard[-1] == ("loaded", 4, 30.0)
    worker.script = [("at loaded", WorkerFailed("out of memory"))]
    place.load(4)
    assert worker.ended == ["killed"]
    assert place.worker is workers.made[1]
    assert workers.made[1].told == [("open", SETTINGS, 30.0)]
    assert place.num_lost == 1


def test_loads_that_end_well_start_the_row_anew(place, workers):
    workers.scripts.append([_answer(0, 1), _answer(1, 1), ("drawn", 1)])
    _drawn(place)
    for _ in range(2 * LOSSES_MAX):
        place.worker.script = [("at loaded", WorkerLost("is gone"))]
        place.load(4)
    assert place.num_lost == 2 * LOSSES_MAX


def test_a_worker_sleeps_until_it_is_needed(place, workers):
    place.sleep()
    assert workers.made == []
    workers.scripts.append([_answer(cut, ask) if cut < 2 else ("drawn", ask)
                            for ask in (1, 2, 3) for cut in (0, 1, 2)])  # fmt: skip
    _drawn(place)
    place.sleep()
    _drawn(place)
    _drawn(place)
    (worker,) = workers.made
    assert [told[0] for told in worker.told] == ["open", "draw", "sleep", "wake", "draw", "draw"]
    assert worker.told[2:4] == [("sleep", True, 7.0), ("wake", True, 7.0)]
    assert worker.heard[1:] == [("slept", True, 7.0), ("woken", True, 7.0)]


def test_a_worker_lost_asleep_is_replaced_by_one_awake(place, workers):
    workers.scripts += [[_answer(0, 1), _answer(1, 1), ("drawn", 1), ("at woken", WorkerLost("is gone"))],
                        [_answer(0, 2), _answer(1, 2), ("drawn", 2)]]  # fmt: skip
    _drawn(place)
    place.sleep()
    assert _drawn(place) == {0: (5, 9), 1: (5, 9)}
    assert [told[0] for told in workers.made[1].told] == ["open", "draw"]
    workers.made[1].script = [("at slept", WorkerLost("is gone"))]
    place.sleep()
    assert (place.worker, place.num_lost) == (None, 2)


def test_closed_means_for_good(place, workers):
    workers.scripts.append([_answer(0, 1), _answer(1, 1), ("drawn", 1)])
    _drawn(place)
    place.close()
    assert workers.made[0].ended == ["ended"]
    assert place.worker is None
    place.close()
    place.drop()
    workers.scripts.append([WorkerLost("is gone")])
    with pytest.raises(EngineError, match="is gone; 1 in a row were lost so"):
        _drawn(place)
