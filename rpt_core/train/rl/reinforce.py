"""The stages of reinforcement learning: on text, and on problems with verifiable answers."""

import json
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

from rpt_core.artifacts.build import GIGA, METRICS_FILE, TIMINGS_FILE, Build
from rpt_core.artifacts.manifest import MANIFEST_FILE, Outcome, RowCounts
from rpt_core.errors import RecipeError, StarvedError
from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.objectives.problems.objective import Rlvr
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.device import device_of
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.serving import serving
from rpt_core.policy.forward import Layout, check_layout
from rpt_core.policy.load import Precision, load_policy
from rpt_core.policy.model import Policy
from rpt_core.recipes.off_policy import refuse_shared
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlRecipe, RlvrRecipe
from rpt_core.train.backends.ranks import init_ranks
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.rl.ahead import refuse_followed
from rpt_core.train.rl.checkpoint import (
    MODEL_FOLDER,
    publish_best,
    restore_best,
    restore_objective,
    saved_progress,
)
from rpt_core.train.rl.loop import loop
from rpt_core.train.rl.record import Record
from rpt_core.train.rl.state import Progress, Trainer


def train_policy(recipe: PolicyRecipe, build: Build) -> Outcome:
    """Reinforcement learning on text, by the objective the recipe names.

    Reads ``corpus``, ``difficulty`` and ``start``; writes ``model/``, ``rollouts.parquet`` and
    ``batches.parquet``.

    Raises:
        StarvedError: no position is eligible, or steps in a row found nothing to learn from.
        EngineError: the loss became infinite or NaN; nothing is published.
        Stopped: somebody asked to stop.
    """
    return _reinforce(recipe, build, frozenset(recipe.milestones))


def train_rlpt(recipe: RlptRecipe, build: Build) -> Outcome:
    """Reinforcement learning on text with a generative judge (RLPT).

    Reads ``corpus``, ``start``, and ``judge`` and ``difficulty`` where the recipe has them; writes and ends
    like :func:`train_policy`.

    Raises:
        JudgeError: the judge stayed away; a checkpoint was written first.
        VerdictError: too many of its verdicts went unread.
    """
    return _reinforce(recipe, build, frozenset(recipe.milestones))


def finetune_rlvr(recipe: RlvrRecipe, build: Build) -> Outcome:
    """Reinforcement learning on problems whose answers can be checked.

    Reads ``corpus`` and ``start``; writes and ends like :func:`train_policy`.
    """
    return _reinforce(recipe, build, frozenset())


def _reinforce(recipe: RlRecipe, build: Build, milestones: frozenset[int]) -> Outcome:
    try:
        return _train(recipe, build, milestones)
    except StarvedError as starved:
        if recipe.selection.when_starved == "stop":
            raise
        return _passed_on(build, starved)


def _passed_on(build: Build, starved: StarvedError) -> Outcome:
    """The start model unchanged, and why; rank 0 writes."""
    if init_ranks(build.numerics.world_size).rank == 0:
        shutil.copytree(build.inputs["start"] / MODEL_FOLDER, build.out / MODEL_FOLDER, dirs_exist_ok=True)
        Record().write(build.out)
    return Outcome(summary={"steps": 0, "passed_on_unchanged": str(starved)})


def _train(recipe: RlRecipe, build: Build, milestones: frozenset[int]) -> Outcome:
    saved = build.resume()
    trainer = open_trainer(recipe, build, saved.folder / MODEL_FOLDER if saved else None)
    progress, record = Progress(), Record()
    if saved:
        progress, record = saved_progress(saved.folder, recipe), Record(saved.folder)
        trainer.backend.load(saved.folder)
        restore_objective(saved.folder, trainer)
        restore_best(saved.folder, build)
    with closing(trainer.engine):
        progress = loop(trainer, build, progress, record, milestones)
    if progress.asked and not progress.used:
        raise StarvedError(
            f"none of {progress.asked} groups in {progress.step} steps had answers that differ in reward, so "
            "the policy is still the start model. Start from a better cold start, or ask easier questions."
        )
    trainer.backend.export(build.out / MODEL_FOLDER)
    record.write(build.out)
    if progress.best_step and progress.best_step not in milestones:
        publish_best(build, progress)
    return _outcome(progress, build, _filtered(recipe, trainer))


