"""JEPO, RLPR, NOVER, NRT, the expected prefix and the oracle: what each asks for, and what answers earn."""

import math
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from rpt_core.errors import RecipeError
from rpt_core.objectives.evidence import Evidence, Needs
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import (
    ExpectedPrefixObjective,
    JepoObjective,
    NoverObjective,
    NrtObjective,
    OracleObjective,
    RlpObjective,
    RlprObjective,
)
from tests.unit.objectives.next_token.test_likelihood_vectors import CLOSED, EXACT
from tests.unit.objectives.next_token.test_rlp import GIVEN, WITHOUT, thought
from tests.unit.objectives.test_objectives import answer, policy_recipe

ON_POLICY = {"loss": "rloo", "temperature": 1.0}
FIGURES = [tuple(given.tolist()) for given in GIVEN]
BARE = tuple(WITHOUT.tolist())


def opened(inputs, codec, settings, **more):
    objective = open_objective(policy_recipe(objective=settings, **more), inputs, codec)
    (asked, *_), _ = objective.draw(1, 0, 1)
    return objective, asked


def thoughts(codec, num=4, *, endless=0):
    """A group of thoughts, the last ones without an end."""
    return [thought(codec, " so" * (n + 1), "length" if n >= num - endless else "stop") for n in range(num)]


def earned(objective, asked, samples, **evidence):
    """Verdicts of one group, from log-probabilities by kind of tail."""
    found = Evidence(**{name: [[some]] for name, some in evidence.items()})
    return objective.verdicts([asked], [[samples]], found)[0][0]


def test_jepo_weighs_thoughts_and_truth_by_its_bound(codec, inputs):
    settings = JepoObjective(prompt="compact", target_tokens=3, truth_weight=1.0)
    objective, asked = opened(inputs, codec, settings, **ON_POLICY)
    assert objective.needs == Needs(forced=True)
    drawn = thoughts(codec)
    wanted = objective.wanted([asked], [[drawn]])
    assert (wanted.empty_tails, wanted.reference_tails) == (None, None)
    assert [tail.scored for tail in wanted.tails[0][0]] == [asked.questions[0].truth_ids[:3]] * 4
    found = earned(objective, asked, drawn, tails=FIGURES)
    advantages = [0.092305, -0.522484, -0.679064, 1.000000]
    assert [v.advantage for v in found] == pytest.approx(advantages, abs=3e-6)
    assert [v.score for v in found] == pytest.approx([-1.021651, -2.476938, -6.502290, -0.166704], **EXACT)
    weights = [v.forced[0].weight / 4 for v in found]
    assert weights == pytest.approx([0.278649, 0.065018, 0.001161, 0.655172], **EXACT)
    assert [v.forced[0].logprobs for v in found] == FIGURES
    one = settings.model_copy(update={"bound": "one", "normalise": False, "truth_weight": 0.01})
    found = earned(opened(inputs, codec, one, **ON_POLICY)[0], asked, drawn, tails=FIGURES)
    assert [v.advantage for v in found] == pytest.approx([2.026993, 0.086610, -5.280526, 3.166922], **EXACT)
    assert {v.forced[0].weight for v in found} == {0.01}


def test_a_thought_without_an_end_has_no_bound_and_pays(codec, inputs):
    settings = JepoObjective(prompt="compact", bound="one", normalise=False)
    objective, asked = opened(inputs, codec, settings, **ON_POLICY)
    drawn = thoughts(codec, 3, endless=1)
    found = earned(objective, asked, drawn, tails=[(-0.5,), (-1.5,), ()])
    pay = 2**-0.5  # of two that end and one that does not, divided by the deviation
    assert [v.advantage for v in found] == pytest.approx([1.0 + pay, -1.0 + pay, -2 * pay], abs=1e-6)
    assert [v.score for v in found] == [-0.5, -1.5, -1.0]
    assert found[2].forced[0].weight == 0.0
    free = settings.model_copy(update={"format_penalty": 0.0})
    found = earned(opened(inputs, codec, free, **ON_POLICY)[0], asked, drawn, tails=[(-0.5,), (-1.5,), ()])
    assert [v.advantage for v in found] == pytest.approx([1.0, -1.0, 0.0])
    nothing = earned(objective, asked, thoughts(codec, 2, endless=2), tails=[(), ()])
    assert [(v.advantage, v.score) for v in nothing] == [(0.0, 0.0)] * 2


