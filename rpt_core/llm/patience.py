"""Waiting for a model that is away: whoever asks gets an answer to everything, or an error by name."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from rpt_core.errors import JudgeError

PAUSES_SECONDS = (2.0, 10.0, 60.0)
"""How long a model that is away is waited for, time after time."""
FEWEST_READ = 40
"""Replies below which a share of unread ones means nothing."""

_log = logging.getLogger("rpt.llm")
Question = TypeVar("Question")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a model is waited for, and what its user is told."""

    who: str
    """Names the model in messages, such as ``the judge llama``."""
    what: str
    """What is asked of it, in the plural."""
    remedy: str
    """What to do when it stays away; whole sentences."""
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    sleep: Callable[[float], None] = time.sleep

    def ask(
        self,
        questions: Mapping[bytes, Question],
        ask: Callable[[Mapping[bytes, Question]], dict[bytes, Answer]],
        is_away: Callable[[Answer], bool],
    ) -> dict[bytes, Answer]:
        """An answer to every question; after each pause, those that nobody answered are asked again.

        Raises:
            JudgeError: some were not answered after the last pause.
        """
        found = ask(questions)
        for seconds in self.pauses_seconds:
            away = {key: questions[key] for key, answer in found.items() if is_away(answer)}
            if not away:
                return found
            _log.warning("%s did not answer %d calls; asking again in %g s", self.who, len(away), seconds)
            self.sleep(seconds)
            found |= ask(away)
        if away_still := sum(is_away(answer) for answer in found.values()):
            raise JudgeError(
                f"{self.who} could not be reached for {away_still} of {len(found)} {self.what} after "
                f"{len(self.pauses_seconds)} pauses, {sum(self.pauses_seconds):g} s in all. {self.remedy}"
            )
        return found
