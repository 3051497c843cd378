"""A study: models by seeds, claims fixed before, sections, figures and shortfalls; one page of all of them.

What a study claims and shows is said in a file of its own, by a function ``(recipe, build) -> Study`` that
its recipe names (:attr:`rpt_core.recipes.reports.report.PageRecipe.page`). The stage behind all is here.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any

from rpt_core.artifacts.build import REPORT_PAGE, TIMINGS_PAGE, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.evaluation.items import PROBLEMS, REASONING
from rpt_core.evaluation.statistics.compare import Decision
from rpt_core.pages.ink import DARK, LIGHT
from rpt_core.pages.words import environment, p_value, points, render
from rpt_core.recipes.reports.report import PageRecipe
from rpt_core.report.blocks import Cell, Inline, KeyFigure, Section, Table, chip, gain, plain
from rpt_core.report.models import Evaluated, Model
from rpt_core.report.ran import Line, what_it_took, what_ran
from rpt_core.report.sources import StageRow, lineage

PAGE, TEXT, PICTURE, JSON = REPORT_PAGE, "report.md", "report.png", "report.json"
Summary = dict[str, float | int | str | bool | None]

UNREAD = ("unparsed", "truncated", "timed out")
MAX_UNREAD_SHARE = 0.02
FEW_PLACES, FEW_PROBLEMS = 500, 100
FEW_SEEDS = 5
CUT = (
    "An interval ends where its number does (shares at 0 and 100 %, their differences at ±100 points): no "
    "true value lies beyond, so the cut leaves its coverage as it is."
)
"""Why no page shows a difference of 104 points, which Student's interval of few documents may reach."""


@dataclass(frozen=True)
class Study:
    """All that a page says, before it is HTML, Markdown or JSON."""

    title: str
    eyebrow: str
    lead: tuple[Inline, ...]
    facts: Sequence[KeyFigure]
    models: Sequence[Model]
    decisions: Sequence[Decision]
    """How the claims ended."""
    sections: Sequence[Section]
    short: Sequence[str]
    """What a reader must know before believing the page, in whole sentences."""
    footer: str
    summary: Summary
    """What the command line prints at the end."""
    picture: bytes | None = None
    """A PNG for a README, where the study has one."""
    picture_label: str = ""
    stages: Sequence[StageRow] = ()
    """Stages whose seconds and dates go into a volatile page of their own."""
    ran: Sequence[Line] = ()
    """What ran, where the inputs do not show it all; empty to read it off the manifests of what is there."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Of artifacts, by fingerprint, for the list of where the numbers come from."""


def write_report(recipe: PageRecipe, build: Build) -> Outcome:
    """Write ``report.html`` (self-contained), ``report.md``, ``report.json`` and perhaps ``report.png``.

    Text, JSON and picture say the same of equal artifacts, byte for byte. The page says it, too, and above
    it how long everything took, which differs from run to run: it is volatile, and so is ``timings.html``
    with every attempt. Every number links to the artifact it came from, by the ``manifest.json`` of its
    input's folder; an input without one is named among the shortfalls.

    Raises:
        RecipeError: two models did not answer the same questions.
    """
    study: Study = resolve_name(recipe.page)(recipe, build)
    roles = {one.source.fingerprint: one.name for model in study.models for one in model.evaluations}
    sources = lineage(build.inputs)
    context: dict[str, Any] = {
        "title": study.title,
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "study": study,
        "sources": sources,
        "ran": study.ran or what_ran(sources),
        "took": what_it_took(sources),
        "roles": roles,
        "names": {stage.source.fingerprint: stage.name for stage in study.stages} | roles | dict(study.names),
    }
    templates = environment("rpt_core.report")
    render(build.out / PAGE, templates.get_template("study.html.j2").render(context))
    render(build.out / TEXT, templates.get_template("study.md.j2").render(context))
    said = {"ran": {line.name: line.text for line in context["ran"]}, **_as_json(study)}
    (build.out / JSON).write_text(json.dumps(said, indent=1, ensure_ascii=False, allow_nan=False))
    if study.picture:
        (build.out / PICTURE).write_bytes(study.picture)
    if study.stages:
        context["stages"] = study.stages
        render(build.out / TIMINGS_PAGE, templates.get_template("timings.html.j2").render(context))
    rows = sum(len(one.items) for model in study.models for one in model.evaluations)
    return Outcome(rows=RowCounts(rows_in=rows, kept=rows), summary=study.summary)


