"""The local stack as a user meets it: `rpt up`, deployments, a watched run, Ctrl-C; and nothing left."""

import json
import re
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from infra.local import links
from infra.local.automations import ZOMBIES, ensure_automations
from infra.local.stack import POOLS, REPOSITORY, free_port, reserved_port
from rpt_core.errors import EngineError, RecipeError
from tests.local_stack import Up, of_home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FLOWS = {
    "ingest-corpus", "prepare-corpus", "score-difficulty", "cold-start", "train-rpt", "finetune-rlvr",
    "evaluate", "fit-scaling", "pipeline", "build-stage", "check-pool",
}  # fmt: skip
ON_POOL = {"build-stage", "check-pool"}
ON_GPU = {"cold-start", "score-difficulty", "train-rpt", "finetune-rlvr", "evaluate", *ON_POOL}
TRIVIAL = """
import time
from pathlib import Path
from prefect import flow

@flow
def trivial(seconds: float = 0.0, told: str = "") -> str:
    print("here is", Path.cwd())
    Path(told).write_text("begun")
    try:
        time.sleep(seconds)
    except BaseException as stop:
        Path(told).write_text(type(stop).__name__)
        raise
    return str(Path.cwd())
"""
TRIVIAL_YAML = """
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "{{ $RPT_WORKDIR }}"}
deployments:
  - {name: here, entrypoint: "trivial.py:trivial", work_pool: {name: cpu-pool}}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """A stack while ports 4200 and 5000 are taken, in a folder whose .env has a line of the user's."""
    folder = tmp_path_factory.mktemp("a clone")
    (folder / ".env").write_text("MINE=1\n")
    with ExitStack() as taken:
        for port in (4200, 5000):
            listener = taken.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
                listener.listen()
            except OSError:
                pass  # taken already, which is what is wanted
        stack = Up(folder)
        try:
            stack.wait_until_up()
            yield stack
        finally:
            if stack.process.poll() is None:
                stack.stop()
            assert not of_home(stack.home)


def test_the_server_shows_choices_refuses_wrong_values_and_keeps_order(up):
    """What the form of a run is made of, and what it is held against before a run exists."""
    found = up.api.call("GET", "/deployments/name/train-rpt/local")
    assert "tiny_rpt" in found["parameter_openapi_schema"]["properties"]["recipe"]["enum"]
    assert found["description"].startswith("Reinforcement pre-training")
    assert "Args:" not in found["description"]
    before = len(up.api.call("POST", "/flow_runs/filter", {"limit": 200}))
    for wrong in ({"recipe": "tiny_rtp"}, {"overrides": {"sed": 1}}, {"placement": {"workers": 0}}):
        with pytest.raises(EngineError, match=r"answered 4(09|22)"):
            up.api.call("POST", f"/deployments/{found['id']}/create_flow_run", {"parameters": wrong})
    assert len(up.api.call("POST", "/flow_runs/filter", {"limit": 200})) == before
    first = up.api.call("GET", "/deployments/name/pipeline/local")
    assert "start-here" in first["tags"]
    assert [schedule["active"] for schedule in first["schedules"]] == [False]
    prod = up.api.call("GET", "/deployments/name/pipeline/prod")
    assert (prod["work_pool_name"], prod["parameters"]["placement"]) == ("cpu-pool", {"pool": "gpu-pool"})


def test_a_run_that_is_lost_without_a_word_is_marked_by_the_server(up):
    (found,) = up.api.call("POST", "/automations/filter", {})
    assert found["name"] == ZOMBIES["name"]
    assert found["trigger"]["within"] == 90
    assert ensure_automations(up.api) == []  # once, however often the stack is started