@pytest.mark.parametrize("settings", [JepoObjective(prompt="compact"), RlpObjective(prompt="compact")])
def test_a_truth_without_any_chance_stays_out_of_its_group(codec, inputs, settings):
    more = ON_POLICY if settings.name == "jepo" else {"loss": "rlp"}
    objective, asked = opened(inputs, codec, settings, **more)
    evidence = {"tails": [(-0.5,), (-math.inf,), (-1.5,)], "reference_tails": [(-1.0,)]}
    found = earned(objective, asked, thoughts(codec, 3), **evidence)
    assert all(math.isfinite(v.score) for v in found)
    assert found[1].score == pytest.approx((found[0].score + found[2].score) / 2)


def test_the_gain_may_be_bounded(codec, inputs):
    objective, asked = opened(inputs, codec, RlpObjective(prompt="compact", gain_clip_nats=5.0), loss="rlp")
    found = earned(
        objective, asked, thoughts(codec, 3), tails=[(-21.0,), (-0.5,), (-1.0,)], reference_tails=[(-1.0,)]
    )
    assert [v.score for v in found] == [-5.0, 0.5, 0.0]


def answers(codec, asked):
    """In form and right, in form and wrong, without a box, cut off before the end of the thought."""
    truth = codec.decode(asked.questions[0].truth_ids[:1])
    end = codec.control("end_think")
    return [
        answer(codec, " so", truth),
        answer(codec, " so so", "?!"),
        Sample((*codec.encode(" so"), *end, codec.end_id), (0.0,) * 9, "stop"),
        thought(codec, " so so so", "length"),
    ]


@pytest.mark.parametrize("baseline", ["policy", "start", "none"])
def test_rlpr_earns_by_probability_and_is_told_right_or_wrong(codec, inputs, baseline):
    settings = RlprObjective(prompt="compact", target_tokens=3, baseline=baseline)
    objective, asked = opened(inputs, codec, settings, loss="rlpr")
    assert objective.needs == Needs(forced=True, reference_decay=1.0 if baseline == "start" else None)
    assert objective.stop_ids == codec.end_ids
    drawn = answers(codec, asked)
    wanted = objective.wanted([asked], [[drawn]])
    box, end = codec.control("box_open"), codec.control("end_think")
    truth = asked.questions[0].truth_ids[:3]
    assert wanted.tails[0][0] == [
        Tail((*codec.encode(" so"), *end, *box), truth),
        Tail((*codec.encode(" so so"), *end, *box), truth),
        Tail((*codec.encode(" so"), *end, *box), truth),
        Tail((), ()),
    ]
    bare = [[[Tail((*end, *box), truth)]]]
    kinds = {"policy": (bare, None), "start": (None, bare), "none": (None, None)}
    assert (wanted.empty_tails, wanted.reference_tails) == kinds[baseline]
    without = {"policy": {"empty_tails": [BARE]}, "start": {"reference_tails": [BARE]}, "none": {}}[baseline]
    found = earned(objective, asked, drawn, tails=[*FIGURES[:3], ()], **without)
    expected = [0.733333, 0.5, 0.15] if baseline == "none" else [0.366667, 0.133333, 0.0]
    assert [v.score for v in found] == pytest.approx([*expected, 0.0], **EXACT)
    assert [v.verdict for v in found] == ["correct", "wrong", "unparsed", "truncated"]
    assert all(v.forced == () and v.advantage is None for v in found)
    formed = replace(
        objective,
        question=replace(objective.question, settings=settings.model_copy(update={"format_share": 0.1})),
    )
    mixed = earned(formed, asked, drawn, tails=[*FIGURES[:3], ()], **without)
    assert [v.score for v in mixed] == pytest.approx(
        [0.9 * expected[0] + 0.1, 0.9 * expected[1] + 0.1, 0.9 * expected[2], 0.0], **EXACT
    )


