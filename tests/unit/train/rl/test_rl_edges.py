"""What a training step reports, and which engine it refuses."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from rpt_core.errors import EngineError
from rpt_core.train.rl import online_eval
from rpt_core.train.rl.hand_over import CANARY_NATS_MAX, check_canary
from rpt_core.train.rl.metrics import Learnt, Sums, means
from rpt_core.train.rl.record import SHOWN_CHARACTERS, shown
from tests.unit.train.rl.test_step import make_trainer

FIRST = Sums(loss=0.5, kl=2.0, entropy=6.0, mismatch=1.0, mismatch_kl=3.0, ratio_error=0.7, answer_tokens=4)
LAST = Sums(loss=0.25, clipped=2, ratio_max=1.5, old_kl=3.0, answer_tokens=8)


def test_sums_over_answer_tokens_become_means_of_one():
    found = means(Learnt(FIRST, FIRST, forwarded=40, flops=1.0, norm=0.9))
    assert found["loss"] == 0.5
    assert (found["kl"], found["entropy"], found["mismatch_nats"], found["mismatch_kl"]) == (
        0.5,
        1.5,
        0.25,
        0.75,
    )
    assert (found["ratio_error_max"], found["update_tokens"], found["grad_norm"]) == (0.7, 40.0, 0.9)
    assert "old_kl" not in found  # one update moves nothing off the policy that drew


def test_further_updates_say_how_far_the_last_one_went():
    found = means(Learnt(FIRST, LAST, forwarded=80, flops=1.0, norm=0.9))
    moved = {name: found[name] for name in ("clipped_share", "ratio_max", "old_kl", "loss_last_update")}
    assert moved == {"clipped_share": 0.25, "ratio_max": 1.5, "old_kl": 0.375, "loss_last_update": 0.25}
    assert (found["loss"], found["kl"]) == (0.5, 0.5)


def test_a_step_without_answer_tokens_has_means_of_nothing():
    found = means(Learnt(Sums(), Sums(), forwarded=0, flops=0.0, norm=0.0))
    assert {found[name] for name in ("kl", "entropy", "mismatch_nats", "old_kl", "clipped_share")} == {0.0}


def test_a_long_text_keeps_both_its_ends():
    half = SHOWN_CHARACTERS // 2
    text = "a" * half + "b" * 3 + "c" * half
    assert shown(text) == f"{'a' * half} [3 characters left out] {'c' * half}"
    assert shown(text[:SHOWN_CHARACTERS]) == text[:SHOWN_CHARACTERS]
    assert shown(text[: SHOWN_CHARACTERS + 1]).startswith(f"{'a' * half} [1 characters left out] ")


class Off:
    """An engine whose log-probabilities are ``by`` nats from what it drew with."""

    def __init__(self, engine, by):
        self.engine, self.by = engine, by

    def generate(self, trunks, sampling, step):
        return [
            [[replace(s, logprobs=tuple(p + self.by for p in s.logprobs)) for s in cut] for cut in one]
            for one in self.engine.generate(trunks, sampling, step)
        ]


@pytest.mark.parametrize("by", [0.0, 0.5, -0.5])
def test_an_engine_within_the_limit_is_taken(by):
    trainer = make_trainer()
    by *= CANARY_NATS_MAX["float32"]
    check_canary(replace(trainer, engine=Off(trainer.engine, by)), trainer.engine.version)


@pytest.mark.parametrize("by", [2.0, -2.0, float("nan")])
def test_an_engine_beyond_the_limit_is_refused_on_either_side(by):
    trainer = make_trainer()
    by *= CANARY_NATS_MAX["float32"]
    with pytest.raises(EngineError, match=r"differ by .* nats a token on a fixed prompt \(at most "):
        check_canary(replace(trainer, engine=Off(trainer.engine, by)), trainer.engine.version)


def test_every_look_draws_the_same_streams():
    """Whatever the step: so curves of one run, and of runs side by side, differ by the policy alone."""
    trainer, calls = make_trainer(), []

    def generate(trunks, sampling, step):
        calls.append((len(trunks), sampling.group_size, sampling.seed, step))
        return trainer.engine.generate(trunks, sampling, step)

    held_out = len(trainer.objective.held_out(online_eval.QUESTIONS))
    watched = replace(trainer, engine=SimpleNamespace(generate=generate, num_forwarded=0, flops=0.0))
    first = online_eval.online_eval(watched)
    assert online_eval.online_eval(watched) == first
    assert calls == [(held_out, online_eval.ANSWERS, online_eval.SEED, 0)] * 2
