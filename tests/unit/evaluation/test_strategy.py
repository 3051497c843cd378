"""The split of a gain: exact, right on planted truth, and covered by its intervals."""

import numpy as np
import pytest

from rpt_core.evaluation.items import as_table
from rpt_core.evaluation.scores import Outcomes, outcomes
from rpt_core.evaluation.strategy import split_gain
from tests.unit.evaluation.tables import Planted


def made(seed, thinking, right_thinking, right_direct, questions, mode="reasoning") -> Outcomes:
    rows = questions.answers(
        mode, thinking=thinking, right_thinking=right_thinking, right_direct=right_direct, seed=seed
    )
    return outcomes(as_table(rows), mode)


def test_the_parts_add_up_to_the_gain():
    questions = Planted()
    split = split_gain(
        made(1, 0.3, 0.8, 0.2, questions), made(2, 0.9, 0.9, 0.3, questions),
        made(3, 1.0, 0.8, 0.2, questions, "forced"), resamples=50,
    )  # fmt: skip
    parts = split.thinking_more, split.thinking_better, split.guessing_better
    assert sum(part.value for part in parts) == pytest.approx(split.gain.value, abs=1e-12)
    assert split.habit.value + split.beyond_habit.value == pytest.approx(split.gain.value, abs=1e-12)


def test_a_switch_of_strategy_is_called_one():
    questions = Planted(120, 5)
    split = split_gain(made(1, 0.3, 0.85, 0.2, questions), made(2, 1.0, 0.85, 0.2, questions))
    assert split.thinking_more.value == pytest.approx(split.gain.value, abs=0.03)
    assert split.thinking_better.low < 0 < split.thinking_better.high
    assert split.forced is None
    assert split.habit is None


def test_better_thinking_is_called_that():
    questions = Planted(120, 5)
    split = split_gain(made(1, 1.0, 0.5, 0.2, questions), made(2, 1.0, 0.8, 0.2, questions))
    assert split.thinking_better.value == pytest.approx(split.gain.value, abs=1e-9)
    assert split.thinking_more.value == 0


def test_a_model_that_never_thought_leaves_no_hole():
    questions = Planted(30, 3)
    split = split_gain(made(1, 0.0, 0.5, 0.2, questions), made(2, 1.0, 0.8, 0.2, questions), resamples=100)
    assert split.thinking_more.value == pytest.approx(split.gain.value)
    assert np.isfinite(split.thinking_more.low)


def test_other_questions_cannot_be_compared():
    with pytest.raises(ValueError, match="not the same ones"):
        split_gain(made(1, 0.3, 0.8, 0.2, Planted(10, 3)), made(2, 0.3, 0.8, 0.2, Planted(10, 4)))


@pytest.mark.slow
@pytest.mark.parametrize(("num", "hits_min"), [(20, 16), pytest.param(60, 51, marks=pytest.mark.long)])
def test_intervals_of_the_parts_cover(num, hits_min):
    """Fewer than 16 of 20 intervals of 95 % cover once in 390 times, of 60 %, 95 times in 100."""
    big = Planted(4000, 5, seed=9)
    truth = split_gain(made(1, 0.3, 0.7, 0.2, big), made(2, 0.9, 0.8, 0.25, big), resamples=10)
    hits = np.zeros(3)
    for seed in range(num):
        questions = Planted(60, 3, seed=seed)
        split = split_gain(
            made(2 * seed, 0.3, 0.7, 0.2, questions), made(2 * seed + 1, 0.9, 0.8, 0.25, questions),
            resamples=300, seed=seed,
        )  # fmt: skip
        for i, name in enumerate(("thinking_more", "thinking_better", "guessing_better")):
            part, wanted = getattr(split, name), getattr(truth, name).value
            hits[i] += part.low <= wanted <= part.high
    assert np.all(hits >= hits_min), hits
