"""Keyword groups: what counts as a use, shares, and relative change."""

import numpy as np
import pytest

from rpt_core.evaluation.patterns import GROUPS, groups_in, pattern_changes, pattern_shares


@pytest.mark.parametrize(("group", "keyword"), [(g, k) for g, keywords in GROUPS.items() for k in keywords])
def test_every_keyword_is_found_in_any_case(group, keyword):
    assert group in groups_in(f"So, {keyword} it is.")
    assert group in groups_in(keyword.upper())


@pytest.mark.parametrize(
    "text",
    [
        "waiter",
        "neither",
        "improbably",
        "adoptions",
        "etc",
        "breakdown",
        "Concluded",
        "summarizes",
        "original  answers",
    ],
)
def test_parts_of_words_are_not_uses(text):
    assert groups_in(text) == set()


def test_line_breaks_inside_a_phrase_do_not_hide_it():
    assert groups_in("let me break\n  this down") == {"breakdown"}


def test_shares_count_answers_not_uses():
    texts = ["wait wait wait", "no", "wait, probably", "no"]
    shares = pattern_shares(texts, ["a", "a", "b", "b"])
    assert shares["reflection"].value == 0.5
    assert shares["hypothesis"].value == 0.25
    assert shares["breakdown"].value == 0.0
    assert shares["reflection"].num_clusters == 2


def test_relative_change_and_its_interval():
    rng = np.random.default_rng(0)

    def answers(chance, num):
        return ["probably so" if rng.random() < chance else "so" for _ in range(num)]

    covered = 0
    for _ in range(60):
        before, after = answers(0.2, 300), answers(0.4, 300)
        change = pattern_changes(before, np.arange(300) // 3, after, np.arange(300) // 3, resamples=1200)
        found = change["hypothesis"]
        assert change["transition"] is None
        covered += found.low <= 1.0 <= found.high
    assert covered >= 52
    assert found.relative == pytest.approx(
        np.mean(["probably" in t for t in after]) / np.mean(["probably" in t for t in before]) - 1
    )


def test_a_single_document_has_no_interval():
    change = pattern_changes(["wait", "no"], ["a", "a"], ["wait", "wait"], ["b", "b"])["reflection"]
    assert (change.relative, change.low, change.high) == (1.0, None, None)


def test_two_sets_over_the_same_documents_are_resampled_apart():
    """Sets that vary together by document: paired draws would make the interval far too narrow."""
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(100), 4)
    uses = np.repeat(rng.random(100) < 0.4, 4)
    texts = ["probably so" if use else "so" for use in uses]
    change = pattern_changes(texts, clusters, texts, clusters)["hypothesis"]
    share = uses.mean()
    deviation = np.sqrt(2 * (1 - share) / (share * 100))  # of a ratio of two independent shares, delta method
    assert change.relative == 0.0
    assert change.high - change.low == pytest.approx(2 * 1.96 * deviation, rel=0.25)
    assert change.low < -0.15
    assert change.high > 0.15
