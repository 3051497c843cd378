"""RLVR: solve a problem; right is the known answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import StarvedError
from rpt_core.objectives.next_token.positions import Rounds
from rpt_core.objectives.next_token.prefix import END_OF_THOUGHT, Reading
from rpt_core.objectives.objective import Asked, Question, Verdict, by_place, in_one_row
from rpt_core.objectives.problems.answer import Grade, grade_answers, grading_counts
from rpt_core.objectives.problems.answers.compare import Match
from rpt_core.objectives.problems.boxes import boxed_answer
from rpt_core.objectives.prompts import Prompt, problem_prompt
from rpt_core.objectives.verdicts import answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import RlvrRecipe


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the problem table."""

    problem_id: str
    problem: str
    solution: str
    answer: str


@dataclass(frozen=True)
class Solve:
    """How one problem is put and judged."""

    settings: RlvrObjective
    codec: Codec
    prompt: Prompt
    counts: Counter[str] = field(default_factory=Counter, compare=False)
    """How answers were graded since the last :meth:`report`."""

    @classmethod
    def of(cls, settings: RlvrObjective, codec: Codec) -> "Solve":
        """With the prompt the settings name."""
        return cls(settings, codec, problem_prompt(settings.prompt, codec))

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
        """The last closed box of each answer against the known one.

        What cannot be read is ``unparsed``; what could not be computed in time is ``timed out``.
        """
        read = [(question, sample, self._reading(sample)) for question, sample in answered]
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

    def _reading(self, sample: Sample) -> Reading | None:
        if sample.finish != "stop":
            return None
        content = answer_bytes(sample, self.codec)
        boxed = boxed_answer(content.decode("utf-8", errors="replace"))
        return None if boxed is None else Reading(content.partition(END_OF_THOUGHT)[0], (boxed.encode(),))


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


class Rlvr:
    """Problems with known answers (design 3.4: an :class:`Objective`)."""

    name = "rlvr"

    def __init__(self, recipe: RlvrRecipe, inputs: Mapping[str, Path], codec: Codec) -> None:
        self.solve = Solve.of(recipe.objective, codec)
        self.stop_ids = codec.end_ids
        self._corpus, self._context = inputs["corpus"], recipe.context_tokens
        self._problems, self.balance = self._fitting("train")
        if not self._problems:
            raise StarvedError(
                f"there is nothing to solve: {self.balance.rows_in} training problems with an answer, of "
                f"which {self.balance.dropped.get('too-long', 0)} do not fit into {self._context} tokens. "
                "Add a problem set to the corpus, or raise context_tokens."
            )
        self._rounds = Rounds(np.ones(len(self._problems), np.int32), 1, recipe.seed)

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The next problems in a fixed random order; every epoch uses each once."""
        return self._pose(self._problems, self._rounds, cursor, num_prompts), cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        """Held-out problems; the same ones in every training, whatever its seed."""
        problems, _ = self._fitting("eval")
        rounds = Rounds(np.ones(len(problems), np.int32), 1, seed=0)
        return self._pose(problems, rounds, 0, min(num_prompts, len(problems)))

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        """Verdicts of one group."""
        return self.solve.judge_all((asked.questions[cut], sample) for sample in samples)

    def judge_all(
        self, asked: Sequence[Asked], drawn: Sequence[Sequence[Sequence[Sample]]]
    ) -> list[list[list[Verdict]]]:
        """Verdicts by document, question and answer: what has to be computed is computed together."""
        return by_place(self.solve.judge_all(in_one_row(asked, drawn)), drawn)

    def report(self) -> tuple[dict[str, float], dict[str, float]]:
        """How answers were graded since the last report; there is nothing to time."""
        return self.solve.report(), {}

    def _fitting(self, split: str) -> tuple[list[Problem], RowCounts]:
        found = read_problems(self._corpus, split)
        kept = [problem for problem in found if self.solve.fits(problem, self._context)]
        long = len(found) - len(kept)
        return kept, RowCounts(rows_in=len(found), kept=len(kept), dropped={"too-long": long} if long else {})

    def _pose(self, problems: list[Problem], rounds: Rounds, cursor: int, num: int) -> list[Asked]:
        owners = dict.fromkeys(owner for owner, _ in rounds.take(cursor, num))
        return [self.solve.ask(problems[owner]) for owner in owners]


def open_objective(recipe: RlvrRecipe, inputs: Mapping[str, Path], codec: Codec) -> Rlvr:
    """The objective of a fine-tuning recipe, over the folders of its inputs.

    Raises:
        StarvedError: no training problem with an answer fits.
    """
    return Rlvr(recipe, inputs, codec)
