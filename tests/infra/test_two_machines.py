"""A training on two machines, a rank on each: one goes dark, the other goes on from the checkpoint."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.storage.store import Store
from tests.infra.two_machines import PYTHON, Machine, two_machines
from tests.s3_servers import ROOT

pytestmark = [pytest.mark.infra, pytest.mark.timeout(5400)]
NODE = ROOT / "infra/kubernetes/node.sh"
WAIT_SECONDS = 1500.0
TINY = [
    "tiny_rpt", "--to", "train-base", "-p", "documents.sample.num_documents=60",
    "-p", "base.documents_per_step=2",
]  # fmt: skip


@pytest.fixture
def machines(tmp_path):
    with two_machines(tmp_path) as both:
        yield both


def environment(folder: Path, job: str) -> dict[str, str]:
    """Of every machine of a job: its own state folder, one store for all jobs."""
    return {
        "RPT_NODES": "2", "RPT_RENDEZVOUS": "first:29500", "RPT_HOME": str(folder / job),
        "RPT_STORE": str(folder / "store"), "RPT_PYTHON": PYTHON, "RPT_COLLECTIVE_SECONDS": "60",
        "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
    }  # fmt: skip


def train(machine: Machine, index: int, env: dict[str, str], *words: str):
    """What a pod of infra/kubernetes/training.yaml runs."""
    return machine.start(["sh", NODE, *TINY, *words], JOB_COMPLETION_INDEX=str(index), **env)


def until(there: Callable[[], object], *machines: Machine) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not there():
        said = "\n".join(machine.said()[-3000:] for machine in machines)
        assert time.monotonic() < give_up, said
        time.sleep(0.2)


def saved(folder: Path) -> list[int]:
    return [int(path.stem) for path in (folder / "store" / "progress").glob("*/*/*.json")]


def bases(folder: Path):
    store = Store(str(folder / "store"), folder / "cache")
    return [manifest for manifest in store.manifests() if manifest.kind == "base"]


def test_they_are_two_machines(machines):
    first, second = machines
    assert [machine.run("hostname").strip() for machine in machines] == ["first", "second"]
    assert "10.213.77.2" in first.run("getent", "hosts", "second")
    assert "10.213.77.2" in second.run("ip", "-brief", "address")
    assert "10.213.77.1" not in second.run("ip", "-brief", "address")


def test_a_rank_on_each_trains_one_model(machines, tmp_path):
    first, second = machines
    env = environment(tmp_path, "job")
    follower = train(second, 1, env)
    leader = train(first, 0, env, "-p", "base.steps=20", "--placement", "ranks=2")
    assert leader.wait(WAIT_SECONDS) == 0, first.said()
    assert follower.wait(60) == 0, second.said()
    (base,) = bases(tmp_path)
    assert base.numerics is not None
    assert base.numerics.world_size == 2
    assert not second.processes()


def test_a_machine_that_goes_dark_ends_the_run_in_a_sentence_and_the_other_goes_on(machines, tmp_path):
    first, second = machines
    env = environment(tmp_path, "job")
    steps = ["-p", "base.steps=200", "--placement"]
    train(second, 1, env)
    leader = train(first, 0, env, *steps, "ranks=2,checkpoint_seconds=0.001")
    until(lambda: len(saved(tmp_path)) > 1, first, second)
    second.lose()
    begin = time.monotonic()
    assert leader.wait(WAIT_SECONDS) == 1
    assert time.monotonic() - begin < 400
    last = [line for line in first.said().splitlines() if line.startswith("rpt: ")][-1]
    assert re.search(r"another|rank|lost", last)
    assert re.search(r"[Rr]erun", first.said())
    first.stop()
    kept = max(saved(tmp_path))

    alone = {**environment(tmp_path, "next"), "RPT_NODES": "1"}
    again = train(first, 0, alone, *steps, "ranks=1")
    assert again.wait(WAIT_SECONDS) == 0, first.said()
    (base,) = bases(tmp_path)
    assert base.attempts[-1].steps == (kept, 200)
    assert base.numerics is not None
    assert base.numerics.world_size == 1
