"""How any stage is made: what it needs first, each thing once, as make does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from flows.agreement import check_journey
from flows.recipes import Overrides, any_journey
from flows.recipes.trees import mapped, stage, walk
from flows.side_by_side import JourneyStage, Room, side_by_side
from infra.machine import check_served, resolve_placement, this_machine
from infra.metrics.tracking import ending
from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.recipes.stages import stage_of
from tasks.ahead import load_ahead
from tasks.build import build
from tasks.dispatch import HERE, build_on_pool, check_on_pool, runs_on_pool
from tasks.home import open_store
from tasks.inputs.resolve import resolve_sources
from tasks.planning import capacity
from tasks.shown.journeys import shown_journey
from tasks.shown.run_log import leave_out_tracebacks_of_ours, say
from tasks.shown.spoken import Spoken, role

ANYWHERE = Placement()
"""All of it taken from the machine."""
MEMORY_SHARE = 0.8
"""Of the machine's memory, for stages that run side by side."""
leave_out_tracebacks_of_ours()


def chosen(name: str, stage_name: str, overrides: Overrides) -> Recipe:
    """The recipe of one stage of a named journey, as it is written: not yet :func:`fitted`.

    Raises:
        RecipeError: there is no such recipe, stage or field.
    """
    return stage_of_journey(any_journey(name, overrides), stage_name)


def stage_of_journey(journey: Recipe, stage_name: str) -> Recipe:
    """The recipe of one stage; ``report`` is the last one, whatever kind of report it writes."""
    return journey if stage_name == "report" else stage(journey, stage_name)


def fitted(target: Recipe, placement: Placement) -> Recipe:
    """A recipe that fits this machine, with data and models known by content.

    Raises:
        RecipeError: its stages do not fit each other; no input was touched.
        CapacityError: a model does not fit this machine, or no stage can run as the placement asks; no input
            was touched. Where the placement names a pool, its machines say so (:func:`make_recipe`).
        SourceError: data or a model is not there.
    """
    check_journey(target)
    if placement.pool == HERE:
        check_served(placement)
        check_capacity(target, placement)
    return mapped(target, _each_once(resolve_sources))


def _each_once(change: Callable[[Recipe], Recipe]) -> Callable[[Recipe], Recipe]:
    """The same change, asked once for equal recipes: a journey names its corpus and base model many times."""
    changed: dict[str, Recipe] = {}

    def once(recipe: Recipe) -> Recipe:
        key = _key(recipe)
        if key not in changed:
            changed[key] = change(recipe)
        return changed[key]

    return once


def check_capacity(target: Recipe, placement: Placement) -> None:
    """Refuse a journey with a model that this machine cannot hold.

    Raises:
        CapacityError: of the stage that needs most.
    """
    for recipe in sorted(walk(target), key=partial(capacity.demand, placement=placement), reverse=True):
        capacity.check(recipe, placement)


@dataclass(frozen=True, slots=True)
class Planned:
    """One line of a plan."""

    recipe: Recipe
    action: Literal["reuse", "build", "build after its inputs"]
    artifact: Artifact | None
    """The finished artifact, for ``reuse``."""
    fingerprint: str
    """Empty while an input is not finished: identity stands on content."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A recipe that fits this machine, and what is to be done to make it."""

    target: Recipe
    lines: tuple[Planned, ...]


_handed_over: dict[tuple[str, str], Plan] = {}
"""Plans of this process that a flow is about to carry out, by recipe and placement as JSON."""


def prepared(target: Recipe, placement: Placement) -> Plan:
    """The plan of a recipe: fitted to this machine, and held against the store.

    Raises:
        RptError: as :func:`fitted` and the store.
    """
    recipe = fitted(target, placement)
    return Plan(recipe, tuple(plan(recipe, open_store())))


def handed_over(target: Recipe, placement: Placement) -> Plan:
    """The same, kept for the flow that is called next with this recipe.

    A command shows the plan and then calls a flow. Prefect records what a flow is given, which is therefore
    a name and not a plan; without this the inputs would be read, and the store asked, twice in one command.
    """
    key = _plan_key(target, placement)
    _handed_over[key] = prepared(target, placement)
    return _handed_over[key]


def _plan_key(target: Recipe, placement: Placement) -> tuple[str, str]:
    return target.model_dump_json(), placement.model_dump_json()


def plan(target: Recipe, store: Store) -> list[Planned]:
    """What would be done to make ``target``, in order."""
    recipes = walk(target)
    made: dict[str, Artifact] = {}
    lines = []
    for recipe in recipes:
        resolved = resolved_recipe(recipe, made, store)
        if resolved is None:
            lines.append(Planned(recipe, "build after its inputs", None, ""))
            continue
        fingerprint = resolved.fingerprint()
        manifest = store.manifest(recipe.kind, fingerprint)
        if manifest is not None:
            made[_key(recipe)] = manifest.artifact
        artifact = None if manifest is None else manifest.artifact
        lines.append(Planned(recipe, "build" if manifest is None else "reuse", artifact, fingerprint))
    return lines


