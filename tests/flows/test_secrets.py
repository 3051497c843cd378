"""Keys of the store come by the ordinary chain, and stand in nothing that a run writes or says."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.storage.store import Store
from tests.s3_servers import ROOT, S3Server, environment, moto, seaweedfs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
FIELDS = {"documents.sample.num_documents": 30, "documents.sample.num_problems": 30}
SMALL = ["--to", "ingest-corpus", *(w for name, value in FIELDS.items() for w in ("-p", f"{name}={value}"))]


@pytest.fixture(scope="module", params=["moto", pytest.param("real", marks=pytest.mark.s3)])
def server(request, tmp_path_factory) -> Iterator[S3Server]:
    if request.param == "real":
        with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as one:
            yield one
        return
    with moto() as one:  # takes any key
        yield S3Server(one.url, f"AKIA{uuid.uuid4().hex[:16].upper()}", f"planted{uuid.uuid4().hex}")


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """The environment of a command, with no key but those given."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "AWS_", "RPT_"))}
    home.mkdir(exist_ok=True)
    return {**kept, "PYTHONPATH": str(ROOT), "RPT_HOME": str(home / "state"), "TMPDIR": str(home),
            "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **more}  # fmt: skip


def by_variables(server: S3Server, home: Path) -> dict[str, str]:
    return server.environment()


def by_profile(server: S3Server, home: Path) -> dict[str, str]:
    """Keys in a file outside of what is searched."""
    folder = home.with_name("aws")
    folder.mkdir(exist_ok=True)
    (folder / "credentials").write_text(
        f"[team]\naws_access_key_id = {server.access_key}\naws_secret_access_key = {server.secret_key}\n"
    )
    (folder / "config").write_text(f"[profile team]\nregion = us-east-1\nendpoint_url = {server.url}\n")
    return {
        "AWS_PROFILE": "team",
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
    }


def places_of(secret: str, *folders: Path) -> list[str]:
    """Files that hold a secret; databases are files, too."""
    return [
        str(path)
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
    ]


def run(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "flows.cli", *words],
        cwd=home, env=surroundings(home, **env), capture_output=True, text=True, check=False,
    )  # fmt: skip


def stored(server: S3Server, url: str, folder: Path) -> list[bytes]:
    """Every object of a store."""
    with environment(server.environment()):
        store = Store(url, folder / "look")
        return [store.objects.read(each.key) or b"" for each in store.objects.walk(store.objects.root)]


@pytest.mark.parametrize("given", [by_variables, by_profile])
def test_a_run_takes_its_keys_and_writes_none_of_them(server, tmp_path, given):
    home, url = tmp_path / "home", f"s3://{server.new_place()}/team"
    home.mkdir()
    keys = given(server, home)
    done = run(home, "run", "tiny_rpt", *SMALL, RPT_STORE=url, **keys)
    assert done.returncode == 0, done.stdout + done.stderr
    objects = stored(server, url, tmp_path)
    assert len(objects) > 3
    for secret in (server.access_key, server.secret_key):
        assert secret not in done.stdout + done.stderr
        assert places_of(secret, home) == []
        assert not any(secret.encode() in data for data in objects)
    assert places_of("ingest-corpus", home), "the search finds what is there"
    assert any(b"ingest-corpus" in data for data in objects)


def test_a_wrong_key_and_one_in_the_address_are_told_without_it(server, tmp_path):
    home, wrong = tmp_path / "home", f"planted{uuid.uuid4().hex}"
    home.mkdir()
    bucket = server.new_place()
    if server.process is not None:  # moto takes any
        keys = {**server.environment(), "AWS_SECRET_ACCESS_KEY": wrong}
        done = run(home, "ls", RPT_STORE=f"s3://{bucket}/team", **keys)
        assert done.returncode == 2
        assert "since it refuses us" in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
        assert wrong not in done.stdout + done.stderr
    told = run(home, "ls", RPT_STORE=f"s3://user:{wrong}@{bucket}/team", **server.environment())
    assert told.returncode == 2
    assert "carries a login" in " ".join(told.stderr.split())
    assert wrong not in told.stdout + told.stderr
    assert places_of(wrong, home) == []
