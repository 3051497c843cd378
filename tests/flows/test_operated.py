"""Prefect as an operator sets it up: messages of alerts and stops, and the store's keys in a block."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.local.automations import block_id, ensure_automations, notifications
from infra.local.links import answers
from infra.local.prefect_api import PrefectApi
from infra.local.stack import server_settings
from rpt_core.errors import EngineError, RecipeError
from tests.flows.test_secrets import FIELDS, places_of, stored, surroundings
from tests.local_server import Quiet, serving
from tests.s3_servers import ROOT, free_ports, seaweedfs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
WAIT_SECONDS = 300
POOL = "cpu-pool"


class Operated:
    """A Prefect server, and what is started to work for it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log = folder / "home", folder / "log.txt"
        self.home.mkdir()
        (port,) = free_ports(1)
        self.api = PrefectApi(f"http://127.0.0.1:{port}/api")
        self.port = port
        self.parts: list[subprocess.Popen[bytes]] = []

    def serve(self) -> None:
        """The server, until it answers."""
        self.start("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self.wait(lambda: answers(f"{self.api.url}/health"))

    def start(self, *words: str) -> None:
        """One part, in a group of its own."""
        env = surroundings(self.home, **server_settings(self.home), PREFECT_API_URL=self.api.url)
        with self.log.open("ab") as log:
            self.parts.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "prefect", "--no-prompt", *words],
                    cwd=self.home, env={**env, "PREFECT_WORKER_QUERY_SECONDS": "2"},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                )
            )  # fmt: skip

    def prefect(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command to its end, in the repository's folder."""
        env = surroundings(self.home, **server_settings(self.home), PREFECT_API_URL=self.api.url, **more)
        return subprocess.run(
            [sys.executable, "-P", "-m", "prefect", "--no-prompt", *words],
            cwd=ROOT, env={**env, "RPT_WORKDIR": str(ROOT)}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def wait(self, there: Callable[[], object]) -> None:
        give_up = time.monotonic() + WAIT_SECONDS
        while not there():
            assert time.monotonic() < give_up, self.said()[-3000:]
            assert all(part.poll() is None for part in self.parts), self.said()[-3000:]
            time.sleep(0.3)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request; again while the server's database is busy."""
        give_up = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return self.api.call(method, path, body)
            except EngineError as error:
                if "answered 503" not in str(error) or time.monotonic() > give_up:
                    raise
                time.sleep(1)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self) -> None:
        for part in reversed(self.parts):
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()


@pytest.fixture(scope="module")
def up(tmp_path_factory) -> Iterator[Operated]:
    operated = Operated(tmp_path_factory.mktemp("operated"))
    try:
        operated.serve()
        yield operated
    finally:
        operated.end()


def block(up: Operated, kind: str, name: str, data: dict[str, Any]) -> str:
    """Save a block as the UI does; its name with its type."""
    found = up.ask("GET", f"/block_types/slug/{kind}")
    (schema, *_) = up.ask(
        "POST", "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [found["id"]]}}}
    )
    body = {"name": name, "data": data, "block_type_id": found["id"], "block_schema_id": schema["id"]}
    up.ask("POST", "/block_documents/", body)
    return f"{kind}/{name}"


class Hook(Quiet):
    """Where messages arrive."""

    got: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(200)


@pytest.fixture
def hook() -> Iterator[str]:
    with serving(Hook) as url:
        yield url


def arrived(subject: str) -> dict[str, Any]:
    """The message with these words in its subject."""
    give_up = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < give_up:
        for message in Hook.got:
            if subject in message["subject"]:
                return message
        time.sleep(0.3)
    raise AssertionError(f"no message about {subject!r} among {Hook.got}")


def test_an_alert_and_a_run_that_failed_are_messages(up, hook):
    with pytest.raises(RecipeError, match="has no block 'slack-webhook/none'"):
        block_id(up.api, "slack-webhook/none")
    wanted = {"subject": "{{subject}}", "body": "{{body}}"}
    named = block(up, "custom-webhook", "team", {"name": "team", "url": hook, "json_data": wanted})
    made = ensure_automations(up.api, notifications(block_id(up.api, named)))
    assert made == ["rpt: notify of alerts", "rpt: notify of runs that stop"]
    time.sleep(3)  # the server looks for new triggers now and then
    payload = {
        "kind": "reward-collapse",
        "step": 21,
        "text": "the reward fell to 0.1",
        "url": "http://x/runs/1",
    }
    event = {
        "id": str(uuid.uuid4()), "event": "rpt.alert.reward-collapse", "payload": payload, "related": [],
        "occurred": datetime.now(UTC).isoformat(),
        "resource": {"prefect.resource.id": "rpt.training.ffff", "prefect.resource.name": "train-rpt"},
    }  # fmt: skip
    up.ask("POST", "/events", [event])
    told = arrived("train-rpt: reward-collapse")
    assert told["body"] == "step 21: the reward fell to 0.1\nhttp://x/runs/1"

    flow = up.ask("POST", "/flows/", {"name": "train-rpt"})["id"]
    body = {"flow_id": flow, "name": "tiny_rpt-seed3", "tags": ["rpt"], "state": {"type": "RUNNING"}}
    number = up.ask("POST", "/flow_runs/", body)["id"]
    failed = {"type": "FAILED", "name": "Failed", "message": "StarvedError: found nothing to learn from"}
    up.ask("POST", f"/flow_runs/{number}/set_state", {"state": failed, "force": True})
    told = arrived("tiny_rpt-seed3 ended as Failed")
    assert told["body"].startswith("StarvedError: found nothing to learn from\nhttp")
    assert number in told["body"]


def deployed(up: Operated, env: dict[str, str]) -> str:
    """The id of a deployment of `ingest-corpus` with variables of its own, on a pool with a worker."""
    up.api.ensure_process_pool(POOL, 1)
    up.start("worker", "start", "--pool", POOL, "--type", "process")
    up.wait(lambda: up.api.online_workers(POOL))
    steps = [{"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}]
    body = {
        "name": "keys", "flow_id": up.ask("POST", "/flows/", {"name": "ingest-corpus"})["id"],
        "entrypoint": "flows.stages.ingest_corpus", "pull_steps": steps, "work_pool_name": POOL,
        "job_variables": {"env": env},
    }  # fmt: skip
    return str(up.ask("POST", "/deployments/", body)["id"])


@pytest.mark.s3
def test_keys_of_the_store_come_from_a_block_and_are_written_nowhere(up, tmp_path):
    with seaweedfs(tmp_path / "seaweedfs") as server:
        url = f"s3://{server.new_place()}/team"
        block(up, "secret", "rpt-s3-secret", {"value": server.secret_key})
        named = {"AWS_SECRET_ACCESS_KEY": "{{ prefect.blocks.secret.rpt-s3-secret }}", "RPT_STORE": url}
        number = deployed(up, {**server.environment(), **named})
        parameters = {"recipe": "tiny_rpt", "overrides": {"fields": FIELDS}}
        run = up.ask("POST", f"/deployments/{number}/create_flow_run", {"parameters": parameters})

        def ended() -> bool:
            found = up.ask("GET", f"/flow_runs/{run['id']}")
            return found["state_type"] in ("COMPLETED", "FAILED", "CRASHED")

        up.wait(ended)
        run = up.ask("GET", f"/flow_runs/{run['id']}")
        wanted = {"logs": {"flow_run_id": {"any_": [run["id"]]}}, "limit": 200}
        logs = json.dumps(up.ask("POST", "/logs/filter", wanted))
        assert run["state_type"] == "COMPLETED", logs[-3000:]
        objects = stored(server, url, tmp_path)
        assert any(b"ingest-corpus" in data for data in objects)
        assert not any(server.secret_key.encode() in data for data in objects)
        deployment = json.dumps(up.ask("GET", f"/deployments/{number}"))
        assert "prefect.blocks.secret.rpt-s3-secret" in deployment
        assert server.secret_key not in json.dumps(run) + deployment + logs + up.said()
        assert places_of("ingest-corpus", up.home)
        # while a run lasts, Prefect's worker holds its variables in a private temporary folder
        up.wait(lambda: not list(up.home.glob("prefect-workspace-attempt-*")))
        assert places_of(server.secret_key, up.home) == []
