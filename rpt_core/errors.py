"""Errors, one class per thing the reader can do about it.

    RptError
      RecipeError      change the recipe or the command            exit 2
      SourceError      fix or name another input                  exit 2, or 75 when it may pass
      CapacityError    another machine, or a smaller recipe        exit 2
      StoreError       reach or replace the object store           exit 2, or 75 when it may pass
      IntegrityError   rebuild: stored bytes differ from their manifest
      ResumeError      start clean, or restore the old layout
      EngineError      look at the engine's log
      LostRankError    look at the rank that ended first
      StarvedError     easier questions, or a better start model
      VerdictError     fix the verifier: too many answers went unread
      JudgeError       start the judge: rerun to resume   exit 75
      ServiceError     start Prefect or MLflow: the same           exit 75
      Stopped          nothing is wrong: rerun to resume  exit 75

A message says what happened, with both values; what it means; what to do. An address in it shows no
password: messages end on terminals, in logs and in the record of a run.
"""

from rpt_core.addresses import without_password

EXIT_DONE, EXIT_OUR_FAILURE, EXIT_YOUR_INPUT, EXIT_TRY_AGAIN = 0, 1, 2, 75


def first_line(error: BaseException) -> str:
    """The first line of what an error says, for a sentence of ours; empty where it says nothing."""
    return next(iter(str(error).strip().splitlines()), "").strip()


def brief(error: BaseException) -> str:
    r"""A foreign error in a clause: its class and its first line, without a full stop.

    Example:
        >>> brief(ValueError("no such type.\nSee the manual.")), brief(KeyError())
        ('ValueError: no such type', 'KeyError')
    """
    return f"{type(error).__name__}: {first_line(error)[:300]}".rstrip(".: ")


class RptError(Exception):
    """The root: everything this project raises on purpose."""

    exit_code: int = EXIT_OUR_FAILURE

    def __init__(self, message: str = "") -> None:
        super().__init__(without_password(message))


class RecipeError(RptError):
    """The recipe (or the command that names it) cannot be made: change it."""

    exit_code = EXIT_YOUR_INPUT


class SourceError(RptError):
    """An input could not be read: fix it, name another, or wait when ``retryable``."""

    exit_code = EXIT_YOUR_INPUT

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        if retryable:
            self.exit_code = EXIT_TRY_AGAIN


class CapacityError(RptError):
    """The recipe does not fit this machine: take another machine or a smaller recipe."""

    exit_code = EXIT_YOUR_INPUT


class StoreError(RptError):
    """The object store refuses us (``retryable``: it may only be away)."""

    exit_code = EXIT_YOUR_INPUT

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        if retryable:
            self.exit_code = EXIT_TRY_AGAIN


class IntegrityError(RptError):
    """Stored bytes differ from what their manifest says: rebuild."""


class ResumeError(RptError):
    """A saved state does not fit this run: start clean or restore the old layout."""


class EngineError(RptError):
    """A rollout engine or a training process failed."""


class LostRankError(RptError):
    """Another process of the same training ended or went silent: that one says why, this one cannot go on."""


class StarvedError(RptError):
    """Training found nothing to learn from, several steps in a row."""


class VerdictError(RptError):
    """Too many answers went unread to trust the score."""


class JudgeError(RptError):
    """The judge stayed away: nothing was scored, and a rerun resumes once it answers."""

    exit_code = EXIT_TRY_AGAIN


class ServiceError(RptError):
    """Prefect or MLflow is away: nothing finished is lost, and a rerun resumes once it answers."""

    exit_code = EXIT_TRY_AGAIN


class Stopped(RptError):  # noqa: N818  (nothing went wrong)
    """The work was stopped after a checkpoint; rerun to resume from there."""

    exit_code = EXIT_TRY_AGAIN


BY_NAME: dict[str, type[RptError]] = {
    cls.__name__: cls
    for cls in (
        RptError, RecipeError, SourceError, CapacityError, StoreError, IntegrityError,
        ResumeError, EngineError, LostRankError, StarvedError, VerdictError, JudgeError, ServiceError,
        Stopped,
    )
}  # fmt: skip
"""How an error crosses a process boundary: by class name and message."""
