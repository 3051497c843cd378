"""Stage ``report``: one page that says what was done, what was found, and what fell short."""

from collections import Counter
from typing import Any

from rpt_core.artifacts.build import TIMINGS_PAGE, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.evaluation.compare import Decision, compare
from rpt_core.evaluation.items import FORCED, INSTRUCTED, PLAIN, PROBLEMS, REASONING
from rpt_core.evaluation.scores import (
    Outcomes,
    accuracy,
    accuracy_given,
    bins,
    outcomes,
    paired,
    think_share,
    tiers_of,
)
from rpt_core.evaluation.strategy import Split
from rpt_core.pages.ink import DARK, LIGHT, as_png, as_svg, style
from rpt_core.pages.words import environment, render
from rpt_core.recipes.report import ReportRecipe
from rpt_core.report import findings
from rpt_core.report.figures import Model, accuracy_figure, curve_figure, picture, strategy_figure
from rpt_core.report.findings import Judged
from rpt_core.report.sources import journey, lineage, source_of, timings
from rpt_core.scaling.fit import read_fit

PAGE, TEXT, PICTURE = "report.html", "report.md", "report.png"
NAMES = {"before": "start model", "after": "after {method}", "finetuned": "after RLVR"}
MODES = {
    PLAIN: "plain next token",
    INSTRUCTED: "plain, instructed",
    REASONING: "thinks if it likes",
    FORCED: "made to think",
    PROBLEMS: "exact answer",
}
COLOURS = {"before": LIGHT.before, "after": LIGHT.after, "finetuned": LIGHT.finetuned}


def write_report(recipe: ReportRecipe, build: Build) -> Outcome:
    """Write ``report.html`` (self-contained), ``report.md`` and ``report.png``.

    The three say the same of equal artifacts, byte for byte. What differs from run to run (seconds,
    attempts, dates) goes into ``timings.html``, which is volatile.

    Every number in the page links to the artifact it came from, by the ``manifest.json`` of its input's
    folder; an input without one is named among the shortfalls, and its numbers stand unlinked.

    Raises:
        RecipeError: the evaluations did not answer the same questions.
    """
    judged = {
        name: Judged.read(NAMES[name].format(method=recipe.method), build.inputs[name]) for name in NAMES
    }
    fit = read_fit(build.inputs["scaling"])
    decisions = findings.claims_of(
        judged["before"], judged["after"], judged["finetuned"], recipe.least_gain, recipe.method
    )
    context = _context(recipe, build, judged, fit, decisions)
    with style():
        context["figures"] = _figures(judged, fit, context["split"])
        image = as_png(picture(_models(judged), fit, recipe.title))
    (build.out / PICTURE).write_bytes(image)
    templates = environment("rpt_core.report")
    render(build.out / PAGE, templates.get_template("page.html.j2").render(context))
    render(build.out / TEXT, templates.get_template("page.md.j2").render(context))
    context["rows"] = timings(context["legs"])
    render(build.out / TIMINGS_PAGE, templates.get_template("timings.html.j2").render(context))
    rows = sum(len(model.items) for model in judged.values())
    return Outcome(rows=RowCounts(rows_in=rows, kept=rows), summary=_summary(context))


def _context(
    recipe: ReportRecipe,
    build: Build,
    judged: dict[str, Judged],
    fit: dict[str, Any],
    decisions: list[Decision],
) -> dict[str, Any]:
    before, after, finetuned = judged.values()
    scaling = source_of(build.inputs["scaling"], "scaling")
    sources = lineage(build.inputs)
    split = findings.split_of(before, after, recipe.seed)
    patterns = findings.patterns_of(before, after, recipe.seed)
    return {
        "title": recipe.title,
        "timings": TIMINGS_PAGE,
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "models": list(judged.values()),
        "head": {"before": None, "after": None} | findings.headline(before, after),
        "facts": _facts(before, after, finetuned),
        "decisions": decisions,
        "verdicts": {"holds": 0, "fails": 0, "undecided": 0} | Counter(d.verdict for d in decisions),
        "split": split,
        "parts": _parts(split),
        "thinking": _thinking(before, after),
        "floor": f"{after.floor_nats:g}",
        "rollouts": findings.rollouts_of(before, after, recipe.rollouts, recipe.seed),
        "table": _table(judged),
        "samples": after.scores["samples"],
        "fit": fit,
        "scaling": scaling,
        "patterns": patterns,
        "patterns_used": any(p.solving["value"] or p.predicting["value"] for p in patterns),
        "legs": journey(sources, _roles(judged)),
        "sources": sources,
        "short": findings.shortfalls(judged, decisions, fit),
        "remarks_on": findings.law_remarks,
    }


def _roles(judged: dict[str, Judged]) -> dict[str, str]:
    return {model.source.fingerprint: f"Evaluated: {model.name}" for model in judged.values()}


def _facts(before: Judged, after: Judged, finetuned: Judged) -> list[tuple[str, Judged, Any]]:
    """The boxes under the title: what a reader in a hurry takes away."""
    wanted = [
        ("start model, next token", before, before.outcomes(REASONING)),
        (f"{after.name}, next token", after, after.outcomes(REASONING)),
        ("start model made to think", before, before.outcomes(FORCED)),
        ("after RLVR, problems", finetuned, finetuned.outcomes(PROBLEMS)),
    ]
    return [(name, model, accuracy(found)) for name, model, found in wanted if len(found)]


