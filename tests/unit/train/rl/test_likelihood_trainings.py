"""Likelihood rewards through the trainer: one pass for all tails, whose tokens learn, whole trainings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.objectives.evidence import Wanted
from rpt_core.recipes.objectives import (
    ExpectedPrefixObjective,
    JepoObjective,
    NoverObjective,
    NrtObjective,
    RlpObjective,
    RlprObjective,
    RptObjective,
    VeriFreeObjective,
)
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.evidence import measured
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.reinforce import open_trainer, train_policy
from rpt_core.train.rl.state import Progress
from rpt_core.train.rl.step import accumulate
from tests.toys import gradients, relative_error
from tests.unit.objectives.next_token.test_rlp import folders  # noqa: F401  (a fixture)
from tests.unit.objectives.next_token.test_verifree import row_logprobs
from tests.unit.train.rl.test_reinforce import MUON, StoppingBuild, _metrics, _weights, stopped_and_resumed
from tests.unit.train.rl.test_step import RECIPE

ALONE = {"prompt": "compact", "target_tokens": 3}
METHODS = {
    "rlp": (RlpObjective(**ALONE, reference_decay=0.5), "rlp"),
    "verifree": (VeriFreeObjective(**ALONE), "rloo"),
    "expected-prefix": (ExpectedPrefixObjective(**ALONE), "rloo"),
    "jepo": (JepoObjective(**ALONE, truth_weight=0.5, normalise=False), "rloo"),
    "rlpr": (RlprObjective(**ALONE), "rlpr"),
    "nrt": (NrtObjective(**ALONE), "grpo"),
    "nover": (NoverObjective(**ALONE, reference_decay=0.5, reference_every=2), "nover"),
}
LEARNS_TRUTH = ("verifree", "expected-prefix", "jepo", "nrt")


def small(name, **changes):
    objective, loss = METHODS[name]
    return type(RECIPE).parse({
        **dict(RECIPE), "objective": objective, "loss": loss, "temperature": 1.0, "steps": 3,
        "prompts_per_step": 3, "cuts_per_document": 3, "group_size": 8, "reasoning_tokens": 64,
        "context_tokens": 128, "optimiser": MUON, "selection": Selection(drop_equal_from_step=99), **changes,
    })  # fmt: skip


def opened(folder, folders, recipe):  # noqa: F811
    return open_trainer(recipe, LocalBuild(folders, folder / "out", folder / "scratch"))


def drawn_of(trainer, batch):
    return [one.asked for one in batch.documents], [
        [g.samples for g in one.groups] for one in batch.documents
    ]


def test_tails_with_and_without_a_thought_are_scored_in_one_pass(tmp_path, folders):  # noqa: F811
    trainer = opened(tmp_path, folders, small("nrt"))
    asked, drawn = drawn_of(trainer, collect(trainer, Progress(), Clock()))
    wanted = trainer.objective.wanted(asked, drawn)
    found, tokens, flops = measured(trainer, asked, wanted)
    first, alone, _ = measured(trainer, asked, Wanted(tails=wanted.tails))
    second, apart, _ = measured(trainer, asked, Wanted(empty_tails=wanted.empty_tails))
    assert flops > 0
    assert alone < tokens < alone + apart, "a second pass would read the documents again"
    num = 0
    for number, one in enumerate(asked):
        for cut in range(len(one.trunk.cuts)):
            for own, other in zip(found.tails[number][cut], first.tails[number][cut], strict=True):
                assert own == pytest.approx(other, abs=1e-5)
            bare, again = (some.empty_tails[number][cut][0] for some in (found, second))
            assert bare == pytest.approx(again, abs=1e-5)
            pairs = [
                pair
                for kind in ("tails", "empty_tails")
                for pair in zip(
                    getattr(wanted, kind)[number][cut], getattr(found, kind)[number][cut], strict=True
                )
            ]
            for tail, logprobs in pairs:
                if tail.scored:
                    document, at = SimpleNamespace(asked=one), one.trunk.cuts[cut]
                    row = row_logprobs(trainer, document, at, tail.given, tail.scored)
                    assert sum(logprobs) == pytest.approx(float(row.detach()), abs=3e-5)
                    num += 1
    assert num > len(asked), "random thoughts end now and then"


@pytest.mark.parametrize("layout", ["packed", "rows"])
def test_layouts_agree_on_truth_and_closings(tmp_path, folders, layout):  # noqa: F811
    trainer = opened(tmp_path, folders, small("expected-prefix"))
    asked, drawn = drawn_of(trainer, collect(trainer, Progress(), Clock()))
    wanted = trainer.objective.wanted(asked, drawn)
    one, _, _ = measured(trainer, asked, wanted)
    other, _, _ = measured(replace(trainer, layout=layout), asked, wanted)
    for cuts, same in zip(one.tails, other.tails, strict=True):
        for of, again in zip(cuts, same, strict=True):
            assert [list(x) for x in of] == [pytest.approx(list(x), abs=1e-4) for x in again]


@pytest.mark.parametrize("name", METHODS)
def test_only_the_methods_own_tokens_are_learnt(tmp_path, folders, name):  # noqa: F811
    """Sampled tokens of every method, true tokens (and closings) of some, wrappers of none."""
    trainer = opened(tmp_path, folders, small(name))
    batch = collect(trainer, Progress(), Clock())
    targets = []
    for document in batch.documents:
        lesson = lesson_of(trainer, document)
        trunk = document.asked.trunk
        assert lesson.answers[: lesson.num_drawn] == [
            [s.token_ids for s in g.samples] for g in document.groups
        ]
        for cut, (ids,) in zip(
            lesson.trunk.cuts[lesson.num_drawn :], lesson.answers[lesson.num_drawn :], strict=True
        ):
            targets.append(ids)
            truth = trunk.document_ids[cut.position :][:3]
            if ids == truth:
                continue
            assert name == "expected-prefix"
            assert ids == tuple(trainer.policy.codec.encode("}"))
            assert any(cut.suffix_ids[-k:] == truth[:k] for k in (1, 2, 3))
    assert bool(targets) is (name in LEARNS_TRUTH)


def printed_loss(trainer, batch):
    """NRT's estimate, each path a row of its own: over all drawn tokens, thoughts and weighed truth."""
    num = sum(len(s.token_ids) for g in batch.groups for s in g.samples)
    total = torch.zeros(())
    for document in batch.documents:
        lesson = lesson_of(trainer, document)
        for cut, group, advantages in zip(
            document.asked.trunk.cuts, document.groups, lesson.advantages, strict=False
        ):
            for sample, verdict, gain in zip(group.samples, group.verdicts, advantages, strict=True):
                total = total - gain * row_logprobs(trainer, document, cut, (), sample.token_ids)
                (one,) = verdict.forced
                for k, factor in enumerate(one.emphasis):
                    given = (*one.tail.given, *one.tail.scored[:k])
                    row = row_logprobs(trainer, document, cut, given, one.tail.scored[k : k + 1])
                    total = total - one.weight * factor * row
    return total / num


