"""Pools and queues that the local stack asks a Prefect server for."""

import json
from typing import Any

import pytest

from infra.local.prefect_api import URGENT, PrefectApi
from rpt_core.errors import EngineError, RecipeError
from tests.local_server import Quiet, serving


class Server(PrefectApi):
    """Answers from a table of what is there; keeps what it was asked to change."""

    def __init__(self, there: dict[str, Any]) -> None:
        super().__init__("http://nowhere/api")
        self.there = there
        self.changes: list[tuple[str, str, Any]] = []

    def call(self, method: str, path: str, body: Any = None) -> Any:
        if method == "GET":
            return self.there.get(path)
        self.changes.append((method, path, body))
        return None


POOL, QUEUE = "/work_pools/cpu-pool", f"/work_pools/cpu-pool/queues/{URGENT}"
PROCESS = {"type": "process", "concurrency_limit": 2}


def test_a_new_pool_gets_its_limit_and_a_queue_that_goes_first():
    server = Server({})
    server.ensure_process_pool("cpu-pool", 2)
    pool, queue = server.changes
    assert pool == ("POST", "/work_pools/", {"name": "cpu-pool", **PROCESS})
    assert queue[:2] == ("POST", f"{POOL}/queues")
    assert (queue[2]["name"], queue[2]["priority"]) == ("urgent", 1)


@pytest.mark.parametrize(
    ("there", "methods"),
    [
        ({POOL: PROCESS, QUEUE: {"priority": 5}}, []),  # somebody's own priority stays
        ({POOL: PROCESS}, ["POST"]),
        ({POOL: {**PROCESS, "concurrency_limit": 9}, QUEUE: {}}, ["PATCH"]),
    ],
)
def test_only_what_is_missing_is_made(there, methods):
    server = Server(there)
    server.ensure_process_pool("cpu-pool", 2)
    assert [method for method, _, _ in server.changes] == methods


def test_a_pool_of_another_type_is_left_without_a_queue():
    server = Server({POOL: {**PROCESS, "type": "kubernetes"}})
    with pytest.raises(RecipeError, match="'kubernetes'"):
        server.ensure_process_pool("cpu-pool", 2)
    assert server.changes == []


class Guarded(Quiet):
    """Answers only who says this."""

    wanted = "Basic YWRtaW46c2VjcmV0"

    def do_GET(self) -> None:
        known = self.headers.get("authorization") == self.wanted
        self.answer(200 if known else 401, json.dumps({"known": known}).encode())


def test_a_server_behind_a_token_is_told_who_asks(monkeypatch):
    monkeypatch.delenv("PREFECT_API_KEY", raising=False)
    with serving(Guarded) as url:
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:secret")
        assert PrefectApi(url).call("GET", "/") == {"known": True}
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "admin:wrong")
        with pytest.raises(EngineError, match="answered 401") as refused:
            PrefectApi(url).call("GET", "/")
        assert "wrong" not in str(refused.value)
        monkeypatch.delenv("PREFECT_API_AUTH_STRING")
        monkeypatch.setattr(Guarded, "wanted", "Bearer a-key")
        monkeypatch.setenv("PREFECT_API_KEY", "a-key")
        assert PrefectApi(url).call("GET", "/") == {"known": True}


class Busy(Quiet):
    """Answers 503 so often, then what was asked for."""

    refusals = 2
    asked: list[str] = []

    def do_DELETE(self) -> None:
        Busy.asked.append(self.path)
        busy = len(Busy.asked) <= Busy.refusals
        self.answer(503 if busy else 200, b"null" if busy else b'{"done": true}')


@pytest.mark.parametrize(("refusals", "num_asked"), [(0, 1), (2, 3), (5, 6), (9, 6)])
def test_a_busy_server_is_asked_again_and_in_the_end_named(monkeypatch, refusals, num_asked):
    monkeypatch.setattr(Busy, "refusals", refusals)
    monkeypatch.setattr(Busy, "asked", [])
    pauses: list[float] = []
    monkeypatch.setattr("infra.local.prefect_api.time.sleep", pauses.append)
    with serving(Busy) as url:
        if refusals < num_asked:
            assert PrefectApi(url).call("DELETE", "/schedules/1") == {"done": True}
        else:
            with pytest.raises(EngineError, match="answered 503 to DELETE /schedules/1"):
                PrefectApi(url).call("DELETE", "/schedules/1")
    assert Busy.asked == ["/schedules/1"] * num_asked
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0][: num_asked - 1]
