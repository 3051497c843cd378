"""Standard errors and intervals that know that items of one document are not independent.

Legend of shapes: ``I`` items, ``G`` clusters (documents or problems), ``S`` statistics, ``R`` resamples.

Everything here works on *cluster totals*. A mean over items is ``sum / count``, a share given
something is ``sum / sum``; both are ratios of totals, and a cluster either enters whole or not at all.

Two things are never claimed. Clusters that all agree are no certainty: no error is smaller than what one
other answer would have changed (:func:`one_answer`). And a bootstrap knows only the clusters it has: with
fewer than :data:`FEWEST_CLUSTERS` its 95 % intervals cover the truth too seldom (70 % with 3 clusters, 89 %
with 5, 93 % with 10), so it gives none.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

FEWEST_CLUSTERS = 10
"""Clusters (documents or problems) a bootstrap needs."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its uncertainty.

    One cluster has no interval, and a bootstrap of fewer than :data:`FEWEST_CLUSTERS` has none: then three
    fields are None. Runs that agree have a standard error of 0 and no interval.
    """

    value: float
    standard_error: float | None
    low: float | None
    high: float | None
    num_items: int
    num_clusters: int

    def as_json(self) -> dict[str, float | int | None]:
        """The fields by name, as ``scores.json`` holds them."""
        return asdict(self)

    def within(self, least: float, most: float) -> "Estimate":
        """The same number with its interval cut to what the number can be.

        Student's interval is the same to both sides and does not know that a difference of shares lies in
        [-1, 1]: with few clusters it reaches beyond. No true value lies there, so the interval that is cut
        covers the truth exactly as often as the whole one.

        Example:
            >>> Estimate(0.1, 0.3, -1.2, 1.4, 3, 2).within(-1, 1)
            Estimate(value=0.1, standard_error=0.3, low=-1, high=1, num_items=3, num_clusters=2)
        """
        if self.low is None or self.high is None:
            return self
        return replace(self, low=max(self.low, least), high=min(self.high, most))


def cluster_totals(values_IS: ArrayLike, clusters_I: ArrayLike) -> Floats:
    """Sum each column over the items of each cluster, clusters in sorted order of their labels.

    Args:
        values_IS: Shape ``(items, statistics)`` or ``(items,)``.
        clusters_I: One label per item, any sortable type.

    Returns:
        Shape ``(clusters, statistics)``, float64.

    Raises:
        ValueError: values and labels differ in number.

    Example:
        >>> cluster_totals([1, 0, 1], ["a", "a", "b"]).ravel()
        array([1., 1.])
    """
    columns_IS = np.atleast_2d(np.asarray(values_IS, np.float64).T).T
    labels_I = np.asarray(clusters_I)
    if len(columns_IS) != len(labels_I):
        raise ValueError(f"{len(columns_IS)} values and {len(labels_I)} cluster labels: one label per item")
    names, index_I = np.unique(labels_I, return_inverse=True)
    totals_GS = np.zeros((len(names), columns_IS.shape[1]))
    # np.add.at, for indexed assignment would count a cluster's repeated rows once
    np.add.at(totals_GS, index_I, columns_IS)
    return totals_GS


def clustered_ratio(
    numerator_I: ArrayLike,
    denominator_I: ArrayLike,
    clusters_I: ArrayLike,
    *,
    proportion: bool = False,
    confidence: float = 0.95,
) -> Estimate:
    """A ratio of totals, such as accuracy given thinking, with its clustered error.

    The error is the linearised one, ``sqrt(G / (G - 1) * sum_g e_g^2) / sum d`` with a cluster's
    residual ``e_g = sum_i (n_i - ratio * d_i)``: for a plain mean the cluster-robust error of a
    regression on a constant. The interval is Student's with ``G - 1`` degrees of freedom, or, for a
    ``proportion``, Korn and Graubard's (1998): Clopper and Pearson's exact one at the number of
    independent trials that would have had this error. It stays inside [0, 1], and 40 right answers of
    40 do not get an interval of width zero. The error is at least what one other answer would have
    changed (:func:`one_answer`), also where all clusters agree.

    Args:
        numerator_I: For a proportion at most the denominator, item by item.
        denominator_I: Not negative; clusters whose denominator is zero say nothing and are left out.
        clusters_I: One label per item.
        proportion: Whether the ratio lies in [0, 1] by construction.
        confidence: Of the interval.

    Raises:
        ValueError: nothing is left to divide by.

    Example:
        >>> think = [1, 1, 0, 1]; right_and_think = [1, 0, 0, 1]
        >>> round(clustered_ratio(right_and_think, think, ["a", "a", "b", "c"]).value, 3)
        0.667
    """
    top_I, bottom_I = np.asarray(numerator_I, np.float64), np.asarray(denominator_I, np.float64)
    totals_GS = cluster_totals(np.column_stack([top_I, bottom_I]), clusters_I)
    totals_GS = totals_GS[totals_GS[:, 1] > 0]
    if not len(totals_GS):
        raise ValueError("no item has a positive denominator: there is nothing to average over")
    top, bottom = totals_GS.sum(axis=0)
    value, num_items = float(top / bottom), int(np.count_nonzero(bottom_I))
    num_clusters = len(totals_GS)
    if num_clusters < 2:
        return Estimate(value, None, None, None, num_items, num_clusters)
    residual_G = totals_GS[:, 0] - value * totals_GS[:, 1]
    error = float(np.sqrt(num_clusters / (num_clusters - 1) * np.sum(residual_G**2)) / bottom)
    known = np.concatenate([top_I, bottom_I]) if proportion else top_I  # all right is on the grid, too
    error = max(error, one_answer(known) / float(bottom))
    interval = _korn_graubard if proportion else _student
    low, high = interval(value, error, num_clusters, confidence)
    return Estimate(value, error, low, high, num_items, num_clusters)


def clustered_mean(
    values_I: ArrayLike, clusters_I: ArrayLike, *, proportion: bool = False, confidence: float = 0.95
) -> Estimate:
    """The mean over items (every item weighs the same), with its clustered error and interval.

    See :func:`clustered_ratio`; the denominator is one for every item.

    Example:
        >>> scores, documents = [1.0, 0.5, 0.0, 0.5], ["a", "a", "b", "b"]
        >>> clustered_mean(scores, documents).standard_error
        0.25
    """
    scores_I = np.asarray(values_I, np.float64)
    return clustered_ratio(
        scores_I, np.ones_like(scores_I), clusters_I, proportion=proportion, confidence=confidence
    )


def one_answer(values_I: ArrayLike) -> float:
    """How much a total of these values changes at least if one answer had come out otherwise.

    Scores lie on a grid through zero (shares of a few samples, counts, differences of either). Its step is
    not known here, but no two values lie closer than it; where all are zero, an answer counts 1.

    Example:
        >>> one_answer([0.75, 0.5, -0.5, 0.0]), one_answer([7, 8]), one_answer([0, 0, 0])
        (0.25, 1.0, 1.0)
    """
    sizes = np.unique(np.abs(np.append(np.asarray(values_I, np.float64), 0.0)))
    steps = np.diff(sizes)
    steps = steps[steps > 1e-12 * sizes[-1]]
    return float(steps.min()) if len(steps) else 1.0


def _student(value: float, error: float, num_clusters: int, confidence: float) -> tuple[float, float]:
    reach = float(stats.t.ppf((1 + confidence) / 2, num_clusters - 1)) * error
    return value - reach, value + reach


def _korn_graubard(value: float, error: float, num_clusters: int, confidence: float) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    variance = value * (1 - value)
    trials = variance / error**2 if variance > 1e-12 else float(num_clusters)
    student = float(stats.t.ppf(1 - tail, num_clusters - 1))
    trials *= (float(stats.norm.ppf(1 - tail)) / student) ** 2
    hits = value * trials
    low = 0.0 if value <= 0 else float(stats.beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if value >= 1 else float(stats.beta.ppf(1 - tail, hits + 1, trials - hits))
    return low, high


def resampled_totals(totals_GS: Floats, resamples: int, seed: int) -> Floats:
    """Draw whole clusters with replacement and add them up.

    Args:
        totals_GS: Cluster totals, as of :func:`cluster_totals`.
        resamples: Number of draws of ``G`` clusters each.
        seed: Same seed and shape, same draws: two tables over the same clusters stay paired.

    Returns:
        Shape ``(resamples, statistics)``.
    """
    num_clusters = len(totals_GS)
    counts_RG = np.random.default_rng(seed).multinomial(
        num_clusters, np.full(num_clusters, 1 / num_clusters), size=resamples
    )
    return counts_RG @ totals_GS


def cluster_bootstrap(
    totals_GS: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    resamples: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
    num_items: int | None = None,
) -> Estimate:
    """Interval of any function of totals, by resampling clusters.

    The interval is the percentile one, its levels moved outwards so that few clusters do not make it
    too narrow (Hesterberg 2015: normal quantiles replaced by Student's times ``sqrt(G / (G - 1))``).
    Fewer than :data:`FEWEST_CLUSTERS` have no interval. Where every resample gives the same number, the
    interval is Student's around it, with what one other answer would have changed as its error.

    Args:
        totals_GS: Cluster totals.
        statistic: Maps totals of shape ``(resamples, statistics)`` to ``(resamples,)``. A resample for
            which it is not finite (nobody thought) is left out; more than one in ten end as no interval.
        resamples: Draws.
        seed: Of the draws.
        confidence: Of the interval.
        num_items: What to write down as the number of items; the number of clusters by default.

    Raises:
        ValueError: the statistic of the data itself is not finite.

    Example:
        >>> totals = np.column_stack([np.arange(40.0) % 2, np.ones(40)])
        >>> share = cluster_bootstrap(totals, lambda t: t[:, 0] / t[:, 1])
        >>> share.value, 0.30 < share.low < 0.40 and 0.60 < share.high < 0.70
        (0.5, True)
    """
    num_clusters = len(totals_GS)
    value = float(statistic(totals_GS.sum(axis=0, keepdims=True))[0])
    if not np.isfinite(value):
        raise ValueError(f"the statistic is {value} on the data themselves: it has no interval")
    items = num_clusters if num_items is None else num_items
    if num_clusters < FEWEST_CLUSTERS or resamples < 2:
        return Estimate(value, None, None, None, items, num_clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        draws_R = statistic(resampled_totals(totals_GS, resamples, seed))
    draws_R = draws_R[np.isfinite(draws_R)]
    if len(draws_R) < 0.9 * resamples:
        return Estimate(value, None, None, None, items, num_clusters)
    low, high = np.quantile(draws_R, expanded_levels(num_clusters, confidence))
    if high - low <= 1e-12 * max(1.0, abs(value)):
        error = _one_other_answer(totals_GS, statistic, value)
        return Estimate(value, error, *_student(value, error, num_clusters, confidence), items, num_clusters)
    return Estimate(value, float(draws_R.std(ddof=1)), float(low), float(high), items, num_clusters)


def _one_other_answer(totals_GS: Floats, statistic: Callable[[Floats], Floats], value: float) -> float:
    """The largest change of a statistic when one answer more or less is counted in any one of its totals."""
    whole_S = totals_GS.sum(axis=0)
    steps_S = np.array([one_answer(column_G) for column_G in totals_GS.T])
    shifted = np.concatenate([whole_S + np.diag(steps_S), whole_S - np.diag(steps_S)])
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.abs(statistic(shifted) - value)
    changes = changes[np.isfinite(changes)]
    return float(changes.max()) if len(changes) else 1.0


def expanded_levels(num_clusters: int, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile levels of a bootstrap interval over ``num_clusters`` clusters (Hesterberg 2015, 4.2).

    Example:
        >>> low, high = expanded_levels(10)
        >>> round(low, 4), round(high, 4)
        (0.0086, 0.9914)
    """
    student = float(stats.t.ppf((1 + confidence) / 2, num_clusters - 1))
    tail = float(stats.norm.cdf(-np.sqrt(num_clusters / (num_clusters - 1)) * student))
    return tail, 1 - tail
