"""Stage ``fit-scaling``: accuracy over training compute, one law per tier, or the plain word *undecided*."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.evaluation.items import FINAL, read_items
from rpt_core.evaluation.scores import Outcomes, accuracy, outcomes, tiers_of
from rpt_core.evaluation.statistics.intervals import FEWEST_CLUSTERS, Floats, cluster_totals, resampled_totals
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.scaling.curve import draw_curve
from rpt_core.scaling.exponents import Ends, exponent_ends
from rpt_core.scaling.power_law import FEWEST_POINTS, PowerLawFit, fit_exponential, judge_power_law
from rpt_core.scaling.rivals import UNDECIDED, Rival

FIT_FILE, CURVE_FILE = "fit.json", "curve.png"
MODE = "reasoning"


def fit_scaling(recipe: ScalingRecipe, build: Build) -> Outcome:
    """Fit P(C) = A / C^alpha + P* and its rivals for each tier over the checkpoints of one training.

    The law is RPT's (section 4.2); :func:`rpt_core.scaling.rivals.compare_laws` says whether the points speak
    for it. Compute is counted in units of 1e9 operations, from the first step of the reinforcement learning.
    Every checkpoint answered the same questions, so a bootstrap resample of documents gives one accuracy per
    checkpoint, all of the same documents.

    Writes ``fit.json`` and ``curve.png``. Few, flat or missing checkpoints are no error: the fit is
    then undecided, and says why.
    """
    folder = build.inputs["evaluation"]
    items = read_items(folder)
    thresholds = json.loads((folder / "scores.json").read_text())["thresholds_nats"]
    points = _checkpoints(items)
    fitted = {tier: _fit_tier(recipe, items, points, tier, thresholds) for tier in thresholds}
    tiers = {tier: found for tier, (found, _) in fitted.items()}
    result = {
        "axis": "training compute, cumulative, in 1e9 floating-point operations",
        "law": "accuracy = A / C^alpha + P*",
        "law_verdict": _overall({tier: found["law_verdict"] for tier, found in tiers.items()}),
        "mode": MODE,
        "thresholds_nats": thresholds,
        "tiers": tiers,
    }
    (build.out / FIT_FILE).write_text(json.dumps(result, indent=1, allow_nan=False))
    (build.out / CURVE_FILE).write_bytes(draw_curve(result))
    asked = sum(len(tier["points"]) for tier in tiers.values())
    summary = _summary(result, {tier: ends for tier, (_, ends) in fitted.items()})
    return Outcome(rows=RowCounts(rows_in=asked, kept=asked), summary=summary)


def _checkpoints(items: pa.Table) -> list[tuple[str, int, float]]:
    """(name, step, compute in GFLOPs) of every milestone, by step."""
    columns = zip(*(items[name].to_pylist() for name in ("checkpoint", "step", "gflops")), strict=True)
    return sorted({row for row in columns if row[0] != FINAL}, key=lambda row: row[1])


def _fit_tier(
    recipe: ScalingRecipe,
    items: pa.Table,
    checkpoints: Sequence[tuple[str, int, float]],
    tier: str,
    thresholds: dict[str, float],
) -> tuple[dict[str, Any], dict[str, Ends]]:
    """The tier as ``fit.json`` has it, and the ends of its laws' exponents."""
    found = [
        tiers_of(outcomes(items, MODE, name), list(thresholds.values())).get(tier)
        for name, _, _ in checkpoints
    ]
    present = [
        (step, gflops, part) for (_, step, gflops), part in zip(checkpoints, found, strict=True) if part
    ]
    estimates = [accuracy(part) for _, _, part in present]
    gflops = np.array([compute for _, compute, _ in present])
    values = np.array([estimate.value for estimate in estimates])
    errors = [estimate.standard_error for estimate in estimates]
    known = None if not errors or None in errors or max(errors) == 0 else np.array(errors)  # type: ignore[type-var]
    resampled = _resampled([part for _, _, part in present], recipe) if recipe.resamples >= 20 else None
    fit = judge_power_law(gflops, values, known, resampled)
    ends = exponent_ends(gflops, values, known, resampled) if fit.comparison else {}
    tier_json = {
        "points": [
            {"step": step, "gflops": compute, **estimate.as_json()}
            for (step, compute, _), estimate in zip(present, estimates, strict=True)
        ],
        "law_verdict": fit.law_verdict,
        "law_reason": fit.comparison.reason if fit.comparison else "; ".join(fit.reasons),
        "laws": [_rival_json(rival) for rival in fit.comparison.rivals] if fit.comparison else [],
        "power_law": law_json(fit, gflops),
        "exponential": _exponential(gflops, values),
    }
    return tier_json, ends