def test_tokens_of_the_truth_weigh_as_the_form_says(tmp_path, folders):  # noqa: F811
    trainer = opened(tmp_path, folders, small("nrt", prompts_per_step=2, group_size=4))
    batch = collect(trainer, Progress(), Clock())
    assert any(one.emphasis for g in batch.groups for v in g.verdicts for one in v.forced)
    printed_loss(trainer, batch).backward()
    expected = gradients(trainer.policy)
    lessons = [lesson_of(trainer, document) for document in batch.documents]
    for budget in (16_384, 120):
        trainer.policy.model.zero_grad()
        accumulate(replace(trainer, tokens_per_micro_batch=budget), lessons, scales_of(trainer, lessons))
        assert relative_error(gradients(trainer.policy), expected) < 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_a_training_runs_to_its_end_and_counts_what_it_measured(tmp_path, folders, name):  # noqa: F811
    build = LocalBuild(folders, tmp_path / "out", tmp_path / "scratch")
    outcome = train_policy(small(name), build)
    rows = [row for row in _metrics(build) if "reward_mean" in row]
    assert len(rows) == 3
    assert all(row["loss"] == row["loss"] and row["grad_norm"] < float("inf") for row in rows)
    trainer = opened(tmp_path / "again", folders, small(name))
    drawn = trainer.engine.flops
    batch = collect(trainer, Progress(), Clock())
    beside = batch.flops - (trainer.engine.flops - drawn)
    # random weights give no answer in NOVER's form, so that nothing is forced after one
    assert (beside > 0) is (name != "nover"), "what rewards stand on is charged beside the drawing"
    assert outcome.flops > 0


@pytest.mark.parametrize("name", ["rlpr", "nover"])
def test_a_stopped_training_goes_on_with_its_averages(tmp_path, folders, name):  # noqa: F811
    """RLPR's of deviations, NOVER's of weights."""
    rule = Selection(drop_equal_from_step=99, deviation_share=0.5, deviation_from_step=2)
    recipe = small(name, selection=rule if name == "rlpr" else Selection(drop_equal_from_step=99))
    whole = LocalBuild(folders, tmp_path / "whole", tmp_path / "one")
    outcome = train_policy(recipe, whole)
    broken = StoppingBuild(folders, tmp_path / "broken", tmp_path / "two")
    assert stopped_and_resumed(recipe, broken) == outcome
    assert _weights(broken) == _weights(whole)


@pytest.mark.parametrize("control", ["permuted", "random", "format"])
def test_a_control_trains_and_is_drawn_alike_again(tmp_path, folders, control):  # noqa: F811
    recipe = small("rlp", objective=RptObjective(prompt="compact"), loss="grpo", reward_control=control)
    trainer = opened(tmp_path, folders, recipe)
    first, second = (collect(trainer, Progress(), Clock()) for _ in range(2))
    scores = [group.scores for group in first.groups]
    assert scores == [group.scores for group in second.groups]
    if control == "random":
        assert {score for group in scores for score in group} == {0.0, 1.0}
    train_policy(recipe, LocalBuild(folders, tmp_path / "out2", tmp_path / "scratch2"))
