"""Stages of a journey as runs of their own, on the Prefect work pool that has what their models need.

A journey whose placement names a pool (``pool=gpu-pool``) reads and cleans its text where it runs, and hands
every stage that holds a model to the deployment of the flow ``build-stage`` on that pool. A run is given a
recipe whose inputs are artifacts, by address; what it made is read from the store.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect import runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Cancelling

from infra.runs import stops
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.errors import BY_NAME, EngineError, RecipeError, ServiceError, Stopped, brief
from rpt_core.recipes.stages import stage_of
from tasks.build import RETRIES, retryable
from tasks.home import open_store
from tasks.planning.capacity import ModelNeed
from tasks.shown.run_log import say
from tasks.shown.spoken import Spoken

BUILD_STAGE, CHECK_POOL = "build-stage", "check-pool"
"""The flows that run on the pool."""
HERE = "auto"
"""``Placement.pool`` of a journey whose stages run in the process of its flow."""
POLL_SECONDS, CHECK_SECONDS, PATIENCE_SECONDS = 2.0, 90.0, 300.0
"""Between looks at a run; until a check must have begun; how long a silent server is waited for."""
_NAMED_ERROR = re.compile(rf"\b({'|'.join(BY_NAME)}): (.*)", re.DOTALL)
T = TypeVar("T")


def runs_on_pool(recipe: Recipe, placement: Placement) -> bool:
    """Whether a stage of a journey is handed to a pool: it holds a model, and the placement names one."""
    return placement.pool != HERE and stage_of(recipe).work is not None


@task(
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=5,
    retry_condition_fn=retryable,
)
def build_on_pool(recipe: Recipe, placement: Placement, spoken: Spoken, need: ModelNeed | None) -> Artifact:
    """Make a stage's artifact by a run on the placement's pool, and wait for it.

    The run is known by this journey's run and the fingerprint: a journey that is begun again by Prefect, or
    a task that is tried again, finds the run that is under way; one that ended early is followed by another.

    Raises:
        RptError: what the stage raised there, by class and message.
        Stopped: a stop was asked for; the run was cancelled, and resumes from its checkpoint when rerun.
    """
    fingerprint, store = recipe.fingerprint(), open_store()
    parameters = {
        "stage": recipe.stage,
        "recipe": recipe.model_dump(mode="json"),
        "placement": _there(placement),
        "spoken": asdict(spoken),
        "need": need and need.model_dump(mode="json"),
    }
    run = _run(BUILD_STAGE, placement.pool, parameters, fingerprint[:32], str(spoken))
    say("%s: handed to %s as the run %s", recipe.stage, placement.pool, run.name)
    _raise_unless_completed(_waited_for(run, placement.stop_grace_seconds), recipe.stage, placement.pool)
    manifest = store.manifest(recipe.kind, fingerprint)
    if manifest is None:
        raise EngineError(
            f"the run {run.name} of {recipe.stage} on {placement.pool} is completed, but "
            f"{store.objects.url} has no {recipe.kind}/{fingerprint[:12]}: the worker there writes to "
            "another store. Set RPT_STORE to the same address for it and for this process."
        )
    return manifest.artifact


def check_on_pool(needs: Sequence[ModelNeed], placement: Placement) -> None:
    """Have the pool's machine say whether it holds these models, before any input is touched.

    A pool that is busy says nothing for a long time: then each stage is refused when it begins.

    Raises:
        CapacityError: it does not.
    """
    parameters = {
        "needs": [need.model_dump(mode="json") for need in needs],
        "placement": _there(placement),
    }
    name = f"does {placement.pool} hold {', '.join(dict.fromkeys(need.stage for need in needs))}"
    run = _run(CHECK_POOL, placement.pool, parameters, "check", name)
    ended = _waited_for(run, placement.stop_grace_seconds, begin_within=CHECK_SECONDS)
    if ended.state is not None and ended.state.is_cancelled():
        say("%s has not begun within %.0f s: each stage will say itself whether it fits", name, CHECK_SECONDS)
        return
    _raise_unless_completed(ended, CHECK_POOL, placement.pool)


def _there(placement: Placement) -> dict[str, Any]:
    """The placement of a stage that has come to its pool."""
    return placement.model_copy(update={"pool": HERE}).model_dump(mode="json", exclude_defaults=True)


def _run(flow: str, pool: str, parameters: Mapping[str, Any], key: str, name: str) -> FlowRun:
    """The run of a flow on a pool that is under way or completed for this journey, or a new one."""
    parent = runtime.flow_run.get_id()
    if parent is None:
        raise RecipeError(
            f"pool={pool} hands stages to runs on a Prefect server, and this is no flow's run. Run a "
            "deployment, or leave placement.pool out."
        )
    with get_client(sync_client=True) as client:
        deployment = _deployment(client, flow, pool)
    for number in range(1, 1000):
        run = run_deployment(
            deployment,
            parameters=dict(parameters),
            flow_run_name=name,
            timeout=0,
            tags=["rpt"],
            idempotency_key=f"{parent}-{key}-{number}",
        )
        assert isinstance(run, FlowRun)
        if run.state is None or not run.state.is_final() or run.state.is_completed():
            return run
    raise EngineError(f"{flow} on {pool} was begun 999 times for one run and never completed.")


def _deployment(client: SyncPrefectClient, flow: str, pool: str) -> UUID:
    """The deployment of a flow that stands on a pool.

    Raises:
        RecipeError: the server has none.
    """
    found = client.read_deployments(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[pool])),
        limit=1,
    )
    if not found:
        raise RecipeError(
            f"placement.pool={pool!r}: the Prefect server at {client.api_url} has no deployment of {flow} on "
            "a work pool of this name. Name a pool that prefect.yaml deploys it to (`prefect deploy --all`), "
            "or leave placement.pool out."
        )
    return found[0].id


def _waited_for(run: FlowRun, grace_seconds: float, begin_within: float | None = None) -> FlowRun:
    """The run when it has ended; cancelled where it did not begin in time, or a stop was asked for here.

    Raises:
        Stopped: a stop was asked for.
        ServiceError: the server was silent for too long.
    """
    begun, number = time.monotonic(), run.id
    with get_client(sync_client=True) as client:
        while True:
            run = _patiently(lambda: client.read_flow_run(number))
            state = run.state
            if state is not None and state.is_final():
                return run
            waits = run.start_time is None
            if begin_within is not None and waits and time.monotonic() - begun > begin_within:
                _cancel(client, run)
                begin_within = None
            if stops.asked():
                _cancel(client, run)
                _until_final(client, run, grace_seconds)
                raise Stopped(f"stopped; the run {run.name} was cancelled. Rerun to resume it.")
            time.sleep(POLL_SECONDS)


def _cancel(client: SyncPrefectClient, run: FlowRun) -> None:
    """Ask for the end of a run; one that never began is cancelled at once by the server."""
    message = "the journey that handed this stage over has stopped"
    _patiently(lambda: client.set_flow_run_state(run.id, Cancelling(message=message)))


def _until_final(client: SyncPrefectClient, run: FlowRun, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        state = _patiently(lambda: client.read_flow_run(run.id)).state
        if state is not None and state.is_final():
            return
        time.sleep(POLL_SECONDS / 4)


def _patiently(ask: Callable[[], T]) -> T:
    """The server's answer; one that is away for a while is asked again, for the run there goes on without it.

    Raises:
        ServiceError: it was silent for :data:`PATIENCE_SECONDS`.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except (httpx.HTTPError, OSError) as error:
            if time.monotonic() > give_up or stops.asked():
                raise ServiceError(
                    f"Prefect has not answered for {PATIENCE_SECONDS:.0f} s ({brief(error)}). The stage's "
                    "own run may still be under way: start the server again and rerun, which finds it."
                ) from None
            time.sleep(POLL_SECONDS)


def _raise_unless_completed(run: FlowRun, stage: str, pool: str) -> None:
    """Raise here what ended a run there.

    Raises:
        RptError: of the class the run's message names.
        Stopped: the run was cancelled there.
        EngineError: it ended in another way.
    """
    state = run.state
    if state is not None and state.is_completed():
        return
    message = (state and state.message) or "no message"
    if state is not None and state.is_cancelled():
        raise Stopped(f"the run {run.name} of {stage} on {pool} was cancelled there. Rerun to resume it.")
    if found := _NAMED_ERROR.search(message):
        raise BY_NAME[found[1]](found[2])
    raise EngineError(
        f"the run {run.name} of {stage} on {pool} ended as {state.name if state else 'unknown'}: {message}. "
        "Its log in Prefect says more; a rerun resumes from its checkpoint."
    )
