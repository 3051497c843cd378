"""What RPT's own comparisons claim and show: table 1 of the paper, its rewards, its choice of positions.

The claims are fixed here, before any number is seen. They are paired by question, clustered by document and
pooled over seeds, as in :mod:`rpt_core.report.arms`, which writes the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq

from rpt_core.errors import RecipeError
from rpt_core.evaluation.compare import Claim
from rpt_core.evaluation.intervals import Estimate, clustered_ratio
from rpt_core.evaluation.items import FORCED, PLAIN, REASONING
from rpt_core.evaluation.scores import Floats, Outcomes, accuracy, paired, pooled, tiers_of
from rpt_core.pages.words import interval
from rpt_core.recipes.report import ALWAYS_THINKS, ArmsRecipe
from rpt_core.report.findings import Judged
from rpt_core.sample.bounds import Bound, bound_of

if TYPE_CHECKING:
    from rpt_core.report.arms import Arm

STUB_DRIFT = 0.1
"""Rise in the share of one-token predictions beyond which the page calls it a drift to stubs."""
EDGE_STEPS = 8
"""Steps averaged at either end of a training."""


@dataclass(frozen=True)
class Section:
    """One more table of the page."""

    title: str
    lead: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Models:
    """Everything that was asked the same questions: starts and baselines by seed, arms."""

    starts: Sequence[Judged]
    baselines: Mapping[str, Sequence[Judged]]
    arms: Sequence["Arm"]

    def named(self) -> Iterator[tuple[str, Sequence[Judged]]]:
        """Every model with its evaluations by seed."""
        yield "start model", self.starts
        yield from self.baselines.items()
        for arm in self.arms:
            yield arm.name, [run.judged for run in arm.runs]


def of_mode(models: Sequence[Judged], mode: str) -> Outcomes:
    """One model's answers under all seeds."""
    return pooled([model.outcomes(mode) for model in models])


def claims(models: Models, recipe: ArmsRecipe) -> Iterator[Claim]:
    """What the study claims."""
    if recipe.study == "table-1":
        yield from _table_one(models)
    else:
        yield from _against_reference(models.arms, recipe)


def _table_one(models: Models) -> Iterator[Claim]:
    control, rpt, *rest = models.arms
    thinks = rpt.outcomes(REASONING)
    before = {mode: of_mode(models.starts, mode) for mode in (PLAIN, REASONING, FORCED)}
    yield Claim(
        f"{rpt.name} reasoning beats the start model's plain prediction", paired(before[PLAIN], thinks)
    )
    yield Claim(f"{rpt.name} reasoning beats the start model's reasoning", paired(before[REASONING], thinks))
    yield Claim(f"{rpt.name} brings more than the habit of thinking", paired(before[FORCED], thinks))
    for mode, words in ((PLAIN, "plain prediction"), (REASONING, "reasoning")):
        name = f"{rpt.name} reasoning beats {control.name}'s {words}, at equal tokens"
        yield Claim(name, paired(control.outcomes(mode), thinks))
    if ALWAYS_THINKS in models.baselines and rest:
        always = of_mode(models.baselines[ALWAYS_THINKS], REASONING)
        yield Claim(f"RPT improves a {ALWAYS_THINKS}", paired(always, rest[0].outcomes(REASONING)))


def _against_reference(arms: Sequence["Arm"], recipe: ArmsRecipe) -> Iterator[Claim]:
    """Every arm beside the first; of the rewards, beside the first with the same words around the text."""
    for arm in arms:
        reference = reference_of(arm, arms) if recipe.study == "rewards" else arms[0]
        if reference is arm:
            continue
        pair = paired(reference.outcomes(REASONING), arm.outcomes(REASONING))
        loss = f"{100 * recipe.tolerated_loss:g}"
        yield Claim(
            f"{arm.name} loses less than {loss} points on {reference.name}", pair, -recipe.tolerated_loss
        )
        yield Claim(f"{arm.name} is more accurate than {reference.name}", pair)


def reference_of(arm: "Arm", arms: Sequence["Arm"]) -> "Arm":
    """The first arm with the same template, which a name of this study has after its comma."""
    words = arm.name.partition(", ")[2]
    return next(one for one in arms if one.name.partition(", ")[2] == words)


def sections(models: Models, corpora: Sequence[Path]) -> list[Section]:
    """Tables the page shows beside those of every comparison."""
    found = [_modes(models), _kept(models.arms), _lengths(models.arms)]
    if corpora:
        found.append(_headroom(models, [read_bounds(corpus) for corpus in corpora]))
    return [section for section in found if section.rows]


def _modes(models: Models) -> Section:
    """The paper's table 1: every model, plain and reasoning, by nested tier."""
    nats = models.starts[0].scores["thresholds_nats"]
    rows = []
    for name, judged in models.named():
        for mode, words in ((PLAIN, "next token"), (REASONING, "reasoning"), (FORCED, "made to think")):
            parts = tiers_of(of_mode(judged, mode), list(nats.values()))
            if parts:
                cells = (interval(accuracy(parts[tier])) if tier in parts else "–" for tier in nats)
                rows.append((name, words, *cells))
    return Section(
        "Plain and reasoning, by tier",
        "Table 1 of the paper in this world. Tiers are nested; 95 % intervals over documents of all seeds.",
        ("model", "mode", *(f"{tier} (≥ {start:g} nats)" for tier, start in nats.items())),
        tuple(rows),
    )


