"""What a stage says in the log of its Prefect run: all that the Prefect UI shows of it as it runs."""

import logging
from typing import Any

from prefect.exceptions import MissingContextError
from prefect.logging import get_run_logger

from rpt_core.errors import RptError

_LOGGERS = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine", "prefect.flow_engine")
"""Where Prefect logs the error that a run ends with."""


def say(sentence: str, *values: Any) -> None:
    """Log a sentence in the run this happens in; outside of one it is said nowhere."""
    try:
        log = get_run_logger()
    except MissingContextError:
        return
    log.info(sentence, *values)


class OurErrorsInOneSentence(logging.Filter):
    """Leaves the traceback out where the error is ours: its sentence says what to do."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; none is dropped."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, RptError):
            record.exc_info = record.exc_text = None
            record.msg, record.args = f"{type(error).__name__}: {error}", ()
        return True


def leave_out_tracebacks_of_ours() -> None:
    """Put the filter on Prefect's loggers; once, however often it is called."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, OurErrorsInOneSentence) for known in logger.filters):
            logger.addFilter(OurErrorsInOneSentence())
