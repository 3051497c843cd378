"""The learnability sampler: it finds what can be learnt, keeps looking elsewhere, and resumes exactly."""

from collections import Counter

import numpy as np
import pytest

from rpt_core.objectives.next_token.objective import FollowingObjective, open_objective
from rpt_core.objectives.next_token.samplers.learnable import expected_variance
from rpt_core.objectives.objective import Seen, StatefulObjective, Verdict
from rpt_core.recipes.objectives import Learnability, RptObjective
from tests.unit.objectives.test_objectives import policy_recipe

FLOOR = 1.0


@pytest.fixture(scope="module")
def inputs(uneven_inputs):
    return uneven_inputs


def opened(inputs, codec, **changes) -> FollowingObjective:
    learnability = Learnability(follow_policy=False, **changes)
    settings = RptObjective(prompt="compact", entropy_floor_nats=FLOOR, learnability=learnability)
    return open_objective(policy_recipe(objective=settings), inputs, codec)


def taught(objective: FollowingObjective, steps: int, chance, seed: int = 0, begin: int = 1, cursor: int = 0):
    """Train against answers that are right with ``chance(entropy)``; questions asked and the cursor."""
    rng = np.random.default_rng(seed)
    nats: list[float] = []
    for step in range(begin, begin + steps):
        asked, cursor = objective.draw(step, cursor, 16)
        verdicts = []
        for one in asked:
            owner = objective.owners[one.trunk.key]
            window = objective.positions.read(owner)
            known = dict(zip(window.positions.tolist(), window.entropies_nats.tolist(), strict=True))
            for question in one.questions:
                nats.append(known[question.position])
                right = rng.random(8) < chance(nats[-1])
                verdicts.append([Verdict(float(r), "correct" if r else "wrong", 3, 5) for r in right])
        objective.observe(Seen(verdicts, {}))
    return nats, cursor


def band(nats: float) -> float:
    """Only the positions between 2 and 2.5 nats can be learnt; below all is known, above is noise."""
    return 1.0 if nats < 2 else 0.5 if nats < 2.5 else 0.0


def share_inside(nats) -> float:
    return float(np.mean([2 <= value < 2.5 for value in nats]))


def test_it_finds_where_answers_differ(inputs, codec):
    objective = opened(inputs, codec)
    assert isinstance(objective, StatefulObjective)
    early, cursor = taught(objective, 5, band)
    _, cursor = taught(objective, 25, band, begin=6, cursor=cursor)
    late, _ = taught(objective, 10, band, begin=31, cursor=cursor)
    chance_share = (2.5 - 2) / (4 - FLOOR)
    assert share_inside(early) < 2.5 * chance_share
    assert 2.5 * chance_share < share_inside(late) < 1.0  # it finds them, and keeps looking elsewhere


def test_expected_variance_is_largest_in_the_middle():
    np.testing.assert_allclose(expected_variance(np.array([0, 0.25, 0.5, 1.0])), [0, 0.1875, 0.25, 0])


def test_a_position_outweighs_its_class_with_time(inputs, codec):
    memory = opened(inputs, codec).sampler.memory
    items, classes = np.array([0]), np.array([0])
    before = memory.chance(3, np.array([0, 0]))
    for _ in range(5):
        memory.fade()
        memory.add(3, 2, items, classes, np.array([8.0]), np.array([8.0]))
        memory.add(4, 2, items, classes, np.array([0.0]), np.array([8.0]))
    after = memory.chance(3, np.array([0, 0]))
    assert before[0] == before[1] == pytest.approx(0.5)
    assert after[0] > 0.8
    assert after[1] == pytest.approx(0.5, abs=0.05)


def test_a_draw_is_bounded_and_has_no_repeats(inputs, codec):
    objective = opened(inputs, codec)
    asked, _ = objective.draw(1, 0, 16)
    assert sum(len(one.questions) for one in asked) == 16
    assert max(len(one.questions) for one in asked) <= policy_recipe().cuts_per_document
    places = Counter((q.document, q.position) for one in asked for q in one.questions)
    assert set(places.values()) == {1}


@pytest.mark.parametrize("entropies", [False, True])
def test_a_resumed_objective_draws_what_the_undisturbed_one_does(inputs, codec, entropies):
    first = opened(inputs, codec)
    _, cursor = taught(first, 6, band)
    if entropies:
        window = first.positions.read(2)
        first.sampler.memory.own_nats[2] = np.linspace(0, 4, len(window.positions)).astype(np.float32)
    second = opened(inputs, codec)
    second.restore({name: np.array(value) for name, value in first.state().items()})
    assert first.draw(7, cursor, 16) == second.draw(7, cursor, 16)
    third = opened(inputs, codec)
    assert third.draw(7, cursor, 16) != first.draw(7, cursor, 16)


def test_an_empty_state_comes_back_too(inputs, codec):
    first, second = opened(inputs, codec), opened(inputs, codec)
    second.restore(first.state())
    assert first.draw(1, 0, 8) == second.draw(1, 0, 8)


def test_the_policys_own_uncertainty_is_taken_from_the_update(inputs, codec):
    settings = RptObjective(prompt="compact", entropy_floor_nats=FLOOR, learnability=Learnability())
    objective = open_objective(policy_recipe(objective=settings), inputs, codec)
    assert objective.wants_entropies
    asked, _ = objective.draw(1, 0, 4)
    owner = objective.owners[asked[0].trunk.key]
    before = objective.sampler.classes(owner)
    wrong = Verdict(0.0, "wrong", 1, 2)
    nats = {asked[0].trunk.key: np.full(len(asked[0].trunk.document_ids), 9.0, np.float32)}
    objective.observe(Seen([[wrong] * 8 for one in asked for _ in one.questions], nats))
    after = objective.sampler.classes(owner)
    assert before.max() < 16
    assert set(after.tolist()) == {31}


def test_the_default_is_the_papers_order(inputs, codec):
    settings = RptObjective(prompt="compact", entropy_floor_nats=FLOOR)
    plain = open_objective(policy_recipe(objective=settings), inputs, codec)
    assert not isinstance(plain, StatefulObjective)
