"""The order of topics: like documents are neighbours, and nothing but their tokens decides it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.objectives.topics import topic_ranks

VOCABULARY = 60
documents = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), max_size=12).map(lambda ids: np.array(ids, np.int32)),
    max_size=30,
)


@given(documents)
def test_every_document_has_a_place_of_its_own(tokens_D):
    ranks = topic_ranks(tokens_D, VOCABULARY)
    assert sorted(ranks.tolist()) == list(range(len(tokens_D)))


@given(documents)
def test_repeats_and_the_order_of_tokens_do_not_matter(tokens_D):
    doubled = [np.concatenate([ids[::-1], ids]) for ids in tokens_D]
    assert topic_ranks(tokens_D, VOCABULARY).tolist() == topic_ranks(doubled, VOCABULARY).tolist()


@pytest.mark.parametrize("tokens_D", [[], [[]], [[], [], [], [], []], [[1, 2]] * 9, [[1]] * 5 + [[]] * 5])
def test_documents_of_nothing_and_documents_that_are_all_alike_are_kept(tokens_D):
    ranks = topic_ranks([np.array(ids, np.int32) for ids in tokens_D], VOCABULARY)
    assert sorted(ranks.tolist()) == list(range(len(tokens_D)))


def test_topics_that_share_common_tokens_are_still_told_apart():
    """Six topics of five rare tokens each under forty common ones."""
    rng = np.random.default_rng(3)
    topics = rng.permutation(np.repeat(np.arange(6), 30))
    tokens_D = [
        np.concatenate([rng.choice(40, 30), 40 + 5 * topic + rng.choice(5, 4)]).astype(np.int32)
        for topic in topics
    ]
    order = np.argsort(topic_ranks(tokens_D, 70))
    same = (topics[order][1:] == topics[order][:-1]).mean()
    assert same > 0.8  # one in six by chance
