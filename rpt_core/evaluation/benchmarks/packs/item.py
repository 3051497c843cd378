"""One question of a published benchmark, and the identity of a whole set of them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rpt_core.artifacts.digest import stable_id
from rpt_core.artifacts.recipe import canonical_json

LETTERS = "ABCDEFGHIJ"
"""Of choices; no benchmark here has more than ten."""


@dataclass(frozen=True, slots=True)
class Item:
    """One question with a known answer."""

    item_id: str
    """The benchmark's own id where it has one, else a hash of the content."""
    question: str
    answer: str
    """Known answer; of a choice, its letter."""
    choices: tuple[str, ...] = ()
    subject: str = ""
    """What several items share, so that answers to them are alike (a rule, a subject): errors are clustered
    by it. Empty where an item stands by itself."""
    topic: str = ""
    """What accuracies are also told by: a field, a level, a category."""
    context: str = ""
    """What stands before the question: KOR-Bench's rule."""

    @property
    def letters(self) -> str:
        """One a choice."""
        return LETTERS[: len(self.choices)]

    def as_row(self) -> list[str | list[str]]:
        """Everything it says, for a digest."""
        said = [self.item_id, self.question, self.answer, self.subject, self.topic, self.context]
        return [*said, list(self.choices)]


@dataclass(frozen=True, slots=True)
class Shot:
    """A solved example that stands before the question."""

    question: str
    answer: str
    """Everything the example says after the question."""
    of: str = ""
    """Whose example it is: a subject, or a rule; empty for all items."""
    choices: tuple[str, ...] = ()


class Refusal(Exception):  # noqa: N818  (a row's fault, counted by its reason)
    """A row that cannot be asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def native_id(record: Mapping[str, Any], columns: Iterable[str], *content: str) -> str:
    """The first id a row has; without one, a hash of its content.

    Example:
        >>> native_id({"id": 60}, ("unique_id", "id")), len(native_id({}, ("id",), "What?", "4"))
        ('60', 32)
    """
    for column in columns:
        value = record.get(column)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return stable_id(*content)


def items_digest(items: Iterable[Item]) -> str:
    """SHA-256 over everything that items say, whatever the order of their files; hex."""
    rows = sorted((item.as_row() for item in items), key=lambda row: row[0])
    return hashlib.sha256(canonical_json(rows)).hexdigest()
