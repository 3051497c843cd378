"""What a number of seeds can find: known before a study runs, from the scatter of trainings alone."""

from scipy import optimize, stats


def power(difference: float, deviation: float, num_seeds: int, alpha: float = 0.05) -> float:
    """Chance that a two-sided t-test over seeds finds a true mean difference, and on its own side.

    Args:
        difference: True mean of the seeds' differences, from the threshold on.
        deviation: Their standard deviation, in the same unit.
        num_seeds: At least 2.
        alpha: Of this one test; after Holm's correction over m claims the smallest p meets ``0.05 / m``.
    """
    freedom = num_seeds - 1
    limit = float(stats.t.ppf(1 - alpha / 2, freedom))
    shift = difference / deviation * num_seeds**0.5
    return float(stats.nct.sf(limit, freedom, shift))


def smallest_detectable(deviation: float, num_seeds: int, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The smallest true mean difference that is found with a chance of ``wanted``.

    Example:
        >>> round(smallest_detectable(3.0, 8), 2)
        3.47
    """
    far = 0.5
    while power(far, 1.0, num_seeds, alpha) < wanted:
        far *= 1.5
    found = optimize.brentq(lambda size: power(size, 1.0, num_seeds, alpha) - wanted, 1e-6, far, xtol=1e-7)
    return deviation * float(found)


def half_width(deviation: float, num_seeds: int, confidence: float = 0.95) -> float:
    """Of Student's interval over seeds.

    Example:
        >>> round(half_width(3.0, 8), 2)
        2.51
    """
    return float(stats.t.ppf((1 + confidence) / 2, num_seeds - 1)) * deviation / num_seeds**0.5


def seeds_needed(
    difference: float, deviation: float, alpha: float = 0.05, wanted: float = 0.8, most: int = 1000
) -> int:
    """The fewest seeds that find a true mean difference with a chance of ``wanted``.

    Example:
        >>> seeds_needed(3.0, 3.0), seeds_needed(2.0, 5.0)
        (10, 52)
    """
    return next((num for num in range(2, most) if power(difference, deviation, num, alpha) >= wanted), most)
