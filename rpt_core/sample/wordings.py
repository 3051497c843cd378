"""The sample world's sentences in other words, and what each of them says.

Every sentence of a document has three wordings of one meaning. A *fact* is that meaning: which kind of
world, whether steps are taken or a value is reached, and which. Two texts say the same when their facts
are the same, so the truth of a paraphrase is known without anybody's opinion. This is the oracle that
generative judges are trained from and measured against.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Literal

from rpt_core.sample.world import KINDS, Kind

FactName = Literal["steps", "value"]

_OTHER_WORDS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "clock": (
        ("The hand then moves {steps}.", "It moves {steps}."),
        ("The clock now shows {value}.", "Now it shows {value}."),
    ),
    "week": (
        ("The ship travels for {steps}.", "It then travels for {steps}."),
        ("The ship rests on {value}.", "It then rests on {value}."),
    ),
    "coins": (
        ("Then the day brings {steps}.", "Now the day brings {steps}."),
        ("The tin now holds {value}.", "Now it holds {value}."),
    ),
    "months": (
        ("They waited for {steps}.", "People then waited for {steps}."),
        ("People returned in {value}.", "They then returned in {value}."),
    ),
    "compass": (
        ("The crane then turns {steps}.", "Then it turns {steps}."),
        ("The crane now faces {value}.", "Now it faces {value}."),
    ),
    "tram": (
        ("The tram then runs {steps}.", "It runs {steps}."),
        ("The tram halts at {value}.", "It then halts at {value}."),
    ),
    "cooks": (
        ("The guests stay for {steps}.", "They then stay for {steps}."),
        ("The guests leave with {value}.", "They then leave with {value}."),
    ),
}
"""By kind: two more wordings of its steps, two more of its value. Words of the documents, put otherwise."""

_SENTENCE = re.compile(r"[^.]*\.")


@dataclass(frozen=True, slots=True)
class Fact:
    """What one sentence says."""

    kind: str
    """The world's kind: a value of one kind is not the same value of another."""
    name: FactName
    content: str
    """The value, or the steps with commas."""

    def __str__(self) -> str:
        """In words, as a judge writes it down: ``clock 4`` or ``1 on, 2 back``."""
        return f"{self.kind} {self.content}" if self.name == "value" else self.content


def wordings(kind: Kind) -> dict[FactName, tuple[str, ...]]:
    """The wordings of a kind's two sentences, the documents' own first."""
    steps, value = kind.claim.split(". ")
    more_steps, more_values = _OTHER_WORDS[kind.name]
    return {"steps": (f"{steps}.", *more_steps), "value": (f"{value} {{value}}.", *more_values)}


def facts(text: str) -> tuple[Fact, ...] | None:
    """What a text says, sentence by sentence; None where any of it is not a sentence of the world.

    Example:
        >>> [str(fact) for fact in facts("Now it shows 4. The hand moves 1 on, 2 back.")]
        ['clock 4', '1 on, 2 back']
        >>> facts("It now shows 4, 5.") is None, facts("It now shows.") is None
        (True, True)
    """
    flat = " ".join(text.split())
    if not flat.endswith("."):  # of a text without points, a search from every letter would see it all
        return None
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(flat)]
    if not sentences or "".join(_SENTENCE.findall(flat)) != flat:
        return None
    found = [_fact(sentence) for sentence in sentences]
    return tuple(fact for fact in found if fact) if all(found) else None


def says_prefix(reference: str, predicted: str) -> bool | None:
    """Whether a prediction means the same as an initial part of the reference; None off the world's words.

    A prediction with the same words as the reference's beginning counts only as whole sentences.

    Example:
        >>> says_prefix("It now shows 4. The hand moves 1 on.", "The clock now shows 4.")
        True
        >>> says_prefix("It now shows 4.", "It now shows 4. The hand moves 1 on.")
        False
    """
    truth, said = facts(reference), facts(predicted)
    if truth is None:
        return None
    return said is not None and truth[: len(said)] == said


def reworded(text: str, rng: Random) -> str | None:
    """The same facts, every sentence in one of its wordings; None off the world's words."""
    found = facts(text)
    return None if found is None else " ".join(worded(fact, rng) for fact in found)


def worded(fact: Fact, rng: Random) -> str:
    """A fact as a sentence."""
    kind = next(kind for kind in KINDS if kind.name == fact.kind)
    template = rng.choice(wordings(kind)[fact.name])
    return template.format(**{fact.name: fact.content})


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], Kind, FactName], ...]:
    return tuple(_every_pattern())


def _every_pattern() -> Iterator[tuple[re.Pattern[str], Kind, FactName]]:
    for kind in KINDS:
        values = "|".join(kind.shown or kind.values)
        step = "|".join(re.escape(phrase) for phrase in _phrases(kind))
        for name, templates in wordings(kind).items():
            inside = f"({values})" if name == "value" else f"((?:{step})(?:, (?:{step}))*)"
            for template in templates:
                before, after = template.split(f"{{{name}}}")
                yield re.compile(re.escape(before) + inside + re.escape(after)), kind, name


def _phrases(kind: Kind) -> Sequence[str]:
    return [
        kind.phrase.format(amount=amount, word=word, s="" if amount == 1 else "s")
        for amount in kind.amounts
        for word, _ in kind.directions
    ]


@lru_cache(maxsize=4096)
def _fact(sentence: str) -> Fact | None:
    for pattern, kind, name in _patterns():
        if match := pattern.fullmatch(sentence):
            return Fact(kind.name, name, match[1])
    return None
