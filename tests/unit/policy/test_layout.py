"""One tree of two documents, numbered by hand: every table that a pass takes its indices from."""

import numpy as np
import pytest

from rpt_core.policy import layout
from rpt_core.policy.layout import group_by_document, group_locally, lay_out, visible
from rpt_core.policy.trunk import Cut, Trunk

TRUNKS = [
    Trunk("a", (101, 102), (11, 12, 13, 14), (Cut(1, (21, 22, 23)), Cut(3))),
    Trunk("b", (), (31, 32, 33, 34, 35, 36, 37), (Cut(5, (41,)),)),
]
ANSWERS = [[[(51, 52, 53), (54,)], [(55, 56, 57, 58), ()]], [[(61, 62)]]]


@pytest.fixture(scope="module")
def tree():
    return lay_out(TRUNKS, ANSWERS)


def test_tokens_places_and_owners(tree):
    assert tree.trunk_ids_BT.tolist() == [[101, 102, 11, 12, 13, 14, 0], [31, 32, 33, 34, 35, 36, 37]]
    #                                suffix  |answer|  answer |suffix, answer
    assert tree.ids.tolist() == [21, 22, 23, 51, 52, 55, 56, 57, 41, 61]
    assert tree.position.tolist() == [3, 4, 5, 6, 7, 5, 6, 7, 5, 6]
    assert tree.document.tolist() == [0] * 8 + [1] * 2
    assert tree.limit.tolist() == [3] * 5 + [5] * 5
    assert tree.cut.tolist() == [0] * 5 + [1] * 3 + [2] * 2
    assert tree.row.tolist() == [-1, -1, -1, 0, 0, 2, 2, 2, -1, 4]
    assert (tree.num_answers, tree.num_branch_tokens) == (5, 10)


def test_what_predicts_what(tree):
    """The 14 padded trunk slots come first."""
    assert tree.suffixes.tolist() == [[0, 3], [5, 0], [8, 1]]
    assert tree.entry.tolist() == [16, 4, 22]
    assert tree.leaves.tolist() == [[0, 3, 2], [0, 5, 0], [1, 5, 3], [1, 8, 0], [2, 9, 1]]
    assert tree.target_N.tolist() == [51, 52, 53, 54, 55, 56, 57, 58, 61, 62]
    assert tree.predictor_N.tolist() == [16, 17, 18, 16, 4, 19, 20, 21, 22, 23]
    assert tree.answer_N.tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 4, 4]


def test_a_document_is_predicted_from_its_instruction_or_from_its_second_token_on(tree):
    slots, targets, trunks, tokens = tree.document_targets()
    assert slots.tolist() == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]
    assert targets.tolist() == [11, 12, 13, 14, 32, 33, 34, 35, 36, 37]
    assert trunks.tolist() == [0] * 4 + [1] * 6
    assert tokens.tolist() == [0, 1, 2, 3, 1, 2, 3, 4, 5, 6]


def test_one_packed_row_holds_no_padding(tree):
    row, order = tree.packed()
    assert row.ids.tolist() == [101, 102, 11, 12, 13, 14, *range(31, 38), *tree.ids]
    assert row.position.tolist() == [*range(6), *range(7), *tree.position]
    assert row.document.tolist() == [0] * 6 + [1] * 7 + [0] * 8 + [1] * 2
    assert row.limit.tolist() == [*range(1, 7), *range(1, 8), *tree.limit]
    assert row.cut.tolist() == [-1] * 13 + tree.cut.tolist()
    assert row.row.tolist() == [-1] * 13 + tree.row.tolist()
    assert order.tolist() == [0, 1, 2, 3, 4, 5, 0, *range(6, 23)]


def test_every_path_is_a_row_of_its_own(tree):
    ids, back = tree.separate_rows()
    assert ids.tolist() == [
        [101, 102, 11, 12, 13, 14, 0, 0],
        [31, 32, 33, 34, 35, 36, 37, 0],
        [101, 102, 11, 21, 22, 23, 51, 52],
        [101, 102, 11, 21, 22, 23, 0, 0],  # an answer of one token: nothing of it is forwarded
        [101, 102, 11, 12, 13, 55, 56, 57],
        [31, 32, 33, 34, 35, 41, 61, 0],
    ]
    own = [27, 28, 29, 22, 23, 37, 38, 39, 45, 46]
    assert back.tolist() == [*range(7), *range(8, 15), *own]