def _as_json(study: Study) -> dict[str, Any]:
    names = ("title", "eyebrow", "lead", "facts", "sections", "short", "footer", "summary")
    said = {name: plain(getattr(study, name)) for name in names}
    claims = [
        {"name": d.name, "verdict": d.verdict, "at_least": d.at_least, "difference": d.difference.as_json(),
         "p": d.adjusted_p_value}
        for d in study.decisions
    ]  # fmt: skip
    return said | {"models": [model.name for model in study.models], "claims": claims}


def claims_section(decisions: Sequence[Decision], *lead: Inline) -> Section:
    """Every claim with its end, and the difference that decided it."""
    columns: dict[str, Callable[[Decision], Inline]] = {
        "verdict": lambda found: chip(found.verdict),
        "difference, points": lambda found: gain(found.difference),
        "threshold": lambda found: points(found.at_least),
        "p, adjusted": lambda found: p_value(found.adjusted_p_value),
        "questions": lambda found: questions(found.difference.as_json()),
    }
    return Section("Claims", [lead, Table.of("claim", decisions, columns, words=frozenset({0, 1}))])


def questions(estimate: Mapping[str, Any]) -> Cell:
    """Of how many questions, in how many documents, a number is."""
    num = estimate["num_items"]
    return Cell(str(num), f"in {estimate['num_clusters']}", value=num)


def ended(decisions: Sequence[Decision]) -> dict[str, int]:
    """How many claims hold, fail and are undecided."""
    return {"holds": 0, "fails": 0, "undecided": 0} | Counter(d.verdict for d in decisions)


def claims_summary(decisions: Sequence[Decision]) -> Summary:
    """The end of each claim by its name."""
    return {f"claim: {decision.name}": decision.verdict for decision in decisions}


def shortfalls(
    models: Sequence[Model], decisions: Sequence[Decision], *more: str, num_seeds: int = 1
) -> list[str]:
    """What a reader must know before believing the page, in whole sentences.

    Args:
        models: All whose numbers are shown; too few questions are told of the first.
        decisions: Of which those that do not hold are named.
        more: What this study has to say beside.
        num_seeds: Seeds that are pooled; 0 where the study speaks of them itself.
    """
    evaluated = [one for model in models for one in model.evaluations]
    found = [_claim_sentence(decision) for decision in decisions if decision.verdict != "holds"]
    found += more
    found += [sentence for one in evaluated for sentence in _unread(one)]
    found += _small(evaluated[0])
    if num_seeds == 1:
        found.append("This is one seed. Another seed draws other weights and other answers.")
    elif 0 < num_seeds < FEW_SEEDS:
        found.append(
            f"Intervals are over documents of {num_seeds} seeds: they say nothing about other seeds, of "
            "which there are too few here for an interval of their own."
        )
    if missing := [one.name for one in evaluated if not one.source.known]:
        found.append(
            f"The numbers of {', '.join(missing)} cannot be linked: their folders hold no manifest.json, so "
            "they were not taken from a store."
        )
    return found


def _claim_sentence(decision: Decision) -> str:
    end = "fails" if decision.verdict == "fails" else "is undecided"
    interval = f"{100 * decision.difference.value:+.1f}"
    if decision.difference.low is not None and decision.difference.high is not None:
        interval += f" [{100 * decision.difference.low:+.1f}, {100 * decision.difference.high:+.1f}]"
    return (
        f"“{decision.name[0].upper()}{decision.name[1:]}” {end}: the difference is {interval} points "
        f"(adjusted p = {decision.adjusted_p_value:.2g})."
    )


def _unread(one: Evaluated) -> Iterator[str]:
    for mode, scores in one.scores["modes"].items():
        verdicts = scores.get("verdicts", {})
        total = sum(verdicts.values())
        unread = {name: verdicts[name] for name in UNREAD if verdicts.get(name)}
        if total and sum(unread.values()) > MAX_UNREAD_SHARE * total:
            parts = ", ".join(f"{count} {name}" for name, count in unread.items())
            yield (
                f"{sum(unread.values()) / total:.1%} of the answers of {one.name} in mode {mode} went "
                f"unread ({parts} of {total}); they score nothing, and are not wrong."
            )


def _small(one: Evaluated) -> Iterator[str]:
    for mode, least, noun in (
        (REASONING, FEW_PLACES, "held-out positions"),
        (PROBLEMS, FEW_PROBLEMS, "problems"),
    ):
        if mode in one.scores["modes"] and (asked := len(one.outcomes(mode))) < least:
            above = f" of at least {one.floor_nats:g} nats" if mode == REASONING else ""
            yield f"Only {asked} {noun}{above} were asked; {least} would narrow the intervals."
