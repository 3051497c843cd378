"""Where the local stack is: two lines in ``.env``, believed only while they answer.

Prefect reads ``.env`` in the folder it is started in, so ``rpt up`` writes its address there and
``prefect deployment run ...`` works in another shell. A stack that was killed leaves the lines behind;
every command of ours therefore asks the address first (:func:`live_api_url`).
"""

import http.client
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from rpt_core.errors import RecipeError, ServiceError

PREFECT = "PREFECT_API_URL"
MLFLOW = "MLFLOW_TRACKING_URI"
TRAINING_PAGES = "workflowType=machine_learning"
"""In an address of MLflow: it opens a new browser on its pages about traces otherwise."""
ENV_FILE = Path(".env")
_HEALTH = {PREFECT: "/health", MLFLOW: "/health"}
_ANSWER_SECONDS = 2.0
_TRIES = 3
_log = logging.getLogger("rpt.links")
_noticed: set[str] = set()


def read_env(path: Path = ENV_FILE) -> dict[str, str]:
    """``NAME=value`` lines of a dot-env file; quotes around a value are taken off."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text(errors="replace").splitlines():
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and not line.lstrip().startswith("#"):
            found[name.strip()] = value.strip().strip("'\"")
    return found


def add_lines(values: Mapping[str, str], path: Path = ENV_FILE) -> None:
    """Put the stack's lines at the end of the file, in place of earlier ones; all others stay as they are."""
    others = [line for line in _lines(path) if not _sets(line, values)]
    _write(path, [*others, *(f"{name}={value}" for name, value in values.items())])


def remove_lines(values: Mapping[str, str], path: Path = ENV_FILE) -> None:
    """Take exactly these lines out again; the file goes when nothing else is in it."""
    ours = {f"{name}={value}" for name, value in values.items()}
    kept = [line for line in _lines(path) if line not in ours]
    if kept:
        _write(path, kept)
    else:
        path.unlink(missing_ok=True)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _sets(line: str, names: Mapping[str, str]) -> bool:
    return bool((found := re.match(r"(?:export\s+)?(\w+)\s*=", line)) and found[1] in names)


def _write(path: Path, lines: list[str]) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_text("".join(f"{line}\n" for line in lines))
    part.replace(path)


def answers(url: str, seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether a server answers ``GET url`` with success."""
    return _status(url, seconds) == http.HTTPStatus.OK


def _status(url: str, seconds: float = _ANSWER_SECONDS) -> int | None:
    """The status of a reply to ``GET url``, a refusal's too; None where nothing replies."""
    if not url.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(url, timeout=seconds) as reply:  # noqa: S310  (http only, see above)
            return int(reply.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except (OSError, ValueError, http.client.HTTPException):
        return None


def checked_address(name: str) -> str:
    """The address in an environment variable, of a server that is there; empty when none is named.

    Raises:
        RecipeError: it is no address.
        ServiceError: nothing replies there.
    """
    url = os.environ.get(name, "").strip()
    if not url:
        return ""
    if not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise RecipeError(f"{name}={url[:200]!r} is no address; write http://HOST:PORT.")
    for _ in range(_TRIES):
        if _status(url.rstrip("/") + _HEALTH[name]) is not None:
            return url
    raise ServiceError(
        f"{name}={url[:200]} does not answer. Start the server it names, or leave {name} out: the command "
        "brings its own. Nothing was begun; run the command again."
    )


def live_api_url(path: Path = ENV_FILE) -> str:
    """The Prefect API this process should use: the environment's, else the one in ``.env`` if it is alive.

    Returns an empty string when there is none: Prefect then serves itself in the process. A dead
    address in ``.env`` is hidden from Prefect for the rest of this process, with one notice. Call it
    before Prefect is imported.
    """
    return _live(PREFECT, path)


def live_tracking_uri(path: Path = ENV_FILE) -> str:
    """The MLflow server this process should write to, found the same way; empty when there is none."""
    return _live(MLFLOW, path)


def _live(name: str, path: Path) -> str:
    if name in os.environ:
        return os.environ[name]
    url = read_env(path).get(name, "")
    if not url:
        return ""
    if answers(url.rstrip("/") + _HEALTH[name]):
        return url
    if name not in _noticed:
        _noticed.add(name)
        _log.warning(
            "%s in %s does not answer (%s); it is ignored. `rpt up` starts a new one.", name, path, url
        )
    os.environ[name] = ""  # stronger than the file, and Prefect takes an empty address as none
    return ""
