"""The one task: make what a resolved recipe describes, or find it made."""

import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from prefect import task
from prefect.cache_policies import NO_CACHE

from infra.local.state import made_state_folder
from infra.machine import numerics_of, resolve_placement
from infra.metrics.tracking import LiveView, track
from infra.metrics.views import View
from infra.runs import stops
from infra.runs.attempt import RESULT_FILE, Job, publish
from infra.runs.launch import DATA_ENV, launch, rank_command, training_env
from infra.storage.store import Store
from rpt_core.artifacts.build import MILESTONES_FILE
from rpt_core.artifacts.lineage import ancestors
from rpt_core.artifacts.manifest import Attempt, Manifest, Outcome
from rpt_core.artifacts.placement import Numerics, Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.errors import EngineError, Stopped
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.splits import EVALUATED, TRAINED
from rpt_core.recipes.stages import Stage, stage_of
from tasks.code import code_digest, environment
from tasks.home import open_store
from tasks.planning.capacity import num_parameters
from tasks.shown.alerts import AlertWatch
from tasks.shown.journeys import told_of
from tasks.shown.rows import balance
from tasks.shown.run_log import say
from tasks.shown.spoken import UNSPOKEN, Spoken
from tasks.shown.views import prefect_tags, show_finished
from tasks.shown.watch import StageWatch, tell

STAGE_MODULE = "tasks.train_main"
"""The program of every stage."""
RETRIES = 2
_LOCK_SECONDS = 0.25


def retryable(task: Any, task_run: Any, state: Any) -> bool:
    """Whether trying again may help: the error says so itself."""
    try:
        state.result()
    except Exception as error:  # noqa: BLE001  (the state holds whatever the task raised)
        return bool(getattr(error, "retryable", False))
    return False


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=5,
    retry_condition_fn=retryable,
)
def build(recipe: Recipe, placement: Placement, spoken: Spoken = UNSPOKEN) -> Artifact:
    """Make the artifact of a recipe whose inputs are resolved; once, however often it is called."""
    return build_here(recipe, placement, open_store(), spoken)


def build_here(recipe: Recipe, placement: Placement, store: Store, spoken: Spoken = UNSPOKEN) -> Artifact:
    """The same without Prefect.

    Raises:
        RptError: what the stage itself raised, by class and message.
    """
    fingerprint = recipe.fingerprint()
    with _alone(fingerprint, recipe.stage):
        manifest = store.manifest(recipe.kind, fingerprint)
        if manifest is not None:
            say("%s: %s is there", recipe.stage, manifest.artifact.short)
        else:
            store.objects.probe()
            try:
                manifest = _attempt(recipe, placement, store, fingerprint, spoken)
            except Stopped as stopped:
                say("%s of %s/%s: %s", recipe.stage, recipe.kind, fingerprint[:12], stopped)
                raise
            shown = track(store, manifest, told_of(manifest, spoken, prefect_tags()))
            show_finished(manifest, store, shown)
            for line in balance(manifest):
                tell(f"{recipe.stage}: {line}")
    return manifest.artifact


