"""The masker's reward whatever is predicted: between 0 and 1, nothing where nobody is right."""

from hypothesis import given
from hypothesis import strategies as st

from rpt_core.objectives.next_token.masker import MaskAndPredict, SpanQuestion, mask_reward
from rpt_core.objectives.objective import Verdict

VERDICTS = st.sampled_from(["correct", "wrong", "unparsed", "truncated"])


def judged(names, score=0.5):
    return [Verdict(score, name, 1, 2) for name in names]


@given(st.integers(1, 64).flatmap(lambda num: st.tuples(st.integers(0, num), st.just(num))))
def test_a_reward_lies_between_nothing_and_one_and_falls_as_more_are_right(share):
    right, num = share
    reward = mask_reward(right / num)
    assert 0.0 <= reward <= 1.0
    assert (reward == 0.0) is (right in (0, num))
    if 0 < right < num:
        assert reward > mask_reward((right + 1) / num)


@given(
    st.integers(2, 8).flatmap(
        lambda num: st.tuples(
            st.just(num),
            st.lists(st.sets(st.integers(0, num - 1), min_size=1), max_size=num),
            st.lists(st.lists(VERDICTS, min_size=num, max_size=num), min_size=num, max_size=num),
            st.lists(st.sampled_from(["scored", "unparsed", "truncated"]), min_size=num, max_size=num),
        )
    )
)
def test_a_group_of_masks_earns_by_its_own_spans_alone(case):
    num, namers, predicted, own = case
    free, named = set(range(num)), []
    for some in namers:  # an answer names one span
        mine = sorted(some & free)
        free -= set(mine)
        if mine:
            named.append(tuple(mine))
    own = ["scored" if number not in free else name for number, name in enumerate(own)]
    questions = [SpanQuestion("d", 1 + n, "x", (1,), named_by=by) for n, by in enumerate(named)]
    groups = [judged(names) for names in predicted[: len(named)]]
    masker = object.__new__(MaskAndPredict)
    masker.sums = dict.fromkeys(("answers", "named", "spans", "documents", "reward", "right"), 0.0)
    found = masker._earned(judged(own), questions, groups)
    for number, verdict in enumerate(found):
        at = next((n for n, by in enumerate(named) if number in by), None)
        right = 0 if at is None else predicted[at].count("correct")
        assert verdict.score == (0.0 if right == 0 else 1 - right / num)
        assert 0.0 <= verdict.score <= 1.0
        assert (verdict.verdict == "scored") is (at is not None)
    assert masker.sums["spans"] == len(named)