def _resampled(parts: list[Outcomes], recipe: ScalingRecipe) -> Floats | None:
    """Accuracies on resampled documents, shape ``(resamples, checkpoints)``; None with too few documents."""
    if not parts or len(np.unique(parts[0].documents)) < FEWEST_CLUSTERS:
        return None
    columns = [part.score / part.samples for part in parts] + [np.ones(len(parts[0]))]
    totals_GS = cluster_totals(np.column_stack(columns), parts[0].documents)
    drawn_RS = resampled_totals(totals_GS, recipe.resamples, recipe.seed)
    return np.clip(drawn_RS[:, :-1] / drawn_RS[:, -1:], 0.0, 1.0)


def law_json(fit: PowerLawFit, gflops: Floats) -> dict[str, Any]:
    """The fit by name. What is not identified is null; ``curve`` is for drawing between the points only."""
    ranges = {"a": fit.a, "alpha": fit.alpha, "ceiling": fit.ceiling}
    return {
        "verdict": fit.verdict,
        "reasons": list(fit.reasons),
        "r_squared": fit.law.r_squared if fit.law else None,
        "interval": fit.interval,
        "parameters": {
            name: {"value": getattr(fit.law, name), "low": of.low, "high": of.high} if of else None
            for name, of in ranges.items()
        },
        "curve": _curve(fit, gflops),
    }


def _curve(fit: PowerLawFit, gflops: Floats) -> list[dict[str, float]] | None:
    if fit.law is None:
        return None
    grid = np.geomspace(gflops.min(), gflops.max(), 41)
    band = fit.band(grid)
    assert band is not None, "a law has a band"
    columns = zip(grid, fit.law.at(grid), *band, strict=True)
    return [dict(zip(("gflops", "value", "low", "high"), map(float, row), strict=True)) for row in columns]


def _exponential(gflops: Floats, values: Floats) -> dict[str, Any] | None:
    """RLPT's form beside it, where it can be fitted at all; it has no test of its own."""
    if len(gflops) < FEWEST_POINTS or not len(values) or values.min() <= 0:
        return None
    return asdict(fit_exponential(gflops / gflops[0], values)) | {"unit_gflops": float(gflops[0])}


def _rival_json(rival: Rival) -> dict[str, Any]:
    """A law beside the others; ``exponent`` multiplies the log of compute (alpha, ``-c`` or ``1 / s``)."""
    curve = rival.curve
    return {
        "name": curve.family.name,
        "parameters": curve.family.num_parameters,
        "aicc": rival.aicc,
        "left_out_error": rival.left_out,
        "exponent": curve.exponent,
        "ceiling": curve.ceiling,
        "on_bound": curve.on_bound,
    }


def _overall(verdicts: dict[str, str]) -> str:
    """One word where all tiers end alike; else tier by tier."""
    if len(set(verdicts.values())) == 1:
        return next(iter(verdicts.values()))
    return ", ".join(f"{tier}: {verdict}" for tier, verdict in verdicts.items()) or UNDECIDED


def _summary(
    result: dict[str, Any], ends: dict[str, dict[str, Ends]]
) -> dict[str, float | int | str | bool | None]:
    """Every tier's parameters with their ends, and its laws' exponents with theirs.

    Withheld ones are null; the verdict is there in any case.
    """
    summary: dict[str, float | int | str | bool | None] = {"law_verdict": result["law_verdict"]}
    for tier, found in result["tiers"].items():
        summary[f"{tier}_law_verdict"] = found["law_verdict"]
        summary[f"{tier}_verdict"] = found["power_law"]["verdict"]
        summary[f"{tier}_r_squared"] = found["power_law"]["r_squared"]
        summary[f"{tier}_points"] = len(found["points"])
        for name, shown in (("alpha", "alpha"), ("a", "a"), ("ceiling", "p_star")):
            of = found["power_law"]["parameters"][name] or {}
            summary[f"{tier}_{shown}"] = of.get("value")
            summary[f"{tier}_{shown}_low"], summary[f"{tier}_{shown}_high"] = of.get("low"), of.get("high")
        for law in found["laws"]:
            name = f"{tier}_{law['name'].replace(' ', '_')}"
            summary[f"{name}_aicc"] = law["aicc"]
            known = law["exponent"] is not None and not law["on_bound"]
            summary[f"{name}_exponent"] = law["exponent"] if known else None
            low_high = ends[tier][law["name"]] if known else (None, None)
            summary[f"{name}_exponent_low"], summary[f"{name}_exponent_high"] = low_high
    return summary


def read_fit(folder: Path) -> dict[str, Any]:
    """``fit.json`` of a scaling artifact's folder."""
    fit: dict[str, Any] = json.loads((folder / FIT_FILE).read_text())
    return fit
