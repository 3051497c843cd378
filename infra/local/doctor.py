"""``rpt doctor``: what works on this machine, what is missing, and the command that fixes it."""

import importlib
import platform
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.local.links import ENV_FILE, MLFLOW, PREFECT, answers, read_env
from infra.local.stack import HOST, free_port
from infra.local.state import state_folder
from infra.machine import package_version, this_machine
from rpt_core.addresses import without_password
from rpt_core.errors import RptError

State = Literal["ok", "warn", "fail"]
PYTHON = ((3, 11), (3, 15))
"""First that works, first that does not (pyproject's ``requires-python``)."""
PACKAGES: tuple[tuple[str, str, str], ...] = (
    ("torch", "2.11", ""),
    ("transformers", "5.17", "6"),
    ("tokenizers", "", ""),
    ("safetensors", "", ""),
    ("pyarrow", "20", ""),
    ("datasketch", "2", "3"),
    ("pydantic", "2.12", ""),
    ("fsspec", "", ""),
    ("prefect", "3.8", "4"),
    ("mlflow", "3.17", "4"),
    ("fastapi", "0.139", "0.151"),  # newer ones crash `prefect server start`, which pip does not know
)
"""Name, first version that works, first that does not."""
DISK_BYTES_OK, DISK_BYTES_LEAST = 5 * 10**9, 10**9
MEMORY_BYTES_OK, MEMORY_BYTES_LEAST = 6 * 10**9, 3 * 10**9
_REINSTALL = "make setup  (or: pip install -c constraints.txt -e .)"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    name: str
    state: State
    what: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty when ok."""

    def __post_init__(self) -> None:
        """Show no password: what was found may be an address."""
        for name in ("what", "remedy"):
            object.__setattr__(self, name, without_password(getattr(self, name)))


def examine(probe_store: Callable[[], str]) -> list[Check]:
    """Look at everything once; takes about ten seconds, since Prefect and MLflow are really imported.

    Args:
        probe_store: Says what the object store was found good at, or raises an
            :class:`rpt_core.errors.RptError` when it cannot be used.
    """
    checks = [_python(), *map(_package, PACKAGES), _torch(), _memory(), _disk(), _sqlite()]
    checks += [_imports("prefect"), _imports("mlflow"), _store(probe_store), _links(), *_ports()]
    return [*checks, _chromium()]


def _python() -> Check:
    here, (least, above) = sys.version_info[:2], PYTHON
    what = f"Python {platform.python_version()} at {sys.executable}"
    if least <= here < above:
        return Check("python", "ok", what)
    return Check("python", "fail", what, "install Python 3.11 to 3.14, then: make setup PYTHON=python3.11")


def _package(wanted: tuple[str, str, str]) -> Check:
    name, least, below = wanted
    found = package_version(name)
    limits = " and ".join([f">={least}"] * bool(least) + [f"<{below}"] * bool(below))
    if found == "absent":
        return Check(name, "fail", "not installed", _REINSTALL)
    too_old = bool(least) and _numbers(found) < _numbers(least)
    too_new = bool(below) and _numbers(found) >= _numbers(below)
    if too_old or too_new:
        return Check(name, "fail", f"{found}, but {limits} is needed", _REINSTALL)
    return Check(name, "ok", found)


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``2.13.0+cpu`` is (2, 13, 0)."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


def _torch() -> Check:
    machine = this_machine()
    build = f"a {machine.platform} build" if machine.torch_has_cuda else "a CPU build"
    cards = ", ".join(f"{gpu.name} ({gpu.memory_bytes / 1e9:.0f} GB)" for gpu in machine.gpus)
    if machine.gpus and not machine.torch_has_cuda:
        release = machine.torch.partition("+")[0]
        remedy = f"install a {machine.platform} build of torch {release} into {sys.prefix}"
        return Check(
            "gpu", "warn", f"{cards}, but torch {machine.torch} is {build} and cannot use it", remedy
        )
    if not machine.gpus:
        none = "none that is used (Apple's is not)" if platform.system() == "Darwin" else "none"
        what = f"{none}; torch {machine.torch} ({build}), {machine.cores} cores: tiny recipes run"
        return Check("gpu", "ok", what)
    return Check("gpu", "ok", f"{cards}; torch {machine.torch} ({build})")


def _memory() -> Check:
    memory = this_machine().memory_bytes
    what = f"{memory / 1e9:.1f} GB of memory"
    remedy = f"close other programs; `make demo` wants {MEMORY_BYTES_OK / 1e9:.0f} GB"
    return Check("memory", *_graded(memory, MEMORY_BYTES_OK, MEMORY_BYTES_LEAST, what, remedy))


def _disk() -> Check:
    home = state_folder()
    folder = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    what = f"{free / 1e9:.1f} GB free for {home}"
    remedy = "free some, run `rpt gc`, or set RPT_HOME to a folder on another disk"
    return Check("disk", *_graded(free, DISK_BYTES_OK, DISK_BYTES_LEAST, what, remedy))


def _graded(have: float, enough: float, least: float, what: str, remedy: str) -> tuple[State, str, str]:
    if have >= enough:
        return "ok", what, ""
    return ("warn" if have >= least else "fail"), what, remedy


def _sqlite() -> Check:
    """Whether a database works where state is kept: on some network disks locking does not."""
    folder = state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            database = sqlite3.connect(Path(scratch) / "probe.db", timeout=5)
            mode = database.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            database.execute("CREATE TABLE one (value)")
            database.close()
    except (OSError, sqlite3.Error) as error:
        return Check("sqlite", "fail", f"{folder}: {error}", "set RPT_HOME to a folder on a local disk")
    if mode != "wal":
        return Check("sqlite", "warn", f"{folder} allows no write-ahead log", "set RPT_HOME to a local disk")
    return Check("sqlite", "ok", f"works in {folder}")


def _imports(package: str) -> Check:
    """Really import it: a set of versions can install without a conflict and still not load."""
    name = f"import {package}"
    try:
        importlib.import_module(package)
    except Exception as error:  # noqa: BLE001  (whatever a broken installation raises is the finding)
        return Check(name, "fail", f"{type(error).__name__}: {error}"[:200], _REINSTALL)
    return Check(name, "ok", "loads")


def _store(probe: Callable[[], str]) -> Check:
    try:
        found = probe()
    except RptError as error:
        return Check("store", "fail", str(error), "set RPT_STORE to a folder or bucket that can be written")
    return Check("store", "ok", found)


def _links() -> Check:
    links = {name: url for name, url in read_env(ENV_FILE).items() if name in (PREFECT, MLFLOW)}
    if not links:
        return Check("stack", "ok", "not running; `rpt up` starts Prefect and MLflow here")
    dead = [url for url in links.values() if not answers(f"{url.rstrip('/')}/health")]
    if dead:
        return Check("stack", "warn", f"{ENV_FILE} names {', '.join(dead)}, which does not answer", "rpt up")
    return Check("stack", "ok", ", ".join(links.values()))


def _ports() -> Iterator[Check]:
    for name, preferred in (("prefect port", 4200), ("mlflow port", 5000)):
        port = free_port(preferred)
        note = "free" if port == preferred else f"taken; `rpt up` would use {port}"
        yield Check(name, "ok", f"{HOST}:{preferred} {note}")


def _chromium() -> Check:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for path in map(shutil.which, names) if path), None)
    if found:
        return Check("browser", "ok", found)
    return Check(
        "browser", "ok", "no chromium: reports are not turned into pictures (nothing else needs one)"
    )
