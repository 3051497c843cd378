"""Outcomes of a study in a folder: what is there is done, what is not is run and then kept there."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from flows.recipes.trees import mapped
from rpt_core.artifacts.design import design_of
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.errors import SourceError
from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.evaluation.kept.file import (
    TUNING,
    as_it_lies,
    file_name,
    read_artifact,
    read_folder,
    read_outcomes,
    to_bytes,
)
from rpt_core.recipes.outcomes import KeptOutcomesRecipe, OutcomesRecipe
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe, StudyArm
from rpt_core.report.outcomes.take import check_is
from tasks.home import open_store
from tasks.inputs.resolve import resolve_sources

Finished = Callable[[Recipe, Artifact], None]


def laid_out(page: OutcomesReportRecipe, folder: str = "") -> OutcomesReportRecipe:
    """The page with every outcomes' design filled in, and those that the folder holds taken from there.

    Args:
        page: As it is written.
        folder: Of the files; empty for none.

    Raises:
        IntegrityError: a file is damaged, or holds outcomes of another recipe.
    """

    def arms(given: tuple[StudyArm, ...], *, tuning: bool) -> tuple[StudyArm, ...]:
        return tuple(
            one.model_copy(update={"outcomes": tuple(_each(one, folder, tuning=tuning))}) for one in given
        )

    update = {"arms": arms(page.arms, tuning=False), "tuning": arms(page.tuning, tuning=True)}
    return page.model_copy(update=update)


def _each(arm: StudyArm, folder: str, *, tuning: bool) -> Iterator[Recipe]:
    for number, given in enumerate(arm.outcomes, start=1):
        assert isinstance(given, OutcomesRecipe), "a page is laid out as it was written"
        asked = mapped(given, resolve_sources)
        filled = given.model_copy(update={"design": design_of(asked)})
        path = as_it_lies(Path(folder) / file_name(given.arm, given.seed, number if tuning else None))
        yield _kept(filled, path) if folder and path.is_file() else filled


def _kept(wanted: OutcomesRecipe, path: Path) -> KeptOutcomesRecipe:
    """The file in the outcomes' place.

    Raises:
        IntegrityError: it is damaged, or another's.
    """
    found = read_outcomes(path)
    check_is(found, str(path), wanted.study, wanted.arm, wanted.seed, wanted.design)
    return KeptOutcomesRecipe(
        file=str(path.absolute()), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), study=wanted.study,
        arm=wanted.arm, seed=wanted.seed, design=wanted.design,
    )  # fmt: skip


def keeper(page: OutcomesReportRecipe, folder: str) -> Finished:
    """What writes outcomes into the folder as soon as they are made, so that a killed study keeps them.

    Args:
        page: Laid out.
        folder: Of the files; it is made where it is not there.
    """
    names = {
        given.design: file_name(given.arm, given.seed, number if arms is page.tuning else None)
        for arms in (page.arms, page.tuning)
        for arm in arms
        for number, given in enumerate(arm.outcomes, start=1)
        if isinstance(given, OutcomesRecipe)
    }

    def keep(recipe: Recipe, artifact: Artifact) -> None:
        if isinstance(recipe, OutcomesRecipe):
            path = Path(folder) / names[recipe.design]
            path.parent.mkdir(parents=True, exist_ok=True)
            begun = path.with_name(f".{path.name}.part")
            begun.write_bytes(to_bytes(read_artifact(open_store().materialise(artifact), recipe.arm)))
            begun.replace(path)

    return keep


def read_studies(folder: Path) -> list[ArmOutcomes]:
    """All outcomes of reported seeds in a folder and, of further studies, in those below it, by name.

    Tuning runs are left out; where no seed has run yet there are none.

    Raises:
        SourceError: there is no such folder.
        IntegrityError: a file is damaged.
    """
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is no folder. Name the folder of a study's outcomes, such as docs/study/outcomes."
        )
    found = read_folder(folder)
    for below in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != TUNING):
        found += read_folder(below)
    return found
