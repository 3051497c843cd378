"""Flow `study`."""

from prefect import flow

from flows.kept import keeper, laid_out
from flows.make import ANYWHERE, make_recipe, nothing
from flows.names import run_name
from flows.recipes import Overrides, over_arms, over_tuning
from flows.recipes.choices import AnyRecipe
from flows.recipes.named import MID_TRAINING
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.report.outcomes.tuning import TuningRun, best, read_runs
from tasks.home import open_store

DEFAULTS = Overrides()


@flow(name="study", flow_run_name=run_name, persist_result=False)
def study(
    recipe: AnyRecipe = "tiny_rmt",
    seeds: tuple[int, ...] = (0, 1, 2),
    arms: tuple[str, ...] = (),
    about: str = MID_TRAINING,
    overrides: Overrides = DEFAULTS,
    placement: Placement | None = None,
    outcomes: str = "",
    tune: bool = False,
) -> Artifact:
    """Several trainings from one start model at equal training tokens, in one report.

    About ``mid-training``: RMT against RPT, and what is left of it part by part. About ``table-1``: RPT,
    plain and reasoning, beside continual next-token training. About ``rewards`` or ``positions``: RPT's
    variants. About ``rlvr``: verifiable rewards from RPT, from the start model and from continual
    next-token training, at equal operations. About ``next-segment``: RLPT beside its start, its controls
    and its ablations. About ``imperfect-teacher``: better thinking or a habit, all arms at equal
    operations. About ``shorter-thoughts``: RMT, its parts and RPT, by seeds in the same way. About
    ``next-segments``: RLPT, its controls and its parts, by seeds and by the world's truth. About
    ``verifiable-rewards``: what each way to train on text is worth as their start; about ``rlvr-after-rmt``
    and ``rlvr-after-rlpt``: the same from those methods' own starts. About ``dose-response``:
    the start and RPT by the teacher's quality and exposure to long traces. About ``other-text``: the same
    two in Chinese, in two languages and in noise. About ``sizes``: RPT and next-token training of three
    sizes of model, at six points of compute each. About ``real-text``: a pretrained model on the results of
    GSM8K's solutions, an existence proof on one seed.

    Args:
        recipe: Name of an RMT recipe; of an RLPT recipe for ``next-segment`` and ``next-segments``,
            ``smollm2_gsm8k`` for ``real-text``, of an RPT recipe for the other studies.
        seeds: Data, models and training all follow the seed.
        arms: What is compared: the reference first, then the method, then the rest; empty for all. Of
            studies whose unit is the seed, ``NAME@100-115`` is run under seeds of its own.
        about: Which study.
        overrides: Your own data, model or single fields in place of the recipe's.
        placement: Where and how it runs; None takes all of it from the machine.
        outcomes: Of studies whose outcomes are files: a folder. What it holds is done; what is run is kept
            there.
        tune: Of ``imperfect-teacher``, ``shorter-thoughts`` and ``next-segments``: their tuning runs instead.
    """
    where = placement or ANYWHERE
    if tune:
        return _tuned(recipe, arms, overrides, where, outcomes, about)
    return _made(planned(recipe, seeds, arms, overrides, about, outcomes), recipe, where, outcomes)


def planned(
    recipe: str,
    seeds: tuple[int, ...],
    arms: tuple[str, ...],
    overrides: Overrides,
    about: str,
    outcomes: str,
) -> Recipe:
    """The recipe of a study's page, with what a folder of outcomes holds already.

    Raises:
        RecipeError: there is no such study or arm.
        IntegrityError: a file of the folder is damaged, or another recipe's.
    """
    page = over_arms(recipe, seeds, arms, overrides, about)
    return laid_out(page, outcomes) if isinstance(page, OutcomesReportRecipe) else page


def tuning(
    recipe: str, arms: tuple[str, ...], overrides: Overrides, outcomes: str, about: str
) -> OutcomesReportRecipe:
    """The recipe of the first tuning runs' page, with what a folder of outcomes holds already."""
    return laid_out(over_tuning(recipe, {}, arms, overrides, about), outcomes)


def _made(page: Recipe, name: str, where: Placement, outcomes: str) -> Artifact:
    kept = keeper(page, outcomes) if outcomes and isinstance(page, OutcomesReportRecipe) else nothing
    return make_recipe(page, name, where, kept)


def _tuned(
    recipe: str,
    arms: tuple[str, ...],
    overrides: Overrides,
    where: Placement,
    outcomes: str,
    about: str,
) -> Artifact:
    """The first runs of every arm, and then the best of each under the other tuning seeds."""
    first = tuning(recipe, arms, overrides, outcomes, about)
    made = open_store().load(_made(first, recipe, where, outcomes))
    folders = {place: open_store().materialise(one) for place, one in made.parents.items()}
    runs: dict[str, list[TuningRun]] = {}
    for run in read_runs(first.tuning, folders):
        runs.setdefault(run.arm, []).append(run)
    chosen = {arm: best(tried).number - 1 for arm, tried in runs.items()}
    return _made(
        laid_out(over_tuning(recipe, chosen, arms, overrides, about), outcomes), recipe, where, outcomes
    )
