"""The study of an imperfect teacher in MLflow: one parent, arms by name, seeds by number."""

from flows.kept import laid_out
from flows.recipes import Overrides, over_arms
from flows.recipes.trees import walk
from infra.storage.store import Store
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.outcomes_report import IMPERFECT_TEACHER
from tasks.shown.journeys import shown_journey
from tasks.shown.spoken import Spoken, role

SEEDS, ARMS = (100, 101), ("RPT", "more SFT")


def test_arms_and_seeds_are_told_apart_below_one_parent(tmp_path):
    page = laid_out(over_arms("tiny_rpt", SEEDS, ARMS, Overrides(), IMPERFECT_TEACHER))
    shown = shown_journey(page, "tiny_rpt", Store(str(tmp_path / "store"), tmp_path / "cache"))
    assert shown.journey.name == "tiny_rpt imperfect-teacher, seeds 100 101"
    assert shown.journey.tags["rpt.seeds"] == "100 101"

    def said(recipe) -> Spoken:
        return shown.spoken(recipe, Spoken("tiny_rpt", role(recipe), getattr(recipe, "seed", None)))

    assert said(page).is_root
    parts = [one for one in walk(page) if one is not page]
    kept = [one for one in parts if isinstance(one, OutcomesRecipe)]
    assert {(said(one).arm, said(one).seed) for one in kept} == {
        (arm, seed) for arm in ("start", *ARMS) for seed in SEEDS
    }
    policies = {said(one).arm for one in parts if isinstance(one, PolicyRecipe)}
    assert policies == {"RPT"}
    shared = {said(one).arm for one in parts if one.kind in ("documents", "corpus", "base", "difficulty")}
    assert shared == {""}  # of a seed, not of an arm
    assert all(said(one).journey == shown.journey for one in parts)
