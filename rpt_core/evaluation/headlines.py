"""Metrics of both evaluation stages, as estimates in ``scores.json``: no model is loaded to read them.

A stage names its metrics; names are those of the stages' revision 1, so that evaluations stay comparable.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe

Scores = dict[str, Any]
"""``scores.json``: JSON of many shapes, one per benchmark."""
Headline = Callable[[Scores], Iterator[tuple[str, Mapping[str, Any]]]]
"""Metrics of the final model by name, each an estimate with ``value``, ``low`` and ``high``."""
TEXT_STAGE: str = EvaluationRecipe.model_fields["stage"].default
JUDGED_STAGE: str = JudgedEvaluationRecipe.model_fields["stage"].default


def values(stage: str, scores: Scores) -> dict[str, float]:
    """Metrics of the final model of an evaluation stage."""
    return {name: estimate["value"] for name, estimate in _HEADLINES[stage](scores)}


def ends(stage: str, scores: Scores) -> dict[str, float]:
    """Their intervals, as ``<metric>_low`` and ``<metric>_high``, where there is one."""
    return {
        f"{name}_{end}": estimate[end]
        for name, estimate in _HEADLINES[stage](scores)
        for end in ("low", "high")
        if estimate.get(end) is not None
    }


def _text_headline(scores: Scores) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for mode, found in scores["modes"].items():
        for tier, estimate in found.get("accuracy", {}).items():
            yield f"{mode}_{tier}", estimate
        for tier, estimate in found.get("think_share", {}).items():
            yield f"{mode}_{tier}_think_share", estimate
        for name, estimate in found.get("by_benchmark", {}).items():
            yield f"{mode}_{name}", estimate


def _judged_headline(scores: Scores) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for mode, found in scores["modes"].items():
        for name in ("accuracy", "think_share", "accuracy_given_thinking", "answer_tokens"):
            estimate = found.get(name, {}).get("all")
            if estimate:
                yield f"{mode}_{name}", estimate
        for k, of_tiers in found.get("pass_at", {}).items():
            yield f"{mode}_pass_at_{k}", of_tiers["all"]
        for task, estimate in found.get("by_task", {}).items():
            yield f"{mode}_{task}", estimate
    for mode, found in scores["audit"].items():
        for name in ("true_accuracy", "false_accepts", "false_rejects"):
            if found[name]:
                yield f"{mode}_{name}", found[name]


_HEADLINES: Mapping[str, Headline] = {TEXT_STAGE: _text_headline, JUDGED_STAGE: _judged_headline}
