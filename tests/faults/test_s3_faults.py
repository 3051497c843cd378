"""The store over a way on which things go wrong: it goes on, or says so in a sentence; never a wrong byte."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.storage.store import Store
from rpt_core.errors import IntegrityError, RptError, StoreError
from tests.faulty_proxy import HARMLESS, LYING, Fault, Proxy, proxy_to
from tests.s3_servers import S3Server, environment, moto, seaweedfs
from tests.unit.infra.storage.test_store import publish, write

pytestmark = pytest.mark.faults
NAMED_WITHIN_SECONDS = 60
BIG_BYTES = 300_000


@pytest.fixture(scope="module", params=["moto", pytest.param("real", marks=pytest.mark.s3)])
def server(request, tmp_path_factory) -> Iterator[S3Server]:
    starting = moto() if request.param == "moto" else seaweedfs(tmp_path_factory.mktemp("seaweedfs"))
    with starting as one:
        yield one


@pytest.fixture
def way(server: S3Server) -> Iterator[Proxy]:
    """The proxy that the store goes through."""
    with proxy_to(server.url) as proxy, environment(server.environment(proxy.url)):
        yield proxy


def work(url: str, folder: Path) -> dict[str, Any]:
    """Everything a build asks of a store, from a store opened anew; what came of it."""
    store = Store(url, folder / "cache")
    source = write(folder / "a", x="hello", y="world")
    (source / "big.bin").write_bytes(random.Random(0).randbytes(BIG_BYTES))
    manifest = publish(store, source)
    name = store.add_ref("math", manifest.artifact)
    store.save_progress("e" * 64, "n", 3, source, {"seconds": 1.0})
    shutil.rmtree(folder / "back", ignore_errors=True)
    note = store.load_progress("e" * 64, "n", 3, folder / "back")
    shutil.rmtree(folder / "cache", ignore_errors=True)
    copy = store.materialise(store.find("math").artifact)
    store.verify(manifest)
    scan = store.scan()
    return {
        "digest": manifest.digest,
        "ref": name.partition("@")[0],
        "note": note,
        "steps": store.progress_steps("e" * 64, "n"),
        "files": {path.name: path.read_bytes() for path in sorted((folder / "back").iterdir())},
        "copied": {path.name: path.read_bytes() for path in sorted(copy.iterdir()) if path.suffix != ".json"},
        "found": [each.digest for each in scan.manifests],
        "faults": scan.faults,
    }


def nothing_is_half_there(server: S3Server, url: str, folder: Path) -> None:
    """Seen without the proxy: every manifest holds, and no copy is left half filled."""
    with environment(server.environment()):
        store = Store(url, folder / "other-cache")
        scan = store.scan()
        assert not scan.faults
        for manifest in scan.manifests:
            store.verify(manifest)
    assert not list(folder.rglob("*.tmp"))


def outcome(url: str, folder: Path) -> dict[str, Any] | RptError:
    """What came of it, or the sentence; any other error is the test's failure."""
    began, told = time.monotonic(), None
    try:
        return work(url, folder)
    except RptError as error:
        told = error
    assert time.monotonic() - began < NAMED_WITHIN_SECONDS
    assert len(str(told).splitlines()) == 1
    return told


@pytest.fixture
def undisturbed(server: S3Server, tmp_path: Path) -> dict[str, Any]:
    with environment(server.environment()):
        found = work(f"s3://{server.new_place()}/team", tmp_path / "undisturbed")
    assert found["steps"] == [3]
    assert found["copied"]["big.bin"] == found["files"]["big.bin"] == random.Random(0).randbytes(BIG_BYTES)
    return found


@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_the_first_of_every_request(server, way, tmp_path, undisturbed, fault):
    url = f"s3://{server.new_place()}/team"
    way.once(fault)
    found = outcome(url, tmp_path / "once")
    assert way.happened[fault] > 1
    if fault not in LYING:
        assert found == undisturbed, "a fault that passes is survived"
    assert found == undisturbed or isinstance(found, StoreError | IntegrityError)
    way.never()
    nothing_is_half_there(server, url, tmp_path / "once")
    assert outcome(url, tmp_path / "once") == undisturbed, "and the same command completes it"


@pytest.mark.long
@pytest.mark.parametrize("fault", list(Fault))
def test_a_fault_at_every_request(server, way, tmp_path, undisturbed, fault):
    url = f"s3://{server.new_place()}/team"
    way.always(fault)
    found = outcome(url, tmp_path / "always")
    if fault in HARMLESS:
        assert found == undisturbed
    elif fault not in (Fault.TWO_REPLIES, Fault.TWO_REQUESTS, Fault.HALF_DOWN, Fault.LONG):
        assert isinstance(found, StoreError | IntegrityError)
    else:
        assert found == undisturbed or isinstance(found, StoreError | IntegrityError)
    way.never()
    nothing_is_half_there(server, url, tmp_path / "always")
    assert outcome(url, tmp_path / "always") == undisturbed


@pytest.mark.long
def test_random_faults_never_change_a_byte(server, way, tmp_path, undisturbed, capsys):
    """One in eight requests, any fault; the same command again until it is done."""
    num_runs = int(os.environ.get("RPT_FAULT_RUNS", "4"))
    tries = 0
    for seed in range(num_runs):
        url, folder = f"s3://{server.new_place()}/team", tmp_path / str(seed)
        way.now_and_then(list(Fault), 1 / 8, seed)
        for _ in range(40):
            tries += 1
            found = outcome(url, folder)
            if not isinstance(found, RptError):
                break
        assert found == undisturbed
        way.never()
        nothing_is_half_there(server, url, folder)
    with capsys.disabled():
        print(f"\n{way.happened.total()} faults in {num_runs} runs, {tries} tries")
