"""The base of packs whose items are questions with lettered choices."""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rpt_core.corpus.files.choices import letter_of, options_of, without_letters
from rpt_core.evaluation.benchmarks.packs.item import LETTERS, Item, Refusal, Shot, native_id
from rpt_core.evaluation.benchmarks.packs.pack import NOTHING_DRAWN, ONCE, Message, Mode, Pack, Ranking
from rpt_core.objectives.problems.stated import stated_letter

LETTER, TEXT, BY_BYTE = "likelihood-letter", "likelihood", "likelihood-by-byte"
"""Modes of the table of outcomes: choices listed and the letter ranked; choices' texts ranked after the
question alone, by their log-probability, and by that over their UTF-8 bytes (Brown et al. 2020, 2.4)."""
CHOICE_PLAIN = (
    "Answer the following multiple choice question. Reason step by step, and put the letter of the right "
    "option inside \\boxed{}.\n\n"
)
CONTEXT = "Question: {}\nAnswer:"


class Choices(Pack):
    """Questions with up to ten choices, one of them right."""

    modes: ClassVar = {"reasoning": ONCE, "likelihood": NOTHING_DRAWN}
    question: ClassVar[str] = "question"
    right: ClassVar[tuple[str, ...]] = ("answer",)
    """Columns that say which choice is right, as a place, a letter or its text; the first that is there."""
    of_topic: ClassVar[tuple[str, ...]] = ("category", "subject")

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A row with its choices behind letters."""
        stem, choices, letter = self.question_of(record)
        name = native_id(record, self.ids, stem, *choices)
        return Item(name, stem, letter, choices, topic=self.topic_of(record))

    def topic_of(self, record: Mapping[str, object]) -> str:
        """The first topic a row names."""
        return next((str(record[name]) for name in self.of_topic if record.get(name)), "")

    def question_of(self, record: Mapping[str, object]) -> tuple[str, tuple[str, ...], str]:
        """Question, choices and the right one's letter.

        Raises:
            Refusal: there is no question, fewer than two or more than ten choices, or none of them is right.
        """
        stem = str(record.get(self.question) or "").strip()
        choices = tuple(text.strip() for text in without_letters(self.choices_of(record)))
        if not stem or len(choices) < 2:
            raise Refusal("missing-column")
        if len(choices) > len(LETTERS):
            raise Refusal("too-many-choices")
        raw = next((record[name] for name in self.right if record.get(name) not in (None, "")), "")
        letter = letter_of(str(raw).strip(), choices, raw)
        if letter not in LETTERS[: len(choices)] or len(letter) != 1:
            raise Refusal("no-right-choice")
        return stem, choices, letter

    def choices_of(self, record: Mapping[str, object]) -> list[str]:
        """The texts of the choices, in whichever form the row holds them."""
        for name in ("options", "choices"):
            if name in record:
                return options_of(record[name], str)
        for names in ([f"choice{number}" for number in range(len(LETTERS))], list(LETTERS)):
            if found := [str(record[name]) for name in names if record.get(name) is not None]:
                return found
        return []

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """The question with its choices, each behind its letter."""
        return Message(CHOICE_PLAIN, listed(item.question, item.choices))

    def stated(self, text: str, item: Item, *, ended: bool) -> str | None:
        """The last box, else the letter that is stated or stands last."""
        return stated_letter(text, item.letters, ended=ended)

    def rankings(self, item: Item, shots: Sequence[Shot]) -> list[Ranking]:
        """Letters after the listed choices, and texts after the question alone."""
        letters = tuple(f" {letter}" for letter in item.letters)
        texts = tuple(f" {choice}" for choice in item.choices)
        return [
            Ranking(self.context(item, shots), letters, (LETTER,)),
            Ranking(CONTEXT.format(item.question), texts, (TEXT, BY_BYTE)),
        ]

    def context(self, item: Item, shots: Sequence[Shot]) -> str:
        """Header, examples and the question with its choices listed, up to ``Answer:``."""
        solved = [f"{listed(shot.question, shot.choices)}\nAnswer: {shot.answer}\n\n" for shot in shots]
        asked = f"{listed(item.question, item.choices)}\nAnswer:"
        return self.header(item) + "".join(solved) + asked

    def header(self, item: Item) -> str:
        """What stands first."""
        return ""


_FIRST_LETTER = re.compile(r"\s*\(?([A-J])\b")


def first_letter(text: str) -> str | None:
    """The letter that an answer after ``Answer:`` begins with.

    Example:
        >>> first_letter(" B. because"), first_letter(" Because")
        ('B', None)
    """
    match = _FIRST_LETTER.match(text)
    return match[1] if match else None


def listed(question: str, choices: Sequence[str]) -> str:
    r"""A question with its choices below, one a line.

    Example:
        >>> listed("Which?", ["red", "blue"])
        'Which?\nA. red\nB. blue'
    """
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join([question.strip(), *lines])
