"""The sample world's sentences in other words, and what each of them says.

Every sentence of a document has three wordings of one meaning. A *fact* is that meaning: which kind of
world, whether steps are taken or a value is reached, and which. Two texts say the same when their facts
are the same, so the truth of a paraphrase is known without anybody's opinion. This is the oracle that
generative judges are trained from and measured against.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
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
REMEMBERED = 4096
"""Sentences whose fact is kept."""


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


@dataclass(frozen=True, slots=True)
class KindWords:
    """The words of one kind of a world."""

    name: str
    states: tuple[str, ...]
    """What stands in the text for a value."""
    amounts: tuple[int | str, ...]
    directions: tuple[str, ...]
    phrase: str
    """One step, with ``{amount}``, ``{word}`` and ``{s}`` (plural)."""
    steps: tuple[str, ...]
    """Wordings of the steps, with ``{steps}``; the documents' own first."""
    values: tuple[str, ...]
    """Wordings of a value reached, with ``{value}``; the documents' own first."""

    def templates(self, name: FactName) -> tuple[str, ...]:
        """The wordings of one sort of sentence."""
        return self.values if name == "value" else self.steps

    def step(self, amount: int | str, word: str) -> str:
        """One step in words."""
        return self.phrase.format(amount=amount, word=word, s="" if amount == 1 else "s")


@dataclass(frozen=True)
class Words:
    """A world's sentences: every kind with its wordings, and what a text of them says."""

    kinds: tuple[KindWords, ...]
    _known: dict[str, Fact | None] = field(default_factory=dict, repr=False, compare=False)

    def facts(self, text: str) -> tuple[Fact, ...] | None:
        """What a text says, sentence by sentence; None where any of it is not a sentence of the world."""
        flat = " ".join(text.split())
        if not flat.endswith("."):  # of a text without points, a search from every letter would see it all
            return None
        sentences = [sentence.strip() for sentence in _SENTENCE.findall(flat)]
        if not sentences or "".join(_SENTENCE.findall(flat)) != flat:
            return None
        found = [self._fact(sentence) for sentence in sentences]
        return tuple(fact for fact in found if fact) if all(found) else None

    def says_prefix(self, reference: str, predicted: str) -> bool | None:
        """Whether a prediction means the same as an initial part of the reference; None off the words.

        A prediction with the same words as the reference's beginning counts only as whole sentences.
        """
        truth, said = self.facts(reference), self.facts(predicted)
        if truth is None:
            return None
        return said is not None and truth[: len(said)] == said

    def reworded(self, text: str, rng: Random) -> str | None:
        """The same facts, every sentence in one of its wordings; None off the world's words."""
        found = self.facts(text)
        return None if found is None else " ".join(self.worded(fact, rng) for fact in found)

    def worded(self, fact: Fact, rng: Random) -> str:
        """A fact as a sentence."""
        return rng.choice(self.of(fact.kind).templates(fact.name)).format(**{fact.name: fact.content})

    def own_words(self, fact: Fact) -> str:
        """A fact as the documents say it."""
        return self.of(fact.kind).templates(fact.name)[0].format(**{fact.name: fact.content})

    def of(self, kind: str) -> KindWords:
        """The words of a kind."""
        return next(one for one in self.kinds if one.name == kind)

    def _fact(self, sentence: str) -> Fact | None:
        if sentence not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[sentence] = self._read(sentence)
        return self._known[sentence]

    def _read(self, sentence: str) -> Fact | None:
        for pattern, kind, name in self._patterns:
            if match := pattern.fullmatch(sentence):
                return Fact(kind, name, match[1])
        return None

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], str, FactName], ...]:
        return tuple(self._every_pattern())

    def _every_pattern(self) -> Iterator[tuple[re.Pattern[str], str, FactName]]:
        names: tuple[FactName, ...] = ("steps", "value")
        for kind in self.kinds:
            values = "|".join(kind.states)
            phrases = [kind.step(amount, word) for amount in kind.amounts for word in kind.directions]
            step = "|".join(map(re.escape, phrases))
            for name in names:
                inside = f"({values})" if name == "value" else f"((?:{step})(?:, (?:{step}))*)"
                for template in kind.templates(name):
                    before, after = template.split(f"{{{name}}}")
                    yield re.compile(re.escape(before) + inside + re.escape(after)), kind.name, name


def _kind_words(kind: Kind) -> KindWords:
    steps, value = kind.claim.split(". ")
    more_steps, more_values = _OTHER_WORDS[kind.name]
    return KindWords(
        kind.name, kind.shown or kind.values, kind.amounts, tuple(word for word, _ in kind.directions),
        kind.phrase, (f"{steps}.", *more_steps), (f"{value} {{value}}.", *more_values),
    )  # fmt: skip


FIRST = Words(tuple(_kind_words(kind) for kind in KINDS))
"""Of the sample world's first edition."""


def facts(text: str) -> tuple[Fact, ...] | None:
    """What a text of the first edition says (:meth:`Words.facts`).

    Example:
        >>> [str(fact) for fact in facts("Now it shows 4. The hand moves 1 on, 2 back.")]
        ['clock 4', '1 on, 2 back']
        >>> facts("It now shows 4, 5.") is None, facts("It now shows.") is None
        (True, True)
    """
    return FIRST.facts(text)


def says_prefix(reference: str, predicted: str) -> bool | None:
    """Whether a prediction means the same as an initial part of the reference (:meth:`Words.says_prefix`).

    Example:
        >>> says_prefix("It now shows 4. The hand moves 1 on.", "The clock now shows 4.")
        True
        >>> says_prefix("It now shows 4.", "It now shows 4. The hand moves 1 on.")
        False
    """
    return FIRST.says_prefix(reference, predicted)


def reworded(text: str, rng: Random) -> str | None:
    """The same facts, every sentence in one of its wordings; None off the world's words."""
    return FIRST.reworded(text, rng)
