"""What a benchmark pack says: where items come from, how they are asked, how an answer is read and graded.

A pack is a subclass of :class:`Pack` in a file of its own and a row of
:mod:`rpt_core.evaluation.benchmarks.packs.registry`. It knows no model and no tokenizer: it turns rows into
items, items into words, and an answer's text into a verdict. Its words are part of the identity of what is
measured: another prompt is another evaluation.
"""

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.text.boxes import last_box
from rpt_core.evaluation.benchmarks.packs.files import FileRow
from rpt_core.evaluation.benchmarks.packs.item import Item, Refusal, Shot
from rpt_core.objectives.problems.answer import Grade, grade_answers
from rpt_core.objectives.problems.boxes import boxed_answer
from rpt_core.objectives.problems.stated import after_thought

Mode = Literal["reasoning", "few-shot", "likelihood", "plain"]
"""``reasoning``: a question in the model's chat form, solved step by step. ``few-shot``: solved examples and
the question as plain text that a base model goes on with. ``likelihood``: the choices ranked by their
probability. ``plain``: every token of a text predicted."""
Form = Literal["think", "chat", "plain"]
"""Of a reasoning prompt; see :attr:`rpt_core.recipes.benchmark_evaluation.BenchmarkRecipe.form`."""
MODES: tuple[Mode, ...] = get_args(Mode)
Role = Literal["items", "training", "shots", "rules", "other"]


@dataclass(frozen=True, slots=True)
class Published:
    """Where a benchmark is published."""

    hub: str
    """Id of the data set on the Hugging Face hub."""
    files: tuple[str, ...]
    """Paths in it."""
    licence: str
    cite: str


@dataclass(frozen=True, slots=True)
class DefaultSampling:
    """How answers are drawn where nobody says otherwise."""

    samples: int
    temperature: float
    """0 takes the likeliest token."""
    top_p: float
    max_new_tokens: int


MATHS_64 = DefaultSampling(64, 0.6, 0.95, 32_768)
"""Mathematics in RLPT, section 4.1: avg@64 at temperature 0.6 and top-p 0.95."""
ONCE = DefaultSampling(1, 0.6, 0.95, 32_768)
"""General benchmarks in RLPT: how often is not stated, so once."""
GREEDY_EXAMPLES = DefaultSampling(1, 0.0, 1.0, 512)
"""Few-shot answers, greedy as in Wei et al. 2022, section 3."""
NOTHING_DRAWN = DefaultSampling(1, 0.0, 1.0, 1)
"""Modes in which no answer is drawn."""


@dataclass(frozen=True, slots=True)
class Message:
    """The words an item is put in."""

    before: str
    text: str
    """The item's own words; everything else is the pack's."""
    after: str = ""
    raw: bool = False
    """Plain text that is gone on with: no chat template, no thought."""
    stops: tuple[str, ...] = ()
    """What ends an answer in plain text: the model begins a question of its own."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A context and the continuations that are ranked after it."""

    context: str
    continuations: tuple[str, ...]
    modes: tuple[str, ...]
    """Names in the table of outcomes: by summed log-probability and, second, by that over UTF-8 bytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a benchmark's folder holds."""

    items: tuple[Item, ...]
    shots: tuple[Shot, ...]
    rows_in: int
    """Rows that could have been items."""
    refused: Mapping[str, int]
    """Those that are none, by reason."""
    is_training_file: bool = False
    """Whether all that is there is the training split, which a model may have read."""


