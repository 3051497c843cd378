"""Take a model out of the store: its folder, its card, the questions of its training and their reward."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.runs.attempt import CHECKPOINT_KIND
from infra.storage.store import Store
from rpt_core.artifacts.lineage import ancestors
from rpt_core.artifacts.manifest import Manifest
from rpt_core.errors import RecipeError
from rpt_core.export.card import ModelCard, Score, scores_of
from rpt_core.export.questions import KINDS, MODEL_FOLDER, Exported, export_questions
from rpt_core.recipes.stages import STAGES
from rpt_core.report.sources import SourceArtifact
from tasks.inputs.models import find_model, is_hub_id, local_folder

READ_BY_QUESTIONS = frozenset({"corpus", "difficulty", "pass_rates"})
"""Inputs of a training that its objective reads."""
CARD = "README.md"


def export(ref: str, target: Path, most: int, store: Store) -> ModelCard:
    """Write a model and what belongs to it into a new folder, whole or not at all.

    Args:
        ref: Of an artifact that holds a model.
        target: A folder that is not there yet, or is empty.
        most: Questions of each split; 0 for none.
        store: Where the model is.

    Returns:
        What its card says.

    Raises:
        RecipeError: the folder holds something, or ``ref`` is no model of the store.
    """
    found = find_model(ref, store)
    if found.manifest is None:
        raise RecipeError(f"{ref} is a model folder already, not an artifact of the store. Use it as it is.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RecipeError(f"{target} is there already and is no empty folder. Name another.")
    scratch = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    shutil.copytree(local_folder(found, store), scratch / MODEL_FOLDER)
    card = _card(ref, found.manifest, store)
    questions, why_none = _questions(found.manifest, store, scratch, most)
    card = replace(card, questions=questions, no_questions=why_none)
    (scratch / CARD).write_text(card.render(MODEL_FOLDER))  # people look here, the hub within
    (scratch / MODEL_FOLDER / CARD).write_text(card.render("."))
    if target.exists():
        target.rmdir()
    scratch.rename(target)
    return card


def _card(ref: str, manifest: Manifest, store: Store) -> ModelCard:
    stood_on = [one for _, _, one in ancestors(manifest, store.load)]
    scores = list(_scores(manifest, store))
    made = {one.fingerprint: one for one in (*stood_on, manifest)}
    sources = [SourceArtifact(one.kind, one.fingerprint, one.digest, one) for one in made.values()]
    told = {score.source.fingerprint: score.source for score in scores}
    names = [str((one.recipe.get("model") or {}).get("name", "")) for one in stood_on if one.kind == "base"]
    given = next((name for name in names if is_hub_id(name)), "")
    return ModelCard(ref, manifest, [*sources, *told.values()], scores, base_model=given)


def _scores(manifest: Manifest, store: Store) -> Iterator[Score]:
    """Accuracies of every evaluation in the store that asked this model, or its training on the way."""
    step, of = manifest.recipe.get("step"), manifest.recipe.get("of")
    is_checkpoint = manifest.kind == CHECKPOINT_KIND
    for one in store.scan().manifests:
        model = one.parents.get("model")
        asked = model is not None and model.fingerprint == (of if is_checkpoint else manifest.fingerprint)
        if asked and any(entry.path == "scores.json" for entry in one.files):
            scores = json.loads((store.materialise(one.artifact) / "scores.json").read_text())
            source = SourceArtifact(one.kind, one.fingerprint, one.digest, one)
            yield from scores_of(scores, source, step if is_checkpoint else None)


def _questions(manifest: Manifest, store: Store, folder: Path, most: int) -> tuple[Exported | None, str]:
    """The questions of the training that made a model, or why there are none."""
    training = _training(manifest, store)
    objective = (training.recipe.get("objective") or {}).get("name") if training else None
    if not most:
        return None, ""
    if training is None:
        return None, "the training it is a checkpoint of is not finished, or not in this store."
    if objective not in KINDS:
        what = f"the objective {objective}" if objective else f"a {training.kind} model"
        return None, f"{what} has no questions whose answers are compared with a truth."
    recipe: Any = STAGES[str(training.recipe["stage"])].recipe.model_validate(training.recipe)
    inputs = {
        name: store.materialise(parent)
        for name, parent in training.parents.items()
        if name in READ_BY_QUESTIONS
    }
    return export_questions(recipe, inputs, folder, _tokenize(folder / MODEL_FOLDER), most), ""


def _training(manifest: Manifest, store: Store) -> Manifest | None:
    if manifest.kind != CHECKPOINT_KIND:
        return manifest
    of = manifest.recipe.get("of")
    return next((one for one in store.scan().manifests if one.fingerprint == of), None)


def _tokenize(folder: Path) -> Any:
    """The folder's own tokenizer, as every other trainer opens it."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda prompts: tokenizer(prompts)["input_ids"]
