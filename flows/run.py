"""`rpt demo`, `rpt plan` and `rpt run`: the flows, called in this process."""

import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from flows.make import Planned, chosen, plan, role
from flows.recipes import Overrides
from flows.show import console, number, print_json, print_table, relative
from infra.lifeline import owned
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from tasks.home import home, open_store

ANYWHERE = Placement()
FLOWS: dict[str, tuple[str, dict[str, str]]] = {
    "ingest-corpus": ("ingest_corpus", {}),
    "prepare-corpus": ("prepare_corpus", {}),
    "train-base": ("cold_start", {"kind": "base"}),
    "score-difficulty": ("score_difficulty", {}),
    "cold-start": ("cold_start", {"kind": "cold-start"}),
    "train-rpt": ("train_rpt", {}),
    "finetune-rlvr": ("finetune_rlvr", {}),
    "evaluate": ("evaluate", {}),
    "fit-scaling": ("fit_scaling", {}),
    "report": ("pipeline", {}),
}
"""Stage -> module of its flow, and what else the flow is told."""


def show_plan(name: str, to: str, overrides: Overrides, *, as_json: bool) -> None:
    """Print what :func:`run_recipe` would do."""
    lines = plan(chosen(name, to, overrides, ANYWHERE), open_store())
    if as_json:
        print_json([_plain(line) for line in lines])
    else:
        print_plan(lines)


def print_plan(lines: list[Planned]) -> None:
    """One line a stage: what it is, and what would happen."""
    print_table(
        ["stage", "artifact", "fingerprint", "action"],
        ([line.recipe.stage, role(line.recipe), line.fingerprint[:12] or "-", line.action] for line in lines),
    )


def _plain(line: Planned) -> dict[str, Any]:
    return {
        "stage": line.recipe.stage,
        "kind": line.recipe.kind,
        "role": role(line.recipe),
        "fingerprint": line.fingerprint or None,
        "action": line.action,
    }


def run_recipe(name: str, to: str, overrides: Overrides) -> Artifact:
    """Make a stage of a named recipe through its flow, then say what came out."""
    with _owning():
        return _run_recipe(name, to, overrides)


@contextmanager
def _owning() -> Iterator[None]:
    """Whatever this command starts ends with it, the server that Prefect runs for it included."""
    with owned() as marks:
        os.environ.update(marks)
        yield


def _run_recipe(name: str, to: str, overrides: Overrides) -> Artifact:
    print_plan(plan(chosen(name, to, overrides, ANYWHERE), open_store()))
    begin = time.monotonic()
    artifact = _flow(to)(name, overrides=overrides)
    show_results(artifact, time.monotonic() - begin)
    return artifact


def _flow(to: str) -> Callable[..., Artifact]:
    """The flow that makes a stage."""
    module, options = FLOWS[to]
    flow = getattr(importlib.import_module(f"flows.{module}"), module)
    return partial(flow, **options)


def run_demo(seeds: list[int]) -> None:
    """The whole journey for every seed."""
    with _owning():
        for seed in seeds:
            console.print(f"[bold]seed {seed}[/]")
            _run_recipe("tiny_rpt", "report", Overrides(seed=seed))


def show_results(artifact: Artifact, seconds: float) -> None:
    """The last table: results of the artifact, where its page is, how long it took."""
    store = open_store()
    manifest = store.load(artifact)
    if manifest.outcome.summary:
        print_table(["result", "value"], ([k, number(v)] for k, v in manifest.outcome.summary.items()))
    if any(entry.path == "report.html" for entry in manifest.files):
        page = store.materialise(artifact) / "report.html"
        console.print(f"report: {relative(page)}", soft_wrap=True)
    console.print(
        f"{artifact.short} is done ({seconds:.0f} s). State: {relative(home())}. `rpt ls` lists it."
    )


def show_doctor(*, as_json: bool) -> int:
    """Print the checks; 0 when nothing is broken."""
    from infra.doctor import examine

    checks = examine(open_store().objects.probe)
    if as_json:
        print_json([vars(check) if hasattr(check, "__dict__") else check.model_dump() for check in checks])
    else:
        print_table(
            ["check", "state", "what", "remedy"], ([c.name, c.state, c.what, c.remedy] for c in checks)
        )
    return 1 if any(check.state == "fail" for check in checks) else 0
