"""Read the world's sentences back out of text: what was written is checked, not what was meant to be.

Text is read sentence by sentence. What is none of the world's (noise, mark-up, the question a problem ends
with) is passed over. A place in a document is named by the code points before it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

from rpt_core.sample.second.holdout import is_reserved
from rpt_core.sample.second.kinds import KINDS, Kind
from rpt_core.sample.second.questions import Phrases, Question, Sentence, Step

_SENTENCE = re.compile(r"[^.。\n]*[.。\n]|[^.。\n]+$")
Part = Literal["start", "told", "reached"]
"""A sentence states a start, tells steps, or states what they come to."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Steps that a text tells, with where they begin and what it says they come to, where it says so."""

    kind: str
    phrases: Phrases
    start: str | None = None
    value: str | None = None
    char_offset: int | None = None
    """Where the value stands, the gap before it included: the place of its trace and of its question."""

    @property
    def sentence(self) -> Sentence:
        """What is held out or not."""
        return Sentence(self.kind, self.phrases)

    @property
    def question(self) -> Question | None:
        """The claim as a question; None where its start is not told."""
        return None if self.start is None else Question(self.kind, self.start, self.phrases)


@dataclass(frozen=True, slots=True)
class Thought:
    """A thought in the world's words: values and phrases by turns, whether or not they are right."""

    start: str
    entered: str
    """The value looked up for the start; the start itself in kinds that show values."""
    steps: tuple[Step, ...]
    left: str
    """The word looked up at the end; the last value itself in kinds that show values."""

    @property
    def phrases(self) -> Phrases:
        """The steps taken."""
        return tuple(step.phrase for step in self.steps)


def claims(text: str) -> list[Claim]:
    """All steps told in a text, in order.

    Example:
        >>> [claim] = claims("The old clock shows 3. The hand moves 1 on, 2 back. It now shows 2.")
        >>> claim.start, claim.phrases, claim.value
        ('3', ('1 on', '2 back'), '2')
        >>> claims("The hand moves 1 on, 2 back. It now")[0].sentence.phrases
        ('1 on', '2 back')
    """
    found: list[Claim] = []
    kind: str | None = None
    value: str | None = None
    for offset, sentence in _sentences(text):
        for part, of, words in _read(sentence):
            if part == "told":
                start = value if of == kind else None
                found.append(Claim(of, tuple(words.split(KINDS[of].language.comma)), start))
            elif part == "reached" and found and found[-1].kind == of and found[-1].value is None:
                at = offset + sentence.rindex(words) - len(KINDS[of].language.gap)
                found[-1] = replace(found[-1], value=words, char_offset=at)
            if part != "told":
                kind, value = of, words
    return found


def question_at(text: str, char_offset: int) -> Question | None:
    """What a document asks at a place; None where no value of the world stands.

    Args:
        text: Of the whole document.
        char_offset: Code points before the place.
    """
    return next((claim.question for claim in claims(text) if claim.char_offset == char_offset), None)


def read_thought(kind: str, text: str) -> Thought | None:
    """A thought by the grammar of a kind; None where it is not in that form.

    Example:
        >>> read_thought("clock", " 11 2 on 1 3 back 10").phrases
        ('2 on', '3 back')
        >>> read_thought("clock", " 11 2 on") is None, read_thought("clock", "well, 11") is None
        (True, True)
    """
    of = KINDS[kind]
    words = thought_words(kind, text)
    if words is None or not words:
        return None
    head = tail = 1 if of.shown else 0
    if len(words) < 1 + head + tail:
        return None
    start, entered = words[0], words[head]
    inner, left = words[1 + head : len(words) - tail], words[-1]
    if start not in of.states or entered not in of.values or left not in of.states or len(inner) % 2:
        return None
    steps = tuple(Step(*pair) for pair in zip(inner[::2], inner[1::2], strict=True))
    by_turns = all(step.phrase in of.shifts and step.value in of.values for step in steps)
    return Thought(start, entered, steps, left) if by_turns else None


def thought_words(kind: str, text: str) -> list[str] | None:
    """Phrases and values of a thought in order; None where other words stand among them."""
    words, at, text = [], 0, text.strip()
    pattern, gap = _words(kind), KINDS[kind].language.gap
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            return None
        words.append(match[0])
        at = match.end()
        if gap and at < len(text):
            if not text.startswith(gap, at):
                return None
            at += len(gap)
    return words


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Where each sentence begins, and the sentence; the last may be cut short."""
    for match in _SENTENCE.finditer(text):
        stripped = match[0].lstrip()
        if stripped.strip():
            yield match.end() - len(stripped), stripped.rstrip("\n")


@lru_cache(maxsize=65_536)
def _read(sentence: str) -> tuple[tuple[Part, str, str], ...]:
    """Part, kind, and value or steps of a sentence; at most one, kinds do not share their words."""
    for part, kind, pattern in _patterns():
        if match := pattern.search(sentence):
            return ((part, kind, match[1]),)
    return ()


@cache
def _patterns() -> Sequence[tuple[Part, str, re.Pattern[str]]]:
    return [
        (part, kind.name, _pattern(kind, template))
        for kind in KINDS.values()
        for part, template in _templates(kind)
    ]


def _templates(kind: Kind) -> Iterator[tuple[Part, str]]:
    gap, stop = kind.language.gap, kind.language.stop
    for template in (kind.opening, *kind.questions):
        for sentence in re.findall(r"[^.。]+[.。]", template):
            if "{value}" in sentence:
                yield "start", sentence.strip()
            elif "{steps}" in sentence:
                yield "told", sentence.strip()
    yield "told", kind.told
    yield "reached", f"{kind.reached}{gap}{{value}}{stop}"


def _pattern(kind: Kind, template: str) -> re.Pattern[str]:
    step = _any(kind.shifts)
    slots = {
        "{value}": f"({_any(kind.states)})",
        "{steps}": f"({step}(?:{re.escape(kind.language.comma)}{step})*)",
        "{adjective}": _any(kind.adjectives),
    }
    parts = re.split(r"(\{\w+\})", template)
    return re.compile("".join(slots.get(part, re.escape(part)) for part in parts))


@cache
def _words(kind: str) -> re.Pattern[str]:
    of = KINDS[kind]
    # a phrase may begin like a value, so phrases come first; one word never ends inside another
    boundary = r"(?!\w)" if of.language.gap else ""
    return re.compile(f"(?:{_any(of.shifts)}|{_any({*of.values, *of.states})}){boundary}")


def _any(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return f"(?:{'|'.join(map(re.escape, longest_first))})"


def shows_reserved(text: str, salt: str) -> bool:
    """Whether a text tells steps that no training may show.

    Example:
        >>> shows_reserved("The hand moves 1 on, 1 on. It now", "study-1")
        True
    """
    return any(is_reserved(claim.sentence, salt) for claim in claims(text))
