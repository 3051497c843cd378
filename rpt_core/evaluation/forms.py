"""``scores.json`` of both evaluation stages; :mod:`rpt_core.evaluation.headlines` reads its metrics.

What a benchmark says of its modes it says itself. A stage adds the facts that stand whatever is asked, and
its columns; they are those of the stages' revision 1, so that evaluations stay comparable.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from rpt_core.artifacts.build import FLOPS
from rpt_core.artifacts.manifest import RowCounts
from rpt_core.evaluation.benchmarks.protocol import Benchmark
from rpt_core.evaluation.benchmarks.registry import table_modes
from rpt_core.evaluation.checkpoints import Checkpoint
from rpt_core.evaluation.headlines import JUDGED_STAGE, Scores
from rpt_core.evaluation.items import FINAL, JUDGED, PLAIN, REASONING, ItemRow, tier_names
from rpt_core.objectives.objective import Question
from rpt_core.recipes.evaluation import EvaluationFields, EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe


@dataclass(frozen=True, slots=True)
class Form:
    """What one of the two stages writes beside what its benchmarks say."""

    milestone_mode: str
    """In which published checkpoints are asked, where a recipe says nothing else."""
    frame: Callable[[Any, Mapping[str, RowCounts]], Scores]
    """Keys of ``scores.json`` in their order, from the recipe and the balance of each benchmark asked."""
    milestone: Callable[[Scores], dict[str, float]]
    """Metrics of one checkpoint, from its part of the scores."""
    row: Callable[[ItemRow, Question], ItemRow]
    """An item as the stage's table holds it."""


def form_of(recipe: EvaluationFields) -> Form:
    """The form of a recipe's stage."""
    return _JUDGED if recipe.stage == JUDGED_STAGE else _TEXT


def modes_of_milestones(recipe: EvaluationFields) -> tuple[str, ...]:
    """The recipe's modes in which published checkpoints are asked, the one that is summed up first."""
    usual = form_of(recipe).milestone_mode
    given: tuple[str, ...] = getattr(recipe, "milestone_modes", ())
    return tuple(sorted(given, key=lambda mode: mode != usual)) or (usual,)


def summarise(
    recipe: EvaluationFields,
    items: pa.Table,
    milestones: Sequence[Checkpoint],
    benchmarks: Mapping[str, Benchmark],
    counted: Mapping[str, Mapping[str, float]],
) -> Scores:
    """What ``scores.json`` says: every number follows from the table of outcomes and the graders' counts.

    Args:
        recipe: Of the evaluation.
        items: Table of outcomes.
        milestones: Checkpoints that were asked beside the final model.
        benchmarks: By mode of the table.
        counted: How answers were graded, by name of the benchmark.
    """
    form, opened = form_of(recipe), {benchmark.name: benchmark for benchmark in benchmarks.values()}
    scores = form.frame(recipe, {name: benchmark.balance for name, benchmark in opened.items()})
    asked = table_modes(recipe.modes)
    scores["modes"] |= {mode: benchmarks[mode].scores(items, mode, FINAL) for mode in asked}
    for name, benchmark in opened.items():
        scores |= benchmark.summary(items, counted.get(name, {}))
    if "milestones" in scores:
        mode = modes_of_milestones(recipe)[0]
        scores["milestones"] = [
            {"step": one.step, FLOPS: one.gflops, **benchmarks[mode].scores(items, mode, one.name)}
            for one in milestones
        ]
    return scores


def _draws(recipe: EvaluationFields) -> Scores:
    """How answers were drawn; what is usual is left out."""
    draws: Scores = {"samples": recipe.samples, "temperature": recipe.temperature}
    if recipe.top_p != 1:
        draws["top_p"] = recipe.top_p
    if recipe.problem_sampling:
        draws["problem_sampling"] = recipe.problem_sampling.model_dump()
    return draws


def _text_frame(recipe: EvaluationRecipe, balances: Mapping[str, RowCounts]) -> Scores:
    nats = recipe.tiers_nats
    counts = {"places": RowCounts(), "problems": RowCounts()} | dict(balances)
    return {
        "thresholds_nats": dict(zip(tier_names(nats), nats, strict=True)),
        "floor_nats": recipe.objective.entropy_floor_nats,
        **{name: balance.model_dump() for name, balance in counts.items()},
        **_draws(recipe),
        "modes": dict.fromkeys(recipe.modes),
        **({"instructed_minus_plain": {}} if PLAIN in recipe.modes else {}),
        "milestones": [],
    }


def _judged_frame(recipe: JudgedEvaluationRecipe, balances: Mapping[str, RowCounts]) -> Scores:
    return {
        **_draws(recipe),
        **({"milestones": []} if recipe.milestones else {}),
        "rule": recipe.objective.rule,
        "modes": dict.fromkeys(recipe.modes),
        "judge": {},
        "audit": {},
    }


_TEXT = Form(
    milestone_mode=REASONING,
    frame=_text_frame,
    milestone=lambda one: {f"accuracy_{tier}": e["value"] for tier, e in one["accuracy"].items()},
    row=lambda item, question: item,
)
_JUDGED = Form(
    milestone_mode=JUDGED,
    frame=_judged_frame,
    milestone=lambda one: {"accuracy": one["accuracy"]["all"]["value"]},
    # as in the stage's revision 1: its table says where a problem ends, and counts no prediction's tokens, so
    # prediction_tokens and prediction_lengths are 0 and say nothing; counting them takes another revision
    row=lambda item, question: replace(item, position=question.position, prediction_tokens=0),
)
