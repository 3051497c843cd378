"""What is left to do of a study is counted once, and by the seeds that a reader named."""

from types import SimpleNamespace

import pytest

from flows.cli.commands.studies import SHARED, shares_of
from flows.recipes import Overrides, over_arms
from flows.recipes.trees import walk

SEEDS = (10, 11)


@pytest.mark.parametrize(
    ("recipe", "about", "arms", "of_no_seed"),
    [
        ("tiny_rlpt", "next-segments", ("RLPT", "more SFT"), {"RLPT": 1, SHARED: 1}),  # two judges
        ("tiny_rlpt", "rlvr-after-rlpt", ("RLPT, then RLVR", "RLVR alone"), {"RLPT, then RLVR": 1}),
        ("tiny_rpt", "imperfect-teacher", ("RPT", "Mixed SFT"), {}),
    ],
)
def test_a_stage_of_all_seeds_counts_once_and_as_no_seed(recipe, about, arms, of_no_seed):
    page = over_arms(recipe, SEEDS, arms, Overrides(), about)
    stages = {one.model_dump_json() for one in walk(page)} - {page.model_dump_json()}
    hour = SimpleNamespace(hours=1.0, work=None)
    shares = shares_of(page, dict.fromkeys(stages, hour))
    assert set(shares) == {"start", *arms, SHARED}
    assert all(set(share.by_seed) == set(SEEDS) for share in shares.values())
    assert sum(share.hours for share in shares.values()) == len(stages)
    without = {name: share.hours - sum(share.by_seed.values()) for name, share in shares.items()}
    assert {name: hours for name, hours in without.items() if hours} == of_no_seed


def test_what_is_done_is_not_left():
    page = over_arms("tiny_rpt", SEEDS, ("RPT",), Overrides(), "imperfect-teacher")
    shares = shares_of(page, {})
    assert {name: (share.hours, share.by_seed) for name, share in shares.items()} == {
        "start": (0.0, {}), "RPT": (0.0, {}),
    }  # fmt: skip
