"""Stage ``evaluate-judged``: how often a judge takes a model's next or missing segment for the truth.

On the sample world the truth is known without a judge, so beside every score stands how often the judge
was fooled: the share of wrong answers it accepted, with an interval over documents.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from rpt_core.artifacts.build import GIGA, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.corpus.dedup.overlap import check_held_out
from rpt_core.errors import StarvedError, Stopped
from rpt_core.evaluation.answers import draw_thinking, portions, sampling_of, sampling_told
from rpt_core.evaluation.evaluate import SCORES_FILE, Checkpoint, published, same_weights
from rpt_core.evaluation.intervals import clustered_ratio
from rpt_core.evaluation.items import FINAL, PROBLEMS, Item, as_table, write_items
from rpt_core.evaluation.questions import Tasks, at_most, draw_by_window, draw_problems
from rpt_core.evaluation.scores import accuracy, mode_scores, outcomes
from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.objectives.next_segment.objective import open_judge
from rpt_core.objectives.next_segment.prompts import Task
from rpt_core.objectives.next_segment.question import NextSegment, SegmentQuestion, report
from rpt_core.objectives.next_segment.targets import Targets
from rpt_core.objectives.objective import Asked, Question, Verdict, in_one_row
from rpt_core.objectives.problems.question import Solve
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.load import Precision, inside, load_policy
from rpt_core.policy.model import Policy
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.sample.wordings import says_prefix
from rpt_core.train.supervised.loop import device_of

JUDGED, FORCED = "judged", "judged-forced"
TASKS: tuple[Task, ...] = ("asr", "msr")
AT_ONCE = 256
"""Questions between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Audited:
    """One answer a judge gave its word on, beside the truth."""

    document: str
    accepted: bool
    right: bool


