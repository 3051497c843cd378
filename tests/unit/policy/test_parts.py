"""Work cut into parts of a token budget, by trees whose numbers of tokens all differ."""

import pytest
import torch

from rpt_core.policy.parts import Part, has_branches, micro_batches, padded_batches, smallest
from rpt_core.policy.plain import PlainProbabilities, hidden_at
from rpt_core.policy.trunk import Cut, Trunk
from tests.toys import random_tree, tiny_policy

LONG = Trunk("long", (1, 2), tuple(range(10, 18)), (Cut(3, (5, 6, 7)), Cut(6, (8,))))  # 10 tokens
SHORT = Trunk("short", (1,), (10, 11, 12), (Cut(2, (5, 6)),))  # 4 tokens
BARE = Trunk("bare", (), (10, 11, 12, 13, 14, 15))  # 6 tokens
TRUNKS = [LONG, SHORT, BARE]
ANSWERS = [[[(1,) * 4, (1,) * 5], [(1,) * 7, (1,) * 2]], [[(1,) * 3]], []]
WHOLE = {
    0: Part(0, ((0, 0), (0, 1), (1, 0), (1, 1)), True, 10 + 3 + 4 + 5 + 1 + 7 + 2),
    1: Part(1, ((0, 0),), True, 4 + 2 + 3),
    2: Part(2, (), True, 6),
}


def test_parts_of_like_length_share_a_batch_up_to_the_budget():
    assert micro_batches(TRUNKS, ANSWERS, 47) == [[WHOLE[1], WHOLE[2], WHOLE[0]]]
    assert micro_batches(TRUNKS, ANSWERS, 46) == [[WHOLE[1], WHOLE[2]], [WHOLE[0]]]
    assert micro_batches(TRUNKS, ANSWERS, 32) == [[WHOLE[1], WHOLE[2]], [WHOLE[0]]]
    assert micro_batches(TRUNKS, ANSWERS, 47, chosen=[2]) == [[WHOLE[2]]]
    assert micro_batches(TRUNKS, ANSWERS, 47, chosen=[]) == []


def test_a_group_beyond_the_budget_is_split_between_answers_and_each_part_pays_for_its_suffixes():
    first, rest = Part(0, ((0, 0), (0, 1), (1, 0)), True, 30), Part(0, ((1, 1),), False, 10 + 1 + 2)
    assert micro_batches(TRUNKS, ANSWERS, 31, chosen=[0]) == [[first], [rest]]
    parts = [
        Part(0, ((0, 0),), True, 10 + 3 + 4), Part(0, ((0, 1),), False, 10 + 3 + 5),
        Part(0, ((1, 0), (1, 1)), False, 10 + 1 + 7 + 2),
    ]  # fmt: skip
    assert micro_batches(TRUNKS, ANSWERS, 21, chosen=[0]) == [[part] for part in parts]
    assert micro_batches(TRUNKS, ANSWERS, 20, chosen=[0]) == [[part] for part in parts]
    single = micro_batches(TRUNKS, ANSWERS, 1, chosen=[0])
    assert [[part.branches for part in batch] for batch in single] == [
        [((0, 0),)], [((0, 1),)], [((1, 0),)], [((1, 1),)],
    ]  # fmt: skip
    assert [part.counts_document for (part,) in single] == [True, False, False, False]


def test_a_part_is_the_trunk_with_its_cuts_alone():
    trunk, answers = Part(0, ((1, 1), (1, 0)), False, 0).pick(LONG, ANSWERS[0])
    assert trunk == Trunk("long", (1, 2), LONG.document_ids, (Cut(6, (8,)),))
    assert answers == [[(1,) * 2, (1,) * 7]]
    trunk, answers = Part(0, ((1, 1), (0, 1)), False, 0).pick(LONG, ANSWERS[0])
    assert trunk.cuts == LONG.cuts
    assert answers == [[(1,) * 5], [(1,) * 2]]


