"""KOR-Bench: questions under a rule nobody has read before, in five categories (Ma et al. 2024)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.files import FileRow
from rpt_core.evaluation.benchmarks.packs.item import Item, Refusal, Shot
from rpt_core.evaluation.benchmarks.packs.pack import (
    GREEDY_EXAMPLES,
    ONCE,
    Found,
    Message,
    Mode,
    Pack,
    Published,
    Role,
)
from rpt_core.evaluation.benchmarks.packs.reasoning.kor_rules import bracketed, graded
from rpt_core.objectives.problems.answer import Grade
from rpt_core.objectives.problems.boxes import END_OF_THOUGHT
from rpt_core.objectives.problems.stated import after_thought

CATEGORIES = ("cipher", "counterfactual", "logic", "operation", "puzzle")
_FIELDS = ("rule", "sample", "three-shot")
_KINDS = {
    "cipher": "a cipher",
    "counterfactual": "a story whose facts hold here, whatever the real world says",
    "logic": "a logic",
    "operation": "an operation",
    "puzzle": "a puzzle",
}


class KorBench(Pack):
    """All categories that are there; the ten questions of a rule are clustered."""

    name = "kor_bench"
    published = Published(
        "m-a-p/KOR-Bench",
        tuple(f"{category}/{field}.jsonl" for category in CATEGORIES for field in _FIELDS),
        "Apache-2.0",
        "Ma et al. 2024, arXiv 2410.06526",
    )
    modes: ClassVar = {"reasoning": ONCE, "few-shot": GREEDY_EXAMPLES}
    num_shots = 3

    def role(self, file: str) -> Role:
        """By the names the authors give their files."""
        if not _category(file):
            return "other"
        stem = file.rsplit("/", 1)[-1].lower()
        roles: dict[str, Role] = {"rule": "rules", "three": "shots", "sample": "items"}
        return next((role for word, role in roles.items() if stem.startswith(word)), "other")

    def read_rows(self, rows: Iterable[FileRow]) -> Found:
        """Samples with the rule each stands under; one whose rule is not there is refused."""
        held = list(rows)
        rules = {
            f"{_category(row.name)}/{row.record.get('idx')}": str(row.record.get("rule_content") or "")
            for row in held
            if self.role(row.name) == "rules" and isinstance(row.record, dict)
        }
        found = super().read_rows(row for row in held if self.role(row.name) in ("items", "shots"))
        ruled = [replace(item, context=rules.get(item.subject, "")) for item in found.items]
        kept = tuple(item for item in ruled if item.context)
        lost = len(ruled) - len(kept)
        return replace(found, items=kept, refused={**found.refused, **({"no-rule": lost} if lost else {})})

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A sample; its subject is its rule."""
        category = _category(file)
        question, answer = (str(record.get(name) or "").strip() for name in ("question", "answer"))
        if not question or not answer:
            raise Refusal("missing-column")
        rule = f"{category}/{record.get('rule_id')}"
        return Item(f"{category}:{record.get('idx')}", question, answer, subject=rule, topic=category)

    def shot(self, record: Mapping[str, object], file: str) -> Shot:
        """A solved question of a rule."""
        rule = f"{_category(file)}/{record.get('rule_id')}"
        return Shot(str(record.get("question") or ""), str(record.get("answer") or ""), rule)

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """The rule, three solved questions of it where the mode says so, and the question."""
        head = (
            f"Below is the rule of {_KINDS[item.topic]}. Answer the question by this rule alone, in the form "
            f"it asks for.\n\n### Rule\n\n{item.context}\n\n"
        )
        solved = "".join(
            f"### Question\n\n{shot.question}\n\n### Answer\n\n{shot.answer}\n\n" for shot in shots
        )
        asked = f"{head}{solved}### Question\n\n{item.question}"
        if mode == "few-shot":
            return Message("", f"{asked}\n\n### Answer\n\n", raw=True, stops=("\n\n", "###"))
        return Message("", asked)

    def said(
        self, text: str, item: Item, mode: Mode, *, in_thought: bool = False, ended: bool = True
    ) -> str | None:
        """What stands in the last double brackets, after the thought where there is one."""
        if in_thought and not (ended and END_OF_THOUGHT in text):
            return None
        rest = after_thought(text)
        if rest is None or not (ended or "[[" in rest):  # single brackets stand in workings too
            return None
        return bracketed(rest)

    def grades(self, answered: Sequence[tuple[str, Item]]) -> list[Grade]:
        """By each category's own rules."""
        return graded([(said, item.answer, item.topic, *_numbers(item)) for said, item in answered])


def _category(file: str) -> str:
    """The category whose folder, or whose file, a path names."""
    words = re.split(r"[^a-z]+", file.lower())
    return next((category for category in CATEGORIES if category in words), "")


def _numbers(item: Item) -> tuple[str, str]:
    """Number of the rule, and of the question in its category."""
    return item.subject.rpartition("/")[2], item.item_id.partition(":")[2].partition("#")[0]
