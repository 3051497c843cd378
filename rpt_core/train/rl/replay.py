"""One step of a finished training again: its questions, thoughts and verdicts, proven by their digest.

A training keeps a digest of every batch (:mod:`rpt_core.train.rl.record`), not the batches. Its draws have
no state but weights and a cursor, so a step comes out again from the weights before it. Those are taken
from the nearest milestone that kept them, else from the start model, and the steps in between are taken
again, each checked on the way.
"""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.build import STATE_FOLDER, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import IntegrityError, RecipeError, Stopped
from rpt_core.recipes.replay import Replay
from rpt_core.train.backends.optimiser import STATE_FILE as MOMENTS_FILE
from rpt_core.train.clock import Clock
from rpt_core.train.rl.ahead import step_and_draw
from rpt_core.train.rl.checkpoint import MODEL_FOLDER, restore_objective, saved_progress
from rpt_core.train.rl.collect import Batch, collect
from rpt_core.train.rl.hand_over import hand_over
from rpt_core.train.rl.record import BATCHES_FILE, SCHEMA, answer_rows, batch_digest
from rpt_core.train.rl.reinforce import open_trainer
from rpt_core.train.rl.state import Progress, Trainer

ANSWERS_FILE = "answers.parquet"
STEP_FILE = "step.json"
TRAINED, FROM = "trained", "from"
"""Input folders: the finished training, and the milestone to begin at, where there is one."""
Recorded = dict[int, dict[str, Any]]


def replay(recipe: Replay, build: Build) -> Outcome:
    """Build one step's batch again; every answer goes to ``answers.parquet``, the digest to ``step.json``.

    Reads the training's own inputs, :data:`TRAINED` and :data:`FROM`.

    Raises:
        RecipeError: the training took no such step, or its engine draws otherwise each time.
        IntegrityError: a step came out otherwise than it was recorded.
    """
    recorded = read_batches(build.inputs[TRAINED])
    if recipe.step not in recorded:
        raise RecipeError(
            f"step {recipe.step} cannot be replayed: the training took steps 1 to "
            f"{max(recorded, default=0)}. Name one of them."
        )
    trainer, progress = _begin(recipe, build)
    with closing(trainer.engine):
        _refuse_unrepeatable(trainer, build.numerics.engine)
        batch = _up_to(recipe.step, trainer, progress, recorded, build)
    return _written(recipe.step, progress.step, batch, build)


def _up_to(number: int, trainer: Trainer, progress: Progress, recorded: Recorded, build: Build) -> Batch:
    """The batch of a step, after the steps from ``progress`` to it."""
    begun = progress.step
    hand_over(trainer, begun, build.scratch)
    while progress.step + 1 < number:
        batch = _same_batch(trainer, progress, recorded, begun)
        progress, _ = step_and_draw(trainer, progress, batch, Clock())
        hand_over(trainer, progress.step, build.scratch)
        build.progress(progress.step - begun, number - begun, f"step {progress.step} as recorded")
        if any(trainer.backend.all_gather(build.stopping())):
            raise Stopped(f"stopped after step {progress.step}; rerun to begin again.")
    return _same_batch(trainer, progress, recorded, begun)


def _refuse_unrepeatable(trainer: Trainer, name: str) -> None:
    if not trainer.engine.replayable:
        raise RecipeError(
            f"the training's answers were drawn by the engine {name!r}, whose answers do not follow from "
            "seed and weights alone: no step of it can be drawn again. `rpt show --rollouts` reads those "
            "that were kept; a training with engine=torch can be replayed."
        )


def read_batches(trained: Path) -> Recorded:
    """What a training recorded of its batches, by step."""
    return {row["step"]: row for row in pq.read_table(trained / BATCHES_FILE).to_pylist()}


def _begin(recipe: Replay, build: Build) -> tuple[Trainer, Progress]:
    """The training at the milestone to begin at, or before its first step.

    A milestone without moments is one right before the step: nothing is updated on the way from it.
    """
    begin = build.inputs.get(FROM)
    if begin is None:
        return open_trainer(recipe.training, build), Progress()
    trainer = open_trainer(recipe.training, build, begin / MODEL_FOLDER)
    state = begin / STATE_FOLDER
    if (state / MOMENTS_FILE).exists():
        trainer.backend.load(state)
    restore_objective(state, trainer)
    return trainer, saved_progress(state, recipe.training)


def _same_batch(trainer: Trainer, progress: Progress, recorded: Recorded, begun: int) -> Batch:
    batch, number = collect(trainer, progress, Clock()), progress.step + 1
    found, wanted = batch_digest(batch), recorded[number]["digest"]
    if found != wanted:
        raise IntegrityError(
            f"step {number} was recorded with digest {wanted[:12]} and came out as {found[:12]}, "
            f"replayed from step {begun}: this machine or version computes otherwise than the one that "
            "trained (`rpt show` names its numerics). Replay it there, or train again here."
        )
    return batch


def _written(number: int, begun: int, batch: Batch, build: Build) -> Outcome:
    rows = [
        {**row, "group": index, "kept": group.keep}
        for index, group in enumerate(batch.groups)
        for row in answer_rows(number, group)
    ]
    schema = SCHEMA.append(pa.field("group", pa.int32())).append(pa.field("kept", pa.bool_()))
    pq.write_table(pa.Table.from_pylist(rows, schema), build.out / ANSWERS_FILE)
    about = {"step": number, "digest": batch_digest(batch), "from_step": begun}
    (build.out / STEP_FILE).write_text(json.dumps(about))
    counts = {f"answers {name}": count for name, count in batch.verdict_counts().items()}
    return Outcome(
        rows=RowCounts(rows_in=len(rows), kept=len(rows)),
        tokens=batch.num_forwarded,
        summary={**about, "groups": sum(1 for _ in batch.groups), "groups_kept": batch.num_kept, **counts},
    )
