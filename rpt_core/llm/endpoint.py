"""A model behind an OpenAI-compatible endpoint, such as ``vllm serve`` or a gateway speaks.

Many calls are under way at once, never more than ``concurrency``. Each has a deadline over everything,
retries included, so that neither a hanging connection nor a reply that drips in byte by byte can hold a
stage. Failures that may pass (no connection, 429, 5xx) are tried again with growing pauses; a request the
endpoint refuses as such (a wrong model or key) ends the run at once, since asking again would not help.
"""

import asyncio
import base64
import os
import random
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from rpt_core.errors import RecipeError
from rpt_core.retry import pause_seconds, seconds_asked

if TYPE_CHECKING:
    import httpx  # loaded by who asks: a training without a judge needs no HTTP client

KEY_VARIABLE = "RPT_JUDGE_KEY"
"""Environment variable with the endpoint's key: a secret stands in no recipe."""
LOGIN_VARIABLE = "RPT_JUDGE_LOGIN"
"""The same for an endpoint behind a user and a password: ``user:password``."""
REPLY_BYTES_MAX = 1_000_000
MOST_PAUSE_SECONDS = 60.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Service:
    """Where a model is served, and how it is asked."""

    url: str
    """Up to and including the version, such as ``http://127.0.0.1:8000/v1``."""
    model: str
    deadline_seconds: float = 30.0
    """For one reply, retries included."""
    concurrency: int = 64
    tries: int = 4
    first_pause_seconds: float = 0.2
    """Before the second try; doubles from try to try, and is drawn from its upper half."""
    reply_tokens: int = 8
    """Longest reply; the default has room for one short line."""
    role: str = "judge"
    """What messages call it, and how its fields in a recipe begin."""


def _authorization() -> dict[str, str]:
    """What says who asks: a key, or else a login."""
    key, login = os.environ.get(KEY_VARIABLE), os.environ.get(LOGIN_VARIABLE)
    if key:
        return {"Authorization": f"Bearer {key}"}
    if login:
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {}


class _AwayError(Exception):
    """The endpoint did not answer in a way that means anything; ``after`` seconds it may."""

    def __init__(self, after: float = 0.0) -> None:
        super().__init__()
        self.after = after


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one prompt."""

    text: str
    """Empty where nothing came that is a reply."""
    state: Literal["answered", "timed out", "unreachable"] = "answered"
    cut: bool = False
    """The endpoint says that it ended for want of room."""


TIMED_OUT, UNREACHABLE = Reply("", "timed out"), Reply("", "unreachable")


@dataclass(slots=True)
class _Round:
    """What one round of calls has met so far."""

    turns: asyncio.Semaphore
    gives_up_after: int
    answered: int = 0
    failed: int = 0
    last: Reply = UNREACHABLE

    @property
    def is_hopeless(self) -> bool:
        """A whole set of calls failed and none was answered: the rest need not wait for the same."""
        return not self.answered and self.failed >= self.gives_up_after

    def count(self, reply: Reply) -> Reply:
        """Note how a call ended."""
        if reply.state == "answered":
            self.answered += 1
        else:
            self.failed += 1
            self.last = reply
        return reply


class Endpoint:
    """A model that is asked over HTTP: prompts in, replies out."""

    def __init__(self, service: Service) -> None:
        """Open no connection yet.

        Raises:
            RecipeError: the address is none.
        """
        parts = _parts(service.url)
        if parts is None:
            raise RecipeError(
                f"the {service.role}'s address {service.url!r} is no HTTP address; give one such as "
                f"http://127.0.0.1:8000/v1 ({service.role}_url)."
            )
        self.service = service
        self._local = parts.hostname in ("127.0.0.1", "localhost", "::1")

    def replies(self, prompts: Sequence[str]) -> list[Reply]:
        """A reply to every prompt, in order.

        Raises:
            RecipeError: the endpoint refuses the request as such.
        """
        return _run(self._ask(prompts))

    async def _ask(self, prompts: Sequence[str]) -> list[Reply]:
        import httpx

        limits = httpx.Limits(
            max_connections=self.service.concurrency, max_keepalive_connections=self.service.concurrency
        )
        round_ = _Round(asyncio.Semaphore(self.service.concurrency), self.service.concurrency)
        async with httpx.AsyncClient(
            headers=_authorization(),
            limits=limits,
            timeout=None,  # noqa: S113  (every call runs under a deadline of its own)
            trust_env=not self._local,  # a proxy for the world outside has no business with this machine
        ) as client:
            calls = [asyncio.ensure_future(self._reply(client, round_, prompt)) for prompt in prompts]
            try:
                return list(await asyncio.gather(*calls))
            finally:  # of many refused calls the first is told; the others must not outlive their client
                for call in calls:
                    call.cancel()
                await asyncio.gather(*calls, return_exceptions=True)

    async def _reply(self, client: "httpx.AsyncClient", round_: _Round, prompt: str) -> Reply:
        body = {
            "model": self.service.model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": self.service.reply_tokens,
        }
        async with round_.turns:
            return round_.last if round_.is_hopeless else round_.count(await self._try(client, body))

    async def _try(self, client: "httpx.AsyncClient", body: dict[str, Any]) -> Reply:
        import httpx

        was_away = False
        try:
            async with asyncio.timeout(self.service.deadline_seconds):
                for number in range(self.service.tries):
                    try:
                        return await self._call(client, body)
                    except (_AwayError, httpx.TransportError) as away:
                        was_away = True
                        if number + 1 < self.service.tries:
                            await asyncio.sleep(self._pause(number, getattr(away, "after", 0.0)))
                            was_away = False
        except TimeoutError:
            return UNREACHABLE if was_away else TIMED_OUT
        return UNREACHABLE

    async def _call(self, client: "httpx.AsyncClient", body: dict[str, Any]) -> Reply:
        """The reply; empty where it has no text."""
        import httpx

        url = f"{self.service.url.rstrip('/')}/chat/completions"
        async with client.stream("POST", url, json=body) as response:
            if response.status_code in (408, 429) or response.status_code >= 500:
                raise _AwayError(seconds_asked(response.headers.get("retry-after"), MOST_PAUSE_SECONDS))
            content = b""
            try:
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > REPLY_BYTES_MAX:
                        return Reply("")
            except httpx.DecodingError:  # compressed otherwise than its header says
                return Reply("")
        if response.status_code != 200:
            raise RecipeError(
                f"the {self.service.role} at {self.service.url} refuses to be asked as "
                f"{self.service.model!r}: status {response.status_code}, "
                f"{content[:200].decode(errors='replace')!r}. Fix {self.service.role}_model, "
                f"{self.service.role}_url or the key in {KEY_VARIABLE}."
            )
        return _read(content)

    def _pause(self, number: int, asked: float) -> float:
        first = self.service.first_pause_seconds * random.uniform(0.5, 1.0)  # so that calls spread out
        return pause_seconds(number, first, MOST_PAUSE_SECONDS, asked)


def _parts(url: str) -> SplitResult | None:
    """Scheme, host and port of an address that requests can be sent to."""
    import httpx

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx.URL(f"{url.rstrip('/')}/chat/completions")
    except (ValueError, httpx.InvalidURL):
        return None
    return parts if usable else None


def _read(content: bytes) -> Reply:
    """What the model said, out of the endpoint's JSON; nothing where it is no such JSON."""
    import json

    try:
        choice = json.loads(content)["choices"][0]
        found = choice["message"]["content"]
        cut = choice.get("finish_reason") == "length"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Reply("")
    return Reply(found, cut=cut) if isinstance(found, str) else Reply("")


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end, in a thread of its own: a notebook's thread already runs a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
