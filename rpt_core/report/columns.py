"""Columns of a leaderboard: what several checkpoints were asked, the same questions in the same way."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rpt_core.artifacts.recipe import canonical_json
from rpt_core.evaluation.items import FORCED, INSTRUCTED, PLAIN, PROBLEMS, REASONING
from rpt_core.evaluation.scores import Outcomes, outcomes
from rpt_core.evaluation.versus import modes_of
from rpt_core.report.models import Evaluated

NAMES = {PLAIN: "next token, plain", REASONING: "next token, thinking", FORCED: "next token, made to think"}
"""What modes are called that a reader need not know by name."""
DETERMINISTIC = frozenset({PLAIN, "choice", "choice-normalised"})
"""Modes in which nothing is drawn."""
BY_BENCHMARK = frozenset({"benchmarks", "choice", "choice-normalised", "choice-boxed"})
"""Modes whose items are those of several benchmarks, named ``aime24:<id>``."""
NOT_HOW = frozenset(
    {
        *("stage", "revision", "model", "modes", "milestones", "benchmark", "mode", "benchmarks", "seed"),
        *("items", "num_positions", "num_problems", "num_targets", "samples", "limit", "data", "files"),
        *("earlier", "engine", "dtype"),
    }
)
"""Fields of a recipe that say who is asked which questions how often, and where; inputs are left out as well.
More samples measure the same mean more closely, so they are no other column."""
NOT_DRAWN = ("not-drawn", "problem-not-drawn")
"""Reasons of items that a limit left out."""


@dataclass(frozen=True)
class Standing:
    """One checkpoint in one column."""

    model: str
    evaluation: Evaluated
    outcomes: Outcomes
    population: int
    """Questions of the benchmark, of which a limit may have drawn some."""
    greedy: bool
    """Whether asking again would give the same answers."""


@dataclass(frozen=True)
class Column:
    """One benchmark, asked in one way."""

    name: str
    settings: Mapping[str, Any]
    standings: Sequence[Standing]

    @property
    def models(self) -> dict[str, Outcomes]:
        """Outcomes by model."""
        return {one.model: one.outcomes for one in self.standings}


def columns_of(evaluations: Mapping[str, Sequence[Evaluated]]) -> list[Column]:
    """Everything that was asked, sorted by name; where one name was asked in several ways, one column each.

    Args:
        evaluations: By model. Of two evaluations that asked a model the same, the first counts.
    """
    found: dict[tuple[str, str], Column] = {}
    for model, several in evaluations.items():
        for one in several:
            for name, standing in parts(model, one):
                settings = drawing(one)
                key = name, _digest(settings, standing.outcomes)
                column = found.setdefault(key, Column(name, settings, ()))
                if model not in column.models:
                    found[key] = Column(name, settings, (*column.standings, standing))
    by_name: dict[str, list[Column]] = {}
    for _, column in sorted(found.items()):
        by_name.setdefault(column.name, []).append(column)
    columns = [column for same in by_name.values() for column in _told_apart(same)]
    return sorted(columns, key=lambda column: column.name)


def parts(model: str, one: Evaluated) -> Iterator[tuple[str, Standing]]:
    """The benchmarks of an evaluation, each with its outcomes; at next tokens, where training asks."""
    recipe = one.source.manifest.recipe if one.source.manifest else {}
    for mode in modes_of(one.items):
        if mode == INSTRUCTED:  # how an instruction changes plain prediction, which is no benchmark
            continue
        found = outcomes(one.items, mode)
        if "floor_nats" in one.scores and len(found) and found.tiers[0]:
            found = found.above(one.floor_nats)
        greedy = recipe.get("temperature") == 0 or mode in DETERMINISTIC
        for name, asked in _named(mode, found, recipe.get("benchmark")):
            if len(asked):
                population = max(len(asked), _population(one, mode))
                yield name, Standing(model, one, asked, population, greedy)


def _named(mode: str, found: Outcomes, benchmark: Any) -> Iterator[tuple[str, Outcomes]]:
    if mode in BY_BENCHMARK:
        names = np.array([item_id.rpartition(":")[0] for item_id in found.item_ids.tolist()])
        for name in np.unique(names).tolist():
            yield (name if mode == "benchmarks" else f"{name}, {mode}"), found.where(names == name)
    elif benchmark:
        yield (str(benchmark) if mode == REASONING else f"{benchmark}, {mode}"), found
    else:
        yield NAMES.get(mode, mode), found


def _population(one: Evaluated, mode: str) -> int:
    """Items asked and left out by a limit, where the scores say so; else 0."""
    balance = one.scores.get("problems" if mode == PROBLEMS else "items") or {}
    return balance.get("kept", 0) + sum(balance.get("dropped", {}).get(reason, 0) for reason in NOT_DRAWN)


def drawing(one: Evaluated) -> dict[str, Any]:
    """How answers were asked for and drawn: the recipe without who is asked which questions."""
    manifest = one.source.manifest
    if manifest is None:
        return {}
    inputs = {name.partition(".")[0] for name in manifest.parents}
    return {name: value for name, value in manifest.recipe.items() if name not in NOT_HOW | inputs}


def _digest(settings: Mapping[str, Any], asked: Outcomes) -> str:
    return hashlib.sha256(canonical_json([settings, asked.item_ids.tolist()])).hexdigest()


def _told_apart(same: Sequence[Column]) -> Iterator[Column]:
    """Columns of one name under names of their own: by the settings in which they differ, else by number."""
    if len(same) == 1:
        yield same[0]
        return
    fields = sorted({name for column in same for name in column.settings})
    differing = [name for name in fields if len({_said(column, name) for column in same}) > 1]
    named = [", ".join([column.name, *(_said(column, name) for name in differing)]) for column in same]
    for number, (column, name) in enumerate(zip(same, named, strict=True), 1):
        is_alone = named.count(name) == 1
        yield Column(name if is_alone else f"{name}, questions {number}", column.settings, column.standings)


def _said(column: Column, name: str) -> str:
    value = column.settings.get(name)
    return f"{name} {value if isinstance(value, str | int | float) else json.dumps(value)}"
