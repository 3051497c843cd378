"""Arms with seeds of their own: what runs under which, and what is refused."""

import pytest

from flows.named_seeds import seeds_by_arm
from flows.recipes import Overrides, over_arms
from rpt_core.errors import RecipeError


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        (("RPT@", "RLP"), r"--arms, RPT: '' is no whole number"),
        (("RPT@115-108",), r"--arms, RPT: '115-108' goes backwards; write 108-115"),
        (("RPT@1,2,1",), "names a seed twice"),
        (("RPT@100-103", "RPT"), "'RPT' stands twice"),
    ],
)
def test_seeds_of_an_arm_that_cannot_be_read_are_named_with_it(arms, said):
    with pytest.raises(RecipeError, match=said):
        seeds_by_arm(arms, (100,))


def test_further_seeds_of_some_arms_change_nothing_of_the_others():
    plain = over_arms("tiny_rpt", (100, 101), ("RPT", "RLP"), Overrides(), "imperfect-teacher")
    page = over_arms("tiny_rpt", (100, 101), ("RPT@100-103", "RLP"), Overrides(), "imperfect-teacher")
    seeds = {arm.name: [one.seed for one in arm.outcomes] for arm in page.arms}
    assert seeds == {"start": [100, 101, 102, 103], "RPT": [100, 101, 102, 103], "RLP": [100, 101]}
    assert page.seeds == (100, 101, 102, 103)
    for arm, before in zip(page.arms, plain.arms, strict=True):
        assert arm.outcomes[:2] == before.outcomes
    with pytest.raises(RecipeError, match="has no arm 'RTP'"):
        over_arms("tiny_rpt", (100,), ("RTP@100-103",), Overrides(), "imperfect-teacher")


def test_a_frozen_field_is_refused_for_an_arm_with_seeds_of_its_own():
    fields = Overrides(fields={"ntp_weight": 0.5})
    with pytest.raises(RecipeError, match="'JEPO' of imperfect-teacher keeps the setting"):
        over_arms("tiny_rpt", (100,), ("JEPO@100-103",), fields, "imperfect-teacher")
