"""The base of packs whose items are problems with one exact answer."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rpt_core.corpus.files.problems import parse_problem
from rpt_core.evaluation.benchmarks.packs.item import Item, Shot, native_id
from rpt_core.evaluation.benchmarks.packs.pack import MATHS_64, Message, Mode, Pack
from rpt_core.objectives.problems.boxes import END_OF_THOUGHT, boxed_answer
from rpt_core.objectives.problems.stated import stated_value
from rpt_core.objectives.prompts import PROBLEM_PLAIN


class Mathematics(Pack):
    """Problems solved step by step; the boxed answer is graded as in RLVR."""

    modes: ClassVar = {"reasoning": MATHS_64}

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """The row by the usual columns; an answer that stands in the solution alone is its last box."""
        solution = record.get("solution")
        if not record.get("answer") and not record.get("final_answer") and isinstance(solution, str):
            record = {**record, "answer": boxed_answer(END_OF_THOUGHT + solution) or ""}
        found = parse_problem(record, self.name, file, self.name)
        name = native_id(record, self.ids, found.problem, found.answer)
        return Item(name, found.problem, found.answer, topic=found.domain)

    def message(self, item: Item, mode: Mode, shots: Sequence[Shot]) -> Message:
        """The words that RLVR trains with (:mod:`rpt_core.objectives.prompts`)."""
        return Message(PROBLEM_PLAIN, item.question)

    def stated(self, text: str, item: Item, *, ended: bool) -> str | None:
        """The last box, else the number or formula that is stated or stands last."""
        return stated_value(text, ended=ended)
