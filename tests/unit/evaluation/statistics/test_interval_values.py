"""Intervals and splits of a gain to the digit, against what their formulae give on paper."""

import numpy as np
import pytest
from scipy import special, stats

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.evaluation.patterns import pattern_changes
from rpt_core.evaluation.questions import at_most, draw_by_window, drawn
from rpt_core.evaluation.scores import Outcomes
from rpt_core.evaluation.statistics.intervals import cluster_bootstrap, clustered_mean, clustered_ratio
from rpt_core.evaluation.strategy import split_gain


def ratio(totals_RS: np.ndarray) -> np.ndarray:
    return totals_RS[:, 0] / totals_RS[:, 1]


@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_a_proportions_interval_solves_clopper_and_pearsons_equations(confidence: float):
    """Korn and Graubard (1998): at the trials of a simple sample with this error, over squared quantiles."""
    found = clustered_mean([1.0] * 6 + [0.0] * 15, np.arange(21), proportion=True, confidence=confidence)
    tail, share = (1 - confidence) / 2, 6 / 21
    assert found.standard_error == pytest.approx(np.sqrt(share * (1 - share) / 20))
    trials = 20 * (stats.norm.ppf(1 - tail) / stats.t.ppf(1 - tail, 20)) ** 2
    hits = share * trials
    assert special.betainc(hits, trials - hits + 1, found.low) == pytest.approx(tail)
    assert special.betainc(hits + 1, trials - hits, found.high) == pytest.approx(1 - tail)


def test_all_right_has_the_closed_lower_end():
    """For k = n the beta quantile is ``tail ** (1 / n)``."""
    found = clustered_mean(np.ones(13), np.arange(13), proportion=True)
    trials = 13 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 12)) ** 2
    assert found.low == pytest.approx(0.025 ** (1 / trials))
    assert found.standard_error == pytest.approx(1 / 13)


def test_students_interval_follows_the_confidence():
    values = np.array([0.3, 1.7, 0.9, 2.2, 0.4])
    found = clustered_mean(values, np.arange(5), confidence=0.8)
    assert (found.low, found.high) == pytest.approx(
        stats.t.interval(0.8, 4, values.mean(), stats.sem(values))
    )


def test_items_without_a_denominator_are_neither_items_nor_clusters():
    found = clustered_ratio([2, 1, 0, 1], [4, 2, 0, 1], ["a", "a", "b", "c"])
    assert (found.num_items, found.num_clusters) == (3, 2)
    alone = clustered_ratio([2, 1, 0], [4, 2, 0], ["a", "a", "b"])
    assert (alone.value, alone.low, alone.num_items, alone.num_clusters) == (0.5, None, 2, 1)


@pytest.mark.parametrize(("confidence", "seed"), [(0.95, 0), (0.8, 5)])
def test_a_bootstrap_interval_is_the_expanded_percentile_one(confidence: float, seed: int):
    totals_GS = np.random.default_rng(11).random((11, 2)) + np.array([0.5, 3.0])
    found = cluster_bootstrap(totals_GS, ratio, resamples=700, seed=seed, confidence=confidence)
    counts_RG = np.random.default_rng(seed).multinomial(11, [1 / 11] * 11, size=700)
    draws_R = (counts_RG @ totals_GS[:, 0]) / (counts_RG @ totals_GS[:, 1])
    level = stats.norm.cdf(-np.sqrt(11 / 10) * stats.t.ppf((1 + confidence) / 2, 10))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(draws_R, [level, 1 - level])))
    assert found.standard_error == pytest.approx(np.std(draws_R) * np.sqrt(700 / 699))
    assert (found.num_items, found.num_clusters) == (11, 11)
    assert cluster_bootstrap(totals_GS, ratio, resamples=20, num_items=0).num_items == 0


@pytest.mark.parametrize(("num_undefined", "is_known"), [(2, True), (3, False)])
def test_one_resample_in_ten_may_be_undefined(num_undefined: int, is_known: bool):
    totals_GS = np.random.default_rng(12).random((14, 2)) + 1

    def partly(totals_RS: np.ndarray) -> np.ndarray:
        values = ratio(totals_RS)
        if len(values) > 1:
            values[:num_undefined] = np.inf
        return values

    found = cluster_bootstrap(totals_GS, partly, resamples=20)
    assert (found.low is not None) is is_known


@pytest.mark.parametrize(("resamples", "is_known"), [(1, False), (2, True)])
def test_two_resamples_are_the_fewest(resamples: int, is_known: bool):
    totals_GS = np.random.default_rng(12).random((14, 2)) + 1
    assert (cluster_bootstrap(totals_GS, ratio, resamples=resamples).low is not None) is is_known


@pytest.mark.parametrize(
    ("statistic", "error"),
    [
        (lambda t: t[:, 0] / t[:, 1] - t[:, 2] / t[:, 1], 6 / 72),  # one more, or less, in the first
        (lambda t: t[:, 0] / t[:, 1], 72 / 66 - 1),  # one less below the line
        (lambda t: (t[:, 0] / 72) ** 2, (78 / 72) ** 2 - 1),  # one more in the first
        (lambda t: np.where(t[:, 0] * t[:, 1] * t[:, 2] == 72 * 72 * 36, 3.0, np.nan), 1.0),  # no other known
    ],
)
def test_resamples_that_agree_leave_the_error_of_one_other_answer(statistic, error: float):
    found = cluster_bootstrap(np.tile([6.0, 6.0, 3.0], (12, 1)), statistic)
    assert found.standard_error == pytest.approx(error)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 11) * error)
    assert found.value - found.low == pytest.approx(stats.t.ppf(0.975, 11) * error)


