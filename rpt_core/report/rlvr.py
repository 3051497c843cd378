"""Verifiable rewards from several start models: one try and eight, and what each cost from the start on.

The claims are fixed here, before any number is seen. Their unit is the seed: a training is repeated, and
what other seeds would show is the question. With fewer than :func:`seeds_min` no verdict is given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log2
from pathlib import Path

import numpy as np

from rpt_core.artifacts.build import Build
from rpt_core.evaluation.items import PROBLEMS
from rpt_core.evaluation.scores import Outcomes
from rpt_core.evaluation.statistics.compare import ALPHA, Claim, PairedItems, decide
from rpt_core.evaluation.statistics.intervals import Floats, clustered_mean
from rpt_core.evaluation.statistics.passk import pass_at_k
from rpt_core.pages.words import percent, points
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe
from rpt_core.report.blocks import Cell, Inline, Row, Section, Table, by_seed, chip, flops, say, share
from rpt_core.report.models import Model, Models
from rpt_core.report.sources import SourceArtifact, lineage, source_of
from rpt_core.report.study import CUT, Study, Summary, claims_section, claims_summary, shortfalls

TRIES = (1, 8)
"""k of pass@k."""
TOO_FEW = "too few seeds for a verdict"
TRAINED_KINDS = frozenset({"policy", "rlpt", "rlvr"})
"""Stages between the start model and the end of an arm, whose operations the arm is charged with."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Operations of an arm from the study's start model on, in one seed."""

    before: float
    """Of what trained the model that verifiable rewards started from."""
    filtered: float
    """Of the pass rates it reads."""
    rewarded: float
    """Of the training with verifiable rewards itself."""

    @property
    def total(self) -> float:
        """Of all of it."""
        return self.before + self.filtered + self.rewarded


def study(recipe: RlvrReportRecipe, build: Build) -> Study:
    """The page about them."""
    models = Models.read(recipe, build.inputs, PROBLEMS)
    seeds, claims = len(recipe.seeds), list(_claims(models))
    needed = seeds_min(len(claims))
    decisions = decide(claims) if seeds >= needed else []
    spent = {
        model.name: [
            spent_by(build.inputs[f"models.{model.name}.trainings.{i}"], build.inputs) for i in range(seeds)
        ]
        for model in models.arms
    }
    several = f" for {len(claims)} claims" if len(claims) > 1 else ""
    few = f"{TOO_FEW.capitalize()}: {seeds}, and an exact test over seeds needs {needed}{several}."
    settled = bool(decisions) or not claims
    fixed = "Fixed before any number was seen; one difference a seed, one error rate for all (Holm)."
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(models.arms)} trainings on problems · seeds "
        f"{', '.join(map(str, recipe.seeds))}",
        lead=_lead(models),
        facts=(),
        models=models.all,
        decisions=decisions,
        sections=[
            _every_model(models, spent),
            *_differences(recipe, models, seeds < needed),
            *([claims_section(decisions, fixed)] if decisions else []),
        ],
        short=shortfalls(
            models.all, decisions, *([] if settled else [few]), num_seeds=seeds if settled else 0
        ),
        footer="Held-out problems, graded by the last closed box; intervals are over problems of all seeds. "
        f"{CUT}",
        summary=_summary(models) | claims_summary(decisions) | ({} if settled else {"verdict": TOO_FEW}),
    )


def seeds_min(num_claims: int) -> int:
    """Seeds from which a two-sided exact test over them can come below 0.05 with Holm's correction.

    The smallest p over n seeds is 2 / 2^n, and it counts as many times as there are claims.

    Example:
        >>> seeds_min(1), seeds_min(4)
        (6, 8)
    """
    return floor(log2(2 * max(1, num_claims) / ALPHA)) + 1


def spent_by(training: Path, known: Mapping[str, Path]) -> Spent:
    """What an arm cost, read from the manifests of what it stands on."""
    made = {one.fingerprint: one for one in lineage(known)}
    own = source_of(training, "rlvr")
    rates = _parent(own, "pass_rates", made)
    before, model = 0.0, _parent(own, "start", made)
    while model is not None and model.kind in TRAINED_KINDS:
        before += _flops(model)
        model = _parent(model, "start", made)
    return Spent(before, _flops(rates), _flops(own))


