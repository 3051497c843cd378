"""The grid on which paired totals are compared exactly."""

import numpy as np
import pytest

from rpt_core.evaluation.statistics import compare


@pytest.mark.parametrize(
    ("totals", "steps"),
    [
        ([1.0, 2.0], [1, 2]),
        ([0.5, 2.0], [1, 4]),
        ([0.25, 1 / 6], [3, 2]),
        ([1 / 3, 1 / 3 + 1e-14], [1, 1]),  # noise of floating point is no other total
    ],
)
def test_totals_lie_on_the_coarsest_grid_there_is(totals, steps):
    """A finer one has the same chances and costs more memory."""
    assert compare._on_grid(np.array(totals)).tolist() == steps


def test_totals_off_any_grid_are_left_to_drawn_patterns():
    assert compare._on_grid(np.array([1.0, np.pi])) is None


def test_a_grid_of_too_many_cells_is_left_to_drawn_patterns(monkeypatch):
    monkeypatch.setattr(compare, "MOST_CELLS", 12)
    assert compare._on_grid(np.array([2.5, 3.5])).tolist() == [5, 7]
    assert compare._on_grid(np.array([2.5, 4.0])) is None
