"""Checkpoints of a training: an ordinary model folder, moments, progress. Nothing is pickled.

    model/                     Hugging Face folder (float32 safetensors, tokenizer)
    optimiser.safetensors      moments by parameter name
    ahead.parquet              the next step's first answers, where they are drawn ahead
    objective.safetensors      what the objective has seen of the policy, where it follows it
    reference.safetensors      moving average that rewards stand on, where there is one
    progress.json              step, data cursor, totals, and the recipe they belong to
    rollouts.parquet           the table of rollouts so far
    best/                      model and metrics of the best online evaluation, where it is published
    batches.parquet            what every step so far saw, as digests

Random streams have no state: they are keyed by seed, step and question, so a resumed training draws
what the uninterrupted one would have drawn, and ends with the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from safetensors.numpy import load_file, save_file

from rpt_core.artifacts.build import STATE_FOLDER, Build
from rpt_core.artifacts.recipe import canonical_json
from rpt_core.errors import ResumeError
from rpt_core.objectives.objective import StatefulObjective
from rpt_core.recipes.reinforce import RlRecipe
from rpt_core.train.rl.ahead import save_ahead, saved_ahead
from rpt_core.train.rl.record import Record
from rpt_core.train.rl.reference import restore_reference, save_reference
from rpt_core.train.rl.state import Progress, Trainer

PROGRESS_FILE = "progress.json"
OBJECTIVE_FILE = "objective.safetensors"
MODEL_FOLDER, BEST_FOLDER, METRICS_FILE = "model", "best", "metrics.json"
ACCURACY = "eval/accuracy"
STATE_PARAMETERS_MAX = 100_000_000
"""Milestones of models up to this size keep their moments too, so that any later step can be replayed from
them; the moments of larger ones would be most of the store, and a replay begins further back."""


def save(build: Build, trainer: Trainer, progress: Progress, record: Record) -> None:
    """Keep everything the training needs to resume after ``progress.step``."""
    folder = build.scratch / "checkpoint"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trainer.backend.export(folder / MODEL_FOLDER)
    trainer.backend.save(folder)
    _write_progress(folder, trainer, progress)
    record.write(folder)
    if (best := build.scratch / BEST_FOLDER).exists():
        shutil.copytree(best, folder / BEST_FOLDER)
    build.save(progress.step, folder)


def publish(build: Build, trainer: Trainer, progress: Progress, metrics: Mapping[str, float]) -> None:
    """Publish the model as a milestone, with what the next step is drawn from; a small one's moments too."""
    folder = build.scratch / f"milestone-{progress.step:06d}"
    trainer.backend.export(folder / MODEL_FOLDER)
    state = folder / STATE_FOLDER
    state.mkdir(parents=True, exist_ok=True)
    _write_progress(state, trainer, progress)
    if trainer.policy.num_parameters <= STATE_PARAMETERS_MAX:
        trainer.backend.save(state)
    build.milestone(progress.step, folder / MODEL_FOLDER, metrics, state)
    shutil.rmtree(folder)


def keep_best(build: Build, trainer: Trainer, progress: Progress, metrics: Mapping[str, float]) -> Progress:
    """Put the model aside where no online evaluation before was as good, if the recipe publishes it."""
    accuracy = metrics.get(ACCURACY)
    beaten = progress.best_step and accuracy is not None and accuracy <= progress.best_accuracy
    if not trainer.recipe.publish_best or accuracy is None or beaten:
        return progress
    folder = build.scratch / BEST_FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    trainer.backend.export(folder / MODEL_FOLDER)
    (folder / METRICS_FILE).write_text(json.dumps(dict(metrics)))
    return replace(progress, best_step=progress.step, best_accuracy=accuracy)


def restore_best(folder: Path, build: Build) -> None:
    """Take up the best model so far with a checkpoint."""
    if (folder / BEST_FOLDER).exists():
        shutil.copytree(folder / BEST_FOLDER, build.scratch / BEST_FOLDER, dirs_exist_ok=True)


def publish_best(build: Build, progress: Progress) -> None:
    """Publish the best model as the milestone of its step."""
    folder = build.scratch / BEST_FOLDER
    metrics = json.loads((folder / METRICS_FILE).read_text())
    build.milestone(progress.best_step, folder / MODEL_FOLDER, metrics)


def _write_progress(folder: Path, trainer: Trainer, progress: Progress) -> None:
    """What a training is drawn from beside its weights; with the moments, it can resume from there."""
    if isinstance(trainer.objective, StatefulObjective):
        save_file(trainer.objective.state(), folder / OBJECTIVE_FILE)
    save_reference(trainer, folder)
    save_ahead(folder, progress.ahead)
    counts = {one.name: getattr(progress, one.name) for one in fields(progress) if one.name != "ahead"}
    if not progress.judge_gflops:
        del counts["judge_gflops"]  # a file from before the field is the same file
    about = {"recipe": recipe_digest(trainer.recipe), "progress": counts}
    (folder / PROGRESS_FILE).write_text(json.dumps(about, indent=1))


def restore_objective(folder: Path, trainer: Trainer) -> None:
    """Give an objective that follows the policy, and its reference, what they were at the checkpoint."""
    restore_reference(trainer, folder)
    if isinstance(trainer.objective, StatefulObjective):
        trainer.objective.restore(load_file(folder / OBJECTIVE_FILE))


def saved_progress(folder: Path, recipe: RlRecipe) -> Progress:
    """The progress a checkpoint was taken at.

    Raises:
        ResumeError: it belongs to another recipe.
    """
    about = json.loads((folder / PROGRESS_FILE).read_text())
    digest = recipe_digest(recipe)
    if about["recipe"] != digest:
        raise ResumeError(
            f"the checkpoint of step {about['progress']['step']} was written under recipe "
            f"{about['recipe'][:12]}, this run is {digest[:12]}: its steps were others. Start this recipe "
            "clean."
        )
    return Progress(**about["progress"], ahead=saved_ahead(folder))


def recipe_digest(recipe: RlRecipe) -> str:
    """SHA-256 of the recipe as it stands, hex."""
    return hashlib.sha256(canonical_json(recipe.model_dump(mode="json"))).hexdigest()