def _thinking(before: Judged, after: Judged) -> list[dict[str, Any]]:
    found = before.outcomes(REASONING), after.outcomes(REASONING)
    forced = before.outcomes(FORCED), after.outcomes(FORCED)
    rows: list[tuple[str, list[Any]]] = [
        ("share that thinks", [think_share(o) if len(o) else None for o in found]),
        ("right when thinking", [accuracy_given(o, thinking=True) if len(o) else None for o in found]),
        ("right when guessing", [accuracy_given(o, thinking=False) if len(o) else None for o in found]),
        ("right, all answers", [accuracy(o) if len(o) else None for o in found]),
        ("right when made to think", [accuracy(o) if len(o) else None for o in forced]),
    ]
    return [{"name": name, "before": values[0], "after": values[1]} for name, values in rows]


def _parts(split: Split | None) -> list[tuple[str, Any, str]]:
    if split is None:
        return []
    parts = [
        ("thinking more often", split.thinking_more, "change of share, at the mean advantage of thinking"),
        ("thinking better", split.thinking_better, "change when thinking, at the mean share"),
        ("guessing better", split.guessing_better, "change when guessing, at the mean share"),
        ("the habit alone", split.habit, "the start model made to think, less the start model left free"),
        ("beyond the habit", split.beyond_habit, "the trained model, less the start model made to think"),
    ]
    return [(name, part, meaning) for name, part, meaning in parts if part is not None]


def _table(judged: dict[str, Judged]) -> list[dict[str, Any]]:
    """Groups of rows with one value per model: nested tiers by mode, disjoint bins, problems, pass@k."""
    thresholds = judged["after"].scores["thresholds_nats"]
    nats = list(thresholds.values())
    groups = [
        _group(judged, f"{tier} (≥ {threshold:g} nats)", "accuracy", tier)
        for tier, threshold in thresholds.items()
    ]
    groups += [_group(judged, f"only {name}", "bins", name) for name in list(bins(nats))[:-1]]
    groups.append(_group(judged, "problems", "accuracy", "all"))
    groups.append(_pass_group(judged, next(iter(thresholds))))
    return [group for group in groups if group["rows"]]


def _group(judged: dict[str, Judged], name: str, field: str, tier: str) -> dict[str, Any]:
    rows = []
    for mode, label in MODES.items():
        estimates = [m.scores["modes"].get(mode, {}).get(field, {}).get(tier) for m in judged.values()]
        if any(estimates):
            rows.append(_row(label, estimates, _difference(judged, mode, tier)))
    return {"name": name, "rows": rows}


def _pass_group(judged: dict[str, Judged], tier: str) -> dict[str, Any]:
    rows = []
    for mode, key in ((REASONING, tier), (PROBLEMS, "all")):
        by_model = [m.scores["modes"].get(mode, {}).get("pass_at", {}) for m in judged.values()]
        for k in sorted({int(k) for found in by_model for k in found} - {1}):
            estimates = [found.get(str(k), {}).get(key) for found in by_model]
            rows.append(_row(f"pass@{k}, {'problems' if mode == PROBLEMS else tier}", estimates, None))
    return {"name": "right in any of k answers", "rows": rows}


def _row(name: str, estimates: list[Any], difference: Any) -> dict[str, Any]:
    first = next(e for e in estimates if e)
    return {
        "name": name,
        "estimates": estimates,
        "difference": difference,
        "num_items": first["num_items"],
        "num_clusters": first["num_clusters"],
    }


def _difference(judged: dict[str, Judged], mode: str, tier: str) -> Any:
    parts = [_tier(judged[name], mode, tier) for name in ("before", "after")]
    return compare(paired(*parts)).difference if all(part is not None for part in parts) else None  # type: ignore[arg-type]


def _tier(model: Judged, mode: str, tier: str) -> Outcomes | None:
    """The outcomes of a nested tier or a disjoint bin."""
    nats = list(model.scores["thresholds_nats"].values())
    found = outcomes(model.items, mode)
    if tier in bins(nats):
        found = found.of_tiers(bins(nats)[tier])
        return found if len(found) else None
    return tiers_of(found, nats).get(tier)


def _models(judged: dict[str, Judged]) -> list[Model]:
    return [Model(model.name, COLOURS[name], model.scores) for name, model in judged.items()]


def _figures(judged: dict[str, Judged], fit: dict[str, Any], split: Split | None) -> dict[str, str]:
    figures = {
        "accuracy": as_svg(
            accuracy_figure(_models(judged)), "accuracy", "Held-out accuracy by tier and mode"
        ),
        "curve": as_svg(curve_figure(fit), "curve", "Accuracy over training compute, with fitted laws"),
    }
    if split is not None:
        before, after = (accuracy(judged[name].outcomes(REASONING)) for name in ("before", "after"))
        label = "The gain: habit of thinking, and beyond it"
        figures["strategy"] = as_svg(strategy_figure(split, before, after), "strategy", label)
    return figures


def _summary(context: dict[str, Any]) -> dict[str, float | int | str | bool | None]:
    """What the command line prints at the end."""
    summary: dict[str, float | int | str | bool | None] = {}
    for name, estimate in context["head"].items():
        summary[f"accuracy_{name}"] = estimate.value if estimate else None
    split: Split | None = context["split"]
    if split:
        summary |= {"gain": split.gain.value, "gain_low": split.gain.low, "gain_high": split.gain.high}
        summary["accuracy_made_to_think"] = split.forced.value if split.forced else None
        summary["gain_beyond_habit"] = split.beyond_habit.value if split.beyond_habit else None
    for row in context["thinking"][:2]:
        for side in ("before", "after"):
            if row[side]:
                summary[f"{row['name']} {side}".replace(" ", "_")] = row[side].value
    for decision in context["decisions"]:
        summary[f"claim: {decision.name}"] = decision.verdict
    return summary
