"""Stages handed to a pool: by which run, what its end means here, and what is never handed over."""

from types import SimpleNamespace
from uuid import uuid4

import httpx
import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed, Running

from flows.make import fitted
from flows.recipes import any_journey
from flows.recipes.trees import walk
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import BY_NAME, EngineError, RecipeError, RptError, ServiceError, Stopped
from rpt_core.recipes.stages import stage_of
from tasks import dispatch
from tasks.planning import capacity

GPU = Placement(pool="gpu-pool")


def ended(state) -> FlowRun:
    return FlowRun(id=uuid4(), flow_id=uuid4(), name="tiny_rpt-base, seed 3", state=state)


def raised_by(state) -> RptError:
    with pytest.raises(RptError) as found:
        dispatch._raise_unless_completed(ended(state), "train-base", "gpu-pool")
    return found.value


@pytest.mark.parametrize("name", BY_NAME)
def test_an_error_there_is_the_same_error_here(name):
    message = f"Flow run encountered an exception: {name}: cold-start holds 2 of 3.\nIts log: x"
    found = raised_by(Failed(message=message))
    assert type(found) is BY_NAME[name]
    assert str(found) == "cold-start holds 2 of 3.\nIts log: x"


def test_other_ends_are_told_as_what_they_are():
    dispatch._raise_unless_completed(ended(Completed()), "train-base", "gpu-pool")
    assert "cancelled there" in str(raised_by(Cancelled()))
    crashed = raised_by(Crashed(message="No heartbeat for 90 s: its process is gone."))
    assert type(crashed) is EngineError
    assert "ended as Crashed: No heartbeat for 90 s" in str(crashed)
    foreign = raised_by(Failed(message="Flow run encountered an exception: ValueError: no"))
    assert type(foreign) is EngineError
    assert "ValueError: no" in str(foreign)


def test_only_stages_with_a_model_are_handed_over():
    journey = walk(any_journey("tiny_rpt"))
    handed = {recipe.stage for recipe in journey if dispatch.runs_on_pool(recipe, GPU)}
    assert {
        "train-base",
        "cold-start",
        "score-difficulty",
        "train-rpt",
        "finetune-rlvr",
        "evaluate",
    } == handed
    assert not any(dispatch.runs_on_pool(recipe, Placement()) for recipe in journey)
    assert all(stage_of(recipe).work is None for recipe in journey if recipe.stage not in handed)


def test_a_journey_for_a_pool_is_not_weighed_against_this_machine():
    needs = [capacity.need_of(recipe) for recipe in walk(any_journey("rpt_14b"))]
    assert max(need.num_parameters for need in needs if need) > 13e9
    checked = any_journey("tiny_rpt")
    assert fitted(checked, Placement(pool="gpu-pool", gpus=64)) == checked


@pytest.fixture
def server(monkeypatch):
    """A Prefect server that keeps runs by their idempotency key, as the real one does."""
    asked: list[str] = []
    runs: dict[str, FlowRun] = {}

    def run_deployment(deployment, *, idempotency_key, flow_run_name, **_):
        asked.append(idempotency_key)
        return runs.setdefault(idempotency_key, ended(Running()))

    monkeypatch.setattr(dispatch, "run_deployment", run_deployment)
    monkeypatch.setattr(dispatch, "_deployment", lambda client, flow, pool: uuid4())
    monkeypatch.setattr(dispatch.runtime.flow_run, "get_id", lambda: "parent")
    return SimpleNamespace(asked=asked, runs=runs)


def test_a_run_under_way_is_found_and_one_that_ended_early_is_followed(server):
    first = dispatch._run("build-stage", "gpu-pool", {}, "f00", "base")
    assert dispatch._run("build-stage", "gpu-pool", {}, "f00", "base").id == first.id
    first.state = Failed()
    second = dispatch._run("build-stage", "gpu-pool", {}, "f00", "base")
    assert second.id != first.id
    second.state = Completed()
    assert dispatch._run("build-stage", "gpu-pool", {}, "f00", "base").id == second.id
    assert list(server.runs) == ["parent-f00-1", "parent-f00-2"]


def test_outside_of_a_run_nothing_can_be_handed_over(monkeypatch):
    monkeypatch.setattr(dispatch.runtime.flow_run, "get_id", lambda: None)
    with pytest.raises(RecipeError, match=r"pool=gpu-pool hands stages .* leave placement.pool out"):
        dispatch._run("build-stage", "gpu-pool", {}, "f00", "base")


class Client:
    """A client whose server gives these states in turn, the last one for ever."""

    def __init__(self, *states) -> None:
        self.states, self.set = list(states), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def read_flow_run(self, number):
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return FlowRun(id=number, flow_id=uuid4(), name="base", state=state, start_time=None)

    def set_flow_run_state(self, number, state):
        self.set.append(state.type.value)
        self.states = [Cancelled()]


@pytest.fixture
def polled(monkeypatch):
    """Waits for a run whose states are given; the client that was asked."""
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.001)

    def wait(*states, **more) -> Client:
        client = Client(*states)
        monkeypatch.setattr(dispatch, "get_client", lambda sync_client: client)
        client.run = dispatch._waited_for(ended(Running()), 1.0, **more)
        return client

    return wait


def test_a_server_that_is_away_is_asked_again(polled, monkeypatch):
    away = httpx.ConnectError("refused")
    assert polled(Running(), away, away, Running(), Completed()).run.state.is_completed()
    monkeypatch.setattr(dispatch, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(ServiceError, match=r"ConnectError: refused.*rerun, which finds it"):
        polled(away)


def test_a_stop_here_cancels_the_run_there(polled, monkeypatch):
    monkeypatch.setattr(dispatch.stops, "asked", lambda: True)
    client = Client(Running())
    monkeypatch.setattr(dispatch, "get_client", lambda sync_client: client)
    with pytest.raises(Stopped, match=r"cancelled\. Rerun to resume"):
        dispatch._waited_for(ended(Running()), 1.0)
    assert client.set == [Cancelling().type.value]


def test_a_check_that_does_not_begin_is_given_up(polled):
    client = polled(Running(), begin_within=0.0)
    assert client.set == [Cancelling().type.value]
    assert client.run.state.is_cancelled()
