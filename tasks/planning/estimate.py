"""What the stages of a journey need and how long they take, on this machine or another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from infra.machine import Machine, resolve_placement, this_machine
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import CapacityError, RecipeError
from rpt_core.planning.cards import CARDS, USUAL, GpuCard, card_called
from rpt_core.planning.estimate import StageForecast, estimated
from rpt_core.planning.jobs import SAMPLE_WORLD, Assumed, StageJob, documents_visited, job_of
from rpt_core.planning.memory import memory
from rpt_core.planning.shape import Shape
from rpt_core.planning.suggest import COUNTS, ROOM, Fit, closest, fits, suggested
from rpt_core.recipes.corpus import IngestRecipe
from tasks.planning import capacity
from tasks.planning.shapes import judge_of, model_of, name_of, shape_of, spread_of

ANYWHERE, LONGEST = Placement(), Assumed()
BYTES_PER_TOKEN = 3
"""Of plain text; a corpus that lies here is weighed by its files."""


@dataclass(frozen=True, slots=True)
class PlanQuery:
    """For which machine a plan is made."""

    placement: Placement = ANYWHERE
    gpus: int = 0
    """Of another machine; 0 for this one."""
    card: GpuCard | None = None
    assumed: Assumed = LONGEST


@dataclass(frozen=True, slots=True)
class Estimates:
    """Of every stage that holds a model."""

    by_recipe: tuple[StageForecast | None, ...]
    """In the order of the recipes; None for a stage without a model that is weighed."""
    unknown: tuple[str, ...]
    """A sentence for each model whose sizes are not known."""
    too_large: tuple[str, ...]
    """A sentence for each stage that the machine asked about cannot hold."""
    notes: tuple[str, ...]
    """What else a reader should know."""
    assumed: Assumed
    """Lengths the hours are for."""

    @property
    def stages(self) -> list[StageForecast]:
        """Of the stages that hold a model."""
        return [one for one in self.by_recipe if one is not None]


def estimate(recipes: Sequence[Recipe], asked: PlanQuery) -> Estimates:
    """Weigh every stage of a journey.

    Args:
        recipes: The journey's, inputs first.
        asked: Where it would run.
    """
    visited = documents_visited(recipes)
    asked = replace(asked, assumed=_means(recipes, asked.assumed))
    placed = [_weighed(recipe, recipes, visited, asked) for recipe in recipes]
    return Estimates(
        by_recipe=tuple(one.estimate for one in placed),
        unknown=_each_once(one.unknown for one in placed),
        too_large=_each_once(one.too_large for one in placed),
        notes=_each_once(one.notes for one in placed),
        assumed=asked.assumed,
    )


def _each_once(sentences: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(sentences)))


def _means(recipes: Sequence[Recipe], assumed: Assumed) -> Assumed:
    """The sample world's lengths are known; what the reader says counts more."""
    if not any(isinstance(one, IngestRecipe) and one.sample for one in recipes):
        return assumed
    return replace(
        assumed,
        answer_tokens=assumed.answer_tokens or SAMPLE_WORLD.answer_tokens,
        document_tokens=assumed.document_tokens or SAMPLE_WORLD.document_tokens,
    )


def _weighed(recipe: Recipe, recipes: Sequence[Recipe], visited: int, asked: PlanQuery) -> "_Placed":
    model = model_of(recipe)
    if model is None:
        return _Placed(None)
    try:
        shape = shape_of(model)
        job = job_of(recipe, judge_of(recipe), _documents(recipe, recipes, visited), asked.assumed)
    except RecipeError as error:
        return _Placed(None, unknown=(str(error),))
    return _Placed(None) if job is None else _placed(recipe, shape, job, asked)


@dataclass(frozen=True, slots=True)
class _Placed:
    estimate: StageForecast | None
    unknown: tuple[str, ...] = ()
    too_large: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _placed(recipe: Recipe, shape: Shape, job: StageJob, asked: PlanQuery) -> _Placed:
    """A stage where it was asked for, where it runs here, or where it would fit."""
    names = (recipe.stage, recipe.kind, name_of(model_of(recipe)))
    if asked.card is not None:
        fit = suggested(shape, job, asked.card, (asked.gpus,), offload=True)
        if fit is None:
            fit = closest(shape, job, asked.card, asked.gpus)
            return _Placed(
                estimated(names, shape, job, fit, asked.card), too_large=(_too_large(names, fit, asked),)
            )
        return _Placed(estimated(names, shape, job, fit, asked.card), notes=_offloaded(names[0], fit))
    machine = this_machine()
    card = card_called(machine.usable_gpus[0].name) if machine.usable_gpus else None
    if (here := _fit_here(recipe, shape, job, asked.placement, machine)) is not None:
        return _Placed(estimated(names, shape, job, here, card))
    card = card or CARDS[USUAL]
    fit = suggested(shape, job, card) or closest(shape, job, card, COUNTS[-1])
    return _Placed(estimated(names, shape, job, fit, card), notes=_smaller(names[0], shape, job, fit, card))


def _fit_here(
    recipe: Recipe, shape: Shape, job: StageJob, placement: Placement, machine: Machine
) -> Fit | None:
    """The stage as this machine would run it; None where it is refused."""
    try:
        capacity.check(recipe, placement)
        explicit = resolve_placement(placement, shape.parameters, machine)
    except CapacityError:
        return None
    spread = spread_of(explicit)
    return Fit(spread, memory(shape, job.load, spread))


def _too_large(names: tuple[str, str, str], fit: Fit, asked: PlanQuery) -> str:
    assert asked.card is not None
    need, room = fit.memory.peak / 1e9, asked.card.memory_bytes * ROOM / 1e9
    return (
        f"{names[0]} of {names[2]} takes at least {need:,.1f} GB on each of {asked.gpus} x "
        f"{asked.card.name}, which have {room:,.1f} GB to use: ask about more or larger GPUs."
    )


def _offloaded(stage: str, fit: Fit) -> tuple[str, ...]:
    if not fit.spread.offload:
        return ()
    whole = fit.memory.host_bytes * fit.spread.ranks / 1e9
    return (f"{stage} keeps {whole:,.0f} GB of the optimiser's states in main memory; its hours do not count "
            "the way there and back.",)  # fmt: skip


def _smaller(stage: str, shape: Shape, job: StageJob, fit: Fit, card: GpuCard) -> tuple[str, ...]:
    """Whether fewer GPUs hold a stage with its states in main memory, or none do at all."""
    if not fits(fit, card):
        return (f"{stage} does not fit on {fit.spread.ranks} x {card.name} in any layout that is tried.",)
    less = suggested(shape, job, card, tuple(n for n in COUNTS if n < fit.spread.ranks), offload=True)
    if less is None:
        return ()
    whole = less.memory.host_bytes * less.spread.ranks / 1e9
    return (
        f"{stage} also fits on {less.spread.ranks} x {card.name} with {whole:,.0f} GB of the optimiser's "
        "states in main memory (offload), slower.",
    )


def _documents(recipe: Recipe, recipes: Sequence[Recipe], visited: int) -> int:
    """Documents a stage reads once, in windows of its context: by the files that lie here, or as visited."""
    here = sum(_file_bytes(one.data) for one in recipes if isinstance(one, IngestRecipe))
    window = int(getattr(recipe, "context_tokens", 0)) or Assumed().document
    return -(-here // (BYTES_PER_TOKEN * window)) if here else visited


def _file_bytes(data: str) -> int:
    path = Path(data)
    if not data or not path.exists():
        return 0
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
