"""RPT's own comparisons: table 1 of the paper, its rewards, its choice of positions.

The claims are fixed here, before any number is seen.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from rpt_core.artifacts.build import Build
from rpt_core.evaluation.items import FORCED, PLAIN, REASONING
from rpt_core.evaluation.scores import accuracy
from rpt_core.evaluation.statistics.compare import Claim
from rpt_core.pages.words import percent
from rpt_core.recipes.reports.report import ALWAYS_THINKS, ArmsRecipe
from rpt_core.report.arms import page
from rpt_core.report.blocks import Cell, Row, Section, Table, share
from rpt_core.report.headroom import headroom, read_bounds
from rpt_core.report.models import Model, Models, pair
from rpt_core.report.study import Study

STUB_DRIFT = 0.1
"""Rise in the share of one-token predictions beyond which the page calls it a drift to stubs."""
EDGE_STEPS = 8
"""Steps averaged at either end of a training."""
ASKED = ((PLAIN, "next token"), (REASONING, "reasoning"), (FORCED, "made to think"))


def table_one(recipe: ArmsRecipe, build: Build) -> Study:
    """RPT, plain and reasoning, beside continual next-token training (RPT, table 1)."""
    models = Models.read(recipe, build.inputs, REASONING)
    return page(recipe, models, _table_one(models), more=_sections(recipe, build, models))


def rewards(recipe: ArmsRecipe, build: Build) -> Study:
    """Four rewards under two templates, each beside the first reward with the same words around the text."""
    models = Models.read(recipe, build.inputs, REASONING)
    references = [_same_words(arm, models.arms) for arm in models.arms]
    claims = _beside(models.arms, references, recipe.tolerated_loss)
    return page(recipe, models, claims, more=_sections(recipe, build, models))


def positions(recipe: ArmsRecipe, build: Build) -> Study:
    """Which positions are asked, each choice beside the first."""
    models = Models.read(recipe, build.inputs, REASONING)
    claims = _beside(models.arms, [models.arms[0]] * len(models.arms), recipe.tolerated_loss)
    return page(recipe, models, claims, more=_sections(recipe, build, models))


def _table_one(models: Models) -> Iterator[Claim]:
    control, rpt, *rest = models.arms
    thinks = rpt.outcomes(REASONING)
    before = {mode: models.start.outcomes(mode) for mode in (PLAIN, REASONING, FORCED)}
    yield Claim(f"{rpt.name} reasoning beats the start model's plain prediction", pair(before[PLAIN], thinks))
    yield Claim(f"{rpt.name} reasoning beats the start model's reasoning", pair(before[REASONING], thinks))
    yield Claim(f"{rpt.name} brings more than the habit of thinking", pair(before[FORCED], thinks))
    for mode, words in ((PLAIN, "plain prediction"), (REASONING, "reasoning")):
        name = f"{rpt.name} reasoning beats {control.name}'s {words}, at equal tokens"
        yield Claim(name, pair(control.outcomes(mode), thinks))
    always = models.named(ALWAYS_THINKS)
    if always and rest:
        pairs = pair(always.outcomes(REASONING), rest[0].outcomes(REASONING))
        yield Claim(f"RPT improves a {ALWAYS_THINKS}", pairs)


def _same_words(arm: Model, arms: Sequence[Model]) -> Model:
    """The first arm with the same template, which a name of this study has after its comma."""
    words = arm.name.partition(", ")[2]
    return next(one for one in arms if one.name.partition(", ")[2] == words)


def _beside(arms: Sequence[Model], references: Sequence[Model], tolerated: float) -> Iterator[Claim]:
    """Every arm beside its reference."""
    for arm, reference in zip(arms, references, strict=True):
        if reference is not arm:
            pairs = pair(reference.outcomes(REASONING), arm.outcomes(REASONING))
            name = f"{arm.name} loses less than {100 * tolerated:g} points on {reference.name}"
            yield Claim(name, pairs, -tolerated)
            yield Claim(f"{arm.name} is more accurate than {reference.name}", pairs)


def _sections(recipe: ArmsRecipe, build: Build, models: Models) -> list[Section]:
    """Tables the page shows beside those of every comparison, where there is anything to show."""
    corpora = [build.inputs[f"corpora.{number}"] for number in range(len(recipe.corpora))]
    tables = [_modes(models), *_kept(models.arms), *_lengths(models.arms)]
    return [*tables, *headroom(models, [read_bounds(corpus) for corpus in corpora], ASKED)]


def _modes(models: Models) -> Section:
    """The paper's table 1: every model, plain and reasoning, by nested tier."""
    nats = models.start.evaluations[0].tiers_nats
    rows: list[Row] = []
    for model in (models.start, *models.others, *models.arms):
        for mode, words in ASKED:
            if parts := model.tiers(mode):
                cells = (share(accuracy(parts[tier]) if tier in parts else None) for tier in nats)
                rows.append((model.name, words, *cells))
    lead = "Table 1 of the paper in this world. Tiers are nested; 95 % intervals over documents of all seeds."
    head = ("model", "mode", *(f"{tier} (≥ {start:g} nats)" for tier, start in nats.items()))
    return Section("Plain and reasoning, by tier", [lead, Table(head, rows, words=frozenset({1}))])


def _kept(arms: Sequence[Model]) -> Iterator[Section]:
    rows: list[Row] = []
    for arm in arms:
        logged = [
            row["kept_fraction"] for one in arm.trainings for row in one.steps if "kept_fraction" in row
        ]
        asked = sum(one.steps[-1].get("questions_total", 0) for one in arm.trainings)
        if logged:
            shares = float(np.mean(logged)), *_edges(arm, "kept_fraction")
            rows.append((arm.name, *(Cell(percent(one), value=one) for one in shares), f"{asked:.0f}"))
    lead = (
        "Share of groups whose answers differed in reward: over all steps, the first and the last "
        f"{EDGE_STEPS}. A dense reward differs by its nature, so its share says nothing about the questions."
    )
    if rows:
        head = ("arm", "kept", "first steps", "last steps", "questions asked")
        yield Section("Groups worth an update", [lead, Table(head, rows)])


def _lengths(arms: Sequence[Model]) -> Iterator[Section]:
    rows: list[Row] = []
    drifts = []
    for arm in arms:
        if any("prediction_share/1" in row for one in arm.trainings for row in one.steps):
            ends = [_edges(arm, f"prediction_share/{length}") for length in ("1", "2", "3", "4+")]
            drifts += [arm.name] if ends[0][1] - ends[0][0] > STUB_DRIFT else []
            rows.append((arm.name, *(f"{100 * first:.0f} → {100 * last:.0f} %" for first, last in ends)))
    drift = (
        f"Predictions drift to stubs under {', '.join(drifts)}" if drifts else "No drift to stubs was seen"
    )
    lead = (
        f"Share of answers by tokens in the box, first {EDGE_STEPS} steps to last. The prefix reward pays a "
        f"right token as much as ten. {drift}. further_token_bonus is the counter-measure."
    )
    if rows:
        table = Table(("arm", "1 token", "2", "3", "4 and more"), rows)
        yield Section("Length of predictions", [lead, table])


def _edges(arm: Model, name: str) -> tuple[float, float]:
    """Mean of a metric over the first and the last steps, runs alike."""
    firsts, lasts = [], []
    for one in arm.trainings:
        values = [row[name] for row in one.steps if name in row]
        firsts += values[:EDGE_STEPS]
        lasts += values[-EDGE_STEPS:]
    return float(np.mean(firsts)), float(np.mean(lasts))
