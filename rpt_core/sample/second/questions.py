"""Sentences, questions and their truth: a sentence is a kind with its step phrases, a question adds a start.

The truth is the walk from the start value, one phrase after the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from rpt_core.sample.second.kinds import KINDS, Kind

Phrases = tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """What is held out as a whole: a kind and its step phrases in order."""

    kind: str
    """Name in :data:`~rpt_core.sample.second.kinds.KINDS`."""
    phrases: Phrases

    @property
    def num_steps(self) -> int:
        """Steps that must be taken one after the other."""
        return len(self.phrases)


@dataclass(frozen=True)
class Step:
    """One step of a thought: the phrase said, and the value said to be reached."""

    phrase: str
    value: str


@dataclass(frozen=True)
class Question:
    """A sentence with its start value.

    Example:
        >>> one = Question("clock", "11", ("2 on", "3 back"))
        >>> one.truth, one.thought
        ('10', '11 2 on 1 3 back 10')
        >>> Question("cooks", "Ann", ("1 forward",)).thought
        'Ann Monday 1 forward Tuesday Ben'
    """

    kind: str
    start: str
    """As the text shows it: a name where the kind shows names."""
    phrases: Phrases

    @property
    def sentence(self) -> Sentence:
        """The question without its start."""
        return Sentence(self.kind, self.phrases)

    @property
    def num_steps(self) -> int:
        """Steps from the start to the truth."""
        return len(self.phrases)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The true chain."""
        return walk(KINDS[self.kind], self.start, self.phrases)

    @property
    def truth(self) -> str:
        """The word the text states at the end."""
        return concluded(KINDS[self.kind], self.start, self.steps)

    @property
    def thought(self) -> str:
        """The true chain as a thought."""
        return spoken(KINDS[self.kind], self.start, self.steps)


def walk(kind: Kind, start: str, phrases: Sequence[str]) -> tuple[Step, ...]:
    """Every phrase taken from where the one before it led.

    Args:
        kind: Of the values.
        start: As the text shows it.
        phrases: Of the kind.
    """
    position, shifts, steps = kind.states.index(start), kind.shifts, []
    for phrase in phrases:
        position = kind.moved(position, shifts[phrase])
        steps.append(Step(phrase, kind.values[position]))
    return tuple(steps)


def concluded(kind: Kind, start: str, steps: Sequence[Step]) -> str:
    """What a chain comes to, in the text's words; the start where it takes no step."""
    return kind.states[kind.values.index(steps[-1].value)] if steps else start


def spoken(kind: Kind, start: str, steps: Sequence[Step]) -> str:
    """A chain in words: start, then phrase and value by turns; a shown name is looked up before and after."""
    words = [start, kind.values[kind.states.index(start)]] if kind.shown else [start]
    words += [word for step in steps for word in (step.phrase, step.value)]
    if kind.shown:
        words.append(concluded(kind, start, steps))
    return kind.language.gap.join(words)


def sentences(kind: Kind, num_steps: int) -> Iterator[Sentence]:
    """All sentences of a kind with so many steps: 6, 36, 216, 1,296 and so on.

    Example:
        >>> len(list(sentences(KINDS["clock"], 3)))
        216
    """
    for phrases in product(kind.phrases, repeat=num_steps):
        yield Sentence(kind.name, phrases)