def _kept(arms: Sequence["Arm"]) -> Section:
    rows = []
    for arm in arms:
        shares = [row["kept_fraction"] for run in arm.runs for row in run.rows if "kept_fraction" in row]
        asked = sum(run.rows[-1].get("questions_total", 0) for run in arm.runs)
        if shares:
            first, last = _edges(arm, "kept_fraction")
            cells = (f"{100 * share:.1f} %" for share in (float(np.mean(shares)), first, last))
            rows.append((arm.name, *cells, f"{asked:.0f}"))
    return Section(
        "Groups worth an update",
        "Share of groups whose answers differed in reward: over all steps, the first and the last "
        f"{EDGE_STEPS}. A dense reward differs by its nature, so its share says nothing about the questions.",
        ("arm", "kept", "first steps", "last steps", "questions asked"),
        tuple(rows),
    )


def _lengths(arms: Sequence["Arm"]) -> Section:
    rows, drifts = [], []
    for arm in arms:
        if not any("prediction_share/1" in row for run in arm.runs for row in run.rows):
            continue
        cells = []
        for name in ("1", "2", "3", "4+"):
            first, last = _edges(arm, f"prediction_share/{name}")
            cells.append(f"{100 * first:.0f} → {100 * last:.0f} %")
            if name == "1" and last - first > STUB_DRIFT:
                drifts.append(arm.name)
        rows.append((arm.name, *cells))
    said = (
        f"Predictions drift to stubs under {', '.join(drifts)}." if drifts else "No drift to stubs was seen."
    )
    return Section(
        "Length of predictions",
        f"Share of answers by tokens in the box, first {EDGE_STEPS} steps to last. The prefix reward pays a "
        f"right token as much as ten. {said} further_token_bonus is the counter-measure.",
        ("arm", "1 token", "2", "3", "4 and more"),
        tuple(rows),
    )


def _edges(arm: "Arm", name: str) -> tuple[float, float]:
    """Mean of a metric over the first and the last steps, runs alike."""
    firsts, lasts = [], []
    for run in arm.runs:
        values = [row[name] for row in run.rows if name in row]
        firsts += values[:EDGE_STEPS]
        lasts += values[-EDGE_STEPS:]
    return float(np.mean(firsts)), float(np.mean(lasts))


Places = dict[tuple[str, int], Bound]
"""Document and code point of a derived value -> its bound."""


def read_bounds(corpus: Path) -> Places:
    """What the sample world knows of the derived values of a corpus; empty for any other text."""
    columns = ["doc_id", "char_offset", "thought", "kind"]
    rows = pq.read_table(corpus / "traces.parquet", columns=columns).to_pylist()
    bounds = {(row["doc_id"], row["char_offset"]): bound_of(row["kind"], row["thought"]) for row in rows}
    return {place: bound for place, bound in bounds.items() if bound}


def _headroom(models: Models, bounds: Sequence[Places]) -> Section:
    """Of what lies between the best guess and the best thought, how much each model has."""
    rows = []
    for name, judged in models.named():
        for mode, words in ((PLAIN, "next token"), (REASONING, "reasoning"), (FORCED, "made to think")):
            known = [_known(*pair, mode) for pair in zip(judged, bounds, strict=True)]
            if all(len(outcomes) for outcomes, _ in known):
                rows.append((name, words, *_closed(known)))
    counts = [
        _known(model, places, REASONING)[1] for model, places in zip(models.starts, bounds, strict=True)
    ]
    without = np.concatenate([[bound.without for bound in some] for some in counts])
    asked = len(of_mode(models.starts, REASONING))
    return Section(
        "Headroom closed",
        f"{len(without)} of {asked} questions ask for a derived value, whose best possible accuracy the "
        f"world knows: {100 * float(np.mean(without)):.1f} % on average without taking the steps (one step "
        "is known by heart), 100 % with thinking. Closed: the share of the way from the first to the second; "
        "below 0 is worse than the best guess.",
        ("model", "mode", "right", "two steps and more", "closed", "closed, two steps and more"),
        tuple(rows),
    )


def _known(model: Judged, bounds: Places, mode: str) -> tuple[Outcomes, list[Bound]]:
    """The outcomes at derived values, with their bounds.

    Raises:
        RecipeError: the evaluation does not say where its questions stand.
    """
    if "char_offset" not in model.items.column_names:
        raise RecipeError(
            f"{model.name} was evaluated before evaluations kept the places of their questions, so nothing "
            "known of a place can be looked up. Evaluate again: -p evaluation.revision=2."
        )
    found = model.outcomes(mode)
    columns = (model.items[name].to_pylist() for name in ("item_id", "doc_id", "char_offset"))
    place_of = {item: bounds.get((doc, offset)) for item, doc, offset in zip(*columns, strict=True)}
    of_items = [place_of[item] for item in found.item_ids.tolist()]
    keep = np.array([bound is not None for bound in of_items], bool)
    return found.where(keep), [bound for bound in of_items if bound is not None]


def _closed(known: Sequence[tuple[Outcomes, list[Bound]]]) -> Iterator[str]:
    found = pooled([outcomes for outcomes, _ in known])
    flat = [bound for _, bounds in known for bound in bounds]
    without = np.array([bound.without for bound in flat])
    best = np.array([bound.thinking for bound in flat])
    far = np.array([bound.num_steps > 1 for bound in flat])
    yield interval(accuracy(found))
    yield interval(accuracy(found.where(far)))
    yield interval(share_closed(found, without, best))
    yield interval(share_closed(found.where(far), without[far], best[far]))


def share_closed(found: Outcomes, without_I: Floats, best_I: Floats) -> Estimate:
    """How far accuracy is on the way from one bound to the other, clustered by document."""
    gained = found.score / found.samples - without_I
    return clustered_ratio(gained, best_I - without_I, found.documents)
