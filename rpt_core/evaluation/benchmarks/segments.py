"""Next and missing segments of held-out documents, by a judge's word (RLPT: ASR and MSR).

On the sample world the truth is known without a judge, so beside every score stands how often the judge
was fooled: the share of wrong answers it accepted, with an interval over documents.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, cast

import numpy as np
import pyarrow as pa

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import StarvedError
from rpt_core.evaluation.answers import GradedAnswer, ModelUnderTest
from rpt_core.evaluation.benchmarks.protocol import Benchmark, Key, Report, Setting
from rpt_core.evaluation.items import FINAL, JUDGED, JUDGED_FORCED
from rpt_core.evaluation.questions import at_most, draw_by_window
from rpt_core.evaluation.scores import accuracy, mode_scores, outcomes, rows_of
from rpt_core.evaluation.statistics.intervals import clustered_ratio
from rpt_core.objectives.next_segment.objective import open_judge
from rpt_core.objectives.next_segment.prompts import Task
from rpt_core.objectives.next_segment.question import NextSegment, SegmentQuestion, report
from rpt_core.objectives.next_segment.targets import Targets
from rpt_core.objectives.objective import Asked, Verdict
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.sample.second.wordings import WORDS

TASKS: tuple[Task, ...] = ("asr", "msr")


@dataclass(frozen=True, slots=True)
class Audited:
    """One answer a judge gave its word on, beside the truth."""

    document: str
    accepted: bool
    right: bool


@dataclass
class Segments(Benchmark):
    """Up to ``num_targets`` held-out segments, each asked both ways."""

    name: ClassVar[str] = "segments"
    modes: ClassVar[Mapping[str, tuple[str, ...]]] = {JUDGED: (JUDGED,), JUDGED_FORCED: (JUDGED_FORCED,)}

    asked: Sequence[Asked]
    balance: RowCounts
    sampling: Sampling
    question_type: NextSegment

    @classmethod
    def open(cls, setting: Setting) -> Self:
        """Draw the targets and open the judge.

        Raises:
            StarvedError: no held-out segment is a target.
        """
        recipe = setting.recipe
        assert isinstance(recipe, JudgedEvaluationRecipe)
        judge = open_judge(recipe, setting.inputs)
        question_type = NextSegment.of(recipe.objective, setting.codec, judge)
        window = question_type.window_tokens(recipe.context_tokens)
        difficulty = setting.inputs.get("difficulty")
        where = (setting.inputs["corpus"], difficulty, setting.codec, recipe.objective, window)
        targets = Targets(*where, "eval")
        if not targets.num:
            raise StarvedError(
                f"there is nothing to evaluate: {targets.why_none()}. Hold out more documents (eval_share), "
                "or lower entropy_floor_nats."
            )
        asked = []
        for owner, within in draw_by_window(recipe.seed, targets.counts, recipe.num_targets):
            page = targets.read(owner)
            picked = [(page.targets[int(item)], task) for item in within for task in TASKS]
            asked.append(question_type.ask(page, picked))
        balance = at_most(targets.balance, recipe.num_targets, "not-drawn")
        return cls(asked, balance, setting.sampling(), question_type)

    def grade(self, asked: Sequence[Asked], drawn: Drawn) -> list[Verdict]:
        """Guards, word-for-word equality, and the judge, asked once for all."""
        return self.question_type.verdicts(asked, drawn)

    def answers(self, mode: str, model: ModelUnderTest) -> Iterator[list[GradedAnswer]]:
        """A thought and a segment, sampled."""
        return model.sampled(self.asked, self.sampling, self.grade, thinking=mode == JUDGED_FORCED)

    def key(self, answer: GradedAnswer) -> Key:
        """One item per target and task."""
        question = cast(SegmentQuestion, answer.question)
        placed = self.question_type.settings.audit == "second-world"
        return Key(
            item_id=item_id(question),
            position=question.position,
            char_offset=question.char_offset if placed else None,
        )

    def scores(self, items: pa.Table, mode: str, checkpoint: str) -> dict[str, Any]:
        """One tier, ``all``; of the final model also by task."""
        found = mode_scores(items, mode, checkpoint)
        if checkpoint == FINAL:
            final = outcomes(items, mode)
            of_task = {task: final.where(np.char.endswith(final.item_ids, f":{task}")) for task in TASKS}
            found["by_task"] = {task: accuracy(part).as_json() for task, part in of_task.items() if len(part)}
        return found

    def summary(self, items: pa.Table, counted: Mapping[str, float]) -> dict[str, Any]:
        """What the judge said, and by mode how often it was fooled."""
        audits = {mode: self._audited(items, mode) for mode in self.modes}
        return {"judge": dict(counted), "audit": {mode: audit(rows) for mode, rows in audits.items() if rows}}

    def report(self) -> Report:
        """Counts of verdicts and guards; timings of the judge."""
        return report(self.question_type)

    def _audited(self, items: pa.Table, mode: str) -> list[Audited]:
        world = self.question_type.settings.audit
        if not world:
            return []
        questions = [cast(SegmentQuestion, question) for one in self.asked for question in one.questions]
        references = {item_id(question): question.reference for question in questions}
        columns = ["item_id", "doc_id", "verdict", "prediction"]
        rows = rows_of(items, mode, FINAL).select(columns).to_pylist()
        says_prefix = WORDS[world].says_prefix
        truths = [says_prefix(references[row["item_id"]], row["prediction"]) for row in rows]
        return [
            Audited(row["doc_id"], row["verdict"] == "correct", truth)
            for row, truth in zip(rows, truths, strict=True)
            if truth is not None and row["verdict"] in ("correct", "wrong")
        ]


def item_id(question: SegmentQuestion) -> str:
    """Names a target asked one way; the same for every model that shares the tokenizer."""
    return f"{question.document}:{question.position}:{question.task}"


def audit(rows: list[Audited]) -> dict[str, Any]:
    """How often the judge was fooled, and how often it refused the truth; clustered by document."""
    documents = np.array([row.document for row in rows])
    accepted, right = (
        np.array([getattr(row, name) for row in rows], float) for name in ("accepted", "right")
    )
    result: dict[str, Any] = {
        "num_answers": len(rows),
        "num_wrong": int((1 - right).sum()),
        "true_accuracy": clustered_ratio(right, np.ones(len(rows)), documents, proportion=True).as_json(),
    }
    for name, hits, those in (
        ("false_accepts", accepted * (1 - right), 1 - right),
        ("false_rejects", (1 - accepted) * right, right),
    ):
        known = those.sum() > 0
        result[name] = clustered_ratio(hits, those, documents, proportion=True).as_json() if known else None
    return result
