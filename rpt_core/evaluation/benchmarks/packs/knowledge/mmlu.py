"""MMLU: 57 subjects, four choices, five solved examples of each subject (Hendrycks et al. 2021)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Shot
from rpt_core.evaluation.benchmarks.packs.knowledge.choices import Choices, first_letter
from rpt_core.evaluation.benchmarks.packs.pack import (
    NOTHING_DRAWN,
    ONCE,
    DefaultSampling,
    Message,
    Mode,
    Published,
    Role,
)

_SUFFIXES = (".csv", ".json", ".jsonl", ".txt", ".gz")
_SPLITS = ("_test", "_dev", "_val")


class Mmlu(Choices):
    """Test items of all subjects; the development split holds the examples."""

    name = "mmlu"
    published = Published(
        "cais/mmlu",
        ("all/test-00000-of-00001.parquet", "all/dev-00000-of-00001.parquet"),
        "MIT",
        "Hendrycks et al. 2021, arXiv 2009.03300",
    )
    modes: ClassVar = {
        "reasoning": ONCE,
        "few-shot": DefaultSampling(1, 0.0, 1.0, 8),
        "likelihood": NOTHING_DRAWN,
    }
    num_shots = 5
    csv_header = ("question", "A", "B", "C", "D", "answer")

    def role(self, file: str) -> Role:
        """Examples are the development split's alone; the validation and auxiliary splits are not used."""
        words = set(re.split(r"[^a-z0-9]+", file.lower()))
        if words & {"dev"}:
            return "shots"
        return "other" if words & {"val", "validation", "train", "auxiliary"} else "items"

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A row under its subject, by which errors are clustered."""
        subject = _subject(record, file)
        found = super().item(_placed(record), file)
        return replace(found, item_id=f"{subject}:{found.item_id}", subject=subject, topic=subject)

    def shot(self, record: Mapping[str, object], file: str) -> Shot:
        """An example of a subject."""
        stem, choices, letter = self.question_of(_placed(record))
        return Shot(stem, letter, _subject(record, file), choices)

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """Solved step by step, or the letter after five examples."""
        if mode == "few-shot":
            return Message("", self.context(item, shots), raw=True, stops=("\n",))
        return super().message(item, mode, shots)

    def said(
        self, text: str, item: Item, mode: Mode, *, in_thought: bool = False, ended: bool = True
    ) -> str | None:
        """The letter after ``Answer:``, or the boxed one."""
        return (
            first_letter(text)
            if mode == "few-shot"
            else super().said(text, item, mode, in_thought=in_thought, ended=ended)
        )

    def header(self, item: Item) -> str:
        """The paper's first line."""
        about = item.subject.replace("_", " ")
        return f"The following are multiple choice questions (with answers) about {about}.\n\n"


def _subject(record: Mapping[str, object], file: str) -> str:
    if isinstance(given := record.get("subject"), str) and given:
        return given
    name = PurePosixPath(file)
    if name.suffix not in _SUFFIXES:
        return ""
    while name.suffix in _SUFFIXES:
        name = name.with_suffix("")
    return next((name.name.removesuffix(split) for split in _SPLITS if name.name.endswith(split)), name.name)


def _placed(record: Mapping[str, object]) -> Mapping[str, object]:
    """The row with an answer in digits as a place: an option may read ``1`` and not be the second."""
    answer = record.get("answer")
    is_place = isinstance(answer, str) and answer.strip().isdecimal()
    return {**record, "answer": int(str(answer))} if is_place else record
