"""Stages ``evaluate`` and ``evaluate-judged``: benchmarks on held-out text and problems, with intervals.

One path serves both. Which questions are asked, how answers are graded and what is said of them is each
benchmark's own (:mod:`rpt_core.evaluation.benchmarks`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import pyarrow as pa

from rpt_core.artifacts.build import FLOPS, GIGA, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.corpus.dedup.overlap import check_held_out
from rpt_core.errors import StarvedError, Stopped
from rpt_core.evaluation.answers import GradedAnswer, ModelUnderTest
from rpt_core.evaluation.benchmarks.protocol import Benchmark, Report, Setting
from rpt_core.evaluation.benchmarks.registry import open_benchmarks, table_modes
from rpt_core.evaluation.checkpoints import Checkpoint, published, same_weights
from rpt_core.evaluation.forms import Form, form_of, modes_of_milestones, summarise
from rpt_core.evaluation.headlines import Scores, values
from rpt_core.evaluation.items import FINAL, TEXT_NATS, ItemRow, as_table, from_table, write_items
from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.policy.device import device_of
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.serving import serving
from rpt_core.policy.load import Precision, inside, load_policy
from rpt_core.policy.model import Policy
from rpt_core.recipes.evaluation import EvaluationFields
from rpt_core.train.supervised.held_out import held_out_nll
from rpt_core.train.supervised.windows import Windows

SCORES_FILE = "scores.json"


@dataclass
class Evaluation:
    """One model and the benchmarks it is asked; gathers tables of outcomes."""

    build: Build
    form: Form
    model: ModelUnderTest
    benchmarks: Mapping[str, Benchmark]
    """By mode of the table of outcomes."""
    total: int
    """Answers there will be, for progress."""
    tables: list[pa.Table] = field(default_factory=list)
    done: int = 0

    def ask(self, mode: str, checkpoint: Checkpoint) -> None:
        """Ask everything in one mode; its outcomes are added to :attr:`tables`."""
        for answers in self.benchmarks[mode].answers(mode, self.model):
            items = [self._item(mode, checkpoint, answer) for answer in answers]
            self._add(items, f"{mode}, {checkpoint.name}")

    def repeat(self, mode: str, checkpoint: Checkpoint) -> None:
        """Give a checkpoint with the final model's weights the final model's answers."""
        of_checkpoint = partial(
            replace, checkpoint=checkpoint.name, step=checkpoint.step, gflops=checkpoint.gflops
        )
        for table in list(self.tables):
            items = [item for item in from_table(table) if item.mode == mode and item.checkpoint == FINAL]
            if items:
                repeated = [of_checkpoint(item, tail=None, thought=None) for item in items]
                self._add(repeated, f"{mode}, repeated")

    def _add(self, items: list[ItemRow], note: str) -> None:
        self.tables.append(as_table(items))
        self.done += len(items)
        self.build.progress(self.done, self.total, note)
        if self.build.stopping():
            raise Stopped(f"stopped after {self.done} of {self.total} answers; rerun to start again.")

    def _item(self, mode: str, checkpoint: Checkpoint, answer: GradedAnswer) -> ItemRow:
        question, verdict, key = answer.question, answer.verdict, self.benchmarks[mode].key(answer)
        shown = checkpoint.name == FINAL
        item = ItemRow(
            checkpoint=checkpoint.name,
            step=checkpoint.step,
            gflops=checkpoint.gflops,
            mode=mode,
            item_id=key.item_id,
            doc_id=question.document,
            position=key.position,
            entropy_nats=key.entropy_nats,
            tier=key.tier,
            sample=answer.sample,
            verdict=verdict.verdict,
            score=verdict.score,
            thinks=verdict.thought_tokens > 0,
            thought_tokens=verdict.thought_tokens,
            answer_tokens=verdict.answer_tokens,
            first_token=key.first_token,
            prediction=verdict.prediction,
            truth=question.truth,
            tail=question.tail if shown and answer.sample == 0 else None,
            thought=verdict.thought if shown else None,
            prediction_tokens=verdict.prediction_tokens,
            char_offset=key.char_offset,
        )
        return self.form.row(item, question)


def evaluate(recipe: EvaluationFields, build: Build) -> Outcome:
    """Ask a model, and its published checkpoints where the recipe wants them, every benchmark of the recipe.

    Every model asked with the same corpus, settings and seed answers the same questions with the same
    random numbers, so two evaluations can be compared item by item.

    Writes ``items.parquet`` (one row per answer) and ``scores.json`` (what follows from it).

    Raises:
        RecipeError: the model was trained on what the corpus holds out.
        StarvedError: there is nothing to ask.
        JudgeError: the judge stayed away.
    """
    check_held_out(build)
    final = Checkpoint(FINAL, inside(build.inputs["model"]))
    policy = load_policy(final.folder, cast(Precision, build.numerics.dtype), device_of(build))
    before, form = policy.work.flops, form_of(recipe)
    asked_again = table_modes(modes_of_milestones(recipe)) if recipe.milestones else []
    wanted = (*recipe.modes, *modes_of_milestones(recipe)) if recipe.milestones else recipe.modes
    with serving(build):
        benchmarks = open_benchmarks(Setting(recipe, build.inputs, policy.codec), wanted)
        engine = open_engine(build.numerics.engine, policy, final.folder)
    opened = {benchmark.name: benchmark for benchmark in benchmarks.values()}
    _refuse_nothing(recipe, opened)
    milestones = published(build.inputs) if recipe.milestones else []
    modes, repeats = table_modes(recipe.modes), asked_again * len(milestones)
    total = sum(benchmarks[mode].num_answers(mode) for mode in (*modes, *repeats))
    model = ModelUnderTest(policy, engine)
    evaluation = Evaluation(build, form, model, benchmarks, total)
    for mode in modes:
        evaluation.ask(mode, final)
    nats = _text_nats(recipe, build, policy)
    for checkpoint in milestones:
        known = set(modes) if same_weights(checkpoint, final) else set()
        if not known.issuperset(asked_again):
            model.load_weights(checkpoint.folder, checkpoint.step or 0)
        for mode in asked_again:
            (evaluation.repeat if mode in known else evaluation.ask)(mode, checkpoint)
    model.engine.close()
    items = write_items(evaluation.tables, build.out)
    reports = {name: benchmark.report() for name, benchmark in opened.items()}
    counted = {name: metrics for name, (metrics, _) in reports.items()}
    scores = summarise(recipe, items, milestones, benchmarks, counted) | nats
    (build.out / SCORES_FILE).write_text(json.dumps(scores, indent=1, allow_nan=False))
    timings = _log(build, recipe, scores, reports.values())
    return Outcome(
        rows=sum((benchmark.balance for benchmark in opened.values()), RowCounts()),
        flops=policy.work.flops - before + _elsewhere(model.engine) + GIGA * timings.get(JUDGE_GFLOPS, 0.0),
        tokens=model.engine.num_forwarded + model.num_forwarded,
        summary={**values(recipe.stage, scores), **nats},
    )


def _text_nats(recipe: EvaluationFields, build: Build, policy: Policy) -> dict[str, float]:
    """How likely the final model finds held-out text, where the recipe asks; nothing without such text."""
    if not getattr(recipe, "text_nats", False):
        return {}
    file = build.scratch / "eval.tokens"
    windows = Windows.build(build.inputs["corpus"], "eval", policy.codec, recipe.context_tokens, file)
    nll = held_out_nll(policy, windows)
    return {} if nll is None else {TEXT_NATS: nll}


def _refuse_nothing(recipe: EvaluationFields, opened: Mapping[str, Benchmark]) -> None:
    if not any(benchmark.asked for benchmark in opened.values()):
        reasons = "; ".join(benchmark.why_none() for benchmark in opened.values())
        raise StarvedError(
            f"there is nothing to evaluate: {reasons}. Add a problem set to the corpus, or raise "
            f"context_tokens (now {recipe.context_tokens})."
        )


def _elsewhere(engine: RolloutEngine) -> float:
    """Operations of drawing that the model under test did not count itself."""
    return 0.0 if engine.shares_weights else engine.flops


def _log(
    build: Build, recipe: EvaluationFields, scores: Scores, reports: Iterable[Report]
) -> dict[str, float]:
    """The same numbers as metrics, milestones by step and the final model at step 0; the graders' timings."""
    metrics, timings = values(recipe.stage, scores), dict[str, float]()
    for counted, seconds in reports:
        metrics |= counted
        timings |= seconds
    build.log(0, metrics, timings)
    for one in scores.get("milestones", ()):
        build.log(one["step"], {**form_of(recipe).milestone(one), FLOPS: one[FLOPS]})
    return timings