def open_trainer(recipe: RlRecipe, build: Build, model: Path | None = None) -> Trainer:
    """A training's parts before its first step, or with the weights of a checkpoint.

    Args:
        recipe: What is trained.
        build: Inputs, placement and numerics.
        model: Model folder of a checkpoint; the start model without it.
    """
    start = build.inputs["start"] / MODEL_FOLDER
    folder = model or start
    policy = _policy(build, folder)
    refuse_shared(recipe, build.numerics.engine, on_gpu=policy.device.type == "cuda")
    with serving(build):
        objective = open_objective(recipe, build.inputs, policy.codec)
        engine = open_engine(build.numerics.engine, policy, folder)
    trainer = Trainer(
        recipe=recipe,
        policy=policy,
        engine=engine,
        objective=objective,
        backend=open_backend(build.numerics, policy, recipe.optimiser, recipe.steps),
        layout=cast(Layout, build.numerics.layout),
        tokens_per_micro_batch=build.numerics.tokens_per_micro_batch,
        reference=_policy(build, start) if recipe.kl_weight else None,
        average=None if objective.needs.reference_decay is None else _policy(build, start),
        charged_gflops=_of_proxy(build) if getattr(recipe, "count_proxy", False) else 0.0,
    )
    refuse_followed(trainer)
    return trainer


def _of_proxy(build: Build) -> float:
    """What the proxy's pass over the corpus took, in 1e9 operations.

    Raises:
        RecipeError: nobody says so, because the training has no difficulty or its folder no manifest.
    """
    manifest = build.inputs.get("difficulty", build.scratch) / MANIFEST_FILE
    if not manifest.is_file():
        raise RecipeError(
            "count_proxy is on, and what the proxy took is not known: the training has no difficulty, or one "
            "that was not taken from a store. Give it one, or set count_proxy=false."
        )
    return float(json.loads(manifest.read_text())["outcome"]["flops"]) / GIGA


def _policy(build: Build, folder: Path) -> Policy:
    """The model, on the device of the placement.

    Raises:
        RecipeError: it asks for activation checkpointing in the two-pass layout.
    """
    numerics = build.numerics
    policy = load_policy(folder, cast(Precision, numerics.dtype), device_of(build), for_training=True)
    if build.placement.checkpoint_activations:
        check_layout(numerics.layout, checkpointed=True)
        policy.checkpoint_activations()
    return policy


def _filtered(recipe: RlRecipe, trainer: Trainer) -> dict[str, int]:
    """Training problems the difficulty filter was given, kept and left out by reason; none without one."""
    objective = trainer.objective
    if not isinstance(recipe, RlvrRecipe) or recipe.pass_rates is None or not isinstance(objective, Rlvr):
        return {}
    balance = objective.balance
    dropped = {f"problems_{reason}": num for reason, num in balance.dropped.items()}
    return {"problems": balance.rows_in, "problems_kept": balance.kept, **dropped}


def _outcome(progress: Progress, build: Build, filtered: Mapping[str, int] | None = None) -> Outcome:
    rows = [json.loads(line) for line in (build.out / METRICS_FILE).read_text().splitlines()]
    looks = [row["eval/accuracy"] for row in rows if "eval/accuracy" in row]
    last = rows[-1]
    summary: dict[str, float | int | str | bool | None] = {
        "steps": progress.step,
        **{name: last[name] for name in ("reward_mean", "kept_fraction", "think_share") if name in last},
        "gflops": progress.gflops,
        **(filtered or {}),
    }
    if looks:
        summary |= {"eval_accuracy_first": looks[0], "eval_accuracy_last": looks[-1]}
    if progress.best_step:
        summary |= {"best_step": progress.best_step, "eval_accuracy_best": progress.best_accuracy}
    judge = progress.judge_gflops or _judge_gflops(build)
    if judge:
        summary["judge_gflops"] = judge
    unused = progress.asked - progress.used
    return Outcome(
        rows=RowCounts(
            rows_in=progress.asked, kept=progress.used, dropped={"equal-rewards": unused} if unused else {}
        ),
        flops=(progress.gflops + judge) * GIGA,
        tokens=progress.tokens,
        summary=summary,
    )


def _judge_gflops(build: Build) -> float:
    """What a judge that runs here did in all attempts, in 1e9 operations."""
    timings = build.out / TIMINGS_FILE
    lines = timings.read_text().splitlines() if timings.is_file() else []
    return sum(json.loads(line).get(JUDGE_GFLOPS, 0.0) for line in lines)