def test_nover_ranks_what_is_in_form_under_its_slow_copy(codec, inputs):
    settings = NoverObjective(prompt="compact", target_tokens=3)
    objective, asked = opened(inputs, codec, settings, loss="nover")
    assert objective.needs == Needs(reference_decay=0.9, reference_every=100)
    drawn = answers(codec, asked)
    wanted = objective.wanted([asked], [[drawn]])
    assert wanted.tails is wanted.empty_tails is None
    assert [bool(tail.scored) for tail in wanted.reference_tails[0][0]] == [True, True, False, False]
    found = earned(objective, asked, drawn, reference_tails=[*FIGURES[:2], (), ()])
    lengths = [v.thought_tokens for v in found[:2]]
    costs = [
        math.exp(-sum(f) / (3 * max(1, 1 + math.log(n)))) for f, n in zip(FIGURES, lengths, strict=False)
    ]
    assert costs[0] < costs[1]
    assert lengths[0] < lengths[1]
    assert [v.score for v in found] == [1 + 1 + 1, 1 + 0.5 + 0, 0, 0]
    last = earned(objective, asked, drawn, reference_tails=[(-math.inf,), (-9.0,), (), ()])
    assert [v.score for v in last] == [1 + 0.5 + 0, 1 + 1 + 0, 0, 0]


def test_nrt_keeps_gains_and_learns_by_token(codec, inputs):
    settings = NrtObjective(prompt="compact", target_tokens=3, truth_weight=0.5)
    objective, asked = opened(inputs, codec, settings, temperature=1.0)
    drawn = thoughts(codec)
    wanted = objective.wanted([asked], [[drawn]])
    assert wanted.empty_tails is not None
    found = earned(objective, asked, drawn, tails=[*FIGURES[:3], ()], empty_tails=[BARE])
    assert [v.score for v in found] == pytest.approx([0.397175, 0.124567, 0, 0], **EXACT)
    first = found[0].forced[0]
    v = np.array([0.245674, 0.617364, 0.136962])
    assert (first.weight, first.logprobs) == (0.5, FIGURES[0])
    assert first.emphasis == pytest.approx(v * np.exp(GIVEN[0]), **EXACT)
    assert (found[3].forced[0].weight, found[3].forced[0].emphasis) == (0.0, ())


def test_the_prefix_in_expectation_teaches_truth_and_closings(codec, inputs):
    settings = ExpectedPrefixObjective(prompt="compact", target_tokens=3)
    objective, asked = opened(inputs, codec, settings, **ON_POLICY)
    drawn = thoughts(codec, 2, endless=1)
    (close,), truth = codec.encode("}"), asked.questions[0].truth_ids[:3]
    ((tails,),) = objective.wanted([asked], [[drawn]]).tails
    given = (*drawn[0].token_ids, *codec.control("box_open"))
    assert tails == [Tail(given, truth, close), Tail((), ())]
    found = earned(objective, asked, drawn, tails=[(*FIGURES[0], *CLOSED[0].tolist()), ()])
    assert [v.score for v in found] == pytest.approx([0.679500, 0.0], **EXACT)
    shares = [0.9 * 0.4, 0.45 * 0.15, 0.36 * 0.7]
    first, *closings = found[0].forced
    assert first.tail == Tail(given, truth)
    assert first.emphasis == pytest.approx([sum(shares), sum(shares[1:]), shares[2]])
    assert [one.weight for one in closings] == pytest.approx(shares)
    assert [one.tail for one in closings] == [Tail((*given, *truth[:k]), (close,)) for k in (1, 2, 3)]
    assert [one.logprobs for one in closings] == [(one,) for one in CLOSED[0].tolist()]
    assert [one.weight for one in found[1].forced] == [0.0]


