"""The compose file: what docker compose makes of it, and its services run here without containers."""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from infra.local.prefect_api import PrefectApi
from infra.storage.store import Store
from tests.infra.compose_services import (
    EXAMPLE,
    FILE,
    HOST,
    Services,
    config,
    postgres_programs,
    stack,
    values,
)
from tests.infra.tools import tool
from tests.s3_servers import environment

pytestmark = [pytest.mark.infra, pytest.mark.timeout(5400)]
SMALL = {"documents.sample.num_documents": 60, "base.documents_per_step": 2, "base.steps": 20}


@pytest.fixture
def env_file(tmp_path) -> Path:
    return Path(shutil.copy(EXAMPLE, tmp_path / "env"))


def test_the_file_is_valid_and_its_servers_are_reached_from_this_machine_alone(env_file):
    found = config(env_file, "--profile", "gpu")["services"]
    published = {name: port for name, each in found.items() for port in each.get("ports", ())}
    assert set(published) == {"prefect", "mlflow"}
    assert {port["host_ip"] for port in published.values()} == {"127.0.0.1"}
    (device,) = found["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", -1, ["gpu"])
    assert all("latest" not in each["image"] and ":" in each["image"] for each in found.values())


def test_every_password_must_be_given_and_none_has_a_default(env_file):
    lines = env_file.read_text().splitlines()
    secret = [line for line in lines if re.match(r"RPT_\w+=change-me", line)]
    assert len(secret) >= 5
    for missing in secret:
        env_file.write_text("\n".join(line for line in lines if line != missing))
        words = [tool("docker-compose"), "--env-file", str(env_file), "-f", str(FILE), "config", "-q"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        name = missing.partition("=")[0]
        assert done.returncode != 0
        assert f'"{name}"' in done.stderr
        assert "see env.example" in done.stderr


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    for module in ("psycopg2", "flask_wtf"):
        pytest.importorskip(module, reason="the extra `servers` is not installed")
    tool("docker-compose")
    postgres_programs()
    with stack(tmp_path_factory.mktemp("compose")) as running:
        yield running


def refused(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code


def test_nobody_without_the_password_is_answered(services: Services):
    prefect, mlflow = (f"http://{HOST}:{services.ports[name]}" for name in ("prefect", "mlflow"))
    assert refused(f"{prefect}/api/admin/version") == 401
    assert refused(f"{prefect}/api/health") == 200
    runs = f"{mlflow}/api/2.0/mlflow/experiments/get-by-name?experiment_name=rpt"
    assert refused(runs) == 401
    assert refused(runs, Host="evil.example") == 403


def test_a_run_goes_through_postgres_s3_and_both_servers(services: Services):
    """`prefect deployment run` of what the service `deploy` deployed, by the service `cpu-worker`."""
    env = values(services)
    done = subprocess.run(
        [
            sys.executable, "-m", "prefect", "--no-prompt", "deployment", "run", "cold-start/local",
            "--watch", "-p", "recipe=tiny_rpt", "-p", "kind=base",
            "-p", f"overrides={json.dumps({'fields': SMALL})}",
        ],
        env=env, cwd=services.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + services.said("cpu-worker")
    with environment(env):
        store = Store(env["RPT_STORE"], services.folder / "cache")
        made = list(store.manifests())
        api = PrefectApi(env["PREFECT_API_URL"])
        states = [run["state_type"] for run in api.call("POST", "/flow_runs/filter", {})]
        shown = mlflow_runs(env)
    assert {manifest.kind for manifest in made} == {"documents", "corpus", "base"}
    assert states == ["COMPLETED"]
    fingerprints = {run.data.tags.get("rpt.fingerprint") for run in shown}
    assert {manifest.fingerprint for manifest in made} <= fingerprints
    assert all(run.info.artifact_uri.startswith("mlflow-artifacts:/") for run in shown)
    assert rows(services, "prefect", "SELECT count(*) FROM flow_run") == "1"
    assert int(rows(services, "mlflow", "SELECT count(*) FROM runs")) == len(shown)


def mlflow_runs(env):
    import mlflow

    client = mlflow.MlflowClient(env["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("rpt")
    assert experiment is not None
    return client.search_runs([experiment.experiment_id])


def rows(services: Services, database: str, query: str) -> str:
    given = services.config["services"]["postgres"]["environment"]
    who = f"{given['POSTGRES_USER']}:{given['POSTGRES_PASSWORD']}"
    address = f"postgresql://{who}@{HOST}:{services.ports['postgres']}"
    psql = [
        str(postgres_programs() / "psql"),
        "--tuples-only",
        "--no-align",
        f"{address}/{database}",
        "-c",
        query,
    ]
    return subprocess.run(psql, capture_output=True, text=True, check=True).stdout.strip()
