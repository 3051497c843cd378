"""Studies over worlds: which fields of a world change, and that nothing else does."""

import pytest

from flows.agreement import check_journey
from flows.kept import laid_out
from flows.recipes import Overrides, over_arms
from flows.recipes.studies.imperfect_teacher import STUDY, TUNED
from flows.recipes.studies.teacher_worlds import DOSES, LONG_SHARES, RIGHT_SHARES, SAMPLES, TEXTS, WORLDS
from flows.recipes.trees import walk
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.file import file_name
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.reports.outcomes_report import DOSE_RESPONSE, IMPERFECT_TEACHER, OTHER_TEXT
from rpt_core.recipes.world import SecondEdition


def page(study, seeds=(200,), worlds=()):
    return over_arms("tiny_rpt", seeds, worlds, Overrides(), study)


def editions(outcomes):
    found = {
        one.sample.second
        for one in walk(outcomes)
        if isinstance(one, IngestRecipe) and one.sample is not None
    }
    assert len(found) == 1  # training, start and evaluation read one world
    return found.pop()


@pytest.mark.parametrize("study", list(WORLDS))
def test_every_world_has_a_start_and_rpt_and_differs_in_its_own_fields_alone(study):
    found = page(study)
    check_journey(found)
    assert [arm.name for arm in found.arms] == [
        f"{world}: {role}" for world in WORLDS[study] for role in ("start", "RPT")
    ]
    for arm in found.arms:
        changes = WORLDS[study][arm.name.rpartition(": ")[0]]
        (one,) = arm.outcomes
        assert editions(one) == SecondEdition().model_copy(update=dict(changes))
        assert (one.study, one.setting) == (study, dict(changes))
        assert (one.training is None) == arm.name.endswith("start")


def test_the_grid_is_every_quality_by_every_exposure():
    found = [(one["right_share"], one["long_share"]) for one in DOSES.values()]
    assert found == [(right, long) for right in RIGHT_SHARES for long in LONG_SHARES]
    assert len(set(DOSES)) == len(found) == 16


def test_at_the_studys_own_dose_the_training_is_the_studys_own():
    own = over_arms("tiny_rpt", (200,), ("RPT",), Overrides(), IMPERFECT_TEACHER).arms
    there = page(DOSE_RESPONSE, worlds=("q 0.3, e 20 %",)).arms

    def kept(outcomes):
        """But for what only the study's own page reads: coverage, and a comparison after equal updates."""
        training = outcomes.training and outcomes.training.model_copy(update={"milestones": ()})
        asked = {"samples": 0, "milestones": False, "model": training or outcomes.start}
        return training, outcomes.evaluation.model_copy(update=asked)

    assert [kept(arm.outcomes[0]) for arm in there] == [kept(arm.outcomes[0]) for arm in own]
    assert {arm.outcomes[0].evaluation.samples for arm in there} == {SAMPLES}
    assert {arm.outcomes[0].at_updates for arm in there} == {0}
    rate = TUNED["RPT"]["optimiser"]["learning_rate"]
    assert there[1].outcomes[0].training.optimiser.learning_rate == rate
    assert STUDY.setting_of("RPT") == TUNED["RPT"]


def test_files_of_all_worlds_and_of_the_study_have_names_of_their_own():
    names = [
        file_name(one.arm, one.seed)
        for study in WORLDS
        for arm in laid_out(page(study, (200, 201))).arms
        for one in arm.outcomes
    ]
    assert len(set(names)) == len(names) == 2 * 2 * (len(DOSES) + len(TEXTS))


def test_an_unknown_world_is_refused_with_those_that_exist():
    with pytest.raises(RecipeError, match="no world 'Latin'; there are Chinese; English and Chinese"):
        page(OTHER_TEXT, worlds=("Latin",))


def test_readers_own_text_has_no_teacher_that_errs():
    with pytest.raises(RecipeError, match="is about the sample world"):
        over_arms("tiny_rpt", (200,), (), Overrides(data="my/notes"), DOSE_RESPONSE)
