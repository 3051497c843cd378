"""Data stages on Ray's workers of two machines: the same corpus, also when one of them goes dark."""

import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpt_core.recipes.corpus import SampleWorld
from rpt_core.sample.files import write_sample
from tests.infra.two_machines import PYTHON, Machine, two_machines
from tests.s3_servers import ROOT

pytestmark = [pytest.mark.infra, pytest.mark.timeout(1800)]
PORT = 6379
WAIT_SECONDS = 600.0
DRIVER = [PYTHON, "-c", "from tests.infra.ray_stages import main; main()"]
GIVEN = {
    "RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1",
    "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
}  # fmt: skip
"""A token is said: where the home folder has a file of one, the head asks for it and the others give none."""
STARTS = 8
"""Ray gives up a start of its own that took over 30 s, as on a busy machine."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write_sample(SampleWorld(num_documents=300, num_problems=60), tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory) -> dict[str, str]:
    """What both stages make in one process of this machine."""
    folder = tmp_path_factory.mktemp("alone") / "made"
    subprocess.run([*DRIVER, data, folder, "processes", "0"], cwd=ROOT, check=True)
    return digests(folder)


def digests(folder: Path) -> dict[str, str]:
    return json.loads((folder / "digests.json").read_text())


@pytest.fixture
def machines(tmp_path) -> Iterator[tuple[Machine, Machine]]:
    """Two machines, of which the first has Ray's head and both a core for its workers."""
    pytest.importorskip("ray", reason="Ray is not installed (pip install -e '.[ray]')")
    with two_machines(tmp_path) as both, ray_on(*both):
        yield both


@contextmanager
def ray_on(first: Machine, second: Machine) -> Iterator[None]:
    disk = tempfile.mkdtemp(prefix="rpt-ray-")  # a socket's path has 107 bytes at most
    try:
        for machine in (first, second):
            machine.run("mount", "-t", "tmpfs", "none", disk)  # of its own, under one name
        head = ["--head", f"--port={PORT}", f"--temp-dir={disk}", "--include-dashboard=false"]
        start(first, *head)
        start(second, f"--address={address(first)}")
        yield
    finally:
        for machine in (first, second):
            machine.stop()
        shutil.rmtree(disk)


def start(machine: Machine, *words: str) -> None:
    """Ray's part of a machine, until it has joined; begun again where Ray itself gave up."""
    given = ["start", "--block", f"--node-ip-address={machine.address}", "--num-cpus=1", *words]
    command = [Path(sys.executable).parent / "ray", *given, "--object-store-memory=100000000"]
    for _ in range(STARTS):
        process = machine.start(command, **GIVEN)
        while process.poll() is None:
            if "Ray runtime started" in machine.said():
                return
            time.sleep(0.3)
        machine.stop()  # what the start has left
    raise AssertionError(machine.said()[-3000:])


def address(machine: Machine) -> str:
    return f"{machine.address}:{PORT}"


def until(there: Callable[[], object], machine: Machine) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not there():
        assert time.monotonic() < give_up, machine.said()[-3000:]
        time.sleep(0.3)


def drive(machine: Machine, data: Path, folder: Path, seconds: float):
    """The stages on one machine, their shards wherever Ray has a core."""
    words = [*DRIVER, data, folder, "ray", str(seconds)]
    return machine.start(words, RAY_ADDRESS=address(machine), **GIVEN)


def done_on(folder: Path) -> Counter[str]:
    """How many shards each machine has done."""
    return Counter(path.name.partition("-")[0] for path in (folder / "marks").glob("*"))


def test_both_machines_read_and_prepare_and_the_corpus_is_the_same(machines, data, alone, tmp_path):
    first, _ = machines
    folder = tmp_path / "made"
    assert drive(first, data, folder, 0.1).wait(WAIT_SECONDS) == 0, first.said()[-3000:]
    assert digests(folder) == alone
    done = done_on(folder)
    assert set(done) == {"first", "second"}
    assert min(done.values()) > 2


def lost_in_the_middle(first: Machine, lose: Callable[[], None], data: Path, folder: Path) -> dict[str, str]:
    """Both stages, the second machine lost when it has done a few shards of them."""
    driver = drive(first, data, folder, 0.5)
    until(lambda: done_on(folder)["second"] > 2, first)
    lose()
    before = done_on(folder)
    assert driver.poll() is None
    assert driver.wait(WAIT_SECONDS) == 0, first.said()[-3000:]
    after = done_on(folder)
    assert after["second"] == before["second"]
    assert after["first"] > before["first"]
    return digests(folder)


def test_a_machine_that_is_switched_off_takes_no_shard_with_it(machines, data, alone, tmp_path):
    """Every process killed; its network says so for them."""
    first, second = machines
    assert lost_in_the_middle(first, second.stop, data, tmp_path / "made") == alone


@pytest.mark.long
def test_a_machine_that_goes_dark_takes_no_shard_with_it(machines, data, alone, tmp_path):
    """The cable cut as well: Ray asks after five minutes of silence (``grpc_client_keepalive_time_ms``)."""
    first, second = machines
    assert lost_in_the_middle(first, second.lose, data, tmp_path / "made") == alone