def test_branches_as_queries_of_their_trunks(tree):
    query, sees, slot = group_by_document(tree)
    assert query.tolist() == [[0, 1, 2, 3, 4, 5, 6, 7], [8, 9, 0, 0, 0, 0, 0, 0]]
    limits = [[3, 3, 3, 3, 3, 5, 5, 5], [5, 5, 0, 0, 0, 0, 0, 0]]
    assert sees.shape == (2, 8, 7)
    assert sees.sum(2).tolist() == limits
    assert all(sees[b, m, :n].all() for b, row in enumerate(limits) for m, n in enumerate(row))
    assert slot.tolist() == list(range(10))


def test_branches_over_their_suffix_and_themselves(tree):
    (suffixes, answers), slot = group_locally(tree)
    assert suffixes.query_LM.tolist() == [[0, 1, 2], [8, 0, 0]]
    assert suffixes.key_LD.tolist() == [[0, 1, 2], [8, 8, 8]]
    assert suffixes.sees_LMD.astype(int).tolist() == [
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]],
        [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert answers.query_LM.tolist() == [[3, 4, 0], [5, 6, 7], [9, 0, 0]]
    assert answers.key_LD.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 7, 7], [8, 9, 9, 9, 9]]
    assert answers.sees_LMD.astype(int).tolist() == [
        [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]],
        [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]],
        [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
    ]
    assert slot.tolist() == [0, 1, 2, 6, 7, 9, 10, 11, 3, 12]


def test_tokens_see_their_path_and_nothing_beside_it(tree):
    row, _ = tree.packed()
    index = np.arange(len(row.ids))
    paths = {  # of the packed row: which it may see
        5: [0, 1, 2, 3, 4, 5],
        8: [6, 7, 8],
        14: [0, 1, 2, 13, 14],
        17: [0, 1, 2, 13, 14, 15, 16, 17],
        19: [0, 1, 2, 3, 4, 18, 19],
        22: [6, 7, 8, 9, 10, 21, 22],
    }
    for query, keys in paths.items():
        assert np.flatnonzero(visible(row, np.array(query), index)).tolist() == keys


@pytest.mark.parametrize(
    ("fewest", "buckets"),
    [
        (24, [[8, 4, 5, 1, 2]]),
        (23, [[8, 5], [4, 1, 2]]),
        (8, [[8, 5], [4, 1, 2]]),
        (7, [[8, 5], [4], [1, 2]]),
        (1, [[8, 5], [4], [2], [1]]),
    ],
)
def test_short_rows_are_parted_from_long_ones_where_that_spares_enough(monkeypatch, fewest, buckets):
    monkeypatch.setattr(layout, "MIN_BUCKET_SLOTS", fewest)
    rows = np.array([[7, count, 0] for count in (8, 4, 5, 1, 2)])
    assert [bucket[:, 1].tolist() for bucket in layout._buckets(rows)] == buckets


def test_several_buckets_have_slots_of_their_own(monkeypatch, tree):
    monkeypatch.setattr(layout, "MIN_BUCKET_SLOTS", 0)
    groups, slot = group_locally(tree)
    flat = np.concatenate([group.query_LM.reshape(-1) for group in groups])
    assert [group.query_LM.shape for group in groups] == [(1, 3), (1, 1), (2, 3), (1, 1)]
    assert flat[slot].tolist() == list(range(10))
    assert slot.tolist() == [0, 1, 2, 4, 5, 7, 8, 9, 3, 10]


def test_a_tree_without_branches_is_its_trunks():
    tree = lay_out(TRUNKS, [[[], []], [[]]])
    assert tree.num_answers == 0
    assert tree.ids.tolist() == [21, 22, 23, 41]
    assert tree.entry.tolist() == [16, 4, 17]
    assert tree.target_N.tolist() == tree.predictor_N.tolist() == []
    ids, _ = tree.separate_rows()
    assert ids.shape == (2, 7)
