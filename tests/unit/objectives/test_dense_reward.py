"""Dense rewards: what a wrong guess earns, and the bonus for longer right predictions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.next_token import objective as rpt
from rpt_core.objectives.next_token.dense import conditional_scores, dense_scores
from rpt_core.objectives.next_token.prefix import length_bonus
from rpt_core.objectives.objective import Verdict
from rpt_core.policy.plain import PlainProbabilities
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.recipes.objectives import RptObjective
from tests.toys import judge_group, save_tiny_model
from tests.unit.objectives.test_objectives import answer, policy_recipe

NAMES = ("correct", "wrong", "unparsed", "truncated")
VERDICTS = [Verdict(0.0, name, 3, 5) for name in NAMES]


def opened(inputs, codec, reward: str, **changes):
    settings = RptObjective(prompt="compact", entropy_floor_nats=1.5, reward=reward, **changes)
    return rpt.open_objective(policy_recipe(objective=settings), inputs, codec)


def test_a_wrong_guess_earns_its_own_plain_chance():
    assert dense_scores(VERDICTS, [0.9, 0.25, 0.3, 0.3]) == [1.0, 0.25, 0.0, 0.0]


def test_a_group_that_knows_nothing_is_paid_alike():
    assert conditional_scores(VERDICTS[1:], [0.25, 0.3, 0.3], -0.1) == [-0.1] * 3
    assert conditional_scores(VERDICTS, [0.9, 0.25, 0.3, 0.3], -0.1) == [1.0, 0.25, 0.0, 0.0]


@pytest.mark.parametrize("reward", ["dense", "conditional-dense"])
def test_what_a_wrong_guess_stands_on_is_asked_for_and_supplied(codec, inputs, reward):
    objective = opened(inputs, codec, reward)
    assert objective.needs == Needs(plain=True)
    asked = objective.draw(1, 0, 4)[0][:1]
    truth = codec.decode(asked[0].questions[0].truth_ids[:1])
    right, wrong = answer(codec, " so", truth), answer(codec, " so", "?!")
    cut_off = answer(codec, " so", "?!", finish="length")
    drawn = [[[right, wrong, cut_off]] + [[wrong, wrong, cut_off]] * (len(asked[0].questions) - 1)]
    wanted = objective.wanted(asked, drawn)
    assert wanted.plain[0][0] == [asked[0].questions[0].truth_ids[0], codec.encode("?!")[0], -1]
    assert wanted == Wanted(plain=wanted.plain)
    plain = [[[0.125 if token >= 0 else 0.0 for token in some] for some in of_one] for of_one in wanted.plain]
    (verdicts,) = objective.verdicts(asked, drawn, Evidence(plain))
    assert [v.score for v in verdicts[0]] == [1.0, 0.125, 0.0]
    if len(verdicts) > 1:
        assert [v.score for v in verdicts[1]] == ([0.125, 0.125, 0.0] if reward == "dense" else [0.0] * 3)
    assert [v.score for v in objective.verdicts(asked, drawn)[0][0]] == [1.0, 0.0, 0.0]


def test_no_other_reward_asks_for_anything(codec, inputs):
    objective = opened(inputs, codec, "prefix")
    assert objective.needs == Needs()
    asked = objective.draw(1, 0, 1)[0]
    drawn = [[[answer(codec, "", "?!")]]]
    assert objective.wanted(asked, drawn) == Wanted()
    assert objective.verdicts(asked, drawn, Evidence())[0][0][0].verdict == "wrong"


def test_chances_are_those_of_the_raw_text(tmp_path):
    policy = save_tiny_model(tmp_path)
    documents = [policy.codec.encode(text) for text in ("one two three four", "five six seven")]
    cuts = [(2, 3), (1,)]
    trunks = [
        Trunk(str(i), policy.codec.control("rpt"), tuple(ids), tuple(Cut(p, (5,)) for p in at))
        for i, (ids, at) in enumerate(zip(documents, cuts, strict=True))
    ]
    chances = PlainProbabilities(policy, tokens_per_batch=1)
    found = chances(trunks, [[[7, -1], [9]], [[11]]])
    for ids, at, of_one in zip(documents, cuts, found, strict=True):
        with policy.attending("eager"), torch.no_grad():
            chances_TV = policy.model(torch.tensor([ids]), use_cache=False).logits[0].softmax(1)
        wanted = [float(chances_TV[position - 1, token]) for position, token in zip(at, (7, 9), strict=False)]
        if at == (1,):
            wanted = [float(chances_TV[0, 11])]
        np.testing.assert_allclose([some[0] for some in of_one], wanted, rtol=1e-4)
    assert found[0][0][1] == 0.0
    whole = PlainProbabilities(policy)(trunks, [[range(len(policy.codec))] * 2, [range(len(policy.codec))]])
    for of_one in whole:
        np.testing.assert_allclose([sum(some) for some in of_one], 1.0, atol=1e-5)
    bare = [replace(trunk, instruction_ids=()) for trunk in trunks]
    np.testing.assert_allclose(
        PlainProbabilities(policy)(bare, [[[7], [7]], [[7]]])[0][0], found[0][0][:1], rtol=1e-5
    )
    assert chances.num_forwarded == 4


def test_longer_right_predictions_may_earn_more(codec, inputs):
    plain, paid = opened(inputs, codec, "prefix"), opened(inputs, codec, "prefix", further_token_bonus=0.1)
    (asked, *_), _ = plain.draw(1, 0, 1)
    ids = asked.questions[0].truth_ids
    samples = [answer(codec, "", codec.decode(ids[:n])) for n in (1, 2, 3)] + [answer(codec, "", "?!")]
    assert [v.score for v in judge_group(plain, asked, 0, samples)] == [1, 1, 1, 0]
    verdicts = judge_group(paid, asked, 0, samples)
    assert [v.score for v in verdicts] == pytest.approx([1.0, 1.1, 1.2, 0.0])
    assert [v.verdict for v in verdicts] == ["correct"] * 3 + ["wrong"]
    assert [length_bonus(n, 0.5, 3) for n in range(6)] == [0, 0, 0.5, 1.0, 1.0, 1.0]


def test_predictions_know_their_length(codec, inputs):
    objective = opened(inputs, codec, "prefix")
    (asked, *_), _ = objective.draw(1, 0, 1)
    ids = asked.questions[0].truth_ids
    verdicts = judge_group(
        objective, asked, 0, [answer(codec, "", codec.decode(ids[:2])), answer(codec, "", "")]
    )
    assert verdicts[0].prediction_tokens == len(codec.encode(codec.decode(ids[:2])))
    assert verdicts[1].prediction_tokens == 0


@pytest.mark.parametrize("reward", ["dense", "conditional-dense"])
def test_a_dense_reward_keeps_the_bonus_for_a_longer_right_answer(codec, inputs, reward):
    objective = opened(inputs, codec, reward, further_token_bonus=0.1)
    (asked, *_), _ = objective.draw(1, 0, 1)
    ids = asked.questions[0].truth_ids
    two, one, wrong = codec.decode(ids[:2]), codec.decode(ids[:1]), "?!"
    verdicts = judge_group(objective, asked, 0, [answer(codec, "", text) for text in (two, one, wrong)])
    dense = objective.question.densified(verdicts, [0.5, 0.5, 0.25])
    assert [verdict.score for verdict in dense] == pytest.approx([1.1, 1.0, 0.25])
    assert [verdict.verdict for verdict in dense] == ["correct", "correct", "wrong"]
