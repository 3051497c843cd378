"""Stage ``report-rlpt``: RLPT beside its cold start, beside its controls, and beside its own ablations.

The claims are fixed here, before any number is seen. All are paired by question and clustered by
document; the documents of all seeds are pooled, so an interval speaks of these seeds and other documents.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rpt_core.artifacts.build import FLOPS, GIGA, METRICS_FILE, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import RecipeError
from rpt_core.evaluation.compare import Claim, Decision, PairedItems, compare, decide
from rpt_core.evaluation.intervals import Estimate, Floats, clustered_mean, clustered_ratio
from rpt_core.evaluation.items import JUDGED, PROBLEMS, read_items
from rpt_core.evaluation.items import JUDGED_FORCED as FORCED
from rpt_core.evaluation.passk import pass_at_k
from rpt_core.evaluation.scores import Outcomes, accuracy, accuracy_given, outcomes, pooled, think_share
from rpt_core.pages.ink import DARK, LIGHT, as_png, as_svg, bare, new_figure, style
from rpt_core.pages.words import environment, render
from rpt_core.recipes.rlpt_report import RlptReportRecipe
from rpt_core.report.page import PAGE, PICTURE, TEXT
from rpt_core.report.sources import charged, lineage, read_json

JSON = "report.json"
TRIES = 8
"""k of pass@k."""
FALSE_ACCEPTS_MAX = 0.10
"""More wrong answers than this accepted by the judge are reported as a judge that was fooled."""
FIFTHS = 5
"""Parts of a training over which its judge is compared with the truth."""
PANELS = {
    "reward_mean": "reward",
    "answer_tokens": "answer tokens",
    "eval/accuracy": "held-out accuracy, training's judge",
}
"""The paper's three panels (RLPT, figure 4)."""


@dataclass(frozen=True)
class Model:
    """One model under every seed."""

    name: str
    items: tuple[pa.Table, ...]
    scores: tuple[dict[str, Any], ...]
    path: tuple[list[dict[str, float]], ...] = ()
    """Metrics of its training by seed and step, where it is an arm."""
    charged_gflops: tuple[float, ...] = ()
    """By seed: of the judge beside its training, and of a proxy that chose its positions."""

    @classmethod
    def read(
        cls, name: str, folders: Sequence[Path], trainings: Sequence[Path] = (),
        known: Mapping[str, Path] | None = None,
    ) -> "Model":  # fmt: skip
        """From the folders of its evaluations and trainings, one per seed, and the page's other inputs."""
        path = tuple(
            [json.loads(line) for line in (folder / METRICS_FILE).read_text().splitlines()]
            for folder in trainings
        )
        items, scores = (read_items(folder) for folder in folders), map(_scores, folders)
        others = tuple(charged(folder, known or {}) / GIGA for folder in trainings)
        return cls(name, tuple(items), tuple(scores), path, others)

    def outcomes(self, mode: str) -> Outcomes:
        """Answers of all seeds; documents of different seeds are different clusters."""
        return pooled([outcomes(table, mode) for table in self.items])

    def has(self, mode: str) -> bool:
        """Whether it was asked in a mode."""
        return all(mode in scores["modes"] for scores in self.scores)

    def audit(self, mode: str, name: str) -> list[float]:
        """A number of the judge's audit, by seed; empty off the sample world."""
        found = [scores["audit"].get(mode, {}).get(name) for scores in self.scores]
        return [one["value"] for one in found if one]


