"""Laws over size and compute: the planted one is found, and no law is named that the points do not tell."""

import numpy as np
import pytest

from rpt_core.scaling.joint import JOINT, SIZE_AND_COMPUTE, Sized, compare_joint
from rpt_core.scaling.rivals import UNDECIDED

SIZE = np.repeat([0.29e6, 1.04e6, 3.21e6], 6)
COMPUTE = np.concatenate([1.2e-2 * size * 2.0 ** np.arange(6) for size in (0.29e6, 1.04e6, 3.21e6)])
N, C = (x / np.exp(np.mean(np.log(x))) for x in (SIZE, COMPUTE))
PLANTED = {
    SIZE_AND_COMPUTE: 1 - (0.10 + 0.05 * N**-0.5 + 0.15 * C**-0.4),
    "size and data": 1 - (0.10 + 0.10 * N**-0.5 + 0.15 * (C / N) ** -0.4),
    "compute alone": 1 - (0.10 + 0.20 * C**-0.4),
    "logistic": 0.9 / (1 + np.exp(-(0.2 + 0.3 * np.log(N) + 0.6 * np.log(C)))),
}


@pytest.mark.parametrize("truth", list(PLANTED))
def test_the_planted_law_fits_and_no_other_is_named(truth):
    """One that is a special case of another may stay undecided: its lead is the charge for two parameters."""
    curve = JOINT[truth](Sized.of(SIZE, COMPUTE, PLANTED[truth]))
    assert curve.squared_error < 1e-6
    noise = np.random.default_rng(3).normal(0, 0.003, len(SIZE))
    found = compare_joint(Sized.of(SIZE, COMPUTE, PLANTED[truth] + noise))
    assert found.rivals[0].curve.name == truth
    nested = {UNDECIDED} if truth == "compute alone" else set()
    assert found.verdict in {truth} | nested, found.reason
    assert {one.curve.name for one in found.rivals} == set(JOINT)


def test_exponents_are_those_planted():
    curve = JOINT[SIZE_AND_COMPUTE](Sized.of(SIZE, COMPUTE, PLANTED[SIZE_AND_COMPUTE]))
    assert curve.parameters["beta"] == pytest.approx(0.4, abs=0.02)
    assert curve.parameters["E"] == pytest.approx(0.10, abs=0.01)
    assert not curve.on_bound


def test_noise_is_no_law():
    rng = np.random.default_rng(0)
    named = [compare_joint(Sized.of(SIZE, COMPUTE, 0.5 + rng.normal(0, 0.05, 18))).verdict for _ in range(3)]
    assert named == [UNDECIDED] * 3


@pytest.mark.parametrize(
    ("keep", "said"), [(slice(0, 6), "1 sizes and 6 points"), (slice(3, 9), "2 sizes and 6")]
)
def test_one_size_or_too_few_points_are_not_compared(keep, said):
    found = compare_joint(Sized.of(SIZE[keep], COMPUTE[keep], PLANTED["logistic"][keep]))
    assert (found.verdict, found.rivals) == (UNDECIDED, ())
    assert said in found.reason


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (([1.0], [1.0, 2.0], [0.5]), "one of each"),
        (([1.0], [0.0], [0.5]), "must be positive"),
        (([1.0], [1.0], [50.0]), "shares from 0 to 1"),
    ],
)
def test_points_that_are_none_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        Sized.of(*columns)