def resolved_recipe(recipe: Recipe, made: dict[str, Artifact], store: Store) -> Recipe | None:
    """The recipe with every input a finished artifact; None while one is still to be made."""
    inputs: dict[str, Artifact] = {}
    for name, value in recipe.inputs().items():
        if isinstance(value, Recipe):
            if (key := _key(value)) not in made:
                return None
            inputs[name] = made[key]
        elif isinstance(value, Ref):
            inputs[name] = store.find(value.ref).artifact
        else:
            inputs[name] = value
    return recipe.with_inputs(inputs)


def make(name: str, stage_name: str, overrides: Overrides, placement: Placement) -> Artifact:
    """Make one stage of a named recipe, and first whatever it stands on.

    Raises:
        RptError: what the plan or a stage raised.
    """
    return make_recipe(chosen(name, stage_name, overrides), name, placement)


def nothing(recipe: Recipe, artifact: Artifact) -> None:
    """Nobody wants to know what was made."""


def make_recipe(
    target: Recipe, name: str, placement: Placement, told: Callable[[Recipe, Artifact], None] = nothing
) -> Artifact:
    """The same for a recipe in hand; each stage is one Prefect task, and those that can run side by side do.

    A plan that was handed over is carried out once: later the store may hold more, and the inputs may differ.
    What is made is spoken of as ``<name>-<role>@<version>``.

    Args:
        target: What is made.
        name: Of the recipe.
        placement: Where and how it runs.
        told: Called with each stage's recipe and what it made, as soon as it is there.
    """
    if placement.pool != HERE:
        _check_on_pool(target, placement)
    todo = _handed_over.pop(_plan_key(target, placement), None) or prepared(target, placement)
    store = open_store()
    made = {_key(line.recipe): line.artifact for line in todo.lines if line.artifact}
    recipes = {_key(recipe): recipe for recipe in walk(todo.target)}
    unnamed = list(recipes)
    for key, artifact in made.items():
        say("%s: reused %s", role(recipes[key]), artifact.short)
    journey = None if _key(todo.target) in made else shown_journey(todo.target, name, store)

    def begin(key: str) -> Callable[[], Artifact]:
        resolved = resolved_recipe(recipes[key], made, store)
        assert resolved is not None, "inputs come before what needs them"
        recipe = recipes[key]
        called = Spoken(name, role(recipe), getattr(recipe, "seed", None))
        spoken = called if journey is None else journey.spoken(recipe, called)
        title = f"{spoken}, reused" if key in made else str(spoken)
        if runs_on_pool(recipe, placement) and key not in made:
            handed = build_on_pool.with_options(name=recipe.stage, task_run_name=title)
            return partial(handed, resolved, placement, spoken, capacity.need_of(recipe))
        here = build.with_options(name=recipe.stage, task_run_name=title)
        return partial(here, resolved, placement, spoken)

    def keep(key: str, artifact: Artifact) -> None:
        made[key] = artifact
        finished.add(key)
        told(recipes[key], artifact)
        while unnamed and unnamed[0] in finished:  # in the journey's order, whichever ended first
            key = unnamed.pop(0)
            store.add_ref(f"{name}-{role(recipes[key])}", made[key])

    finished = set[str]()
    load_ahead(
        [one for key, one in recipes.items() if key not in made and not runs_on_pool(one, placement)],
        placement,
    )
    jobs = [_job(key, recipe, placement) for key, recipe in recipes.items()]
    with ending(journey.journey if journey else None):
        side_by_side(jobs, room_for(placement), begin, keep, placement.stop_grace_seconds)
    artifact = made[_key(todo.target)]
    if journey is not None:
        journey.show(artifact)
    return artifact


def _check_on_pool(target: Recipe, placement: Placement) -> None:
    """Ask the pool's machines about the models of a journey, each size once."""
    needs = [capacity.need_of(recipe) for recipe in walk(target) if runs_on_pool(recipe, placement)]
    check_on_pool(list(dict.fromkeys(need for need in needs if need)), placement)


def room_for(placement: Placement) -> Room:
    """What stages that run at once may take of this machine."""
    machine, most = this_machine(), placement.stages_at_once
    num_bytes = int(machine.memory_bytes * MEMORY_SHARE)
    return Room(machine.cores if most == "auto" else most, machine.cores, num_bytes)


def _job(key: str, recipe: Recipe, placement: Placement) -> JourneyStage:
    """A stage and what it takes; one on a GPU takes all, for each is given the same devices."""
    needs = frozenset(_key(value) for value in recipe.inputs().values() if isinstance(value, Recipe))
    if runs_on_pool(recipe, placement):
        return JourneyStage(key, needs, 0, 0)
    if stage_of(recipe).work is None:
        return JourneyStage(key, needs, placement.workers, capacity.PROCESS_BYTES)
    explicit = resolve_placement(placement, capacity.num_parameters(recipe) or None)
    cores = this_machine().cores if explicit.gpus else int(explicit.threads)
    return JourneyStage(key, needs, cores, max(capacity.demand(recipe, placement), capacity.PROCESS_BYTES))


def _key(recipe: Recipe) -> str:
    return recipe.model_dump_json()
