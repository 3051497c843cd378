"""Where this machine keeps its state: ``./.rpt``, or the folder that ``RPT_HOME`` names."""

import errno
import os
import sqlite3
import tempfile
from pathlib import Path
from urllib.parse import quote

from rpt_core.errors import EXIT_TRY_AGAIN, EXIT_YOUR_INPUT, RecipeError

DATABASE = "mlflow.db"
"""MLflow's own, in the state folder."""
_FULL = frozenset({"ENOSPC", "EDQUOT"})
_SURROUNDINGS = _FULL | {
    "EACCES",
    "EPERM",
    "EROFS",
    "ENAMETOOLONG",
    "ENOTDIR",
    "ELOOP",
    "EIO",
    "EMFILE",
    "ENFILE",
}


def state_folder() -> Path:
    """The state folder, absolute; it need not be there.

    Raises:
        RecipeError: ``RPT_HOME`` holds bytes that are no UTF-8, which no JSON file of ours could hold.
    """
    folder = Path(os.environ.get("RPT_HOME") or ".rpt").absolute()
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise RecipeError(
            f"the state folder {str(folder)!r} is not UTF-8; name another with RPT_HOME."
        ) from None
    return folder


def made_state_folder() -> Path:
    """The state folder, made when absent.

    Raises:
        RecipeError: it cannot be made.
    """
    folder = state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecipeError(_unusable(folder, "cannot be made", error.strerror or str(error))) from None
    return folder


def prefect_settings(home: Path) -> dict[str, str]:
    """Environment of a Prefect that keeps its state in the state folder and sends no usage data."""
    return {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
    }


def sqlite_uri(home: Path) -> str:
    """The local database as MLflow names it; SQLAlchemy decodes percent signs and cuts at ``?``."""
    return f"sqlite:///{quote(str(home / DATABASE), safe='/: ')}?timeout=30"


def check_writable(folder: Path) -> None:
    """Find out in milliseconds what a server would take a minute to stumble over.

    Raises:
        RecipeError: nothing can be written into the folder, or no database can be opened in it.
    """
    try:
        (folder / "prefect").mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "prefect") as probe:
            probe.write(b"\0" * (1 << 16))
    except OSError as error:
        raise RecipeError(_unusable(folder, "cannot be written", error.strerror or str(error))) from None
    database = folder / "prefect" / "prefect.db"
    try:
        with sqlite3.connect(database, timeout=0.0) as connection:
            connection.execute("PRAGMA schema_version")
        connection.close()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):  # another command is at it, so it works
            raise RecipeError(_unusable(folder, "holds no usable database", f"{database}: {error}")) from None
    except sqlite3.DatabaseError as error:
        raise RecipeError(
            f"{database} is no database ({error}): it was overwritten or damaged. It holds only what "
            "Prefect shows of past runs; move it away and run the same command again."
        ) from None


def _unusable(folder: Path, what: str, why: str) -> str:
    return (
        f"the state folder {str(folder)[:200]} {what} ({why}). Name another with RPT_HOME, or fix this one."
    )


def about_surroundings(error: OSError) -> tuple[str, int] | None:
    """What to tell a person about an error of the system that no code of ours can be the cause of.

    Returns:
        A sentence and an exit code; None for an error that may well be ours.
    """
    name = errno.errorcode.get(error.errno or 0, "")
    if name not in _SURROUNDINGS:
        return None
    what = f"{error.strerror}: {str(error.filename)[:200]!r}" if error.filename else str(error.strerror)
    if name in _FULL:
        return f"{what}. Free some space, then rerun to resume.", EXIT_TRY_AGAIN
    return f"{what}. Fix it or name another place, then rerun to resume.", EXIT_YOUR_INPUT
