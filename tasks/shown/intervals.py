"""Intervals of an evaluation's numbers, from its ``scores.json``: its metrics hold the numbers alone."""

import json
from pathlib import Path

from infra.metrics.tracking import SCORES_FILE
from rpt_core.artifacts.manifest import Manifest
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe

_STAGES = frozenset(
    recipe.model_fields["stage"].default for recipe in (EvaluationRecipe, JudgedEvaluationRecipe)
)


def has_intervals(manifest: Manifest) -> bool:
    """Whether an artifact is an evaluation whose scores have them."""
    is_there = any(entry.path == SCORES_FILE for entry in manifest.files)
    return is_there and manifest.recipe.get("stage") in _STAGES


def intervals_of(folder: Path, stage: str) -> dict[str, float]:
    """``<metric>_low`` and ``<metric>_high`` of every metric of an evaluation that has an interval.

    Args:
        folder: With ``scores.json``.
        stage: Of the evaluation.
    """
    from rpt_core.evaluation.forms import ends, form_of_stage

    return ends(form_of_stage(stage), json.loads((folder / SCORES_FILE).read_text()))
