"""How a command ends: in one sentence and an exit code, wherever a person can do something about it."""

import os
import sys
from collections.abc import Callable

from infra.local.links import live_api_url
from infra.local.state import about_surroundings, made_state_folder, prefect_settings
from infra.runs import stops
from rpt_core.errors import EXIT_OUR_FAILURE, EXIT_TRY_AGAIN, EXIT_YOUR_INPUT, RptError

_RESUMES = "Rerun to resume from what is finished."
_STOPPED = {
    "run": _RESUMES,
    "demo": _RESUMES,
    "study": _RESUMES,
    "eval": _RESUMES,
    "leaderboard": _RESUMES,
    "copy": "What was copied stays, and a rerun resumes.",
    "gc": "What was removed is gone, nothing else was touched, and a rerun resumes.",
    "track": "MLflow may show a part; the same command completes it.",
    "up": "Nothing of it is left running, and the same command starts it again.",
}
_TYPER_INTERRUPTED = 130
"""What Typer returns for a KeyboardInterrupt, which it does not hand on."""


def guarded(command: Callable[[], object], *, prepare: bool = False) -> int:
    """Run a command; an error that is ours, or of the words typed, becomes a sentence and an exit code.

    Args:
        command: Typer's application, called.
        prepare: Set up Prefect's surroundings first.
    """
    with stops.listening():
        try:
            if prepare:
                prepare_prefect()
            code = command()
        except BaseException as error:  # noqa: BLE001  (told, or raised again)
            return _told(error)
        if code == _TYPER_INTERRUPTED:
            return _told(KeyboardInterrupt())
        return code if isinstance(code, int) else 0


def _told(error: BaseException) -> int:
    """Say how a command ended, in one sentence wherever a person can do something about it.

    Raises:
        BaseException: the error itself, when it is a fault of this program.
    """
    if isinstance(error, RptError):
        return _say(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt) or stops.asked():
        name = next((word for word in sys.argv[1:] if word in _STOPPED), "")
        return _say(f"stopped. {_STOPPED.get(name, 'Nothing was changed.')}", EXIT_TRY_AGAIN)
    show_usage = getattr(error, "show", None)  # Typer's own errors say what was wrong with the words
    if show_usage is not None:
        show_usage()
        return EXIT_YOUR_INPUT
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (so that the flush at exit does not fail, too)
        return EXIT_OUR_FAILURE
    if isinstance(error, OSError) and (told := about_surroundings(error)) is not None:
        return _say(*told)
    if (away := _service_away(error)) is not None:
        return _say(away, EXIT_TRY_AGAIN)
    raise error


def _say(sentence: str, code: int) -> int:
    print(f"rpt: {sentence}", file=sys.stderr)
    return code


_CLIENTS = frozenset({"httpx", "httpcore", "websockets"})
"""What Prefect talks to its server with."""
_REFUSALS = frozenset({"PrefectHTTPStatusError", "PrefectHTTPError"})


def _service_away(error: BaseException) -> str | None:
    """A sentence when Prefect's server is behind an error, however deep Prefect has wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        kind = type(cause)
        client = kind.__module__.partition(".")[0] in _CLIENTS
        if client or kind.__name__ in _REFUSALS or "Prefect API" in str(cause):
            where = os.environ.get("PREFECT_API_URL") or "an address of its own"
            return (
                f"Prefect's server at {where} did not answer ({kind.__name__}). "
                "No finished work is lost: rerun to resume from what is finished."
            )
        cause = cause.__cause__ or cause.__context__
    return None


def prepare_prefect() -> None:
    """Keep Prefect's state in our folder, its telemetry off, and its tracebacks out of the reader's way.

    Raises:
        RecipeError: the state folder cannot be made.
    """
    settings = {
        **prefect_settings(made_state_folder()),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    live_api_url()