def wait_until_signals_are_taken(pid: int) -> None:
    """Until the process has a handler for SIGTERM: before that, the interpreter itself is starting."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        if caught and int(caught[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError("it never took its signals")


def deploy_trivial(up: Up) -> None:
    folder = up.folder / "elsewhere"
    folder.mkdir(exist_ok=True)
    (folder / "trivial.py").write_text(TRIVIAL)
    (folder / "prefect.yaml").write_text(TRIVIAL_YAML)
    done = up.prefect("deploy", "--all", cwd=folder, PREFECT_API_URL=up.api.url, RPT_WORKDIR=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_takes_other_ports_and_says_so_in_env(up):
    assert set(up.links) == {"MINE", links.PREFECT, links.MLFLOW}
    assert not {":4200", ":5000"} & {url.removesuffix("/api")[-5:] for url in up.links.values()}
    assert links.answers(up.links[links.MLFLOW] + "/health")


def test_every_flow_is_deployed_twice_on_the_pool_it_needs(up):
    found = {}
    for deployment in up.api.call("POST", "/deployments/filter", {"limit": 200}):
        flow = up.api.call("GET", f"/flows/{deployment['flow_id']}")["name"]
        found[f"{flow}/{deployment['name']}"] = deployment
    wanted = {f"{flow}/{name}" for flow in FLOWS for name in ("local", "prod")}
    assert wanted <= set(found)
    for name in wanted:
        flow, kind = name.split("/")
        pool = "gpu-pool" if kind == "prod" and flow in ON_GPU else "cpu-pool"
        assert found[name]["work_pool_name"] == pool
        if flow not in ON_POOL:
            assert found[name]["parameters"]["recipe"] == ("tiny_rpt" if kind == "local" else "rpt_14b")
        steps = found[name]["pull_steps"]
        assert [step["directory"] for step in steps[0].values()] == [str(REPOSITORY)]


def test_pools_have_limits_and_keep_their_type(up):
    for pool in POOLS:
        found = up.api.call("GET", f"/work_pools/{pool}")
        assert found["type"] == "process"
        assert found["concurrency_limit"] >= 1
    up.api.call("POST", "/work_pools/", {"name": "cluster", "type": "kubernetes"})
    with pytest.raises(RecipeError, match="'kubernetes'"):
        up.api.ensure_process_pool("cluster", 1)
    assert up.api.call("GET", "/work_pools/cluster")["type"] == "kubernetes"


def test_a_second_stack_on_the_same_state_is_refused(up):
    second = up.spawn(subprocess.PIPE)
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert b"a stack already runs" in said
    assert up.process.poll() is None


def test_a_watched_run_of_a_deployment_made_elsewhere_exits_0(up):
    """The pull step's folder is the one named when it was deployed: here not the repository."""
    deploy_trivial(up)
    told = up.folder / "told"
    done = up.prefect("deployment", "run", "trivial/here", "-p", f"told={told}", "--watch")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told.read_text() == "begun"
    logs = up.api.call("POST", "/logs/filter", {"limit": 100})
    assert any("Beginning flow run" in line["message"] for line in logs), "runs leave no log in the UI"


