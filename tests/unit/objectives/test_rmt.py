"""RMT: budgets stay out of the trunk, tiers come in their shares, and a resumed draw is the same draw."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from rpt_core.errors import RecipeError, StarvedError
from rpt_core.objectives.next_token.budget import (
    budget_at,
    final_budget,
    length_reward,
    longest_answer,
    reward,
)
from rpt_core.objectives.next_token.objective import open_control, open_objective
from rpt_core.objectives.next_token.positions import Positions, Rules
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.next_token.samplers.curriculum import (
    TieredSampler,
    level_shares,
    next_level,
    tier_shares,
)
from rpt_core.objectives.objective import LimitsLength, Seen, StatefulObjective, Verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import Budget, Curriculum, NtpObjective, RmtObjective
from tests.toys import judge_group
from tests.unit.objectives.test_objectives import answer, policy_recipe

TIERS = Curriculum(tiers_nats=(1.0, 2.0, 3.0))


@pytest.fixture(scope="module")
def inputs(uneven_inputs):
    return uneven_inputs


def rmt_recipe(**changes):
    objective = changes.pop("objective", {})
    given = {"prompt": "compact", "entropy_floor_nats": 1.0, "curriculum": TIERS, "budget": Budget(first=40)}
    return policy_recipe(objective=RmtObjective(**(given | objective)), **{"steps": 40} | changes)


def opened(inputs, codec, **changes):
    return open_objective(rmt_recipe(**changes), inputs, codec)


def test_the_budget_falls_as_in_the_paper():
    assert [budget_at(Budget(), t) for t in (0, 0.3, 0.5, 0.7, 1.0)] == [800, 493, 357, 259, 160]
    assert budget_at(Budget(), 1.5) == final_budget(Budget()) == 160
    assert budget_at(Budget(first=10, decay=0.01, least=3), 1.0) == 3


def test_the_triangle_of_the_paper():
    earned = [length_reward(tokens, 160) for tokens in (0, 80, 160, 240, 320, 400)]
    assert earned == [0, 0.5, 1, 0.5, 0, 0]
    assert length_reward(80, 160, highest=2.0) == 1.0


def test_a_right_answer_off_the_budget_beats_a_wrong_one_on_it():
    pays = Budget(weight=0.3)
    off = reward(is_right=True, thought_tokens=999, budget=100, settings=pays)
    on = reward(is_right=False, thought_tokens=100, budget=100, settings=pays)
    assert (off, on) == (pytest.approx(0.7), pytest.approx(0.3))
    honest = pays.model_copy(update={"paid": "when-right"})
    assert reward(is_right=False, thought_tokens=100, budget=100, settings=honest) == 0
    assert reward(is_right=True, thought_tokens=100, budget=100, settings=honest) == 1


def test_the_budget_stands_after_the_cut_and_never_in_the_trunk(codec: Codec, inputs):
    objective = opened(inputs, codec, objective={"curriculum": None, "budget": Budget(first=800)})
    first, last = objective.draw(1, 0, 8)[0], objective.draw(40, 0, 8)[0]
    for early, late in zip(first, last, strict=True):
        assert early.trunk.token_ids == late.trunk.token_ids
        assert early.trunk.key == late.trunk.key
    words = [codec.decode(one[0].trunk.cuts[0].suffix_ids) for one in (first, last)]
    assert words == ["<|predict|> 800<think>", "<|predict|> 166<think>"]
    assert {question.budget for one in last for question in one.questions} == {166}
    held_out = objective.held_out(4)[0].trunk.cuts[0].suffix_ids
    assert codec.decode(held_out) == "<|predict|> 160<think>"


def test_worded_prompts_state_the_budget_after_the_text(codec: Codec):
    put = NextToken.of(RmtObjective(prompt="v6"), codec)
    assert "160 tokens" in codec.decode(put.prompt.suffix_ids)
    assert "160" not in codec.decode(put.prompt.instruction_ids)
    silent = RmtObjective(prompt="v6", budget=Budget(words=False))
    assert "tokens for your" not in codec.decode(NextToken.of(silent, codec).prompt.suffix_ids)
    assert "tokens for your" not in codec.decode(
        NextToken.of(RmtObjective(prompt="v6", budget=None), codec).prompt.suffix_ids
    )


def test_rewards_are_composite_and_verdicts_are_not(codec: Codec, inputs):
    objective = opened(inputs, codec, objective={"budget": Budget(first=4, weight=0.2)})
    (asked, *_), _ = objective.draw(1, 0, 4)
    truth = codec.decode(asked.questions[0].truth_ids[:1])
    two = codec.decode(asked.questions[0].truth_ids[:2])
    thought = codec.decode(codec.encode(" Monday clock 3")[:4])
    long = len(codec.encode(thought))
    samples = [
        answer(codec, thought, truth),
        answer(codec, "", truth),
        answer(codec, thought, two),  # a right prefix of two tokens: not the one token RMT asks for
        replace(answer(codec, thought, truth), finish="length"),
        Sample((*codec.encode(thought), codec.end_id), (0.0,) * 9, "stop"),
    ]
    verdicts = judge_group(objective, asked, 0, samples)
    assert [v.verdict for v in verdicts] == ["correct", "correct", "wrong", "truncated", "unparsed"]
    earned = 0.2 * length_reward(long, 4)
    whole = 0.2 * length_reward(long + 1, 4)  # the thought never ends: all of the answer is thought
    assert [v.score for v in verdicts] == pytest.approx([0.8 + earned, 0.8, earned, earned, whole])


def test_a_hard_cap_ends_answers_at_twice_the_budget(codec: Codec, inputs):
    capped = opened(inputs, codec, objective={"budget": Budget(first=40, hard_cap=True, answer_tokens=8)})
    assert isinstance(capped, LimitsLength)
    assert [capped.longest_answer(step) for step in (1, 40)] == [88, 2 * capped.budget.tokens(40) + 8]
    assert opened(inputs, codec, reasoning_tokens=99).longest_answer(1) == 99
    assert longest_answer(40, Budget(hard_cap=True), limit=50) == 50


def test_tiers_come_in_their_shares(codec: Codec, inputs):
    objective = opened(inputs, codec, cuts_per_document=3)
    for step, expected in ((1, TIERS.early), (40, TIERS.late)):
        found: Counter[int] = Counter()
        cursor = 0
        for _ in range(30):
            asked, cursor = objective.draw(step, cursor, 40)
            assert sum(len(one.questions) for one in asked) == 40
            assert max(len(one.questions) for one in asked) <= 3
            found.update(question.tier for one in asked for question in one.questions)
        shares = np.array([found[tier] for tier in range(3)]) / 1200
        assert np.abs(shares - expected).max() < 0.05


def test_a_tiers_token_is_of_that_tier(codec: Codec, inputs):
    objective = opened(inputs, codec)
    nats = {
        row["doc_id"]: row["entropy_nats"]
        for row in pq.read_table(inputs["difficulty"] / "tokens.parquet").to_pylist()
    }
    for one in objective.draw(20, 5, 40)[0]:
        for question in one.questions:
            entropy = nats[question.document][question.position]
            assert question.tier == min(int(entropy) - 1, 2)


def test_shares_at_the_turning_points():
    assert tier_shares(Curriculum(), 0.3).tolist() == [0.6, 0.3, 0.1]
    early, late = np.array(Curriculum().early), np.array(Curriculum().late)
    assert np.allclose(tier_shares(Curriculum(), 0.5), (early + late) / 2)
    assert np.allclose(tier_shares(Curriculum(), 0.7), late)


def test_a_draw_depends_on_step_and_cursor_alone(codec: Codec, inputs):
    one, other = opened(inputs, codec), opened(inputs, codec)
    cursor = 0
    for step in range(1, 15):
        _, cursor = one.draw(step, cursor, 12)
    assert one.draw(15, cursor, 12) == other.draw(15, cursor, 12)


def test_an_empty_tier_leaves_its_share_to_the_others(codec: Codec, inputs):
    high = Curriculum(tiers_nats=(1.0, 2.0, 9.0), early=(0.5, 0.25, 0.25), late=(0.0, 0.0, 1.0))
    objective = opened(inputs, codec, objective={"curriculum": high})
    assert objective.sampler.shares(0.0).tolist() == pytest.approx([2 / 3, 1 / 3, 0])
    assert objective.sampler.shares(1.0).tolist() == pytest.approx([1 / 2, 1 / 2, 0])
    assert sum(len(one.questions) for one in objective.draw(40, 0, 12)[0]) == 12
    with pytest.raises(StarvedError, match="reaches the easiest tier of 8"):
        opened(inputs, codec, objective={"curriculum": Curriculum(tiers_nats=(8.0, 8.5, 9.0))})


def test_more_than_a_round_holds_is_not_asked_twice_in_one_draw(codec: Codec, inputs):
    objective = opened(inputs, codec, cuts_per_document=2)
    asked, cursor = objective.draw(1, 0, 10_000)
    assert cursor == len(objective.positions.counts)
    assert sum(len(one.questions) for one in asked) <= 2 * len(objective.positions.counts)


def test_tiers_may_follow_the_policy(codec: Codec, inputs):
    follows = TIERS.model_copy(update={"follows": "policy"})
    objective = opened(inputs, codec, objective={"curriculum": follows})
    assert isinstance(objective, StatefulObjective)
    assert objective.wants_entropies
    asked, _ = objective.draw(1, 0, 8)
    trunks = [one.trunk for one in asked]
    sure = {trunk.key: np.full(len(trunk.document_ids), 0.1, np.float32) for trunk in trunks[:-1]}
    unsure = np.full(len(trunks[-1].document_ids), 3.5, np.float32)
    before = objective.sampler.counts_WT.sum()
    objective.observe(Seen(verdicts_of(3) * 8, {**sure, trunks[-1].key: unsure}))
    assert objective.sampler.counts_WT.sum() < before  # what the policy knows is no longer asked
    other = opened(inputs, codec, objective={"curriculum": follows})
    other.restore(objective.state())
    assert np.array_equal(other.sampler.counts_WT, objective.sampler.counts_WT)
    number = len(objective.positions.counts)
    later = objective.draw(30, number, 200)[0]  # the next round
    assert later == other.draw(30, number, 200)[0]
    tiers = {one.trunk.key: {q.tier for q in one.questions} for one in later}
    assert not tiers.keys() & sure.keys()
    assert tiers.get(trunks[-1].key, {2}) == {2}


def test_a_place_the_policy_did_not_score_keeps_its_tier(codec: Codec, inputs):
    rules = Rules(1.0, 64)
    positions = Positions.open(inputs["corpus"], inputs["difficulty"], codec, rules, "train")
    walk = TieredSampler(positions, TIERS, 4, seed=0, steps=40)
    before = walk.tiers(3).tolist()
    walk.remember(3, np.full(len(before), np.nan, np.float32))
    assert walk.tiers(3).tolist() == before


def test_difficulty_follows_success_until_half_is_right():
    """With tiers that are right in 95, 60 and 20 of 100 answers, half is right between the last two."""
    right_T, level, seen = np.array([0.95, 0.6, 0.2]), 0.0, []
    for _ in range(60):
        right = float(level_shares(level, 3) @ right_T)
        seen.append(right)
        level = next_level(level, right, Curriculum())
    assert seen[-1] == pytest.approx(0.5, abs=0.01)
    assert level == pytest.approx(1.25, abs=0.03)


def test_success_moves_the_level_and_is_kept(codec: Codec, inputs):
    follows = TIERS.model_copy(update={"follows": "success"})
    objective = opened(inputs, codec, objective={"curriculum": follows})
    assert {q.tier for one in objective.draw(1, 0, 20)[0] for q in one.questions} == {0}
    objective.observe(Seen([[Verdict(1.0, "correct", 1, 2)] * 8] * 20, {}))
    assert objective.sampler.level == 0.25
    other = opened(inputs, codec, objective={"curriculum": follows})
    assert other.draw(2, 9, 20) != objective.draw(2, 9, 20)
    other.restore(objective.state())
    assert other.draw(2, 9, 20) == objective.draw(2, 9, 20)


def test_without_a_curriculum_every_position_comes_up_once(codec: Codec, inputs):
    objective = opened(inputs, codec, objective={"curriculum": None, "budget": None})
    number = objective.positions.num
    asked, cursor = objective.draw(1, 0, number)
    assert cursor == number == sum(len(one.questions) for one in asked)
    assert {q.tier for one in asked for q in one.questions} == {None}
    assert {q.budget for one in asked for q in one.questions} == {None}
    verdict = judge_group(objective, asked[0], 0, [answer(codec, " x", "never")])[0]
    assert (verdict.verdict, verdict.score) == ("wrong", 0.0)


def test_the_control_reads_the_same_documents_and_asks_nothing(codec: Codec, inputs):
    recipe = policy_recipe(objective=NtpObjective(prompt="compact", entropy_floor_nats=1.0), ntp_weight=1.0)
    control = open_control(recipe, inputs, codec)
    asked, cursor = control.draw(1, 0, 12)
    assert cursor == 12
    assert all(one.questions == () and one.trunk.cuts == () for one in asked)
    assert control.held_out(4)[0].questions
    with pytest.raises(RecipeError, match="no loss at all"):
        open_control(recipe.model_copy(update={"ntp_weight": 0.0}), inputs, codec)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tiers_nats": (1.0, 1.0, 2.0)}, "rising entropies"),
        ({"early": (0.5, 0.3, 0.1)}, "add up to 1"),
        ({"late": (0.5, 0.5)}, "3 shares"),
        ({"turns": (0.7, 0.3)}, "first lies before the second"),
    ],
)
def test_a_curriculum_that_makes_no_sense_is_refused(fields, says):
    with pytest.raises(ValueError, match=says):
        Curriculum(**fields)


def test_tiers_below_the_floor_are_refused():
    with pytest.raises(ValueError, match="would never be asked"):
        RmtObjective(entropy_floor_nats=0.7)


def verdicts_of(*thought_tokens):
    return [[Verdict(0.0, "wrong", tokens, tokens + 3) for tokens in thought_tokens]]


def test_a_budget_that_waits_stays_near_the_thoughts_and_goes_on_from_a_checkpoint(codec: Codec, inputs):
    patient = {"budget": Budget(first=40, decay=0.1, wait_share=0.6), "curriculum": None}
    one, other = (opened(inputs, codec, objective=patient) for _ in range(2))
    assert [one.budget.tokens(step) for step in (1, 41)] == [40, 4]
    one.observe(Seen(verdicts_of(0, 20, 30), {}))
    assert [one.budget.tokens(step) for step in (1, 41)] == [40, 15]
    assert {q.budget for a in one.draw(41, 0, 8)[0] for q in a.questions} == {15}
    other.restore(one.state())
    assert other.draw(41, 0, 8) == one.draw(41, 0, 8)
    one.observe(Seen(verdicts_of(200) * 16, {}))
    assert one.budget.tokens(41) == 40
    one.observe(Seen(verdicts_of(0, 0), {}))
    assert one.budget.tokens(41) == 4
    papers = opened(inputs, codec, objective={"budget": Budget(first=40, decay=0.1), "curriculum": None})
    papers.observe(Seen(verdicts_of(200), {}))
    assert papers.budget.tokens(41) == 4
    assert papers.state() == {}


def test_a_budget_by_tokens_falls_with_the_thoughts_drawn_and_goes_on_from_a_checkpoint(codec: Codec, inputs):
    by_tokens = {"budget": Budget(first=40, decay=0.1, schedule_tokens=400), "curriculum": None}
    one, other = (opened(inputs, codec, objective=by_tokens) for _ in range(2))
    assert [one.budget.tokens(step) for step in (1, 41)] == [40, 40]  # steps alone change nothing
    one.observe(Seen(verdicts_of(0, 80, 120), {}))
    assert one.budget.tokens(2) == math.floor(40 * 0.1**0.5) == 12
    other.restore(one.state())
    assert other.draw(2, 0, 8) == one.draw(2, 0, 8)
    one.observe(Seen(verdicts_of(300) * 8, {}))
    assert one.budget.tokens(3) == 4  # the last value holds
    with pytest.raises(ValueError, match=r"schedule_steps=48 or over schedule_tokens=400, not over both"):
        Budget(schedule_steps=48, schedule_tokens=400)


def test_a_position_is_taken_once_in_a_visit(codec: Codec, inputs):
    positions = Positions.open(inputs["corpus"], inputs["difficulty"], codec, Rules(1.0, 64), "train")
    walk = TieredSampler(positions, TIERS, 50, seed=0, steps=40)
    for step in range(1, 6):
        visits, _ = walk.take(step, 0, 400)
        assert any(len(picked) > 1 for _, picked in visits)
        for window, picked in visits:
            assert len(set(picked.tolist())) == len(picked)
            assert (walk.tiers(window)[picked] >= 0).all()


def test_an_empty_first_tier_is_named_by_its_lower_end(codec: Codec, inputs):
    unreached = Curriculum(tiers_nats=(90.0, 91.0, 92.0))
    with pytest.raises(StarvedError, match=r"easiest tier of 90\.0 nats"):
        opened(inputs, codec, objective={"curriculum": unreached})
