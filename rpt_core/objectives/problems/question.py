"""RLVR: solve a problem; right is the known answer."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow.parquet as pq

from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.objectives.problems.answer import Grade, grade_answers, grading_counts
from rpt_core.objectives.problems.answers.compare import Match
from rpt_core.objectives.problems.boxes import boxed_answer
from rpt_core.objectives.problems.stated import is_number, stated_answer
from rpt_core.objectives.prompts import Prompt, begins_in_thought, problem_prompt
from rpt_core.objectives.verdicts import END_OF_THOUGHT, Reading, answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.objectives import RlvrObjective


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the problem table."""

    problem_id: str
    problem: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Solve:
    """How one problem is asked and judged."""

    settings: RlvrObjective
    codec: Codec
    prompt: Prompt
    counts: Counter[str] = field(default_factory=Counter, compare=False)
    """How answers were graded since the last :meth:`report`."""

    @classmethod
    def of(cls, settings: RlvrObjective, codec: Codec) -> "Solve":
        """With the prompt the settings name."""
        return cls(settings, codec, problem_prompt(settings.prompt, codec, settings.thought))

    def ask(self, problem: Problem) -> Asked:
        """One problem as a trunk of its own, cut at its end."""
        ids = tuple(self.codec.encode(problem.problem))
        cut = Cut(len(ids), self.prompt.suffix_ids)
        trunk = Trunk(problem.problem_id, self.prompt.instruction_ids, ids, (cut,))
        question = Question(problem.problem_id, len(ids), problem.answer, tail=problem.problem[-80:])
        return Asked(trunk, (question,))

    def fits(self, problem: Problem, context_tokens: int) -> bool:
        """Whether the problem and the words around it fit into the context."""
        return len(self.codec.encode(problem.problem)) + self.prompt.num_tokens <= context_tokens

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """One answer; see :meth:`judge_all`."""
        return self.judge_all([(question, sample)])[0]

    def judge_all(self, answered: Iterable[tuple[Question, Sample]]) -> list[Verdict]:
        """What each answer says in the end (its last closed box) against the known one.

        What cannot be read is ``unparsed``; what could not be computed in time is ``timed out``.
        """
        read = [(question, sample, self._reading(question, sample)) for question, sample in answered]
        grades = grade_answers([(_text(reading), question.truth) for question, _, reading in read if reading])
        self.counts.update(grading_counts(grades))
        left = iter(grades)
        return [
            self._verdict(sample, reading, next(left) if reading else None) for _, sample, reading in read
        ]

    def report(self) -> dict[str, float]:
        """Counts of how answers were graded since the last report; see :func:`grading_counts`."""
        counts = {name: float(num) for name, num in sorted(self.counts.items())}
        self.counts.clear()
        return counts

    def _verdict(self, sample: Sample, reading: Reading | None, grade: Grade | None) -> Verdict:
        found = verdict(sample, self.codec, reading, _RIGHT[grade.match] if grade else None)
        return replace(found, verdict="timed out") if grade and grade.timed_out else found

    def _reading(self, question: Question, sample: Sample) -> Reading | None:
        """What one answer says; None where it was cut off or says nothing that can be read."""
        if sample.finish != "stop":
            return None
        content = answer_bytes(sample, self.codec)
        said = self.said(content.decode("utf-8", errors="replace"), or_number=is_number(question.truth))
        return None if said is None else Reading(content.partition(END_OF_THOUGHT)[0], (said.encode(),))

    def said(self, text: str, *, or_number: bool) -> str | None:
        """What a whole answer says in the end; without a box, a number counts only in the free form."""
        if begins_in_thought(self.settings.thought, self.codec):
            return boxed_answer(text)
        return stated_answer(text, or_number=or_number)


_RIGHT: Mapping[Match, bool | None] = {"correct": True, "wrong": False, "unparsed": None}


def _text(reading: Reading) -> str:
    return reading.predictions[0].decode("utf-8", errors="replace")


def read_problems(corpus: Path, split: str) -> list[Problem]:
    """The problems of one split that have an answer; a set of problems is small enough to hold."""
    columns = ["problem_id", "problem", "solution", "answer", "split"]
    rows = pq.read_table(corpus / "problems.parquet", columns=columns).to_pylist()
    return [
        Problem(row["problem_id"], row["problem"], row["solution"] or "", row["answer"])
        for row in rows
        if row["split"] == split and row["problem"] and row["answer"]
    ]
