"""What every sampler of positions keeps to, alone and beside a budget."""

import numpy as np
import pytest

from rpt_core.objectives.next_token.objective import FollowingObjective, open_objective, open_sampler
from rpt_core.objectives.next_token.positions import Positions, Rules
from rpt_core.objectives.next_token.samplers.sampler import Visited
from rpt_core.objectives.objective import Seen, Verdict
from rpt_core.recipes.objectives import Budget, Curriculum, Learnability, RmtObjective, RptObjective
from tests.unit.conftest import codec, uneven_inputs  # noqa: F401
from tests.unit.objectives.test_objectives import policy_recipe

TIERS = {"tiers_nats": (1.0, 2.0, 3.0)}
GIVEN = {"prompt": "compact", "entropy_floor_nats": 1.0}
SAMPLERS = {
    "rounds": RptObjective(**GIVEN),
    "tiers by schedule": RmtObjective(**GIVEN, curriculum=Curriculum(**TIERS)),
    "tiers by success": RmtObjective(**GIVEN, curriculum=Curriculum(**TIERS, follows="success")),
    "tiers by policy": RmtObjective(**GIVEN, curriculum=Curriculum(**TIERS, follows="policy")),
    "learnable": RptObjective(**GIVEN, learnability=Learnability()),
}
BESIDE_A_BUDGET = {
    "rounds": {"curriculum": None},
    "tiers": {"curriculum": Curriculum(**TIERS)},
    "learnable": {"curriculum": None, "learnability": Learnability(follow_policy=False)},
}
each_sampler = pytest.mark.parametrize("name", SAMPLERS)


@pytest.fixture(scope="module")
def positions(codec, uneven_inputs):  # noqa: F811
    return Positions.open(
        uneven_inputs["corpus"], uneven_inputs["difficulty"], codec, Rules(1.0, 64), "train"
    )


def opened(name: str, positions):
    return open_sampler(policy_recipe(objective=SAMPLERS[name], cuts_per_document=3, steps=40), positions)


def same(one, other) -> bool:
    return [(w, i.tolist()) for w, i in one[0]] == [(w, i.tolist()) for w, i in other[0]] and one[1] == other[
        1
    ]


def answers(rng) -> list[Verdict]:
    return [Verdict(0.0, "correct" if right else "wrong", 3, 5) for right in rng.random(4) < 0.6]


def shown(sampler, positions, step: int, cursor: int):
    """A step's visits, answered by chance and passed over by an update; the cursor after them."""
    rng = np.random.default_rng(step)
    visits, after = sampler.take(step, cursor, 12)
    answered = [Visited(window, items, [answers(rng) for _ in items]) for window, items in visits]
    nats = {w: rng.uniform(0, 4, int(positions.counts[w])).astype(np.float32) for w, _ in visits}
    sampler.observe(answered, nats if sampler.wants_entropies else {})
    return after


@each_sampler
def test_a_draw_visits_each_window_once_and_asks_what_is_there(name, positions):
    sampler, cursor = opened(name, positions), 0
    for step in range(1, 6):
        visits, after = sampler.take(step, cursor, 12)
        windows = [window for window, _ in visits]
        assert after > cursor
        assert len(set(windows)) == len(windows)
        assert 0 < sum(len(items) for _, items in visits) <= 12
        for window, items in visits:
            assert len(sampler.tiers(window)) == positions.counts[window]
            assert items.tolist() == sorted(set(items.tolist()))
            assert 0 <= items[0] <= items[-1] < positions.counts[window]
        cursor = after


@each_sampler
def test_a_draw_is_a_function_of_step_cursor_and_state(name, positions):
    first, cursor = opened(name, positions), 0
    for step in range(1, 5):
        cursor = shown(first, positions, step, cursor)
    second = opened(name, positions)
    second.restore({key: np.array(value) for key, value in first.state().items()})
    for step in (5, 30):
        assert same(first.take(step, cursor, 12), first.take(step, cursor, 12))
        assert same(first.take(step, cursor, 12), second.take(step, cursor, 12))
    assert second.state().keys() == first.state().keys()
    for key, value in first.state().items():
        np.testing.assert_array_equal(second.state()[key], value)


@pytest.mark.parametrize("name", BESIDE_A_BUDGET)
def test_any_sampler_goes_with_a_budget(name, codec, uneven_inputs):  # noqa: F811
    settings = RmtObjective(**GIVEN, budget=Budget(first=40, wait_share=0.6), **BESIDE_A_BUDGET[name])
    recipe = policy_recipe(objective=settings, steps=40)
    one, other = (open_objective(recipe, uneven_inputs, codec) for _ in range(2))
    assert isinstance(one, FollowingObjective)
    asked, cursor = one.draw(1, 0, 12)
    questions = [question for of in asked for question in of.questions]
    assert {question.budget for question in questions} == {40}
    assert {question.tier is None for question in questions} == {name != "tiers"}
    one.observe(Seen([[Verdict(0.0, "wrong", 30, 33)] * 4 for _ in questions], {}))
    other.restore({key: np.array(value) for key, value in one.state().items()})
    assert other.budget.tokens(40) == one.budget.tokens(40) == 18
    assert other.draw(2, cursor, 12) == one.draw(2, cursor, 12)


def test_two_samplers_at_once_are_refused():
    with pytest.raises(ValueError, match="both say which positions"):
        RmtObjective(learnability=Learnability())