def audits(models: Sequence[Model], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """The evaluation's judge beside the sample world's own truth, model by model and seed by seed."""
    return [
        {
            "name": model.name,
            "seed": seed,
            "answers": found["num_answers"],
            **{key: _estimate(found[key]) for key in ("true_accuracy", "false_accepts", "false_rejects")},
        }
        for model in models
        for seed, scores in zip(seeds, model.scores, strict=True)
        if (found := scores["audit"].get(JUDGED))
    ]


def decay(arms: Sequence[Model], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Wrong answers that training's own judge accepted, fifth by fifth of the training; steps are clusters.

    A judge that is exploited accepts more and more of them.
    """
    found = []
    for arm in arms:
        for seed, path in zip(seeds, arm.path, strict=True):
            rows = [row for row in path if row.get("audit/wrong")]
            if rows:
                parts = np.array_split(np.arange(len(rows)), min(FIFTHS, len(rows)))
                shares = [_accepted([rows[at] for at in part]) for part in parts]
                found.append({"name": arm.name, "seed": seed, "shares": shares})
    return found


def _accepted(rows: Sequence[dict[str, float]]) -> Estimate:
    wrong = [row["audit/wrong"] for row in rows]
    hits = [row.get("audit/false_accepts", 0.0) for row in rows]
    return clustered_ratio(hits, wrong, np.arange(len(rows)), proportion=True)


def _estimate(found: dict[str, Any] | None) -> Estimate | None:
    return Estimate(**found) if found else None


def write_rlpt_report(recipe: RlptReportRecipe, build: Build) -> Outcome:
    """Write ``report.html``, ``report.md``, ``report.json`` and the three panels as ``report.png``.

    Raises:
        RecipeError: two models of a seed did not answer the same questions.
    """
    start, arms, controls = _models(recipe, build)
    _refuse_other_questions([start, *arms, *controls.values()])
    decisions = decide(list(_claims(start, arms, controls)))
    context = _context(recipe, build, (start, arms, controls), decisions)
    with style():
        context["panels"] = as_svg(panels(arms), "panels", "reward, answer length and held-out accuracy")
        (build.out / PICTURE).write_bytes(as_png(panels(arms)))
    templates = environment("rpt_core.report")
    render(build.out / PAGE, templates.get_template("rlpt.html.j2").render(context))
    render(build.out / TEXT, templates.get_template("rlpt.md.j2").render(context))
    (build.out / JSON).write_text(json.dumps(_plain(context), indent=1, allow_nan=False))
    rows = sum(len(table) for model in (start, *arms, *controls.values()) for table in model.items)
    return Outcome(rows=RowCounts(rows_in=rows, kept=rows), summary=_summary(context, decisions))


def _models(recipe: RlptReportRecipe, build: Build) -> tuple[Model, list[Model], dict[str, Model]]:
    def folders(name: str, first: int = 0) -> list[Path]:
        numbers = range(first, first + len(recipe.seeds))
        return [build.inputs[f"{name}.{number}"] for number in numbers]

    arms = [
        Model.read(name, folders("after", at), folders("trainings", at), build.inputs)
        for name, at in zip(recipe.arms, range(0, len(recipe.after), len(recipe.seeds)), strict=True)
    ]
    names = {
        "supervised": "more supervised training",
        "finetuned": "RLPT, then RLVR",
        "finetuned_alone": "RLVR alone",
    }
    controls = {key: Model.read(name, folders(key)) for key, name in names.items() if getattr(recipe, key)}
    return Model.read("cold start", folders("before")), arms, controls


def _claims(start: Model, arms: Sequence[Model], controls: dict[str, Model]) -> Iterator[Claim]:
    rlpt, *parts = arms
    yield Claim("RLPT is judged right more often than the cold start", _paired(start, rlpt, JUDGED))
    if start.has(FORCED):
        forced = PairedItems(_means(start, FORCED), _means(rlpt, JUDGED), start.outcomes(FORCED).documents)
        yield Claim("RLPT, free, is right more often than the cold start made to think", forced)
    if "supervised" in controls:
        yield Claim(
            "RLPT is judged right more often than more supervised training",
            _paired(controls["supervised"], rlpt, JUDGED),
        )
    for part in parts:
        yield Claim(f"RLPT is judged right more often than {part.name}", _paired(part, rlpt, JUDGED))
    if {"finetuned", "finetuned_alone"} <= controls.keys() and start.has(PROBLEMS):
        after, alone = controls["finetuned"], controls["finetuned_alone"]
        yield Claim("RLPT, then RLVR solves more problems than RLVR alone", _paired(alone, after, PROBLEMS))
        asked, tried = alone.outcomes(PROBLEMS), after.outcomes(PROBLEMS)
        if min(asked.samples.min(), tried.samples.min()) >= TRIES:
            pairs = PairedItems(_passes(asked), _passes(tried), asked.documents)
            yield Claim("RLPT, then RLVR solves more problems in eight tries than RLVR alone", pairs)


def _paired(before: Model, after: Model, mode: str) -> PairedItems:
    return PairedItems(_means(before, mode), _means(after, mode), before.outcomes(mode).documents)


def _means(model: Model, mode: str) -> Any:
    found = model.outcomes(mode)
    return found.score / found.samples


def _refuse_other_questions(models: Sequence[Model]) -> None:
    asked = models[0].outcomes(JUDGED).item_ids
    for model in models[1:]:
        found = model.outcomes(JUDGED).item_ids
        if not np.array_equal(asked, found):
            raise RecipeError(
                f"{model.name} answered {len(found)} questions and the cold start {len(asked)}, and not the "
                "same ones: they cannot be paired. Evaluate all with the same corpus, objective and seed."
            )


def _row(model: Model) -> dict[str, Any]:
    """What a table says of a model."""
    free = model.outcomes(JUDGED)
    row: dict[str, Any] = {
        "name": model.name,
        "accuracy": accuracy(free),
        "think_share": think_share(free),
        "given_thinking": accuracy_given(free, thinking=True),
        "given_direct": accuracy_given(free, thinking=False),
        "forced": accuracy(model.outcomes(FORCED)) if model.has(FORCED) else None,
        "true_accuracy": model.audit(JUDGED, "true_accuracy"),
        "false_accepts": model.audit(JUDGED, "false_accepts"),
        "false_rejects": model.audit(JUDGED, "false_rejects"),
        "problems": None,
        "pass_at_8": None,
        "steps": [len(path) - (path[0]["step"] == 0) for path in model.path],
        "tokens": [path[-1]["tokens_total"] for path in model.path],
        "gflops": [path[-1][FLOPS] for path in model.path],
        "charged": list(model.charged_gflops),
    }
    if model.has(PROBLEMS):
        solved = model.outcomes(PROBLEMS)
        row["problems"] = accuracy(solved)
        if solved.samples.min() >= TRIES:
            row["pass_at_8"] = clustered_mean(_passes(solved), solved.documents, proportion=True)
    return row


def _passes(solved: Outcomes) -> NDArray[np.float64]:
    """Chance that one of eight answers is right, by problem."""
    return pass_at_k(solved.samples, solved.correct, TRIES)


def _context(
    recipe: RlptReportRecipe,
    build: Build,
    models: tuple[Model, list[Model], dict[str, Model]],
    decisions: list[Decision],
) -> dict[str, Any]:
    start, arms, controls = models
    return {
        "title": recipe.title,
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "seeds": recipe.seeds,
        "gain": compare(_paired(start, arms[0], JUDGED)).difference,
        "rows": [_row(model) for model in (start, *arms, *controls.values())],
        "audits": audits((start, *arms, *controls.values()), recipe.seeds),
        "decay": decay(arms, recipe.seeds),
        "decisions": decisions,
        "short": list(_short(recipe, (start, *arms), decisions)),
        "sources": lineage(build.inputs),
    }


def _short(recipe: RlptReportRecipe, models: Sequence[Model], decisions: Sequence[Decision]) -> Iterator[str]:
    """What a reader must know before believing the page."""
    for decision in decisions:
        if decision.verdict != "holds":
            yield f"{decision.name}: {decision.verdict}."
    for model in models:
        worst = max(model.audit(JUDGED, "false_accepts"), default=0.0)
        if worst > FALSE_ACCEPTS_MAX:
            yield f"The judge accepted {worst:.0%} of the wrong answers of {model.name} in one seed."
    before, after = (np.mean(model.audit(JUDGED, "false_accepts") or [0.0]) for model in models[:2])
    if after > before + 0.02:
        yield f"The judge decayed under training: wrong answers accepted {before:.1%} -> {after:.1%}."
    if len(recipe.seeds) < 3:
        yield f"{len(recipe.seeds)} seed(s): an interval here says nothing about other seeds."
    for name in ("supervised", "finetuned", "finetuned_alone"):
        if not getattr(recipe, name):
            yield f"The control {name.replace('_', ' ')} was not run."


def panels(arms: Sequence[Model]) -> Any:
    """Reward, length of answers and held-out accuracy over training tokens, arm by arm, mean over seeds."""
    figure = new_figure(960, 300)
    colours = (LIGHT.after, LIGHT.before, LIGHT.finetuned, LIGHT.muted, LIGHT.ink)
    for place, (key, label) in enumerate(PANELS.items()):
        axes = figure.add_subplot(1, len(PANELS), place + 1)
        bare(axes)
        axes.grid(axis="y")
        for arm, colour in zip(arms, colours * len(arms), strict=False):
            tokens, values = mean_path(arm.path, key)
            axes.plot(tokens / 1e6, values, color=colour, label=arm.name)
        axes.set_title(label, loc="left")
        axes.set_xlabel("training tokens, millions")
    figure.axes[0].legend(frameon=False)
    figure.tight_layout()
    return figure


def mean_path(path: Sequence[Sequence[dict[str, float]]], key: str) -> tuple[Floats, Floats]:
    """A metric over training tokens, mean over seeds, where every seed has it.

    Seeds forward different numbers of tokens a step, so each is read between its steps.
    """
    points = [
        [(row["tokens_total"], row[key]) for row in one if key in row and "tokens_total" in row]
        for one in path
    ]
    if not points or not all(points):
        return np.zeros(0), np.zeros(0)
    curves = [np.array(of_seed, np.float64).T for of_seed in points]
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.linspace(first, last, min(len(x) for x, _ in curves))
    return grid, np.mean([np.interp(grid, x, y) for x, y in curves], axis=0)


def _scores(folder: Path) -> dict[str, Any]:
    return read_json(folder / "scores.json")


def _plain(context: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if hasattr(value, "as_json"):
            return value.as_json()
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, list | tuple) else value

    claims = [
        {"name": d.name, "verdict": d.verdict, "difference": d.difference.as_json(), "p": d.adjusted_p_value}
        for d in context["decisions"]
    ]
    kept = {
        name: plain(context[name]) for name in ("title", "seeds", "gain", "rows", "audits", "decay", "short")
    }
    return {**kept, "claims": claims}


def _summary(context: dict[str, Any], decisions: Sequence[Decision]) -> dict[str, Any]:
    first, rlpt = context["rows"][:2]
    return {
        "judged_accuracy_before": first["accuracy"].value,
        "judged_accuracy_after": rlpt["accuracy"].value,
        "gain": context["gain"].value,
        **{name: sum(d.verdict == name for d in decisions) for name in ("holds", "fails", "undecided")},
    }
