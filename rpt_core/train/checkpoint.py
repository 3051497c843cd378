"""Checkpoints of a training: an ordinary model folder, moments, progress. Nothing is pickled.

    model/                     Hugging Face folder (float32 safetensors, tokenizer)
    optimiser.safetensors      moments by parameter name
    progress.json              step, data cursor, totals, and the recipe they belong to
    rollouts.parquet           the table of rollouts so far

Random streams have no state: they are keyed by seed, step and question, so a resumed training draws
what the uninterrupted one would have drawn, and ends with the same bytes.
"""

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.recipe import canonical_json
from rpt_core.errors import ResumeError
from rpt_core.policy.load import save_policy
from rpt_core.train.record import ROLLOUTS_FILE, Record
from rpt_core.train.state import Progress, RlRecipe, Trainer

PROGRESS_FILE = "progress.json"
MODEL_FOLDER = "model"


def save(build: Build, trainer: Trainer, progress: Progress, record: Record) -> None:
    """Keep everything the training needs to go on after ``progress.step``."""
    folder = build.scratch / "checkpoint"
    shutil.rmtree(folder, ignore_errors=True)
    save_policy(trainer.policy, folder / MODEL_FOLDER)
    trainer.update.save(folder)
    record.write(folder / ROLLOUTS_FILE)
    about = {"recipe": recipe_digest(trainer.recipe), "progress": asdict(progress)}
    (folder / PROGRESS_FILE).write_text(json.dumps(about, indent=1))
    build.save(progress.step, folder)


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
    return Progress(**about["progress"])


def recipe_digest(recipe: RlRecipe) -> str:
    """SHA-256 of the recipe as it stands, hex."""
    return hashlib.sha256(canonical_json(recipe.model_dump(mode="json"))).hexdigest()
