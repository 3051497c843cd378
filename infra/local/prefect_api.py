"""What the local stack asks of a Prefect server, over its public REST interface.

Importing Prefect's own client would take longer than all of these calls together.
"""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from rpt_core.errors import EngineError, RecipeError
from rpt_core.retry import pause_seconds, seconds_asked

_PAGE = 200
"""Deployments to a request; Prefect gives no more."""
_ANSWER_SECONDS = 30.0
_BUSY, _ASKED_AGAIN = frozenset({429, 503}), 5
"""Answers of a busy server, and how often it is asked again: about 15 s in all."""
ACTIVE = ("RUNNING", "PENDING", "CANCELLING")
URGENT = "urgent"
"""The work queue of each pool whose runs are begun before those of ``default``."""


def credentials() -> dict[str, str]:
    """The header by which a server that wants to know us is told, from the variables Prefect itself reads."""
    if basic := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"authorization": f"Basic {base64.b64encode(basic.encode()).decode()}"}
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"authorization": f"Bearer {key}"}
    return {}


class _BusyError(EngineError):
    """The server cannot answer now."""

    def __init__(self, words: str, seconds: float) -> None:
        super().__init__(words)
        self.seconds = seconds
        """Until it wants to be asked again; 0 where it does not say."""


class PrefectApi:
    """A Prefect server at ``http://host:port/api``."""

    def __init__(self, url: str) -> None:
        """Nothing is asked yet."""
        self.url = url.rstrip("/")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One request; the reply's JSON, None for 404.

        A server that is busy is asked again, as Prefect's own client does: on SQLite it answers 503 while
        another writer holds the database.

        Raises:
            EngineError: the server refused or did not answer.
        """
        for attempt in range(_ASKED_AGAIN):
            try:
                return self._call_once(method, path, body)
            except _BusyError as busy:
                time.sleep(pause_seconds(attempt, 0.5, 8.0, asked=busy.seconds))
        return self._call_once(method, path, body)

    def _call_once(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(  # noqa: S310  (our own server)
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json", **credentials()},
        )
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as reply:  # noqa: S310
                return json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            words = (
                f"Prefect at {self.url} answered {error.code} to {method} {path}: "
                f"{error.read()[:300].decode(errors='replace')}. Its log says why."
            )
            if error.code in _BUSY:
                raise _BusyError(words, seconds_asked(error.headers.get("Retry-After"), 8.0)) from None
            raise EngineError(words) from None
        except OSError as error:
            raise EngineError(f"Prefect at {self.url} does not answer ({error}); its log says why.") from None

    def ensure_process_pool(self, name: str, concurrency: int) -> None:
        """Create a work pool of type process, or set the limit of the one that is there, and its queues.

        Raises:
            RecipeError: a pool of this name has another type; it may be somebody's real cluster.
        """
        pool = self.call("GET", f"/work_pools/{name}")
        if pool is None:
            self.call(
                "POST", "/work_pools/", {"name": name, "type": "process", "concurrency_limit": concurrency}
            )
        elif pool["type"] != "process":
            raise RecipeError(
                f"the work pool {name!r} of this Prefect server is of type {pool['type']!r}; `rpt up` needs "
                f"it to be 'process' and does not change other people's pools. Start the stack with another "
                f"RPT_HOME, or remove the pool yourself: prefect work-pool delete {name}."
            )
        elif pool["concurrency_limit"] != concurrency:
            self.call("PATCH", f"/work_pools/{name}", {"concurrency_limit": concurrency})
        self._ensure_urgent_queue(name)

    def _ensure_urgent_queue(self, pool: str) -> None:
        """Create a pool's queue for runs that go first; one that is there stays as somebody set it.

        Priority 1 is the highest. Prefect gives it to ``default``, too, and moves that to 2 for us.
        """
        if self.call("GET", f"/work_pools/{pool}/queues/{URGENT}") is None:
            what = (
                "Runs here are begun before those of the queue `default`; none that runs is stopped for them."
            )
            self.call(
                "POST",
                f"/work_pools/{pool}/queues",
                {"name": URGENT, "priority": 1, "description": what},
            )

    def online_workers(self, pool: str) -> int:
        """Workers of a pool that have reported lately."""
        workers = self.call("POST", f"/work_pools/{pool}/workers/filter", {})
        return sum(worker["status"] == "ONLINE" for worker in workers or [])

    def deployments(self) -> list[dict[str, Any]]:
        """Every deployment of the server."""
        found: list[dict[str, Any]] = []
        while page := self.call(
            "POST", "/deployments/filter", {"limit": _PAGE, "offset": len(found), "sort": "NAME_ASC"}
        ):
            found += page
        return found

    def active_runs(self) -> list[tuple[str, str]]:
        """Id and name of every flow run that has begun and not ended."""
        states = {"type": {"any_": list(ACTIVE)}}
        runs = self.call("POST", "/flow_runs/filter", {"flow_runs": {"state": states}, "limit": 200})
        return [(run["id"], run["name"]) for run in runs or []]

    def cancel(self, run_id: str) -> None:
        """Ask a flow run to end; its worker passes that on within seconds."""
        state = {"type": "CANCELLING", "name": "Cancelling", "message": "the local stack is going down"}
        self.call("POST", f"/flow_runs/{run_id}/set_state", {"state": state, "force": False})

    def cancel_all(self, wait_seconds: float, hurry: Callable[[], bool]) -> list[str]:
        """Cancel what runs and wait for the ends; names of the runs that did not end in time."""
        for run_id, _ in self.active_runs():
            self.cancel(run_id)
        give_up = time.monotonic() + wait_seconds
        while (left := self.active_runs()) and time.monotonic() < give_up and not hurry():
            time.sleep(0.5)
        return [name for _, name in left]
