"""Every number twice: on all questions, and on those that the training text does not touch."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from rpt_core.evaluation.scores import Outcomes, accuracy
from rpt_core.evaluation.statistics.intervals import Estimate, clustered_mean
from rpt_core.evaluation.statistics.passk import pass_at_k, reportable_k
from rpt_core.evaluation.touched import Touches

Measure = Callable[[Outcomes], Estimate]
EXAMPLES = 5


def contaminated(found: Outcomes, touches: Touches, examples: int = EXAMPLES) -> dict[str, Any]:
    """Scores of one mode on all items, on the clean and on the touched ones.

    Clean is what could have been met and was not. What could not be met at all, because it is too short or
    reads like many others, is in neither part and is counted as ``unknown``.

    Args:
        found: Outcomes of one mode.
        touches: Of these items.
        examples: Touched items to show, the most covered first.

    Returns:
        ``all``, ``clean`` and ``touched`` (each ``num_items``, and where there are any every measure with its
        interval), ``unknown`` and ``examples``, as JSON.
    """
    rows = touches.by_item
    is_touched = np.array([name in rows for name in found.item_ids.tolist()], bool)
    is_covered = np.array([name in touches.covered for name in found.item_ids.tolist()], bool)
    shown = sorted(
        found.item_ids[is_touched].tolist(),
        key=lambda name: (-rows[name][0].coverage, name),
    )
    return {
        "all": _scores(found),
        "clean": _scores(found.where(is_covered & ~is_touched)),
        "touched": _scores(found.where(is_touched)),
        "unknown": int(np.sum(~is_covered & ~is_touched)),
        "examples": [asdict(rows[name][0]) | {"rows": len(rows[name])} for name in shown[:examples]],
    }


def _scores(found: Outcomes) -> dict[str, Any]:
    if not len(found):
        return {"num_items": 0}
    estimates = {name: measure(found) for name, measure in measures(found).items()}
    return {"num_items": len(found), **{name: one.as_json() for name, one in estimates.items()}}


def measures(found: Outcomes) -> Mapping[str, Measure]:
    """What is told of outcomes: accuracy, and pass@k for every k the samples allow."""

    def passing(k: int) -> Measure:
        return lambda part: clustered_mean(
            pass_at_k(part.samples, part.correct, k), part.documents, proportion=True
        )

    several = [k for k in reportable_k(int(found.samples.min())) if k > 1]
    return {"accuracy": accuracy, **{f"pass_at_{k}": passing(k) for k in several}}
