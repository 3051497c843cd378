"""HTTP and local scorers, with retry.

A scorer gives points or says why it could not. :class:`CachedScorer` waits while one is away and ends the
stage by name when it stays away: no document gets or loses points because nobody read it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rpt_core.corpus.rows import preview
from rpt_core.errors import VerdictError
from rpt_core.llm.endpoint import Endpoint, Reply, Service
from rpt_core.llm.local import LocalModel
from rpt_core.llm.patience import FEWEST_READ, PAUSES_SECONDS, Patience
from rpt_core.llm.prompt import field
from rpt_core.policy.message import PLACE, around_document, opening_ids
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.quality.rubric import AFTER, BEFORE, prompt, read_points

State = Literal["read", "unparsed", "timed out", "unreachable"]


@dataclass(frozen=True, slots=True)
class Score:
    """What became of one text."""

    points: float | None
    """0 to 5; None unless ``state`` is ``read``."""
    state: State
    reply: str = ""
    """The beginning of a reply that was no score, for whoever wants to know why."""


class TextScorer(Protocol):
    """Whatever gives texts points."""

    name: str
    """Model, for the record."""

    def score(self, texts: Sequence[str]) -> list[Score]:
        """A score for every text, in order. What could not be read is said, never guessed."""

    def close(self) -> None:
        """Release what the scorer holds."""


class ServiceScorer:
    """A scorer that is called over HTTP, with temperature 0."""

    def __init__(self, service: Service) -> None:
        """Open no connection yet."""
        self._endpoint = Endpoint(service)
        self.name = service.model

    def score(self, texts: Sequence[str]) -> list[Score]:
        """Many calls at once.

        Raises:
            RecipeError: the endpoint refuses the request as such.
        """
        return [_read(reply) for reply in self._endpoint.replies([prompt(text) for text in texts])]

    def close(self) -> None:
        """Connections do not outlive a call."""


class LocalScorer:
    """A scorer that is held here: greedy; scores depend to rounding on the batch they are drawn in."""

    def __init__(self, policy: Policy, reply_tokens: int, engine: str = "torch") -> None:
        """Take a loaded model.

        Args:
            policy: Its model; one that follows instructions, or every reply will be unread.
            reply_tokens: Longest reply.
            engine: What draws the replies.
        """
        self._codec = policy.codec
        self._model = LocalModel(policy, reply_tokens, engine=engine)
        self.name = self._model.name

    def score(self, texts: Sequence[str]) -> list[Score]:
        """One trunk a text; a reply that does not end in time is unparsed."""
        codec = self._codec
        head, tail = around_document(BEFORE, f"{PLACE}{AFTER}", codec)
        before, _, after = f"{head}{tail}".partition(PLACE)
        instruction, suffix = opening_ids(before, codec), tuple(codec.encode_template(after))
        trunks = []
        for number, text in enumerate(texts):
            document = tuple(codec.encode(field(text)))
            trunks.append(Trunk(str(number), instruction, document, (Cut(len(document), suffix),)))
        return [_read(reply) for (reply,) in self._model.replies(trunks)]

    def close(self) -> None:
        """Release the engine."""
        self._model.close()


def _read(reply: Reply) -> Score:
    if reply.state != "answered":
        return Score(None, reply.state)
    points = None if reply.cut else read_points(reply.text)
    return Score(None, "unparsed", preview(reply.text)) if points is None else Score(points, "read")


@dataclass
class CachedScorer:
    """Asks a scorer once about each distinct text of a call, and again while it is away.

    Raises (from :meth:`score`):
        JudgeError: the scorer stayed away after every pause.
        VerdictError: more replies went unread than ``unread_share_max``, of all asked so far.
    """

    scorer: TextScorer
    unread_share_max: float = 0.2
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    sleep: Callable[[float], None] = time.sleep
    asked: int = 0
    unread: int = 0

    def score(self, texts: Sequence[str]) -> list[Score]:
        """Scores in order, none of them ``unreachable``."""
        patience = Patience(
            f"the scorer {self.scorer.name}",
            "texts",
            "Start it or fix scorer_url; rerun to resume after the last texts that were scored.",
            self.pauses_seconds,
            self.sleep,
        )
        distinct = {text.encode(): text for text in texts}
        found = patience.ask(distinct, self._ask, lambda score: score.state == "unreachable")
        self._count(list(found.values()))
        return [found[text.encode()] for text in texts]

    def close(self) -> None:
        """Release the scorer."""
        self.scorer.close()

    def _ask(self, texts: Mapping[bytes, str]) -> dict[bytes, Score]:
        return dict(zip(texts, self.scorer.score(list(texts.values())), strict=True)) if texts else {}

    def _count(self, scores: Sequence[Score]) -> None:
        self.asked += len(scores)
        unread = [score for score in scores if score.state != "read"]
        self.unread += len(unread)
        if unread and self.asked >= FEWEST_READ and self.unread > self.unread_share_max * self.asked:
            raise VerdictError(
                f"{self.unread} of {self.asked} replies of the scorer {self.scorer.name} held no score (at "
                f"most {self.unread_share_max:.0%} may): what is left would be chosen by chance. One of "
                f"them says {unread[-1].reply or unread[-1].state!r}. Take a model that follows "
                "instructions, more reply_tokens or a longer deadline."
            )
