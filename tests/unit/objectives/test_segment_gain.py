"""Segments without a judge: which tokens are forced, what a thought earns by them, what pays nobody."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from rpt_core.objectives.evidence import Evidence, Needs
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.reinforce import RlptRecipe
from tests.unit.objectives.next_token.test_likelihood_vectors import EXACT
from tests.unit.objectives.next_token.test_rlp import GIVEN, WITHOUT
from tests.unit.objectives.test_rlpt import NOWHERE, SETTINGS, codec, corpus  # noqa: F401  (fixtures)

FIGURES = [tuple(given.tolist()) for given in GIVEN]
BARE = tuple(WITHOUT.tolist())


def recipe(**objective):
    settings = SETTINGS.model_copy(update={"reward": "gain", **objective})
    return RlptRecipe(
        corpus=NOWHERE, start=NOWHERE, objective=settings, context_tokens=256, cuts_per_document=3
    )


def opened(corpus, codec, **objective):  # noqa: F811
    return open_objective(recipe(**objective), {"corpus": corpus}, codec)


def thought(codec, finish="stop"):  # noqa: F811
    ids = (*codec.encode(" so"), *(codec.control("end_think") if finish == "stop" else ()))
    return Sample(ids, (0.0,) * len(ids), finish)


def test_the_segments_own_tokens_are_forced_between_its_marks(corpus, codec):  # noqa: F811
    objective = opened(corpus, codec)
    assert objective.needs == Needs(forced=True)
    assert objective.stop_ids == frozenset(codec.control("end_think"))
    asked, _ = objective.draw(1, 0, objective.targets.num)
    tasks = set()
    for one in asked:
        for cut, question in zip(one.trunk.cuts, one.questions, strict=True):
            ids = question.truth_ids
            assert ids == one.trunk.document_ids[cut.position :][: len(ids)]
            assert codec.decode(ids).strip() == question.truth
            tasks.add(question.task)
    assert tasks == {"asr", "msr"}
    one = asked[0]
    drawn = [[[thought(codec), thought(codec, "length")] for _ in one.questions]]
    wanted = objective.wanted([one], drawn)
    mark, end = codec.control("start_prediction"), codec.control("end_think")
    truth = one.questions[0].truth_ids
    assert wanted.tails[0][0] == [Tail((*thought(codec).token_ids, *mark), truth), Tail((), ())]
    assert wanted.empty_tails[0][0] == [Tail((*end, *mark), truth)]
    assert wanted.pairs is wanted.reference_tails is None


def earned(objective, codec, tails, bare):  # noqa: F811
    (one, *_), _ = objective.draw(1, 0, 1)
    first = replace(one.trunk, cuts=one.trunk.cuts[:1])
    one = replace(one, trunk=first, questions=one.questions[:1])
    drawn = [[[thought(codec, "stop" if tail else "length") for tail in tails]]]
    evidence = Evidence(tails=[[tails]], empty_tails=[[[bare]]])
    return objective.verdicts([one], drawn, evidence)[0][0]


def test_a_thought_earns_what_it_adds(corpus, codec):  # noqa: F811
    objective = opened(corpus, codec, truth_weight=1.0)
    found = earned(objective, codec, [*FIGURES[:3], ()], BARE)
    assert [v.score for v in found] == pytest.approx([0.397175, 0.124567, 0, 0], **EXACT)
    assert [v.verdict for v in found] == ["scored"] * 3 + ["truncated"]
    first = found[0].forced[0]
    v = np.array([0.245674, 0.617364, 0.136962])
    assert (first.weight, first.emphasis) == (1.0, pytest.approx(v * np.exp(GIVEN[0]), **EXACT))
    metrics, timings = objective.report()
    gains = [-1.021651 + 3.729701, -2.476938 + 3.729701, -6.502290 + 3.729701]
    assert metrics["gain/nats"] == pytest.approx(sum(gains) / 3, abs=2e-6)
    assert metrics["gain/share_above_0"] == pytest.approx(2 / 3)
    assert timings == {}
    assert objective.report()[0] == {"gain/segments_expected": 0.0}
    logs = earned(opened(corpus, codec, gain_form="log"), codec, [*FIGURES[:2], ()], BARE)
    assert [v.score for v in logs] == pytest.approx([gains[0], gains[1], sum(gains[:2]) / 2], abs=2e-6)
    assert all(v.forced[0].weight == 0 for v in logs)


def test_a_segment_that_is_expected_anyway_pays_nobody(corpus, codec):  # noqa: F811
    objective = opened(corpus, codec, truth_weight=1.0)
    found = earned(objective, codec, [(-0.01, -0.01), (-0.2, -0.2)], (-0.29, -0.29))
    assert [(v.score, v.forced[0].weight) for v in found] == [(0.0, 0.0)] * 2
    assert objective.report()[0] == {"gain/segments_expected": 1.0}
    found = earned(objective, codec, [(-0.01, -0.01), (-0.2, -0.2)], (-0.31, -0.31))
    assert found[0].score > found[1].score > 0


def test_without_evidence_nothing_is_earned_yet(corpus, codec):  # noqa: F811
    objective = opened(corpus, codec)
    (one, *_), _ = objective.draw(1, 0, 1)
    found = objective.verdicts([one], [[[thought(codec)] for _ in one.questions]])
    assert {v.score for group in found[0] for v in group} == {0.0}


def test_a_judge_or_none_as_the_reward_says():
    with pytest.raises(ValidationError, match="reward=gain asks no judge"):
        RlptRecipe(corpus=NOWHERE, start=NOWHERE, judge=NOWHERE, objective=recipe().objective)
    with pytest.raises(ValidationError, match="give either a judge"):
        RlptRecipe(corpus=NOWHERE, start=NOWHERE, objective=SETTINGS)
    with pytest.raises(ValidationError, match=r"truth_weight needs objective\.reward=gain"):
        RlptRecipe(
            corpus=NOWHERE, start=NOWHERE, judge=NOWHERE,
            objective=SETTINGS.model_copy(update={"truth_weight": 1.0}),
        )  # fmt: skip
    learns = recipe(truth_weight=1.0).objective
    for wrong in ({"updates_per_batch": 2}, {"temperature": 0.7}, {"reward_control": "permuted"}):
        with pytest.raises(ValidationError, match="truth_weight also learns the truth"):
            RlptRecipe(corpus=NOWHERE, start=NOWHERE, objective=learns, **wrong)