@contextmanager
def _alone(fingerprint: str, title: str) -> Iterator[None]:
    """One builder of a thing at a time on this machine: it saves work, nothing depends on it."""
    path = made_state_folder() / "locks" / fingerprint[:32]
    path.parent.mkdir(exist_ok=True)
    while True:
        with path.open("a+") as lock:
            _wait_for(lock, title)
            if not _is_still(lock.fileno(), path):  # the builder before took its lock away
                continue
            try:
                lock.truncate(0)
                lock.write(f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC")
                lock.flush()
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _wait_for(lock: TextIO, title: str) -> None:
    """Take a lock; where another build has it, say who and since when, and look for a stop while waiting.

    Raises:
        Stopped: a stop was asked for meanwhile.
    """
    told = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                told = True
                lock.seek(0)
                tell(f"{title} waits for another build of it: {lock.read() or 'just begun'}")
            if stops.asked():
                raise Stopped("stopped while another build of the same was waited for.") from None
            time.sleep(_LOCK_SECONDS)
        else:
            return


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether a path still names an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _attempt(
    recipe: Recipe, placement: Placement, store: Store, fingerprint: str, spoken: Spoken
) -> Manifest:
    """Run the stage in a child process, in a folder of its own, and publish what it wrote."""
    folder = made_state_folder() / "scratch" / fingerprint[:24] / uuid.uuid4().hex[:12]
    shutil.rmtree(folder.parent, ignore_errors=True)  # dead attempts: what was worth keeping is in the store
    folder.mkdir(parents=True)
    job = _job(recipe, placement, store, fingerprint, folder)
    job.out.mkdir()
    path = folder / "job.json"
    path.write_text(job.model_dump_json())
    live = LiveView(_view(job, stage_of(recipe).group, spoken))
    limit = getattr(recipe, "mismatch_nats_max", None)
    alerts = AlertWatch(recipe.stage, fingerprint, job.out, limit)
    with live, alerts, StageWatch(recipe.stage, folder) as watch:

        def look() -> None:
            watch.poll()
            live.poll()
            alerts.poll()

        outcome = launch(
            rank_command(STAGE_MODULE, [str(path)], job.world_size),
            workdir=folder,
            env=stage_env(job.numerics),
            # a data stage keeps no checkpoints: there is nothing to wait for
            stop_grace_seconds=placement.stop_grace_seconds if job.numerics else 1.0,
            deadline_seconds=placement.deadline_hours * 3600,
            on_poll=look,
            preload=preloaded(stage_of(recipe), job.numerics, job.placement),
        )
        if outcome.error == EngineError.__name__:
            raise EngineError(f"{outcome.message}\nThe log of this attempt is {folder / 'log.txt'}.")
        outcome.check()
    manifest = _publish(job, store)
    shutil.rmtree(folder.parent)
    store.drop_progress(fingerprint)
    return manifest


def stage_env(numerics: Numerics | None) -> dict[str, str]:
    """What a stage's process needs in its environment; without numerics it is one over tables."""
    return training_env(threads=numerics.threads) if numerics else {**training_env(), **DATA_ENV}


def preloaded(stage: Stage, numerics: Numerics | None, placement: Placement) -> tuple[str, ...]:
    """What a stage of one process on a CPU is forked with; a GPU's context does not outlive a fork."""
    if numerics is not None and (numerics.world_size > 1 or placement.gpus != 0):
        return ()
    own = (named.partition(":")[0] for named in (stage.recipe_class, stage.function))
    return ("infra.runs.attempt", "infra.runs.workers", "tasks.ranks", *own)


def settled(recipe: Recipe, placement: Placement) -> tuple[Placement, Numerics | None]:
    """What a placement means for a stage on this machine; an exact one has no numerics."""
    stage, parameters = stage_of(recipe), num_parameters(recipe) or None
    placement = placement if stage.trains else placement.without_training()
    if stage.exact:
        return placement, None
    explicit = resolve_placement(placement, parameters, many_ranks=stage.many_ranks)
    return explicit, numerics_of(placement, parameters, many_ranks=stage.many_ranks)


def _job(recipe: Recipe, placement: Placement, store: Store, fingerprint: str, folder: Path) -> Job:
    stage = stage_of(recipe)
    placement, numerics = settled(recipe, placement)
    parents = {name: value for name, value in recipe.inputs().items() if isinstance(value, Artifact)}
    return Job(
        function=stage.function,
        recipe_class=stage.recipe_class,
        recipe=recipe.model_dump(mode="json"),
        kind=recipe.kind,
        fingerprint=fingerprint,
        parents=parents,
        inputs={
            **_materialised(store, parents, milestones=bool(getattr(recipe, "milestones", False))),
            **(_lineage(store, parents, folder / "lineage") if recipe.reads_lineage else {}),
            **(_trained_on(store, parents, recipe.reads_corpora_of) if recipe.reads_corpora_of else {}),
        },
        folder=folder,
        placement=placement,
        numerics=numerics,
        store=store.objects.url,
        cache=store.cache,
        code=code_digest(),
        environment=environment(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _view(job: Job, group: str, spoken: Spoken) -> View:
    """What MLflow shows of a stage while it runs."""
    return View(
        group=group,
        kind=job.kind,
        fingerprint=job.fingerprint,
        recipe=job.recipe,
        folder=job.out,
        started=job.started,
        tags={"rpt.code": job.code[:16], **spoken.tags(), **prefect_tags()},
        journey=spoken.journey,
        root=spoken.is_root,
    )


def _materialised(store: Store, parents: Mapping[str, Artifact], *, milestones: bool) -> dict[str, Path]:
    """Local folders of the inputs; an evaluation over time also gets the checkpoints of its model."""
    folders = {name: store.materialise(parent) for name, parent in parents.items()}
    published = folders["model"] / MILESTONES_FILE if milestones and "model" in folders else None
    if published is not None and published.exists():
        for step, address in json.loads(published.read_text()).items():
            folders[f"milestones.{step}"] = store.materialise(Artifact.model_validate(address))
    return folders


def _lineage(store: Store, parents: Mapping[str, Artifact], folder: Path) -> dict[str, Path]:
    """One file per ancestor's manifest, for stages that tell where everything came from."""
    folder.mkdir()
    for parent in parents.values():
        manifest = store.load(parent)
        for found in (manifest, *(each for _, _, each in ancestors(manifest, store.load))):
            (folder / f"{found.fingerprint}.json").write_text(found.model_dump_json())
    return {"lineage": folder}


def _trained_on(store: Store, parents: Mapping[str, Artifact], name: str) -> dict[str, Path]:
    """Folders of the corpora that one input stands on, but for one that is the only corpus evaluated on."""
    evaluated = {each.digest for name, each in parents.items() if name in EVALUATED}
    known: set[str] = evaluated if len(evaluated) == 1 else set()
    found = (each.artifact for _, _, each in ancestors(store.load(parents[name]), store.load))
    corpora = {each.digest: each for each in found if each.kind == PrepareRecipe.kind}
    return {
        f"{TRAINED}{each.fingerprint[:12]}": store.materialise(each)
        for digest, each in corpora.items()
        if digest not in known
    }


def _publish(job: Job, store: Store) -> Manifest:
    path = job.folder / RESULT_FILE
    if not path.exists():
        raise EngineError(
            f"the stage said it was done but left no {RESULT_FILE}; its log is in {job.folder}."
        )
    result = json.loads(path.read_text())
    attempts = tuple(Attempt.model_validate(row) for row in result["attempts"])
    return publish(store, job, job.out, Outcome.model_validate(result["outcome"]), attempts)
