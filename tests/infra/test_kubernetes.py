"""Manifests for Kubernetes: held to its own schemas, and the pool's template to what Prefect makes of it."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rpt_core.artifacts.placement import Placement
from tests.infra.tools import ROOT, tool

pytestmark = [pytest.mark.infra]
FOLDER = ROOT / "infra/kubernetes"
VERSION = "1.32.4"
TEMPLATE = json.loads((FOLDER / "gpu-pool.json").read_text())


def validated(path: Path) -> None:
    """Fields that Kubernetes does not know are errors, too."""
    words = [tool("kubernetes-validate"), "--strict", "-k", VERSION, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rendered(**values: Any) -> dict[str, Any]:
    """The job that a worker hands to Kubernetes: defaults and these values, by Prefect's templating."""
    from prefect.utilities.templating import apply_values

    known = TEMPLATE["variables"]["properties"]
    assert set(values) <= set(known)
    given = {name: each["default"] for name, each in known.items() if "default" in each}
    found: dict[str, Any] = apply_values(TEMPLATE["job_configuration"]["job_manifest"], {**given, **values})
    return found


@pytest.mark.parametrize("name", ["training.yaml", "network-policy.yaml"])
def test_manifests_are_what_kubernetes_takes(name):
    validated(FOLDER / name)


def test_a_misspelt_field_would_be_found(tmp_path):
    text = (FOLDER / "training.yaml").read_text()
    (tmp_path / "wrong.yaml").write_text(
        text.replace("terminationGracePeriodSeconds", "terminationGraceSeconds")
    )
    with pytest.raises(AssertionError, match="terminationGraceSeconds"):
        validated(tmp_path / "wrong.yaml")


def test_every_variable_of_the_pool_is_used_and_every_place_has_one():
    """Prefect drops a variable that nothing refers to without a word."""
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(TEMPLATE["job_configuration"])))
    assert used == set(TEMPLATE["variables"]["properties"])


def test_the_pools_job_has_gpus_shared_memory_and_time_for_a_checkpoint(tmp_path):
    job = rendered(gpu=4, shm_size="32Gi", node_selector={"gpu": "h100"}, image="rpt:gpu-1")
    job["metadata"]["name"] = "a-run"  # the validator wants one; Kubernetes makes it from generateName
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    validated(tmp_path / "job.yaml")
    assert job["spec"]["backoffLimit"] == 0  # else Prefect leaves an evicted run to Kubernetes
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 4
    assert pod["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "32Gi"}
    assert pod["nodeSelector"] == {"gpu": "h100"}
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert pod["terminationGracePeriodSeconds"] > 2 * Placement().stop_grace_seconds
    assert pod["securityContext"]["runAsNonRoot"]
    assert {"name": "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR", "value": "reschedule"} in container["env"]


def test_secrets_are_named_and_never_written():
    for path in sorted(FOLDER.glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text()):
            assert one.get("kind") != "Secret", path
            text = json.dumps(one)
            assert "change-me" not in text
            assert not re.search(r'"(AWS_SECRET_ACCESS_KEY|\w*PASSWORD|PREFECT_API_AUTH_STRING)"', text), path
    assert rendered()["spec"]["template"]["spec"]["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "rpt-client"}}
    ]


def test_the_training_reads_its_words_as_the_command_does():
    """The recipe, stage and placement that the job names, and as many ranks as its pods have GPUs."""
    from flows.cli.placements import parse_placement
    from flows.recipes import NAMED

    (job,) = (
        one for one in yaml.safe_load_all((FOLDER / "training.yaml").read_text()) if one["kind"] == "Job"
    )
    (node,) = job["spec"]["template"]["spec"]["containers"]
    recipe, _, stage, _, placed = node["args"]
    assert recipe in NAMED
    assert stage == "train-rpt"
    placement = parse_placement(placed)
    env = {each["name"]: each.get("value") for each in node["env"]}
    assert int(env["RPT_NODES"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert placement.ranks == node["resources"]["limits"]["nvidia.com/gpu"] * int(env["RPT_NODES"])
    grace = job["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert placement.stop_grace_seconds < grace
    assert env["RPT_RENDEZVOUS"].startswith(f"{job['metadata']['name']}-0.")


def test_the_helm_values_fit_the_charts_schema():
    """The chart's schema is the chart's own file and stands nowhere here: name it."""
    schema = os.environ.get("RPT_HELM_SCHEMA")
    if not schema:
        pytest.skip("RPT_HELM_SCHEMA names no values.schema.json of Prefect's chart prefect-worker")
    words = [tool("check-jsonschema"), "--schemafile", schema, str(FOLDER / "worker-values.yaml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_prefect_server_takes_the_pools_template(prefect_server):
    """And refuses values that it does not allow, before a run exists."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="k8s-gpu", type="kubernetes", base_job_template=TEMPLATE))
        found = client.read_work_pool("k8s-gpu")
    assert found.base_job_template == TEMPLATE


STAND_IN = """\
#!/bin/sh
# in place of the interpreter: says what it was asked, and ends as the file beside it says
echo "$*" >>"$0.said"
[ "$2" = flows ] || exit 0
trap 'exit 75' TERM
touch "$0.begun"
while [ -e "$0.wait" ]; do sleep 0.05; done
exit "$(cat "$0.code")"
"""


@pytest.fixture
def node(tmp_path):
    """The script of a pod, and what its interpreter was asked to do."""
    program = tmp_path / "python"
    program.write_text(STAND_IN)
    program.chmod(0o755)

    def started(index: int, code: int = 0, *, wait: bool = False) -> subprocess.Popen[bytes]:
        (tmp_path / "python.code").write_text(str(code))
        if wait:
            (tmp_path / "python.wait").touch()
        env = {**os.environ, "JOB_COMPLETION_INDEX": str(index), "RPT_PYTHON": str(program)}
        return subprocess.Popen(["sh", FOLDER / "node.sh", "tiny_rpt", "--to", "train-rpt"], env=env)

    started.said = lambda: (tmp_path / "python.said").read_text().splitlines()
    started.begun = tmp_path / "python.begun"
    return started


def test_the_first_pod_runs_the_recipe_and_lets_the_others_go_when_it_is_done(node):
    assert node(0).wait(60) == 0
    assert node.said() == ["-m flows run tiny_rpt --to train-rpt", "-m infra.runs.follow end"]


def test_the_others_follow(node):
    assert node(1).wait(60) == 0
    assert node.said() == ["-m infra.runs.follow"]


@pytest.mark.parametrize("code", [1, 2, 75])
def test_a_run_that_failed_keeps_the_others_for_the_next_try(node, code):
    assert node(0, code).wait(60) == code
    assert node.said() == ["-m flows run tiny_rpt --to train-rpt"]


def test_a_pod_that_is_asked_to_end_asks_its_run_and_waits_for_it(node):
    process = node(0, wait=True)
    while not node.begun.exists():
        assert process.poll() is None
    process.terminate()
    assert process.wait(60) == 75
    assert node.said() == ["-m flows run tiny_rpt --to train-rpt"]
