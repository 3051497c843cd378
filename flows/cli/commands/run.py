"""`rpt demo`, `rpt plan` and `rpt run`: the flows, called in this process."""

import importlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

from flows.agreement import check_journey
from flows.cli.commands.estimates import lines, plain
from flows.cli.commands.show import console, number, print_json, print_table, relative
from flows.make import Planned, check_capacity, chosen, handed_over, prepared
from flows.recipes import Overrides, over_seeds
from flows.recipes.trees import walk
from infra.local.state import made_state_folder
from infra.prices import read_prices
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.errors import CapacityError
from rpt_core.planning.cards import parse_machine
from rpt_core.planning.jobs import Assumed
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.stages import STAGES
from tasks.home import open_store
from tasks.planning.estimate import PlanQuery, estimate
from tasks.shown.spoken import role

ANYWHERE = Placement()
DEMO = "tiny_teacher"
"""The recipe of `rpt demo`."""
SIZES = ("steps", "prompts_per_step", "group_size", "num_positions", "num_targets", "samples")
"""Fields that say how large a stage is, as factors."""


def show_plan(
    name: str,
    to: str,
    overrides: Overrides,
    placement: Placement = ANYWHERE,
    machine: str = "",
    means: tuple[int, int] = (0, 0),
    *,
    as_json: bool,
) -> None:
    """Print what :func:`run_recipe` would do, and what it needs and costs.

    Args:
        name: Of the recipe.
        to: The last stage.
        overrides: What the reader puts in place of the recipe's own.
        placement: Where and how it runs.
        machine: Another machine, such as ``8xH100-80GB``; then no input is looked at.
        means: Mean tokens of a document and of an answer; 0 for the longest.
        as_json: One list of stages, for machines.

    Raises:
        CapacityError: after the tables, where a model does not fit the machine.
    """
    target = chosen(name, to, overrides)
    check_journey(target)
    gpus, card = parse_machine(machine) if machine else (0, None)
    assumed = Assumed(document_tokens=means[0], answer_tokens=means[1])
    asked, prices = PlanQuery(placement, gpus, card, assumed), read_prices()
    refused = _refusal_here(target, placement) if card is None else None
    elsewhere = card is not None or refused is not None
    planned = () if elsewhere else prepared(target, placement).lines
    recipes = walk(target) if elsewhere else [line.recipe for line in planned]
    found = estimate(recipes, asked)
    if as_json:
        rows = [_plain(line) for line in planned] or [_unplanned(recipe) for recipe in recipes]
        print_json(
            [
                {**row, "estimate": one and plain(one, asked, prices)}
                for row, one in zip(rows, found.by_recipe, strict=True)
            ]
        )
    else:
        if elsewhere:
            print_table(["stage", "artifact", "model", "steps or items"], _preview(target))
        else:
            print_plan(planned)
        for line in ("", *lines(found, asked, prices)):
            console.print(line, soft_wrap=True, markup=False)
    if found.too_large:
        raise CapacityError(" ".join(found.too_large))
    if refused is not None:
        raise refused


def show_peek(name: str, to: str, overrides: Overrides, *, as_json: bool) -> None:
    """Print what reading and cleaning would do with the first rows of a recipe's text.

    Args:
        name: Of the recipe.
        to: The last stage.
        overrides: What the reader puts in place of the recipe's own.
        as_json: For machines.
    """
    from flows.cli.commands.peeking import as_plain, print_peek
    from tasks.commands.peek import peek

    looked = peek(walk(chosen(name, to, overrides)))
    if as_json:
        print_json(as_plain(looked))
    else:
        print_peek(looked)


def _refusal_here(target: Recipe, placement: Placement) -> CapacityError | None:
    """Why the journey cannot be made on this machine."""
    try:
        check_capacity(target, placement)
    except CapacityError as refused:
        return refused
    return None


def print_plan(lines: Iterable[Planned]) -> None:
    """One line a stage: what it is, and what would happen."""
    print_table(
        ["stage", "artifact", "fingerprint", "action"],
        ([line.recipe.stage, role(line.recipe), line.fingerprint[:12] or "-", line.action] for line in lines),
    )


def _preview(target: Recipe) -> Iterator[list[str]]:
    """One line a stage of a journey that cannot be made here: the model it holds, and how much it does."""
    for recipe in walk(target):
        model = getattr(recipe, "model", None)
        if isinstance(model, GivenModel):
            yield [recipe.stage, role(recipe), model.name, ""]
            continue
        factors = [getattr(recipe, name) for name in SIZES if isinstance(getattr(recipe, name, None), int)]
        tokens = getattr(recipe, "reasoning_tokens", 0)
        of = f" answers of {tokens} tokens" if tokens else ""
        yield [recipe.stage, role(recipe), "", " x ".join(map(str, factors)) + of]


