"""MMLU-Pro: 14 categories, up to ten choices, five worked examples of each category (Wang et al. 2024)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Shot
from rpt_core.evaluation.benchmarks.packs.knowledge.choices import Choices, listed
from rpt_core.evaluation.benchmarks.packs.pack import (
    NOTHING_DRAWN,
    ONCE,
    DefaultSampling,
    Message,
    Mode,
    Published,
)

_THINKS = "Let's think step by step."
_ANSWER_IS = re.compile(r"answer is \(?([A-J])\b")


class MmluPro(Choices):
    """Test items; the validation split holds the examples with their chains of thought."""

    name = "mmlu_pro"
    published = Published(
        "TIGER-Lab/MMLU-Pro",
        ("data/test-00000-of-00001.parquet", "data/validation-00000-of-00001.parquet"),
        "MIT",
        "Wang et al. 2024, arXiv 2406.01574",
    )
    modes: ClassVar = {
        "reasoning": ONCE,
        "few-shot": DefaultSampling(1, 0.0, 1.0, 2048),
        "likelihood": NOTHING_DRAWN,
    }
    num_shots = 5
    right = ("answer_index", "answer")

    def choices_of(self, record: Mapping[str, object]) -> list[str]:
        """The options that are some: the data set fills up with ``N/A``."""
        return [text for text in super().choices_of(record) if text != "N/A"]

    def shot(self, record: Mapping[str, object], file: str) -> Shot:
        """An example with the thought of its column ``cot_content``."""
        stem, choices, letter = self.question_of(record)
        thought = str(record.get("cot_content") or "").removeprefix("A: ")
        return Shot(stem, thought or f"{_THINKS} The answer is ({letter}).", self.topic_of(record), choices)

    def shots_for(self, item: Item, shots: Sequence[Shot], most: int) -> list[Shot]:
        """Those of the item's category."""
        return [shot for shot in shots if shot.of == item.topic][:most]

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """Solved step by step; in plain text after five worked examples where the mode says so."""
        if mode == "few-shot":
            opened = f"{self.context(item, shots)} {_THINKS}"
            return Message("", opened, raw=True, stops=("\n\n", "Question:"))
        return super().message(item, mode, shots)

    def said(
        self, text: str, item: Item, mode: Mode, *, in_thought: bool = False, ended: bool = True
    ) -> str | None:
        """The letter after ``the answer is``, or the boxed one."""
        if mode == "few-shot":
            match = _ANSWER_IS.search(text)
            return match[1] if match else None
        return super().said(text, item, mode, in_thought=in_thought, ended=ended)

    def context(self, item: Item, shots: Sequence[Shot]) -> str:
        """Header, worked examples and the question, up to ``Answer:``."""
        solved = [
            _asked(replace(item, question=s.question, choices=s.choices)) + f" {s.answer}\n\n" for s in shots
        ]
        return self.header(item) + "".join(solved) + _asked(item)

    def header(self, item: Item) -> str:
        """The paper's first lines."""
        return (
            f"The following are multiple choice questions (with answers) about {item.topic}. Think step by "
            'step and then finish your answer with "the answer is (X)" where X is the correct letter '
            "choice.\n\n"
        )


def _asked(item: Item) -> str:
    stem, _, options = listed(item.question, item.choices).partition("\nA. ")
    return f"Question:\n{stem}\nOptions:\nA. {options}\nAnswer:"