def test_no_prediction_ends_inside_a_character(codec, inputs):
    objective, asked = opened(
        inputs, codec, ExpectedPrefixObjective(prompt="compact", target_tokens=3), **ON_POLICY
    )
    letters = codec.encode("\u0416a")
    assert len(letters) == 3, "two bytes of one character, then another"
    question = replace(asked.questions[0], truth_ids=(*letters, *codec.encode(" it")))
    spelled = replace(asked, questions=(question, *asked.questions[1:]))
    (one,) = earned(objective, spelled, thoughts(codec, 1), tails=[(-1.0, -1.0, -1.0, -0.5, -0.25, -0.125)])
    assert [len(target.tail.given) for target in one.forced[1:]] == [
        len(one.forced[0].tail.given) + k for k in (2, 3)
    ]
    assert one.score == pytest.approx(math.exp(-2.25) + math.exp(-3.125))


def test_the_oracle_pays_true_thoughts_alone(codec, inputs):
    objective = open_objective(
        policy_recipe(objective=OracleObjective(prompt="compact"), prompts_per_step=64), inputs, codec
    )
    asked, _ = objective.draw(1, 0, 400)
    one, number, question = next(
        (one, number, question)
        for one in asked
        for number, question in enumerate(one.questions)
        if question.chain
    )
    truth = codec.decode(question.truth_ids[:1])
    said = [
        answer(codec, question.chain, truth),
        answer(codec, " by luck", truth),
        answer(codec, question.chain, "?!"),
    ]
    found = objective.verdicts(
        [replace(one, trunk=replace(one.trunk, cuts=(one.trunk.cuts[number],)), questions=(question,))],
        [[said]],
    )[0][0]
    assert [(v.verdict, v.score) for v in found] == [("correct", 1.0), ("correct", 0.0), ("wrong", 0.0)]
    untraced = next(q for one in asked for q in one.questions if q.chain is None)
    nobody = objective.question.judge(untraced, answer(codec, "", "?"))
    assert nobody.score == 0.0


def test_an_oracle_without_chains_is_refused(codec, inputs, tmp_path):
    for name in ("documents.parquet", "tokens.parquet"):
        (tmp_path / name).write_bytes((inputs["corpus"] / name).read_bytes())
    bare = {"corpus": tmp_path, "difficulty": tmp_path}
    with pytest.raises(RecipeError, match="this corpus has no trace"):
        open_objective(policy_recipe(objective=OracleObjective(prompt="compact")), bare, codec)


@pytest.mark.parametrize(
    ("settings", "loss"),
    [(JepoObjective(), "rloo"), (ExpectedPrefixObjective(), "rloo"), (NrtObjective(), "grpo")],
)
def test_what_also_learns_the_truth_is_trained_on_the_policy_that_drew(settings, loss):
    policy_recipe(objective=settings, loss=loss, temperature=1.0)
    for wrong in ({"temperature": 0.7}, {"updates_per_batch": 2}, {"loss": "dapo"}):
        with pytest.raises(ValidationError, match=f"objective {settings.name} with {next(iter(wrong))}="):
            policy_recipe(objective=settings, **{"loss": loss, "temperature": 1.0, **wrong})
    with pytest.raises(ValidationError, match=f"reward_control=permuted with objective {settings.name}"):
        policy_recipe(objective=settings, loss=loss, temperature=1.0, reward_control="permuted")


def test_rejection_needs_answers_that_are_compared():
    with pytest.raises(ValidationError, match="loss=rejection with objective rlp"):
        policy_recipe(objective=RlpObjective(), loss="rejection")
    policy_recipe(objective=RlprObjective(), loss="rejection")
    with pytest.raises(ValidationError, match="reward_control=format with loss=rejection"):
        policy_recipe(loss="rejection", reward_control="format")