def _parent(source: SourceArtifact, name: str, made: Mapping[str, SourceArtifact]) -> SourceArtifact | None:
    parent = source.manifest.parents.get(name) if source.manifest else None
    return made.get(parent.fingerprint) if parent else None


def _flops(source: SourceArtifact | None) -> float:
    return source.manifest.outcome.flops if source and source.manifest else 0.0


def passes(solved: Outcomes, tries: int) -> Floats:
    """Chance that one of some answers is right, by problem; none where fewer were drawn."""
    if not len(solved) or solved.samples.min() < tries:
        return np.zeros(0)
    return pass_at_k(solved.samples, solved.correct, tries)


def _solved(model: Model, tries: int) -> Cell:
    found = model.outcomes(PROBLEMS)
    rates = passes(found, tries)
    return share(clustered_mean(rates, found.documents, proportion=True) if len(rates) else None)


def _of_seeds(model: Model, tries: int) -> list[float]:
    """pass@k of each seed; empty where too few answers were drawn."""
    rates = [passes(one.outcomes(PROBLEMS), tries) for one in model.evaluations]
    return [float(np.mean(one)) for one in rates if len(one)]


def _tries(models: Models) -> Iterator[int]:
    """The k that every model has enough answers for."""
    for tries in TRIES:
        if all(len(_of_seeds(model, tries)) == len(model.evaluations) for model in models.all):
            yield tries


def _claims(models: Models) -> Iterator[Claim]:
    first, *others = models.arms
    for other in others:
        for tries in _tries(models):
            pairs = np.array(_of_seeds(other, tries)), np.array(_of_seeds(first, tries))
            names = np.array([f"seed {number}" for number in range(len(pairs[0]))])
            yield Claim(
                f"{first.name} solves more than {other.name}, pass@{tries}", PairedItems(*pairs, names)
            )


def _lead(models: Models) -> tuple[Inline, ...]:
    first = models.arms[0]
    return say(f"After verifiable rewards, {first.name} solves {{}} in one try; the start model, {{}}.",
               _solved(first, 1), _solved(models.start, 1))  # fmt: skip


def _every_model(models: Models, spent: Mapping[str, Sequence[Spent]]) -> Section:
    def cost(part: Callable[[Spent], float]) -> Callable[[Model], Inline]:
        def cell(model: Model) -> Inline:
            found = spent.get(model.name)
            return flops(float(np.mean([part(one) for one in found]))) if found else ""

        return cell

    columns: dict[str, Callable[[Model], Inline]] = {
        "pass@1": lambda model: _solved(model, 1),
        "pass@8": lambda model: _solved(model, 8),
        "pass@1 by seed": lambda model: by_seed(_of_seeds(model, 1), percent),
        "steps": lambda model: ", ".join(str(len(one.steps)) for one in model.trainings),
        "FLOPs before": cost(lambda one: one.before),
        "pass rates": cost(lambda one: one.filtered),
        "RLVR": cost(lambda one: one.rewarded),
        "in all": cost(lambda one: one.total),
    }
    lead = (
        "Operations from the start model on, mean over seeds: what trained the model that verifiable rewards "
        "began from, the pass rates of its filter, and the rewards' own training."
    )
    return Section("Every model", [lead, Table.of("model", models.all, columns)])


def _differences(recipe: RlvrReportRecipe, models: Models, are_few: bool) -> Iterator[Section]:
    """The first arm less each other, by seed."""
    first, *others = models.arms
    rows: list[Row] = []
    for other in others:
        for tries in _tries(models):
            gains = np.subtract(_of_seeds(first, tries), _of_seeds(other, tries))
            verdict = chip(TOO_FEW) if are_few else Cell("see the claims")
            mean = points(float(gains.mean()))
            rows.append(
                (f"{other.name}, pass@{tries}", *(points(float(gain)) for gain in gains), mean, verdict)
            )
    if rows:
        head = ("less", *(f"seed {seed}" for seed in recipe.seeds), "mean", "verdict")
        lead = f"{first.name} less each other arm, points of held-out problems solved."
        yield Section("By seed", [lead, Table(head, rows)])


def _summary(models: Models) -> Summary:
    return {
        f"pass@{tries}: {model.name}": float(np.mean(_of_seeds(model, tries)))
        for model in models.all
        for tries in _tries(models)
    }
