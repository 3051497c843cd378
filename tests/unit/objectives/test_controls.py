"""Rewards that say nothing: what stays of a group, and that a stopped training goes on alike."""

from collections import Counter

import numpy as np

from rpt_core.objectives.controls import CONTROLS, controlled
from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.policy.trunk import Cut, Trunk

GROUP = [
    Verdict(score, name, 3, 5, f"thought {n}", advantage=score / 2)
    for n, (score, name) in enumerate(
        [(0.1, "wrong"), (0.2, "correct"), (0.3, "unparsed"), (0.4, "truncated"), (0.5, "scored")]
    )
]
ASKED = [
    Asked(
        Trunk(key, (1,), (5, 6, 7, 8), (Cut(2), Cut(3))),
        tuple(Question(key, place, "truth") for place in (2, 3)),
    )
    for key in ("first", "second")
]
VERDICTS = [[GROUP, GROUP] for _ in ASKED]


def rewards(name, seed=0, step=1, asked=ASKED):
    found = controlled(name, seed, step, asked, VERDICTS[: len(asked)])
    return [[verdict.score for verdict in group] for of_one in found for group in of_one]


def test_no_control_leaves_rewards_alone():
    assert controlled("", 0, 1, ASKED, VERDICTS) is VERDICTS


def test_permuted_rewards_are_the_groups_own():
    found = controlled("permuted", 0, 1, ASKED, VERDICTS)
    for group in (group for of_one in found for group in of_one):
        assert sorted(v.score for v in group) == [0.1, 0.2, 0.3, 0.4, 0.5]
        assert [v.advantage for v in group] == [v.score / 2 for v in group]
        assert [(v.verdict, v.thought) for v in group] == [(v.verdict, v.thought) for v in GROUP]
    orders = [tuple(group) for step in range(300) for group in rewards("permuted", step=step)]
    places = np.array(orders).mean(axis=0)
    assert np.abs(places - 0.3).max() < 0.03, "every place is as good as any other"


def test_random_rewards_are_tosses():
    tosses = Counter(
        score for step in range(300) for group in rewards("random", step=step) for score in group
    )
    assert set(tosses) == {0.0, 1.0}
    assert abs(tosses[1.0] / tosses.total() - 0.5) < 0.03


def test_the_form_alone_earns():
    assert rewards("format") == [[1.0, 1.0, 0.0, 0.0, 1.0]] * 4


def test_what_is_random_is_a_function_of_seed_step_and_question():
    for name in ("permuted", "random"):
        assert rewards(name) == rewards(name)
        assert rewards(name, asked=ASKED[:1]) == rewards(name)[:2], "whoever else is asked"
        assert len({tuple(map(tuple, rewards(name, seed=s, step=t))) for s in (0, 1) for t in (1, 2)}) == 4
        first, second, *_ = rewards(name, step=5)
        assert first != second or rewards(name, step=6)[0] != rewards(name, step=6)[1]
    assert set(CONTROLS) == {"permuted", "random", "format"}