class Pack:
    """The base of all packs."""

    name: ClassVar[str]
    also: ClassVar[tuple[str, ...]] = ()
    """Other names of its folder."""
    published: ClassVar[Published]
    modes: ClassVar[Mapping[Mode, DefaultSampling]]
    """How it can be asked, the usual one first."""
    num_shots: ClassVar[int] = 0
    """Examples the benchmark defines."""
    has_training_split: ClassVar[bool] = False
    """Whether a file named ``train`` is a training set; of others it is how a carrier calls the test set."""
    reads_texts: ClassVar[bool] = False
    """Whether a file of plain text is an item."""
    csv_header: ClassVar[tuple[str, ...]] = ()
    """Columns of its CSV files, which may not name them."""
    ids: ClassVar[tuple[str, ...]] = ("unique_id", "id", "idx", "question_id", "problem_idx", "uuid")

    @property
    def titles(self) -> tuple[str, ...]:
        """Names its folder may have."""
        return (self.name, *self.also)

    def role(self, file: str) -> Role:
        """What the rows of a file are, by its path."""
        words = set(re.split(r"[^a-z0-9]+", file.lower()))
        if words & {"dev", "validation", "val"}:
            return "shots"
        return "training" if self.has_training_split and "train" in words else "items"

    def read_rows(self, rows: Iterable[FileRow]) -> Found:
        """The items and examples among the rows of a benchmark's folder, and what is neither, by reason."""
        by_role: dict[Role, list[FileRow]] = {}
        for row in rows:
            by_role.setdefault(self.role(row.name), []).append(row)
        mine = by_role.get("items") or by_role.get("training") or []
        items, refused = _Items(), Counter[str]()
        for row in mine:
            try:
                items.add(self.item(_readable(row), row.name), row.name)
            except (Refusal, BrokenInput) as broken:
                refused[broken.reason] += 1
        return Found(
            tuple(items.by_id.values()),
            self._shots(by_role.get("shots", ())),
            len(mine),
            refused,
            is_training_file=bool(mine) and not by_role.get("items"),
        )

    def _shots(self, rows: Iterable[FileRow]) -> tuple[Shot, ...]:
        found = list[Shot]()
        for row in rows:
            try:
                found.append(self.shot(_readable(row), row.name))
            except (Refusal, BrokenInput):
                continue  # an example is no item: nothing is asked less
        return tuple(found)

    @abstractmethod
    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A row as an item.

        Raises:
            Refusal: it cannot be asked, with the reason it is counted by.
            BrokenInput: a column is missing or of another type.
        """
        raise NotImplementedError

    def shot(self, record: Mapping[str, object], file: str) -> Shot:
        """A row as a solved example.

        Raises:
            Refusal: it is none.
        """
        raise Refusal("no-examples")

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """The words of an item, with solved examples before it where the mode has some."""
        raise NotImplementedError

    def rankings(self, item: Item, shots: Sequence[Shot]) -> list[Ranking]:
        """What is ranked in the mode ``likelihood``."""
        raise NotImplementedError

    def shots_for(self, item: Item, shots: Sequence[Shot], most: int) -> list[Shot]:
        """The first ``most`` examples that belong to an item."""
        return [shot for shot in shots if shot.of in ("", item.subject)][:most]

    def said(
        self, text: str, item: Item, mode: Mode, *, in_thought: bool = False, ended: bool = True
    ) -> str | None:
        """What an answer says in the end; None where that cannot be read.

        Args:
            text: The whole answer.
            item: What was asked.
            mode: How.
            in_thought: Whether the answer began inside a thought, which then has to end first; only a box
                after it counts, as in training.
            ended: Whether it came to its end; one that was cut off says only what it states as its answer.
        """
        if in_thought:
            return boxed_answer(text) if ended else None
        rest = after_thought(text)
        return None if rest is None else self.stated(rest, item, ended=ended)

    def stated(self, text: str, item: Item, *, ended: bool) -> str | None:
        """What an answer without a thought says: its last closed box, unless the pack reads more."""
        return last_box(text)

    def grades(self, answered: Sequence[tuple[str, Item]]) -> list[Grade]:
        """The verdict on each answer that could be read, beside its item."""
        return grade_answers([(said, item.answer) for said, item in answered])


class _Items:
    """Items by id: what stands twice in one file is asked twice, in another file it is a copy."""

    def __init__(self) -> None:
        self.by_id: dict[str, Item] = {}
        self._files: dict[str, str] = {}

    def add(self, item: Item, file: str) -> None:
        name, number = item.item_id, 1
        while name in self.by_id:
            if replace(self.by_id[name], item_id=item.item_id) == item and self._files[name] != file:
                raise Refusal("duplicate")
            number += 1
            name = f"{item.item_id}#{number}"
        self.by_id[name], self._files[name] = replace(item, item_id=name), file


def _readable(row: FileRow) -> dict[str, object]:
    if isinstance(row.record, BrokenInput):
        raise row.record
    return row.record
