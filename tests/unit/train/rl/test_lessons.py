"""What is learnt from a document: the kept groups, forced targets beside them, one denominator for all."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rpt_core.objectives.objective import ForcedTarget
from rpt_core.policy.tails import Tail
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.rl.lessons import lesson_of, scales_of
from rpt_core.train.rl.losses.advantages import group_advantages
from rpt_core.train.rl.losses.policy import PRESETS
from tests.unit.train.rl.batches import ROWS, batch


def trainer(loss="dr_grpo", *, masked=False, text="instructed", begin_ids=()):
    recipe = SimpleNamespace(selection=Selection(mask_truncated=masked), reasoning_tokens=12)
    policy = SimpleNamespace(begin_ids=begin_ids)
    return SimpleNamespace(recipe=recipe, preset=PRESETS[loss], ntp_text=text, policy=policy)


def test_a_lesson_holds_the_kept_groups_alone():
    document = batch().documents[0]
    lesson = lesson_of(trainer(), document)
    assert lesson.trunk == replace(document.asked.trunk, cuts=document.asked.trunk.cuts[:1])
    samples = document.groups[0].samples
    assert lesson.answers == [[one.token_ids for one in samples]]
    assert lesson.engine_logprobs == [[one.logprobs for one in samples]]
    assert lesson.counted == [[True, True, True]]
    assert lesson.num_drawn == 1
    assert lesson.reasoned == {3, 7}  # dropped questions were asked, too
    mean = 1.25 / 3
    assert lesson.advantages == [pytest.approx([1 - mean, -mean, 0.25 - mean])]
    assert lesson.num_tokens == 13 + 1 + (5 + 2 + 6)


@pytest.mark.parametrize("loss", sorted(PRESETS.keys() - {"rejection"}))
def test_advantages_are_those_of_the_loss(loss):
    preset = PRESETS[loss]
    lesson = lesson_of(trainer(loss), batch().documents[1])
    expected = group_advantages(
        [row[0] for row in ROWS[2]], by_deviation=preset.by_deviation, leave_one_out=preset.leave_one_out
    )
    np.testing.assert_array_equal(np.float32(lesson.advantages[0]), expected)


def test_advantages_that_the_objective_gives_are_taken_as_they_are():
    first = batch().documents[0].groups[0]
    verdicts = [replace(v, advantage=a) for v, a in zip(first.verdicts, (0.5, -2.0, 0.0), strict=True)]
    document = replace(batch().documents[0], groups=(replace(first, verdicts=verdicts),) * 2)
    assert lesson_of(trainer("grpo"), document).advantages[0] == [0.5, -2.0, 0.0]


def test_rejection_learns_right_answers_alone_and_every_question_alike():
    one, documents = trainer("rejection"), batch().documents
    first, second = (lesson_of(one, document) for document in documents)
    assert (first.advantages, first.counted) == ([[1.0, 0.0, 0.0]], [[True, False, False]])
    assert (second.advantages, second.counted) == ([[0.0, 0.5, 0.5]], [[False, True, True]])
    assert scales_of(one, [first, second]).policy == 5 + (9 + 3) / 2
    one.recipe.selection = Selection(keep_right=1)
    assert lesson_of(one, documents[1]).advantages == [[0.0, 1.0, 0.0]]


def test_a_targets_tokens_may_weigh_unlike_each_other():
    some = ForcedTarget(Tail((8,), (11, 12)), (-0.1, -0.2), 0.5, emphasis=(1.0, 0.25))
    plain = ForcedTarget(Tail((9,), (13,)), (-0.3,), 0.5)
    lesson = lesson_of(trainer(), with_forced(plain, some, None))
    assert lesson.emphases == {(2, 0): (1.0, 0.25)}
    assert lesson.answers[1:] == [[(13,)], [(11, 12)]]


def test_truncated_answers_are_masked_where_the_recipe_says_so():
    document = batch().documents[0]
    assert lesson_of(trainer(masked=True), document).counted == [[True, True, False]]


def with_forced(*targets):
    """The first document, its first group's verdicts with these targets."""
    document = batch().documents[0]
    first = document.groups[0]
    pairs = zip(first.verdicts, targets, strict=True)
    verdicts = [replace(verdict, forced=(target,) if target else ()) for verdict, target in pairs]
    return replace(document, groups=(replace(first, verdicts=verdicts), document.groups[1]))


def test_forced_targets_hang_below_cuts_of_their_own():
    some = ForcedTarget(Tail((8, 9), (11, 12, 13)), (-0.1, -0.2, -0.3), 0.75)
    none = ForcedTarget(Tail((8,), (11,)), (-0.1,), 0.0)
    lesson = lesson_of(trainer(), with_forced(some, none, None))
    assert [(cut.position, cut.suffix_ids) for cut in lesson.trunk.cuts] == [(3, (2,)), (3, (2, 8, 9))]
    assert lesson.answers[1] == [(11, 12, 13)]
    assert lesson.engine_logprobs[1] == [(-0.1, -0.2, -0.3)]
    assert (lesson.advantages[1], lesson.counted[1], lesson.num_drawn) == ([0.75], [True], 1)
    assert lesson.num_tokens == 13 + (1 + 3) + (5 + 2 + 6) + 3


@pytest.mark.parametrize(
    ("loss", "masked", "expected"),
    [
        ("grpo", False, 13 + 19), ("grpo", True, 7 + 19), ("gspo", False, 6), ("gspo", True, 5),
        ("dr_grpo", False, 6 * 12), ("dr_grpo", True, 5 * 12),
    ],
)  # fmt: skip
def test_the_policys_denominator_is_of_answers_that_were_drawn_and_count(loss, masked, expected):
    one = trainer(loss, masked=masked)
    target = ForcedTarget(Tail((8, 9), (11, 12, 13)), (-0.1, -0.2, -0.3), 0.75)
    documents = (with_forced(target, None, target), batch().documents[1])
    assert scales_of(one, [lesson_of(one, document) for document in documents]).policy == expected


@pytest.mark.parametrize(
    ("text", "begin_ids", "expected"),
    [
        ("instructed", (), (11 - 2) + (6 - 1)),
        ("raw", (), (10 - 2) + (5 - 1)),
        ("raw", (1,), (11 - 2) + (6 - 1)),
    ],
)
def test_the_documents_denominator_is_of_tokens_not_asked_about(text, begin_ids, expected):
    one = trainer(text=text, begin_ids=begin_ids)
    lessons = [lesson_of(one, document) for document in batch().documents]
    assert scales_of(one, lessons).ntp == expected
    assert scales_of(one, []).ntp == 1
