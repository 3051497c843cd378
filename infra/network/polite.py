"""One server asked politely: one request at a time, a pause between two, busy answers waited out."""

import http.client
import time
import urllib.error
import urllib.parse
from dataclasses import dataclass

from infra.network.download import LASTING, TRIES, WAIT_SECONDS_MAX, opened
from rpt_core.errors import SourceError
from rpt_core.retry import pause_seconds, seconds_asked

PAUSE_SECONDS = 3.0
"""What arXiv's terms of use ask between two requests."""
REPLY_BYTES_MAX = 64 << 20


@dataclass
class PoliteServer:
    """A server of many small replies."""

    url: str
    pause_seconds: float = PAUSE_SECONDS
    _last: float = float("-inf")

    def get(self, path: str, **query: str | int) -> bytes:
        """One reply.

        Raises:
            SourceError: the server refuses, or (``retryable``) does not answer.
        """
        asked = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        why = ""
        for attempt in range(TRIES):
            self.wait()
            seconds = 0.0
            try:
                with opened(asked) as answer:
                    return answer.read(REPLY_BYTES_MAX)
            except urllib.error.HTTPError as error:
                if error.code not in LASTING:
                    raise SourceError(
                        f"{asked} answered HTTP {error.code} {error.reason}; fix what was asked for."
                    ) from None
                why, seconds = f"HTTP {error.code}", seconds_asked(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:
                why = f"{type(error).__name__} {error}"
            if attempt + 1 < TRIES:
                time.sleep(pause_seconds(attempt, self.pause_seconds, WAIT_SECONDS_MAX, seconds))
        raise SourceError(
            f"{asked} was not answered in {TRIES} attempts: {why}. Ask again later.", retryable=True
        )

    def wait(self) -> None:
        """Until the next request may be sent."""
        time.sleep(max(0.0, self._last + self.pause_seconds - time.monotonic()))
        self._last = time.monotonic()
