"""`prefect deploy --all` for the local stack: only when something changed, and by quick clients.

Measured on 2 quiet cores (Prefect 3.8.8, 43 deployments): half of the command's time went into reading
certifi's authorities once for each of its clients, though the local server speaks plain HTTP.
"""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import certifi

from infra.local.prefect_api import PrefectApi
from rpt_core.artifacts.digest import files_digest

_END = "-----END CERTIFICATE-----\n"
STAMP = "deployed.json"
"""In the state folder: what was deployed from it last, and of which source."""


def one_authority(folder: Path) -> Mapping[str, str]:
    """Settings by which Prefect's clients read one authority in place of all of certifi's.

    Only for processes that talk to a server of this machine over HTTP: no other certificate would be trusted.
    """
    path = folder / "one-authority.pem"
    path.write_text(Path(certifi.where()).read_text("utf-8").partition(_END)[0] + _END, "utf-8")
    return {"PREFECT_API_SSL_CERT_FILE": str(path)}


def deployed_digest(repository: Path) -> str:
    """SHA-256 of all that a deployment holds: its rows, its flows' forms, its folder, Prefect's version."""
    files = files_digest(repository, (repository / "prefect.yaml", *sorted(_forms(repository))))
    return hashlib.sha256(f"{version('prefect')} {repository} {files}".encode()).hexdigest()


def _forms(repository: Path) -> list[Path]:
    """Flows, and the recipes and placements that their forms are made of."""
    folders = ("flows", "rpt_core/recipes", "rpt_core/artifacts")
    return [path for folder in folders for path in (repository / folder).rglob("*.py")]


def is_deployed(home: Path, repository: Path, api: PrefectApi) -> bool:
    """Whether the server still has every deployment that was made of this very source."""
    stamp = home / STAMP
    if not stamp.is_file():
        return False
    noted = json.loads(stamp.read_text("utf-8"))
    same = noted["source"] == deployed_digest(repository)
    return same and {tuple(one) for one in noted["deployments"]} <= _names(api)


def note_deployed(home: Path, repository: Path, api: PrefectApi) -> None:
    """Remember what was deployed; in one write, after the last deployment is there."""
    noted = {"source": deployed_digest(repository), "deployments": sorted(_names(api))}
    new = home / f"{STAMP}.new"
    new.write_text(json.dumps(noted), "utf-8")
    new.replace(home / STAMP)


def _names(api: PrefectApi) -> set[tuple[str, str]]:
    """Flow and name of every deployment; a path of module or file tells the flow."""
    return {(str(one["entrypoint"]), str(one["name"])) for one in api.deployments()}