@dataclass
class JudgedEvaluation:
    """One model, and what it is asked; gathers rows."""

    recipe: JudgedEvaluationRecipe
    build: Build
    policy: Policy
    put: NextSegment
    rows: list[Item] = field(default_factory=list)
    audited: dict[str, list[Audited]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = open_engine(self.build.numerics.engine, self.policy, inside(self.build.inputs["model"]))
        self.solve = Solve.of(self.recipe.problems, self.policy.codec)
        self.sampling = sampling_of(self.recipe, self.policy)
        self.problem_sampling = sampling_of(self.recipe, self.policy, problems=True)

    def run(self, mode: str, asked: list[Asked], checkpoint: Checkpoint) -> None:
        """Ask everything in one mode."""
        done = 0
        for some in portions(asked, AT_ONCE):
            drawn = self._draw(mode, some)
            verdicts = iter(self._verdicts(mode, some, drawn))
            for one, of_trunk in zip(some, drawn, strict=True):
                for question, of_cut in zip(one.questions, of_trunk, strict=True):
                    for number in range(len(of_cut)):
                        self._note(mode, question, number, next(verdicts), checkpoint)
            done += len(some)
            self.build.progress(done, len(asked), f"{mode}, {checkpoint.name}")
            if self.build.stopping():
                raise Stopped(f"stopped in mode {mode}; the same command starts again.")

    def repeat(self, checkpoint: Checkpoint) -> None:
        """Give a checkpoint with the final model's weights the final model's answers."""
        self.rows += [
            replace(
                row,
                checkpoint=checkpoint.name,
                step=checkpoint.step,
                gflops=checkpoint.gflops,
                tail=None,
                thought=None,
            )
            for row in self.rows
            if row.mode == JUDGED and row.checkpoint == FINAL
        ]

    def _draw(self, mode: str, some: list[Asked]) -> Drawn:
        trunks = [one.trunk for one in some]
        if mode == FORCED:
            return draw_thinking(self.policy, self.engine, trunks, self.sampling)
        return self.engine.generate(trunks, self.problem_sampling if mode == PROBLEMS else self.sampling, 0)

    def _verdicts(self, mode: str, some: list[Asked], drawn: Drawn) -> list[Verdict]:
        if mode != PROBLEMS:
            return self.put.verdicts(some, drawn)
        return self.solve.judge_all(in_one_row(some, drawn))

    def _note(
        self, mode: str, question: Question, number: int, verdict: Verdict, checkpoint: Checkpoint
    ) -> None:
        name = question.document
        is_final = checkpoint.name == FINAL
        if isinstance(question, SegmentQuestion):
            name = f"{question.document}:{question.position}:{question.task}"
            if is_final:
                self._audit(mode, question, verdict)
        self.rows.append(
            Item(
                checkpoint=checkpoint.name, step=checkpoint.step, gflops=checkpoint.gflops, mode=mode,
                item_id=name, doc_id=question.document, position=question.position, entropy_nats=None,
                tier="", sample=number, verdict=verdict.verdict, score=verdict.score,
                thinks=verdict.thought_tokens > 0, thought_tokens=verdict.thought_tokens,
                answer_tokens=verdict.answer_tokens, first_token=None, prediction=verdict.prediction,
                truth=question.truth, tail=question.tail if is_final and number == 0 else None,
                thought=verdict.thought if is_final else None,
            )
        )  # fmt: skip

    def _audit(self, mode: str, question: SegmentQuestion, verdict: Verdict) -> None:
        if not self.recipe.objective.audit or verdict.verdict not in ("correct", "wrong"):
            return
        right = says_prefix(question.reference, verdict.prediction)
        if right is not None:
            seen = Audited(question.document, verdict.verdict == "correct", right)
            self.audited.setdefault(mode, []).append(seen)


def evaluate_judged(recipe: JudgedEvaluationRecipe, build: Build) -> Outcome:
    """Write ``items.parquet`` and ``scores.json``.

    Every model asked with the same corpus, objective and seed answers the same questions with the same
    random numbers, so two evaluations can be compared item by item.

    Raises:
        RecipeError: the model was trained on what the corpus holds out.
        StarvedError: no held-out segment is a target, or no problem fits.
        JudgeError: the judge stayed away.
    """
    check_held_out(build)
    folder = inside(build.inputs["model"])
    policy = load_policy(folder, cast(Precision, build.numerics.dtype), device_of(build))
    put = NextSegment.of(recipe.objective, policy.codec, open_judge(recipe, build.inputs))
    evaluation = JudgedEvaluation(recipe, build, policy, put)
    rows = RowCounts()
    final = Checkpoint(FINAL, folder)
    checkpoints = published(build) if recipe.milestones else []
    if recipe.milestones or any(mode != PROBLEMS for mode in recipe.modes):
        asked, balance = draw_targets(recipe, build, put)
        rows = rows + balance
        for mode in recipe.modes:
            if mode != PROBLEMS:
                evaluation.run(mode, asked, final)
    if PROBLEMS in recipe.modes:
        corpus = build.inputs.get("problem_corpus", build.inputs["corpus"])
        problems = _problems(recipe, corpus, policy.codec)
        rows = rows + problems.balance
        evaluation.run(PROBLEMS, problems.asked, final)
    for checkpoint in checkpoints:
        if JUDGED in recipe.modes and same_weights(checkpoint, final):
            evaluation.repeat(checkpoint)
            continue
        evaluation.engine.load_weights(checkpoint.folder, checkpoint.step or 0)
        evaluation.run(JUDGED, asked, checkpoint)
    told, took = report(put)
    items = write_items([as_table(evaluation.rows)], build.out)
    scores = summarise(recipe, items, evaluation.audited, told, checkpoints)
    grading = evaluation.solve.report()
    if grading:
        scores["grading"] = grading
    (build.out / SCORES_FILE).write_text(json.dumps(scores, indent=1, allow_nan=False))
    headline = _headline(scores)
    build.log(0, {**headline, **told, **grading}, took)
    for one in scores.get("milestones", ()):
        build.log(
            one["step"],
            {"accuracy": one["accuracy"]["all"]["value"], "gflops_total": one["gflops_total"]},
        )
    forwarded = evaluation.engine.num_forwarded
    flops = evaluation.engine.flops + GIGA * took.get(JUDGE_GFLOPS, 0.0)
    return Outcome(rows=rows, flops=flops, tokens=forwarded, summary=dict(headline))


def draw_targets(
    recipe: JudgedEvaluationRecipe, build: Build, put: NextSegment
) -> tuple[list[Asked], RowCounts]:
    """Up to ``num_targets`` held-out segments, each asked both ways; the draw never looks at the model.

    Raises:
        StarvedError: there is none.
    """
    window = put.window_tokens(recipe.context_tokens)
    difficulty = build.inputs.get("difficulty")
    targets = Targets(build.inputs["corpus"], difficulty, put.codec, recipe.objective, window, "eval")
    if not targets.num:
        raise StarvedError(
            f"there is nothing to evaluate: {targets.why_none()}. Hold out more documents (eval_share), or "
            "lower entropy_floor_nats."
        )
    asked = []
    for owner, within in draw_by_window(recipe.seed, targets.counts, recipe.num_targets):
        page = targets.read(owner)
        picked = [(page.targets[int(item)], task) for item in within for task in TASKS]
        asked.append(put.ask(page, picked))
    return asked, at_most(targets.balance, recipe.num_targets, "not-drawn")


def summarise(
    recipe: JudgedEvaluationRecipe,
    items: pa.Table,
    audited: dict[str, list[Audited]],
    told: dict[str, float],
    checkpoints: Sequence[Checkpoint] = (),
) -> dict[str, Any]:
    """What ``scores.json`` says: every number follows from the rows."""
    modes: dict[str, Any] = {}
    for mode in recipe.modes:
        modes[mode] = mode_scores(items, mode, FINAL, ())
        if mode != PROBLEMS:
            found = outcomes(items, mode)
            tasks = {task: np.char.endswith(found.item_ids, f":{task}") for task in TASKS}
            modes[mode]["by_task"] = {
                task: accuracy(found.where(keep)).as_json() for task, keep in tasks.items() if keep.any()
            }
    on_the_way = [
        {
            "step": one.step,
            "gflops_total": one.gflops,
            **mode_scores(items, JUDGED, one.name, ()),
        }
        for one in checkpoints
    ]
    return {
        "samples": recipe.samples,
        "temperature": recipe.temperature,
        **sampling_told(recipe),
        **({"milestones": on_the_way} if recipe.milestones else {}),
        "rule": recipe.objective.rule,
        "modes": modes,
        "judge": told,
        "audit": {mode: audit(rows) for mode, rows in audited.items()},
    }


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


def _headline(scores: dict[str, Any]) -> dict[str, float]:
    values: dict[str, float] = {}
    for mode, found in scores["modes"].items():
        for name in ("accuracy", "think_share", "accuracy_given_thinking", "answer_tokens"):
            estimate = found.get(name, {}).get("all")
            if estimate:
                values[f"{mode}_{name}"] = estimate["value"]
        for k, of_tiers in found.get("pass_at", {}).items():
            values[f"{mode}_pass_at_{k}"] = of_tiers["all"]["value"]
        for task, estimate in found.get("by_task", {}).items():
            values[f"{mode}_{task}"] = estimate["value"]
    for mode, found in scores["audit"].items():
        values[f"{mode}_true_accuracy"] = found["true_accuracy"]["value"]
        for name in ("false_accepts", "false_rejects"):
            if found[name]:
                values[f"{mode}_{name}"] = found[name]["value"]
    return values


def _problems(recipe: JudgedEvaluationRecipe, corpus: Path, codec: Codec) -> Tasks:
    tasks = draw_problems(recipe, corpus, codec, "too-long")
    if not tasks.asked:
        raise StarvedError(
            f"none of {tasks.balance.rows_in} held-out problems fits into {recipe.context_tokens} tokens. "
            "Add a problem set to the corpus, raise context_tokens, or leave the mode problems out."
        )
    return tasks
