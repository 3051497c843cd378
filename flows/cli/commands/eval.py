"""`rpt eval`: one model on published benchmarks, without a recipe."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from flows.cli.commands.show import console, print_json, print_table
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, explain
from rpt_core.errors import RecipeError
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions
from rpt_core.recipes.harness_evaluation import HarnessOptions
from tasks.commands.benchmarks import benchmarks_at_hand, form_of, packs_called, settings_of
from tasks.commands.harness import harness_recipe
from tasks.home import open_store
from tasks.inputs.models import find_model

SCORES_FILE = "scores.json"


def run_eval(
    model: str,
    names: Sequence[str],
    data: str,
    options: BenchmarkOptions,
    placement: Placement,
    ready: Callable[[], None],
    *,
    as_json: bool,
) -> None:
    """Ask a model some benchmarks, and print a line for each.

    Args:
        model: A Hugging Face folder, an artifact, or a hub id.
        names: Of benchmarks.
        data: Folder with one folder for each benchmark; empty to fetch them from the hub.
        options: How they are asked.
        placement: Where and how it runs.
        ready: Called before the flow; returns when Prefect can be reported to.
        as_json: For machines.
    """
    ready()
    from flows.benchmarks import evaluate_benchmark

    show(evaluate_benchmark(model, tuple(names), data, options, placement), as_json=as_json)


def run_harness(
    model: str,
    names: Sequence[str],
    data: str,
    options: HarnessOptions,
    placement: Placement,
    ready: Callable[[], None],
    *,
    as_json: bool,
) -> None:
    """The same for tasks of lm-evaluation-harness, by its names; arguments as of :func:`run_eval`."""
    ready()
    from flows.harness import evaluate_harness

    show(evaluate_harness(model, tuple(names), data, options, placement), as_json=as_json)


def show(made: Sequence[Artifact], *, as_json: bool) -> None:
    """Print a line for each evaluation and mode, and what became of all items."""
    store = open_store()
    found = [_Told(store.load(artifact), store) for artifact in made]
    if as_json:
        print_json([one.plain() for one in found])
        return
    print_table(
        ["benchmark", "mode", "asked", "left out", "n", "%", "95 % interval", "unread", "s"],
        (row for one in found for row in one.rows()),
    )
    for one in found:
        console.print(one.artifact_line(), soft_wrap=True, markup=False)
    console.print(last_line(found), soft_wrap=True, markup=False)


def checked(model: str, on: str, data: str, options: BenchmarkOptions) -> tuple[str, ...]:
    """The names of the benchmarks, once model, items and settings are known to be there.

    Raises:
        RecipeError: one is not.
        SourceError: the folder of benchmarks is not there.
    """
    names = tuple(part.strip() for part in on.split(",") if part.strip())
    packs_called(names, data)
    store = open_store()
    asked = find_model(model, store).source
    form = form_of(asked, options, store)
    for held in benchmarks_at_hand(names, data):
        settings_of(held, options, form)
    return names


def checked_tasks(
    model: str, harness: str, data: str, options: HarnessOptions, placement: Placement
) -> tuple[str, ...]:
    """The names of the harness's tasks, once model, tasks and data are known to be there.

    Raises:
        CapacityError: the harness's environment is not here.
        RecipeError: there is no such task, or no folder for its data.
        SourceError: the model or a split is not there.
    """
    if not data:
        raise RecipeError("--harness asks tasks whose data are local: name their folder with --data FOLDER.")
    names = tuple(part.strip() for part in harness.split(",") if part.strip())
    if not names:
        raise RecipeError("--harness names no task; name some by commas, for example gsm8k_cot,mmlu_anatomy.")
    asked = find_model(model, open_store()).source
    for name in names:
        harness_recipe(asked, name, data, options, placement)
    return names


Options = TypeVar("Options", BenchmarkOptions, HarnessOptions)


def options_of(kind: type[Options], **given: Any) -> Options:
    """Options in the words of the command line.

    Raises:
        RecipeError: one is out of range, or there is no such mode.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise RecipeError(f"the options cannot be read: {explain(error, kind)}") from None


class _Told:
    """What one finished evaluation says."""

    def __init__(self, manifest: Manifest, store: Store) -> None:
        self.manifest = manifest
        self.scores = json.loads((store.materialise(manifest.artifact) / SCORES_FILE).read_text())

    @property
    def seconds(self) -> float:
        """Of all attempts."""
        return sum(attempt.seconds for attempt in self.manifest.attempts)

    def rows(self) -> list[list[str]]:
        """One line for each mode of the table of outcomes and tier."""
        items, name = self.scores["items"], self.scores["benchmark"]
        if self.scores["is_training_file"]:
            name += " (training file, seen)"
        left_out = items["rows_in"] - items["kept"]
        lines = []
        for number, (mode, told) in enumerate(self.scores["modes"].items()):
            for tier, estimate in (told.get("accuracy") or {"all": None}).items():
                shown = mode if tier == "all" else f"{mode}, {tier}"
                shown += f", {self.scores['prompt']}" if mode == "reasoning" else ""
                value, interval = _shown(estimate)
                ends = [str(self.scores["unread"]), f"{self.seconds:.0f}"] if number == 0 else ["", ""]
                samples = str(told.get("samples_per_item", 0))
                lines.append(
                    [name, shown, str(items["kept"]), str(left_out), samples, value, interval, *ends]
                )
        return lines

    def artifact_line(self) -> str:
        """Where its answers are, and what they were taken over from."""
        reused = {k: v for k, v in self.manifest.outcome.summary.items() if k.startswith("reused_from_")}
        taken = "".join(
            f"; {num} answers of {name.removeprefix('reused_from_')}" for name, num in reused.items()
        )
        return f"{self.scores['benchmark']}: {self.manifest.artifact.short}{taken}"

    def plain(self) -> dict[str, Any]:
        """For machines."""
        return {
            "artifact": self.manifest.artifact.model_dump(),
            "seconds": self.seconds,
            "summary": self.manifest.outcome.summary,
            "scores": self.scores,
        }


def _shown(estimate: dict[str, Any] | None) -> tuple[str, str]:
    if estimate is None:
        return "-", "-"
    value = f"{100 * estimate['value']:.1f}"
    if estimate["low"] is None:
        return value, "-"
    return value, f"[{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def last_line(found: Sequence[_Told]) -> str:
    """Items asked, answers read and unread, and rows left out by reason."""
    total = {name: sum(one.scores[name] for one in found) for name in ("answered", "unread")}
    asked = sum(one.scores["items"]["kept"] for one in found)
    rows = sum(one.scores["items"]["rows_in"] for one in found)
    reasons: dict[str, int] = {}
    for one in found:
        for reason, num in one.scores["items"]["dropped"].items():
            reasons[reason] = reasons.get(reason, 0) + num
    left = (
        f" ({', '.join(f'{num} {reason}' for reason, num in sorted(reasons.items()))} left out)"
        if reasons
        else ""
    )
    return f"asked {asked} of {rows} items{left}, answered {total['answered']}, unread {total['unread']}."
