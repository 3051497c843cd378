"""What a step refuses and counts, to the word and the number; and ranks whose passes are collective."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rpt_core.errors import EngineError
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.clock import Clock
from rpt_core.train.rl import step as module
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.metrics import Learnt, Sums
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate, step
from tests.contracts.backends import CollectiveBackend, Ranks, on_ranks
from tests.toys import gradients, relative_error
from tests.unit.train.rl.batches import batch
from tests.unit.train.rl.test_step import RECIPE, make_trainer

PROGRESS = Progress(5, 30, 2, asked=100, used=60, tokens=5000, gflops=20.0, best_step=3, best_accuracy=0.5)


def test_a_step_adds_what_it_saw_and_did_to_the_training():
    training = SimpleNamespace(recipe=SimpleNamespace(selection=Selection()))
    learnt = Learnt(Sums(), Sums(), forwarded=70, flops=2.5e9, norm=1.0)
    found = module._advance(training, PROGRESS, batch(), learnt)
    assert found == Progress(
        step=6, cursor=17, empty_steps=0, asked=103, used=62, tokens=5000 + 333 + 70, gflops=30.0,
        best_step=3, best_accuracy=0.5,
    )  # fmt: skip
    empty = module._advance(training, PROGRESS, batch(), None)
    assert empty == replace(found, empty_steps=3, tokens=5333, gflops=27.5)


def test_a_starved_run_tells_the_verdicts_of_its_last_step():
    said = module._starved(replace(PROGRESS, empty_steps=4, step=9), batch())
    assert said.startswith(
        "4 steps in a row, up to step 9, had no group whose answers differ in reward; the last one's answers "
        "were 3 correct, 3 wrong, 1 unparsed, 1 truncated, 1 timed out. "
    )
    one = batch()
    document = replace(one.documents[1], groups=())
    assert "were 2 wrong" not in said
    assert "timed out" not in module._starved(PROGRESS, replace(one, documents=(one.documents[0], document)))


def test_answers_of_earlier_weights_are_refused_where_an_engine_can_lag():
    in_turn = SimpleNamespace(off_policy_steps=0)
    away = SimpleNamespace(engine=SimpleNamespace(shares_weights=False), recipe=in_turn)
    module._refuse_stale(away, batch(version=6), 6)
    with pytest.raises(EngineError) as said:
        module._refuse_stale(away, batch(version=4), 6)
    assert str(said.value).startswith(
        "answers of step 7 were drawn under the weights of step 4, and the trainer is at step 6: "
    )
    module._refuse_stale(SimpleNamespace(engine=SimpleNamespace(shares_weights=True)), batch(version=4), 6)


def test_the_mean_gap_of_a_token_is_what_is_limited():
    module._refuse_mismatch(Sums(mismatch=4.0, answer_tokens=8), 3, 0.5)
    module._refuse_mismatch(Sums(), 3, 0.5)
    with pytest.raises(EngineError, match=r"differ by 0\.75 nats a token at step 3 \(at most 0\.5\)"):
        module._refuse_mismatch(Sums(mismatch=6.0, answer_tokens=8), 3, 0.5)
    with pytest.raises(EngineError, match=r"differ by 0\.60"):
        module._refuse_mismatch(Sums(mismatch=0.6, answer_tokens=0), 3, 0.5)


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (-math.inf, math.nan)])
def test_either_of_loss_and_norm_ends_the_run(loss, norm):
    module._refuse_not_finite(2.0, 3.0, 8)
    with pytest.raises(EngineError) as said:
        module._refuse_not_finite(loss, norm, 8)
    assert str(said.value).startswith(
        f"the loss is {loss} (gradient norm {norm}) at step 8; the last good step was 7. "
    )


def test_work_is_of_the_policy_and_of_its_reference():
    policy, reference = (SimpleNamespace(work=SimpleNamespace(flops=flops)) for flops in (7.0, 5.0))
    assert module._work(SimpleNamespace(policy=policy, reference=reference)) == 12.0
    assert module._work(SimpleNamespace(policy=policy, reference=None)) == 7.0


FORMS = {
    "policy": {},
    "instructed": {"ntp_weight": 0.3},
    "raw": {"ntp_weight": 0.3, "ntp_text": "raw"},
}


@pytest.mark.parametrize("form", FORMS)
def test_collective_ranks_make_equal_passes_and_learn_what_one_process_learns(form):
    """Three ranks, more micro-batches on some than on others; fillers leave loss and gradient alone."""
    trainer = make_trainer(RECIPE.model_copy(update=FORMS[form]), tokens_per_micro_batch=45)
    drawn = collect(trainer, Progress(), Clock())
    lessons = [lesson_of(trainer, document) for document in drawn.documents]
    whole = accumulate(trainer, lessons, scales_of(trainer, lessons))
    expected = gradients(trainer.policy)
    ranks = Ranks(3)
    trainers = on_ranks(trainer, ranks, TorchEngine, CollectiveBackend)
    shares = [[0, 1], [2], list(range(3, len(lessons)))]

    def learn(rank):
        one = trainers[rank]
        return accumulate(one, lessons, scales_of(one, lessons), None, shares[rank])

    sums = ranks.run(learn)
    for name in ("loss", "policy_loss", "ntp_loss", "entropy", "answer_tokens"):
        total = sum(getattr(one, name) for one in sums)
        assert total == pytest.approx(getattr(whole, name), rel=1e-4, abs=1e-6), name
    found = [gradients(one.policy) for one in trainers]
    added = {name: sum(one[name] for one in found) for name in expected}
    assert relative_error(added, expected) < 1e-4
    assert trainers[0].backend.passes == trainers[1].backend.passes == trainers[2].backend.passes
    documents = {kind for kind in trainers[0].backend.passes if kind[0] == "documents"}
    assert bool(documents) is (form == "raw")
    assert {kind[2] for kind in trainers[0].backend.passes if kind[0] == "score"} == {form == "instructed"}


def test_steps_of_two_ranks_end_in_equal_weights_and_metrics():
    trainer = make_trainer(RECIPE.model_copy(update={"updates_per_batch": 2}))
    drawn = collect(trainer, Progress(), Clock())
    ranks = Ranks(2)
    trainers = on_ranks(trainer, ranks, TorchEngine)
    found = ranks.run(lambda rank: step(trainers[rank], Progress(), drawn))
    progress, metrics = step(trainer, Progress(), drawn)
    assert found[0] == found[1]
    assert found[0][0].asked == progress.asked
    for name in ("loss", "entropy", "clipped_share", "old_kl", "ratio_max", "grad_norm"):
        assert found[0][1][name] == pytest.approx(metrics[name], rel=1e-3, abs=1e-6), name
    weights = [list(one.policy.model.parameters()) for one in trainers]
    assert all(torch.equal(p, q) for p, q in zip(*weights, strict=True))
    assert found[0][0].gflops == pytest.approx(progress.gflops, rel=0.2)