def test_company_for_other_ranks_is_the_shortest_trunk_that_serves():
    assert smallest(TRUNKS, ANSWERS, branches=False, counts_document=True) == Part(1, (), True, 4)
    without = [ANSWERS[0], [[]], []]
    assert smallest(TRUNKS, without, branches=True, counts_document=False) == Part(0, ((0, 0),), False, 10)
    later = [[[], ANSWERS[0][1]], [[]], []]
    assert smallest(TRUNKS, later, branches=True, counts_document=True) == Part(0, ((1, 0),), True, 10)
    assert smallest([LONG, SHORT, SHORT], [[], [], []], branches=False, counts_document=True).trunk == 1
    assert has_branches([WHOLE[2], WHOLE[1]])
    assert not has_branches([WHOLE[2]])


@pytest.mark.parametrize(
    ("budget", "batches"),
    [(8, [[1, 3], [0], [2]]), (4, [[1, 3], [0], [2]]), (3, [[1], [3], [0], [2]]), (15, [[1, 3, 0], [2]]),
     (14, [[1, 3], [0], [2]]), (36, [[1, 3, 0, 2]]), (35, [[1, 3, 0], [2]])],
)  # fmt: skip
def test_rows_are_padded_to_the_longest_within_the_budget(budget, batches):
    assert list(padded_batches([5, 2, 9, 2], budget)) == batches
    assert list(padded_batches([], budget)) == []


def test_plain_chances_are_the_models_softmax_and_rows_beyond_the_last_cut_are_not_forwarded():
    policy = tiny_policy(sharpness=2.0)
    trunks, _ = random_tree(3, [[(2, 1), (5, 2)], [(9, 0)], [(3, 1)]], instruction=2)
    tokens = [[[7, 3, -1], []], [[5]], [[6, 9]]]
    scorer = PlainProbabilities(policy, tokens_per_batch=12)
    found = scorer(trunks, tokens)
    assert scorer.num_forwarded == 3 + 5 + 9 - (3 + 5) + 2 * 5  # rows of 3 and 5 as a rectangle, one of 9
    assert [[len(some) for some in cuts] for cuts in found] == [[3, 0], [1], [2]]
    work = policy.work
    assert work.flops == 19 * work.per_token + (2 * 25 + 81) * work.per_pair + 4 * work.per_score
    for trunk, cuts, asked in zip(trunks, found, tokens, strict=True):
        with torch.no_grad(), policy.attending("eager"):
            row = torch.tensor([trunk.document_ids])
            chances = policy.model(input_ids=row, use_cache=False).logits[0].softmax(-1)
        for cut, some, ids in zip(trunk.cuts, cuts, asked, strict=True):
            wanted = [float(chances[cut.position - 1, token]) if token >= 0 else 0.0 for token in ids]
            assert some == pytest.approx(wanted, rel=1e-3)


def test_plain_text_predicts_nothing_before_its_first_token():
    scorer = PlainProbabilities(tiny_policy())
    assert scorer.tokens_per_batch == 16_384
    for trunk in (Trunk("a", (7,), (2, 3), (Cut(1), Cut(0, (9,)))), Trunk("a", (7,), (2, 3))):
        with pytest.raises(ValueError, match="'a' has no cut, or one before its first token"):
            scorer([trunk], [[[3], [4]]])
    scorer([Trunk("a", (7,), (2, 3), (Cut(1),))], [[[3]]])


def test_states_at_places_of_padded_rows():
    policy = tiny_policy(sharpness=2.0)
    paths, places = [(3, 4, 5, 6), (7, 8)], [(1, 3), (0,)]
    found = hidden_at(policy, paths, places)
    wanted = []
    for path, some in zip(paths, places, strict=True):
        with policy.attending("eager"):
            states = policy.model.base_model(input_ids=torch.tensor([path]), use_cache=False)
        wanted += [states.last_hidden_state[0, place] for place in some]
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-4, atol=1e-4)
