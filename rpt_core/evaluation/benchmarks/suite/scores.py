"""What follows from the table of outcomes of one benchmark: ``scores.json`` and the headline."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.evaluation.benchmarks.packs.knowledge.choices import BY_BYTE, LETTER, TEXT
from rpt_core.evaluation.benchmarks.packs.language.next_token import TIERS_NATS
from rpt_core.evaluation.items import FINAL
from rpt_core.evaluation.scores import accuracy, mode_scores, outcomes
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe

READ = ("correct", "wrong")
"""Verdicts of answers that could be read."""


def table_modes(mode: str) -> tuple[str, ...]:
    """Modes of the table of outcomes that a mode of the recipe writes, the main one first."""
    return (LETTER, TEXT, BY_BYTE) if mode == "likelihood" else (mode,)


def scores_of(
    recipe: BenchmarkRecipe, table: pa.Table, balance: RowCounts, *, is_training_file: bool, longest: int
) -> dict[str, Any]:
    """Everything ``scores.json`` says."""
    main, *others = table_modes(recipe.mode)
    drawn = recipe.mode in ("reasoning", "few-shot")
    return {
        "benchmark": recipe.benchmark,
        "mode": recipe.mode,
        "prompt": recipe.form,
        "is_training_file": is_training_file,
        "items": balance.model_dump(),
        "sampling": {
            "samples": recipe.samples, "temperature": recipe.temperature, "top_p": recipe.top_p,
            "max_new_tokens": longest, "shots": recipe.shots, "seed": recipe.seed,
        } if drawn else {},
        "modes": {mode: _mode(table, mode, drawn=drawn) for mode in (main, *others)},
        **counts(table, main),
    }  # fmt: skip


def counts(table: pa.Table, mode: str) -> dict[str, int]:
    """Answers of one mode: read and unread."""
    verdicts = Counter(table.filter(pc.equal(table["mode"], mode))["verdict"].to_pylist())
    answered = sum(verdicts[name] for name in READ)
    return {"answered": answered, "unread": verdicts.total() - answered}


def headline(scores: dict[str, Any]) -> dict[str, float | int | str | bool | None]:
    """The handful of numbers that a reader wants first."""
    found: dict[str, float | int | str | bool | None] = {"benchmark": scores["benchmark"]}
    if scores["is_training_file"]:
        found["training_file_seen"] = True
    for mode, told in scores["modes"].items():
        for tier, estimate in told.get("accuracy", {}).items():
            name = mode if tier == "all" else f"{mode}_{tier.replace(' ', '_')}"
            found |= {
                name: estimate["value"],
                f"{name}_low": estimate["low"],
                f"{name}_high": estimate["high"],
            }
        for k, of_tiers in told.get("pass_at", {}).items():
            found[f"{mode}_pass_at_{k}"] = of_tiers["all"]["value"]
    return {**found, "asked": scores["items"]["kept"], **{n: scores[n] for n in ("answered", "unread")}}


def _mode(table: pa.Table, mode: str, *, drawn: bool) -> dict[str, Any]:
    told = mode_scores(table, mode, FINAL, TIERS_NATS if mode == "plain" else (), sampled=drawn)
    rows = table.filter(pc.equal(table["mode"], mode))
    topics = sorted(set(rows["topic"].to_pylist()) - {""})
    if topics:
        names = np.array(rows["topic"].to_pylist())
        told["by_topic"] = {
            topic: accuracy(outcomes(rows.filter(pa.array(names == topic)), mode)).as_json()
            for topic in topics
        }
    return told