def test_the_papers_recipe_is_refused_within_a_minute_saying_what_to_do(up):
    if any(Path("/dev").glob("nvidia[0-9]")):
        pytest.skip("this machine has a GPU")
    begin = time.monotonic()
    done = up.prefect("deployment", "run", "train-rpt/prod", "--watch")
    assert done.returncode == 1, done.stdout + done.stderr
    assert time.monotonic() - begin < 60
    runs = up.api.call("POST", "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["FAILED"]}}}})
    [message] = [run["state"]["message"] for run in runs]
    for part in ("CapacityError", "no GPU", "gpu-pool", "tiny_rpt"):
        assert part in message


def test_a_journey_of_the_papers_size_is_refused_by_the_pool_before_it_reads_anything(up):
    if any(Path("/dev").glob("nvidia[0-9]")):
        pytest.skip("this machine has a GPU")
    done = up.prefect("deployment", "run", "pipeline/prod", "--watch")
    assert done.returncode == 1, done.stdout + done.stderr
    [refused] = up.runs("pipeline")
    assert "CapacityError" in refused["state"]["message"]
    assert "no GPU" in refused["state"]["message"]
    [asked] = up.runs("check-pool")
    assert (asked["work_pool_name"], asked["state_type"]) == ("gpu-pool", "FAILED")
    assert up.runs("build-stage") == []


def test_stages_with_a_model_run_on_the_pool_that_the_placement_names(up):
    """A journey on cpu-pool reads its text there and has its model trained by a run on gpu-pool, once."""
    fields = {"documents.sample.num_documents": 200, "base.steps": 3}
    given = {
        "recipe": "tiny_rpt", "kind": "base", "overrides": {"seed": 5, "fields": fields},
        "placement": {"pool": "gpu-pool"},
    }  # fmt: skip
    for _ in range(2):
        done = up.prefect("deployment", "run", "cold-start/local", "--params", json.dumps(given), "--watch")
        assert done.returncode == 0, (
            done.stdout + done.stderr + (up.home / "logs/worker-cpu-pool.log").read_text()
        )
    [trained] = up.runs("build-stage")
    assert (trained["work_pool_name"], trained["state_type"]) == ("gpu-pool", "COMPLETED")
    assert trained["name"] == "tiny_rpt-base, seed 5"
    parents = up.runs("cold-start")
    assert [run["work_pool_name"] for run in parents] == ["cpu-pool", "cpu-pool"]
    tasks = up.api.call("POST", "/task_runs/filter", {"flow_runs": {"id": {"any_": [trained["id"]]}}})
    assert [task["name"] for task in tasks] == ["tiny_rpt-base, seed 5"]


def test_sigterm_cancels_what_runs_and_leaves_nothing(up):
    """The last test of this stack: it ends it."""
    deploy_trivial(up)
    told = up.folder / "told"
    told.unlink(missing_ok=True)
    parameters = json.dumps({"seconds": 300, "told": str(told)})
    begun = up.prefect("deployment", "run", "trivial/here", "--params", parameters)
    assert begun.returncode == 0, begun.stderr
    give_up = time.monotonic() + 60
    while not told.exists():
        assert time.monotonic() < give_up
        time.sleep(0.2)
    assert up.stop(signal.SIGTERM) == 75
    assert "rpt: stopped. Nothing of it is left running, and the same command starts it again." in up.said()
    assert told.read_text() == "TerminationSignal"  # it was asked, not killed
    assert "did not end in time" not in up.said()
    assert not of_home(up.home)
    assert (up.folder / ".env").read_text() == "MINE=1\n"


MOMENTS = [("SIGINT", 0.0), ("SIGINT", 0.7), ("SIGHUP", 1.5), ("SIGTERM", 9.0), ("SIGKILL", 9.0)]


@pytest.mark.faults
@pytest.mark.parametrize(
    ("number", "seconds"),
    [("SIGINT", 4.0), *(pytest.param(*moment, marks=pytest.mark.long) for moment in MOMENTS)],
)
def test_stopped_while_starting_it_leaves_nothing(tmp_path, number, seconds):
    stack = Up(tmp_path)
    wait_until_signals_are_taken(stack.process.pid)
    time.sleep(seconds)
    code = stack.stop(signal.Signals[number])
    assert code == (-9 if number == "SIGKILL" else 75), stack.said()
    assert "Traceback" not in stack.said()
    assert number == "SIGKILL" or "rpt: stopped" in stack.said()
    give_up = time.monotonic() + 10
    while left := of_home(stack.home):
        assert time.monotonic() < give_up, left
        time.sleep(0.1)


def test_a_port_another_stack_has_in_mind_is_passed_over():
    with reserved_port(free_port(4300)) as first, reserved_port(first) as second:
        assert first != second


def test_a_taken_port_is_passed_over():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert free_port(port) > port