def _plain(line: Planned) -> dict[str, Any]:
    return {
        "stage": line.recipe.stage,
        "kind": line.recipe.kind,
        "role": role(line.recipe),
        "fingerprint": line.fingerprint or None,
        "action": line.action,
    }


def _unplanned(recipe: Recipe) -> dict[str, Any]:
    """A stage nobody has looked for in the store."""
    return {
        "stage": recipe.stage,
        "kind": recipe.kind,
        "role": role(recipe),
        "fingerprint": None,
        "action": None,
    }


def _no_op() -> None:
    """Nothing to wait for: Prefect can be reported to already."""


def run_recipe(
    name: str,
    to: str,
    overrides: Overrides,
    ready: Callable[[], None] = _no_op,
    placement: Placement = ANYWHERE,
) -> Artifact:
    """Make a stage of a named recipe through its flow, then say what came out.

    Args:
        name: Of the recipe.
        to: The stage to make.
        overrides: What the reader puts in place of the recipe's own.
        ready: Called before the first flow; returns when Prefect can be reported to.
        placement: Where and how it runs.
    """

    def flow() -> Artifact:
        return _flow(to)(name, overrides=overrides, placement=placement)

    return _carry_out(chosen(name, to, overrides), flow, ready, placement)


def _carry_out(
    target: Recipe, flow: Callable[[], Artifact], ready: Callable[[], None], placement: Placement = ANYWHERE
) -> Artifact:
    """Show the plan, call the flow that makes the recipe, and show what came out."""
    print_plan(handed_over(target, placement).lines)
    ready()
    begin = time.monotonic()
    artifact = flow()
    show_results(artifact, time.monotonic() - begin)
    return artifact


def _flow(to: str) -> Callable[..., Artifact]:
    """The flow that makes a stage; one that makes several kinds of model is told which."""
    stage = STAGES[to]
    name = stage.flow.replace("-", "_")
    module = importlib.import_module(f"flows.{name if stage.flow == 'pipeline' else 'stages'}")
    options = {"kind": stage.recipe.kind} if stage.flow == "cold-start" else {}
    return partial(getattr(module, name), **options)


def run_demo(seeds: list[int], ready: Callable[[], None] = _no_op) -> None:
    """The whole journey for one seed; for several, each up to its evaluation, and all of them compared."""
    if len(seeds) == 1:
        run_recipe(DEMO, "report", Overrides(seed=seeds[0]), ready)
        return
    numbers = tuple(seeds)

    def flow() -> Artifact:
        from flows.seeds import seeds as compare_seeds

        return compare_seeds(DEMO, numbers)

    _carry_out(over_seeds(DEMO, numbers, Overrides()), flow, ready)


def run_study(
    name: str,
    seeds: tuple[int, ...],
    arms: tuple[str, ...],
    overrides: Overrides,
    about: str,
    ready: Callable[[], None] = _no_op,
    outcomes: str = "",
    placement: Placement = ANYWHERE,
    *,
    tune: bool = False,
) -> None:
    """The arms of a study (all, where none is named) under some seeds, and the report that compares them."""
    from flows.study import planned, study, tuning

    def flow() -> Artifact:
        return study(name, seeds, arms, about, overrides, placement, outcomes, tune)

    page = (
        tuning(name, arms, overrides, outcomes, about)
        if tune
        else planned(name, seeds, arms, overrides, about, outcomes)
    )
    _carry_out(page, flow, ready, placement)


def show_results(artifact: Artifact, seconds: float) -> None:
    """The last table: results of the artifact, where its page is, how long it took."""
    store = open_store()
    manifest = store.load(artifact)
    if manifest.outcome.summary:
        print_table(["result", "value"], ([k, number(v)] for k, v in manifest.outcome.summary.items()))
    if any(entry.path == "report.html" for entry in manifest.files):
        page = store.materialise(artifact) / "report.html"
        console.print(f"report: {relative(page)}", soft_wrap=True)
    state = relative(made_state_folder())
    console.print(f"{artifact.short} is done ({seconds:.0f} s). State: {state}. `rpt ls` lists it.")


def show_doctor(*, as_json: bool, gpu: bool = False) -> int:
    """Print the checks, of the surroundings or of what runs on GPUs; 0 when nothing is broken."""
    from infra.local.doctor import examine
    from infra.local.gpus import examine_gpus
    from infra.storage.examine import examine as examine_store

    def probe() -> str:
        return f"{(objects := open_store().objects).url}: {examine_store(objects)}"

    checks = examine_gpus() if gpu else examine(probe)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_table(
            ["check", "state", "what", "remedy"], ([c.name, c.state, c.what, c.remedy] for c in checks)
        )
    return 1 if any(check.state == "fail" for check in checks) else 0
