"""Every figure of a step from a batch written by hand, and sums of several ranks."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from rpt_core.train.rl.collect import Batch
from rpt_core.train.rl.metrics import Learnt, Sums, describe, means, merged, totals
from rpt_core.train.rl.state import Progress
from tests.unit.train.rl.batches import FIRST, batch, group


def test_a_batch_is_described_by_its_answers():
    found = describe(batch())
    assert found == pytest.approx(
        {
            "reward_mean": 3.25 / 9,
            "verdict/correct": 3, "verdict/wrong": 3, "verdict/unparsed": 1, "verdict/truncated": 1,
            "verdict/timed out": 1,
            "kept_fraction": 2 / 3, "groups_kept": 2,
            "think_share": 6 / 9, "thought_tokens": 25 / 9, "answer_tokens": 40 / 9,
            # of the six answers that are right or wrong alone: 1, 2, 4, 7, 1 and 3 tokens
            "prediction_share/1": 2 / 6, "prediction_share/2": 1 / 6, "prediction_share/3": 1 / 6,
            "prediction_share/4+": 2 / 6,
            "budget_tokens": 40, "tier_share/0": 1 / 3, "tier_share/2": 2 / 3,
        }
    )  # fmt: skip
    assert all(type(value) is float for value in found.values())


def test_scored_answers_are_counted_where_there_are_any():
    scored = group(replace(FIRST.questions[0], budget=None, tier=None), [(0.7, "scored", 3, 5, 1)])
    one = batch()
    documents = (replace(one.documents[0], groups=(scored,)),)
    found = describe(replace(one, documents=documents))
    assert found["verdict/scored"] == 1
    assert not [name for name in found if name.startswith(("prediction_share", "tier_share", "budget"))]
    assert "scored" not in one.verdict_counts()


def test_documents_without_a_question_have_no_answers_to_describe():
    nothing = Batch((replace(batch().documents[0], groups=()),), 5, 0, 0.0)
    assert describe(nothing) == {}
    assert (nothing.asks, nothing.num_kept, list(nothing.groups)) == (False, 0, [])


def test_ranks_add_up_but_for_what_is_the_largest():
    tensor = torch.ones(1)
    one = Sums(
        loss=1.0, policy_loss=2.0, ntp_loss=3.0, kl=4.0, entropy=5.0, mismatch=6.0, mismatch_kl=7.0,
        ratio_error=0.5, answer_tokens=8, forwarded=9, entropies_nats={"a": np.ones(2, np.float32)},
        logprobs=[tensor], clipped=10, ratio_max=1.5, old_kl=11.0,
    )  # fmt: skip
    other = Sums(
        loss=0.25, policy_loss=0.5, ntp_loss=0.75, kl=0.125, entropy=1.25, mismatch=1.5, mismatch_kl=1.75,
        ratio_error=0.7, answer_tokens=20, forwarded=30, entropies_nats={"b": np.zeros(3, np.float32)},
        logprobs=[tensor], clipped=40, ratio_max=1.2, old_kl=2.5,
    )  # fmt: skip
    found = merged([one, other])
    values = {f.name: getattr(found, f.name) for f in fields(found)}
    assert values.pop("entropies_nats").keys() == {"a", "b"}
    assert values == {
        "loss": 1.25, "policy_loss": 2.5, "ntp_loss": 3.75, "kl": 4.125, "entropy": 6.25, "mismatch": 7.5,
        "mismatch_kl": 8.75, "ratio_error": 0.7, "answer_tokens": 28, "forwarded": 39, "logprobs": [],
        "clipped": 50, "ratio_max": 1.5, "old_kl": 13.5,
    }  # fmt: skip


def test_sums_begin_at_nothing_and_at_the_policy_that_drew():
    empty = Sums()
    assert {f.name: getattr(empty, f.name) for f in fields(empty)} == {
        "loss": 0, "policy_loss": 0, "ntp_loss": 0, "kl": 0, "entropy": 0, "mismatch": 0, "mismatch_kl": 0,
        "ratio_error": 0, "answer_tokens": 0, "forwarded": 0, "entropies_nats": {}, "logprobs": [],
        "clipped": 0, "ratio_max": 1.0, "old_kl": 0,
    }  # fmt: skip


def test_losses_are_told_as_they_are():
    sums = Sums(loss=0.5, policy_loss=0.3, ntp_loss=0.2, answer_tokens=4)
    found = means(Learnt(sums, sums, forwarded=40, flops=1.0, norm=0.9))
    assert (found["loss"], found["policy_loss"], found["ntp_loss"]) == (0.5, 0.3, 0.2)


def test_totals_are_of_the_whole_training():
    progress = Progress(step=3, cursor=40, asked=24, used=20, tokens=1234, gflops=5.5)
    assert totals(progress) == {"tokens_total": 1234.0, "gflops_total": 5.5, "questions_total": 24.0}
