"""Intervals of an evaluation's numbers, from its ``scores.json``: its metrics hold the numbers alone."""

import json
from pathlib import Path

from infra.metrics.tracking import SCORES_FILE
from rpt_core.artifacts.manifest import Manifest
from rpt_core.evaluation.headlines import JUDGED_STAGE, TEXT_STAGE, ends


def has_intervals(manifest: Manifest) -> bool:
    """Whether an artifact is an evaluation whose scores have them."""
    is_there = any(entry.path == SCORES_FILE for entry in manifest.files)
    return is_there and manifest.recipe.get("stage") in (TEXT_STAGE, JUDGED_STAGE)


def intervals_of(folder: Path, stage: str) -> dict[str, float]:
    """``<metric>_low`` and ``<metric>_high`` of every metric of an evaluation that has an interval.

    Args:
        folder: With ``scores.json``.
        stage: Of the evaluation.
    """
    return ends(stage, json.loads((folder / SCORES_FILE).read_text()))