# Where a gain comes from.


def added_up(
    *, samples: int, correct: int, thinks: int, right: int, names: tuple[str, ...] = ("i", "j")
) -> Outcomes:
    """Two items of two documents; the first holds one answer of each kind, the second all the rest."""

    def split(total: int) -> np.ndarray:
        return np.array([min(total, 1), total - min(total, 1)], float)

    none = np.zeros(2)
    return Outcomes(
        item_ids=np.array(names), documents=np.array(["x", "y"]), tiers=np.array(["easy", "easy"]),
        entropies_nats=none, samples=split(samples), score=none, correct=split(correct), thinks=split(thinks),
        correct_and_thinks=split(right), first_token=none, thought_tokens=none, answer_tokens=none,
    )  # fmt: skip


BEFORE = added_up(samples=20, correct=7, thinks=5, right=4)  # s = 1/4, t = 4/5, g = 3/15
AFTER = added_up(samples=10, correct=6, thinks=6, right=5)  # s = 3/5, t = 5/6, g = 1/4
FORCED = added_up(samples=8, correct=5, thinks=8, right=5)


def test_a_gain_is_split_as_on_paper():
    found = split_gain(BEFORE, AFTER, FORCED)
    assert found.gain.value == pytest.approx(6 / 10 - 7 / 20)
    assert found.thinking_more.value == pytest.approx(0.35 * ((4 / 5 + 5 / 6) / 2 - (1 / 5 + 1 / 4) / 2))
    assert found.thinking_better.value == pytest.approx(0.425 * (5 / 6 - 4 / 5))
    assert found.guessing_better.value == pytest.approx(0.575 * (1 / 4 - 1 / 5))
    assert found.forced.value == pytest.approx(5 / 8)
    assert found.habit.value == pytest.approx(5 / 8 - 7 / 20)
    assert found.beyond_habit.value == pytest.approx(6 / 10 - 5 / 8)
    assert (found.gain.num_items, found.gain.num_clusters, found.gain.low) == (2, 2, None)


def test_what_a_model_never_did_is_taken_from_the_other():
    never = added_up(samples=9, correct=2, thinks=0, right=0)
    always = added_up(samples=9, correct=6, thinks=9, right=6)
    found = split_gain(never, always)
    assert found.thinking_more.value == pytest.approx(6 / 9 - 2 / 9)
    assert (found.thinking_better.value, found.guessing_better.value) == (0.0, 0.0)
    back = split_gain(always, never)
    assert back.thinking_more.value == pytest.approx(2 / 9 - 6 / 9)
    neither = split_gain(never, added_up(samples=9, correct=5, thinks=0, right=0))
    assert neither.guessing_better.value == pytest.approx(3 / 9)
    assert (neither.thinking_more.value, neither.thinking_better.value) == (0.0, 0.0)


def test_made_to_think_on_other_questions_is_refused():
    with pytest.raises(ValueError, match="2 and 2 questions, and not the same ones"):
        split_gain(BEFORE, AFTER, added_up(samples=8, correct=5, thinks=8, right=5, names=("i", "k")))


# How often keywords are used.


def used(num_documents: int, every: int) -> tuple[list[str], np.ndarray]:
    """Three answers a document; one in ``every`` says ``probably``, and documents differ in size by one."""
    clusters = np.repeat(np.arange(num_documents), [3 + n % 2 for n in range(num_documents)])
    return ["probably so" if n % every == 0 else "so" for n in range(len(clusters))], clusters


def test_a_relative_change_has_the_interval_of_independent_resamples():
    before, after = used(13, 4), used(11, 3)
    found = pattern_changes(*before, *after, resamples=1000, seed=6)["hypothesis"]
    draws = []
    for (texts, clusters), seed in ((before, 6), (after, 7)):
        num = clusters.max() + 1
        uses_G = np.bincount(clusters, [text != "so" for text in texts])
        counts_RG = np.random.default_rng(seed).multinomial(num, [1 / num] * num, size=1000)
        draws.append((counts_RG @ uses_G) / (counts_RG @ np.bincount(clusters)))
    level = stats.norm.cdf(-np.sqrt(11 / 10) * stats.t.ppf(0.975, 10))
    change_R = draws[1] / draws[0] - 1
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(change_R, [level, 1 - level])))


@pytest.mark.parametrize(
    ("documents", "resamples", "is_known"),
    [((13, 10), 1000, True), ((9, 13), 1000, False), ((13, 10), 999, False)],
)
def test_few_documents_or_resamples_give_no_interval(documents, resamples: int, is_known: bool):
    found = pattern_changes(*used(documents[0], 2), *used(documents[1], 2), resamples=resamples)["hypothesis"]
    assert (found.low is not None, found.high is not None) == (is_known, is_known)


# Which items are asked.


def test_items_are_drawn_by_window_as_they_are_drawn_at_all():
    counts = np.array([3, 0, 7, 5], np.int32)
    starts = np.array([0, 3, 3, 10])
    found = [(int(starts[owner] + item)) for owner, items in draw_by_window(7, counts, 6) for item in items]
    assert found == drawn(7, 15, 6).tolist()
    assert len(found) == 6
    assert drawn(7, 15, 6, 3).tolist() != drawn(7, 15, 6).tolist()


def test_what_was_not_drawn_is_counted():
    whole = RowCounts(rows_in=12, kept=9, dropped={"short": 3})
    assert at_most(whole, 4, "not-drawn") == RowCounts(
        rows_in=12, kept=4, dropped={"short": 3, "not-drawn": 5}
    )
    assert at_most(whole, 9, "not-drawn") == at_most(whole, 30, "not-drawn") == whole
