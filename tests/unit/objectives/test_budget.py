"""The token budget and the rewards around it, at the places where a bit or a boundary decides."""

import pytest

from rpt_core.objectives.next_segment.guards import Guards, copied_share, least_tokens, refusal
from rpt_core.objectives.next_token.budget import (
    ThoughtBudget,
    budget_at,
    length_reward,
    longest_answer,
    reward,
    waiting,
)
from rpt_core.objectives.objective import Verdict
from rpt_core.recipes.objectives import Budget


def test_a_float_just_below_a_whole_number_loses_no_token():
    assert 100 * 0.29 < 29
    assert budget_at(Budget(first=100, decay=0.29, least=1), 1.0) == 29
    assert waiting(1, Budget(first=100, wait_share=0.29), 100.0) == 29


@pytest.mark.parametrize(("done", "tokens"), [(-1, 800), (0, 800), (1, 160), (1.5, 160)])
def test_the_budget_stays_within_its_schedule(done: float, tokens: int):
    assert budget_at(Budget(), done) == tokens


@pytest.mark.parametrize(("least", "tokens"), [(29, 30), (30, 30), (31, 31)])
def test_the_budget_never_falls_below_its_least(least: int, tokens: int):
    assert budget_at(Budget(first=100, decay=0.3, least=least), 1.0) == tokens


def test_waiting_never_asks_for_more_than_at_first_nor_less_than_is_due():
    budget = Budget(first=400, wait_share=0.5)
    assert [waiting(100, budget, mean) for mean in (0, 199, 300, 800, 2000)] == [100, 100, 150, 400, 400]


@pytest.mark.parametrize(("tokens", "earned"), [(0, 0), (1, 0.1), (10, 1), (11, 0.9), (19, 0.1), (20, 0)])
def test_length_is_paid_by_a_triangle(tokens: int, earned: float):
    assert length_reward(tokens, 10) == pytest.approx(earned)
    assert length_reward(tokens, 10, highest=0.5) == pytest.approx(earned / 2)


@pytest.mark.parametrize(
    ("paid", "is_right", "earned"),
    [("when-right", True, 0.9), ("when-right", False, 0.0), ("always", True, 0.9), ("always", False, 0.1)],
)
def test_who_is_paid_for_length(paid: str, is_right: bool, earned: float):
    settings = Budget(weight=0.2, paid=paid)
    assert reward(is_right=is_right, thought_tokens=80, budget=160, settings=settings) == pytest.approx(
        earned
    )


@pytest.mark.parametrize(("limit", "tokens"), [(99, 99), (100, 100), (200, 120)])
def test_the_cap_only_ever_shortens(limit: int, tokens: int):
    settings = Budget(hard_cap=True, answer_tokens=20)
    assert longest_answer(50, settings, limit) == tokens
    assert longest_answer(50, Budget(), limit) == limit


@pytest.mark.parametrize(("num_true", "least"), [(7, 7), (8, 8), (16, 8), (17, 9), (18, 9), (19, 10)])
def test_the_least_length_is_half_of_the_truth_rounded_up(num_true: int, least: int):
    assert least_tokens(num_true, Guards()) == least


GUARDS = Guards(min_tokens=4, min_share=0.5, copy_ngram=2, copy_share_max=0.5)


@pytest.mark.parametrize(
    ("predicted", "seen", "truth", "reason"),
    [
        ([1, 2, 3], [], [9] * 8, "too-short"),
        ([1, 2, 3, 4], [], [9] * 8, None),
        ([1, 2, 3, 4, 5], [7, 1, 2, 3, 8], [9] * 8, None),  # two runs of four: as much as may be
        ([1, 2, 3, 4, 5], [7, 1, 2, 3, 4], [9] * 8, "copies-context"),
        ([1, 2, 3, 4, 5], [7, 1, 2, 3, 4], [1, 2, 3, 4, 9], None),  # the truth repeats as much itself
        ([1, 2, 3, 4, 5], [7, 1, 2, 3, 4], [1, 2, 3, 8, 9], "copies-context"),  # the truth repeats less
    ],
)
def test_each_guard_at_its_limit(predicted, seen, truth, reason):
    assert refusal(predicted, truth, [seen], "It rains.", GUARDS) == reason


def test_the_segment_after_a_gap_counts_as_seen_too():
    predicted, truth = [1, 2, 3, 4, 5], [9] * 8
    assert refusal(predicted, truth, [[6, 7, 8], predicted], "It rains.", GUARDS) == "copies-context"
    assert refusal(predicted, truth, [predicted, [6, 7, 8]], "It rains.", GUARDS) == "copies-context"


def test_a_copy_is_counted_in_runs():
    assert copied_share([1, 2, 3, 4], [2, 3], 2) == pytest.approx(1 / 3)
    assert copied_share([], [1, 2], 2) == 0.0
    assert copied_share([1], [2, 1], 8) == 1.0


def test_a_step_in_which_nobody_thought_waits_for_nothing():
    budget = ThoughtBudget(Budget(first=400, decay=0.25, least=1, wait_share=0.5), steps=10)
    assert budget.tokens(1) == 400
    budget.observe(
        [
            [Verdict(1.0, "correct", 300, 320), Verdict(0.0, "wrong", 100, 110)],
            [Verdict(1.0, "correct", 0, 9)],
        ]
    )
    assert budget.mean_thought_tokens == 200  # the direct answer is none of them
    assert (budget.tokens(1), budget.tokens(11)) == (400, 100)
    budget.observe([[Verdict(1.0, "correct", 0, 7)]])
    assert budget.mean_thought_tokens == 0.0
