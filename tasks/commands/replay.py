"""A step of a finished training, taken again in a child process as the training's own steps were."""

import json
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from infra.local.state import made_state_folder
from infra.machine import numerics_of
from infra.runs.attempt import CHECKPOINT_KIND, RESULT_FILE, Job
from infra.runs.launch import launch, rank_command, training_env
from infra.storage.store import Store
from rpt_core.artifacts.build import MILESTONES_FILE, STATE_FOLDER
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.placement import Numerics
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import IntegrityError, RecipeError
from rpt_core.recipes.replay import Replay
from tasks.code import code_digest, environment
from tasks.shown.watch import StageWatch

FUNCTION, RECIPE_CLASS = "rpt_core.train.rl.replay:replay", "rpt_core.recipes.replay:Replay"
BATCHES_FILE, ANSWERS_FILE = "batches.parquet", "answers.parquet"
MOMENTS_FILE = f"{STATE_FOLDER}/optimiser.safetensors"
KINDS = ("policy", "rlpt", "rlvr")


def replay(manifest: Manifest, step: int, store: Store) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Take one step again and compare it with its record.

    Args:
        manifest: A training's.
        step: 1-based.
        store: Where it and its inputs lie.

    Returns:
        The replay's summary (``digest``, ``from_step``, counts), and every answer as a row.

    Raises:
        RecipeError: the artifact is no training, or took no such step.
        IntegrityError: it kept no digests, or the step came out otherwise.
    """
    if manifest.kind not in KINDS:
        raise RecipeError(
            f"{manifest.artifact.short} took no steps that can be replayed; a training of kind "
            f"{' or '.join(KINDS)} can. `rpt ls --kind policy` lists them."
        )
    manifest.file(BATCHES_FILE)
    name = f"{manifest.fingerprint[:16]}-{step}-{uuid.uuid4().hex[:8]}"
    folder = made_state_folder() / "scratch" / "replay" / name
    folder.mkdir(parents=True)
    job = _job(manifest, step, store, folder)
    job.out.mkdir()
    (folder / "job.json").write_text(job.model_dump_json())
    with StageWatch(f"replay of step {step}", folder) as watch:
        outcome = launch(
            rank_command("tasks.train_main", [str(folder / "job.json")], job.world_size),
            workdir=folder,
            env=training_env(threads=job.numerics.threads if job.numerics else 1),
            stop_grace_seconds=1.0,
            on_poll=watch.poll,
        )
    outcome.check()
    summary = json.loads((folder / RESULT_FILE).read_text())["outcome"]["summary"]
    rows = pq.read_table(job.out / ANSWERS_FILE).to_pylist()
    shutil.rmtree(folder)
    return summary, rows


def other_numerics(manifest: Manifest) -> dict[str, tuple[Any, Any]]:
    """Where this machine computes otherwise than the one that trained: field -> (there, here)."""
    if manifest.numerics is None:
        return {}
    there, here = manifest.numerics.model_dump(), _here(manifest, manifest.numerics).model_dump()
    return {name: (there[name], here[name]) for name in there if there[name] != here[name]}


def _here(manifest: Manifest, numerics: Numerics) -> Numerics:
    """The training's numerics, with the machine this one is."""
    mine = numerics_of(manifest.placement)
    return numerics.model_copy(update={"torch": mine.torch, "device": mine.device})


def _job(manifest: Manifest, step: int, store: Store, folder: Path) -> Job:
    if manifest.numerics is None:
        raise IntegrityError(
            f"{manifest.artifact.short} does not say under which numerics it was trained; it cannot be "
            "replayed. Train it again."
        )
    recipe = Replay.model_validate({"training": manifest.recipe, "step": step})
    inputs = {name: store.materialise(parent) for name, parent in manifest.parents.items()}
    inputs["trained"] = store.materialise(manifest.artifact)
    begin = _nearest(inputs["trained"], step, store)
    return Job(
        function=FUNCTION,
        recipe_class=RECIPE_CLASS,
        recipe=recipe.model_dump(mode="json"),
        kind="replay",
        fingerprint=f"replay-{manifest.fingerprint}-{step}",
        parents=manifest.parents,
        inputs=inputs if begin is None else {**inputs, "from": begin},
        folder=folder,
        placement=manifest.placement,
        numerics=_here(manifest, manifest.numerics),
        store=store.objects.url,
        cache=store.cache,
        code=code_digest(),
        environment=environment(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _nearest(trained: Path, step: int, store: Store) -> Path | None:
    """The last milestone before the step from which the way to it is exact, or None for the start.

    Without moments only the milestone right before the step will do.
    """
    path = trained / MILESTONES_FILE
    listed = json.loads(path.read_text()) if path.exists() else {}
    for number in sorted((int(name) for name in listed if int(name) < step), reverse=True):
        address = Artifact.model_validate(listed[str(number)])
        found = store.manifest(CHECKPOINT_KIND, address.fingerprint)
        if found is None or found.digest != address.digest:
            continue  # removed since, or made under other numerics: the start model serves as well
        if MOMENTS_FILE in {entry.path for entry in found.files} or number == step - 1:
            return store.materialise(address)
    return None
