"""When the local stack deploys, and by which authorities its deploying goes."""

import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest

from infra.local.deploying import STAMP, deployed_digest, is_deployed, note_deployed, one_authority
from infra.local.prefect_api import PrefectApi

ROOT = Path(__file__).parents[4]


class Server(PrefectApi):
    """Has some deployments, and gives them by pages of two."""

    def __init__(self, *names: tuple[str, str]) -> None:
        super().__init__("http://nowhere/api")
        self.has = [{"entrypoint": flow, "name": name} for flow, name in names]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        assert (method, path) == ("POST", "/deployments/filter")
        return self.has[body["offset"] : body["offset"] + 2]


THREE = (
    ("flows.pipeline.pipeline", "local"),
    ("flows.pipeline.pipeline", "prod"),
    ("flows.study.study", "prod"),
)


@pytest.fixture
def source(tmp_path) -> Path:
    """A copy of what deployments are made of."""
    root = tmp_path / "source"
    for folder in ("flows", "rpt_core/recipes", "rpt_core/artifacts"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "prefect.yaml", root)
    return root


def test_the_same_source_on_the_same_server_is_deployed_once(tmp_path, source):
    server = Server(*THREE)
    assert not is_deployed(tmp_path, source, server)
    note_deployed(tmp_path, source, server)
    assert is_deployed(tmp_path, source, server)
    assert is_deployed(tmp_path, source, Server(*THREE, ("mine.flow", "own")))
    assert [path.name for path in tmp_path.glob(f"{STAMP}*")] == [STAMP]


def test_a_deployment_that_somebody_removed_is_made_again(tmp_path, source):
    note_deployed(tmp_path, source, Server(*THREE))
    assert not is_deployed(tmp_path, source, Server(*THREE[:2]))


@pytest.mark.parametrize(
    "changed",
    ["prefect.yaml", "flows/stages.py", "rpt_core/recipes/policy.py", "rpt_core/artifacts/placement.py"],
)
def test_another_form_is_deployed_again(tmp_path, source, changed):
    note_deployed(tmp_path, source, server := Server(*THREE))
    path = source / changed
    path.write_text((path.read_text() if path.exists() else "") + "\n# another\n")
    assert not is_deployed(tmp_path, source, server)


def test_another_folder_is_another_deployment(tmp_path, source):
    assert deployed_digest(source) != deployed_digest(Path(shutil.copytree(source, tmp_path / "moved")))


def test_the_authority_is_one_that_certificates_are_read_from(tmp_path):
    [path] = one_authority(tmp_path).values()
    context = ssl.create_default_context(cafile=path)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1
