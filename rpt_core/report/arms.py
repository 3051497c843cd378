"""Stage ``report-arms``: several trainings from one start model, at equal training tokens, compared.

The claims are fixed here, before any number is seen. All are paired by question and clustered by
document; the documents of all seeds are pooled, so an interval speaks of these seeds and other documents.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpt_core.artifacts.build import FLOPS, GIGA, METRICS_FILE, Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import RecipeError
from rpt_core.evaluation.compare import Claim, Decision, PairedItems, compare, decide
from rpt_core.evaluation.intervals import Estimate, cluster_bootstrap, cluster_totals, clustered_ratio
from rpt_core.evaluation.items import FORCED, PLAIN, REASONING
from rpt_core.evaluation.scores import Outcomes, accuracy, accuracy_given, pooled, think_share, tiers_of
from rpt_core.pages.ink import DARK, LIGHT
from rpt_core.pages.words import environment, render
from rpt_core.recipes.report import ArmsRecipe
from rpt_core.report.findings import Judged, shortfalls
from rpt_core.report.next_token_arms import Models, Section, claims, sections
from rpt_core.report.page import PAGE, TEXT
from rpt_core.report.sources import charged, lineage

PAPER = {
    "RMT without budget": 46.87 - 40.24,
    "RMT without curriculum": 46.87 - 43.22,
    "RMT without NTP": 46.87 - 33.84,
    "RPT": 46.87 - 35.85,
}
"""Points of accuracy RMT had over each in the paper, mean over tiers (RMT, tables of methods 2.5)."""


@dataclass(frozen=True)
class Run:
    """One arm under one seed."""

    judged: Judged
    steps: int
    tokens: int
    gflops: float
    path: tuple[tuple[int, float], ...]
    """Training tokens and GFLOPs by step, from step 1 on."""
    rows: tuple[dict[str, float], ...] = ()
    """All metrics by step."""
    charged_gflops: float = 0.0
    """Of the proxy that chose its positions, and of its judge."""

    def milestones(self) -> Iterator[tuple[float, int, float]]:
        """Accuracy where training asks, training tokens and GFLOPs at each evaluated checkpoint."""
        floor = self.judged.floor_nats
        for one in self.judged.scores["milestones"]:
            tokens, gflops = self.path[one["step"] - 1]
            found = self.judged.milestone(one["step"]).above(floor)
            yield float(np.mean(found.score / found.samples)), tokens, gflops


@dataclass(frozen=True)
class Arm:
    """One training under every seed, its answers pooled."""

    name: str
    runs: tuple[Run, ...]

    def outcomes(self, mode: str) -> Outcomes:
        """The answers of all seeds; documents of different seeds are different clusters."""
        return pooled([run.judged.outcomes(mode) for run in self.runs])


def read_run(name: str, evaluation: Path, training: Path, known: Mapping[str, Path] | None = None) -> Run:
    """An arm's evaluation, and what its training used up on the way."""
    rows = [json.loads(line) for line in (training / METRICS_FILE).read_text().splitlines()]
    steps = tuple(row for row in rows if row["step"])
    path = tuple((int(row["tokens_total"]), float(row[FLOPS])) for row in steps)
    others = charged(training, known or {}) / GIGA
    return Run(Judged.read(name, evaluation), len(path), *path[-1], path, steps, others)


def thought_tokens(found: Outcomes) -> Estimate:
    """Mean length of a thought, over all answers; 0 for those without one."""
    return clustered_ratio(found.thought_tokens, found.samples, found.documents)


def length_ratio(reference: Outcomes, method: Outcomes, seed: int) -> Estimate:
    """The method's thinking as a share of the reference's, by documents resampled together."""
    totals = cluster_totals(
        np.column_stack([reference.thought_tokens, method.thought_tokens]), reference.documents
    )
    return cluster_bootstrap(totals, lambda t: t[:, 1] / t[:, 0], seed=seed, num_items=len(reference))


def claims_of(models: Models, recipe: ArmsRecipe) -> list[Decision]:
    """What the comparison claims, and how each claim ended, held to one error rate together (Holm)."""
    if recipe.study != "mid-training":
        return decide(list(claims(models, recipe)))
    return decide(list(_claims(models.arms, recipe)))


def _claims(arms: Sequence[Arm], recipe: ArmsRecipe) -> Iterator[Claim]:
    reference, method, *parts = arms
    free = reference.outcomes(REASONING), method.outcomes(REASONING)
    name = f"{method.name} loses less than {100 * recipe.tolerated_loss:g} points on {reference.name}"
    yield Claim(name, _accuracies(*free), -recipe.tolerated_loss)
    yield Claim(f"{method.name} is more accurate than {reference.name}", _accuracies(*free))
    share = f"{100 * recipe.short_share:g} %"
    yield Claim(
        f"{method.name} thinks less than {share} as long as {reference.name}",
        _shorter(*free, recipe.short_share),
    )
    for part in parts:
        yield Claim(
            f"{method.name} is more accurate than {part.name}",
            _accuracies(part.outcomes(REASONING), free[1]),
        )
    for part in parts:
        if part.name.endswith("without budget"):
            yield Claim(
                f"the budget shortens {method.name}'s thoughts",
                _shorter(part.outcomes(REASONING), free[1], 1),
            )
        if part.name.endswith("without NTP"):
            plain = part.outcomes(PLAIN), method.outcomes(PLAIN)
            yield Claim("the next-token loss keeps plain prediction better", _accuracies(*plain))


def _accuracies(before: Outcomes, after: Outcomes) -> PairedItems:
    return PairedItems(before.score / before.samples, after.score / after.samples, before.documents)


def _shorter(reference: Outcomes, method: Outcomes, share: float) -> PairedItems:
    """Positive where the method's thoughts are shorter than a share of the reference's.

    In units of the reference's mean length, so that a difference reads as points of it.
    """
    unit = float(np.sum(reference.thought_tokens) / np.sum(reference.samples))
    before = method.thought_tokens / method.samples / unit
    return PairedItems(
        before, share * reference.thought_tokens / reference.samples / unit, reference.documents
    )


def write_arms_report(recipe: ArmsRecipe, build: Build) -> Outcome:
    """Write ``report.html`` and ``report.md`` about several trainings from one start model.

    Raises:
        RecipeError: two arms of a seed did not answer the same questions.
    """
    starts = [
        Judged.read(f"seed {seed}, start model", build.inputs[f"starts.{index}"])
        for index, seed in enumerate(recipe.seeds)
    ]
    numbers = iter(range(len(recipe.evaluations)))
    arms = [
        Arm(name, tuple(_read(name, seed, next(numbers), build) for seed in recipe.seeds))
        for name in recipe.arms
    ]
    baselines = _baselines(recipe, build)
    _refuse_other_questions(
        starts, [[run.judged for run in arm.runs] for arm in arms] + list(baselines.values())
    )
    models = Models(starts, baselines, arms)
    decisions = claims_of(models, recipe)
    context = _context(recipe, build, starts, arms, decisions)
    context |= {"study": recipe.study, "more": _more(recipe, build, models)}
    templates = environment("rpt_core.report")
    render(build.out / PAGE, templates.get_template("arms.html.j2").render(context))
    render(build.out / TEXT, templates.get_template("arms.md.j2").render(context))
    rows = sum(len(run.judged.items) for arm in arms for run in arm.runs)
    rows += sum(len(start.items) for start in starts)
    return Outcome(rows=RowCounts(rows_in=rows, kept=rows), summary=_summary(context, decisions))


def _read(name: str, seed: int, number: int, build: Build) -> Run:
    folders = build.inputs[f"evaluations.{number}"], build.inputs[f"trainings.{number}"]
    return read_run(f"seed {seed}, {name}", *folders, build.inputs)


def _baselines(recipe: ArmsRecipe, build: Build) -> dict[str, list[Judged]]:
    numbers = iter(range(len(recipe.baselines)))
    return {
        name: [
            Judged.read(f"seed {s}, {name}", build.inputs[f"baselines.{next(numbers)}"]) for s in recipe.seeds
        ]
        for name in recipe.baseline_names
    }


def _more(recipe: ArmsRecipe, build: Build, models: Models) -> list[Section]:
    if recipe.study == "mid-training":
        return []
    return sections(models, [build.inputs[f"corpora.{index}"] for index in range(len(recipe.corpora))])


def _refuse_other_questions(starts: Sequence[Judged], others: Sequence[Sequence[Judged]]) -> None:
    for index, start in enumerate(starts):
        asked = start.outcomes(REASONING).item_ids
        for by_seed in others:
            other = by_seed[index]
            found = other.outcomes(REASONING).item_ids
            if not np.array_equal(asked, found):
                raise RecipeError(
                    f"{other.name} answered {len(found)} questions and the start model "
                    f"{len(asked)}, and not the same ones: they cannot be paired. Evaluate all with the same "
                    "corpus, difficulty, seed and number of positions."
                )


def _context(
    recipe: ArmsRecipe, build: Build, starts: list[Judged], arms: list[Arm], decisions: list[Decision]
) -> dict[str, Any]:
    reference, method = arms[:2]
    free = reference.outcomes(REASONING), method.outcomes(REASONING)
    judged = {run.judged.name: run.judged for arm in arms for run in arm.runs}
    nats = list(starts[0].scores["thresholds_nats"].values())
    return {
        "title": recipe.title,
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "recipe": recipe,
        "reference": reference,
        "method": method,
        "gain": compare(_accuracies(*free)).difference,
        "ratio": length_ratio(*free, recipe.seed) if free[0].thought_tokens.sum() else None,
        "start": _habits([start.outcomes(REASONING) for start in starts])
        | {"forced": accuracy(pooled([start.outcomes(FORCED) for start in starts]))},
        "rows": [_row(arm) for arm in arms],
        "tiers": dict(starts[0].scores["thresholds_nats"]),
        "by_tier": [_by_tier(arm, nats) for arm in arms],
        "versus": [_versus(arm, method, nats, recipe.study) for arm in arms if arm is not method],
        "seeds": [_of_seed(recipe, index, starts, arms) for index in range(len(starts))],
        "reached": [
            _reached(index, seed, reference, method)
            for index, seed in enumerate(recipe.seeds)
            if method.runs[index].judged.scores["milestones"]  # else there is nothing to read off
        ],
        "decisions": decisions,
        "verdicts": {"holds": 0, "fails": 0, "undecided": 0} | Counter(d.verdict for d in decisions),
        "floor": f"{starts[0].floor_nats:g}",
        "against_paper": list(_against_paper(arms)) if recipe.study == "mid-training" else [],
        "sources": lineage(build.inputs),
        "short": _short(recipe, judged, decisions),
    }


def _habits(found: Sequence[Outcomes]) -> dict[str, Estimate | None]:
    """How a model answers when it is free: accuracy, share that thinks, how well, how long."""
    all_seeds = pooled(found)
    return {
        "accuracy": accuracy(all_seeds),
        "think_share": think_share(all_seeds),
        "given_thinking": accuracy_given(all_seeds, thinking=True),
        "given_direct": accuracy_given(all_seeds, thinking=False),
        "thought_tokens": thought_tokens(all_seeds),
    }


def _row(arm: Arm) -> dict[str, Any]:
    plain = arm.outcomes(PLAIN)
    return {
        "name": arm.name,
        **_habits([run.judged.outcomes(REASONING) for run in arm.runs]),
        "plain": accuracy(plain) if len(plain) else None,
        "steps": [run.steps for run in arm.runs],
        "tokens": float(np.mean([run.tokens for run in arm.runs])),
        "flops": GIGA * float(np.mean([run.gflops for run in arm.runs])),
        "charged": GIGA * float(np.mean([run.charged_gflops for run in arm.runs])),
    }


def _by_tier(arm: Arm, nats: Sequence[float]) -> dict[str, Any]:
    parts = tiers_of(arm.outcomes(REASONING), nats)
    return {"name": arm.name, "accuracy": {tier: accuracy(part) for tier, part in parts.items()}}


def _versus(arm: Arm, method: Arm, nats: Sequence[float], study: str) -> dict[str, Any]:
    """The method less another arm, by tier, paired."""
    theirs, ours = (tiers_of(one.outcomes(REASONING), nats) for one in (arm, method))
    gains = {tier: compare(_accuracies(theirs[tier], ours[tier])).difference for tier in theirs}
    return {
        "name": arm.name,
        "gains": gains,
        "paper": PAPER.get(arm.name) if study == "mid-training" else None,
    }


def _of_seed(recipe: ArmsRecipe, index: int, starts: list[Judged], arms: list[Arm]) -> dict[str, Any]:
    models = [starts[index], *(arm.runs[index].judged for arm in arms)]
    found = [model.outcomes(REASONING) for model in models]
    return {
        "name": recipe.seeds[index],
        "sources": [model.source for model in models],
        "accuracy": [accuracy(one) for one in found],
        "thought_tokens": [thought_tokens(one) for one in found],
    }


def _reached(index: int, seed: int, reference: Arm, method: Arm) -> dict[str, Any]:
    """The first evaluated checkpoint at which the method was as accurate as the reference in the end."""
    final = reference.runs[index].judged.outcomes(REASONING)
    wanted = float(np.mean(final.score / final.samples))
    there = [point for point in method.runs[index].milestones() if point[0] >= wanted]
    whole = reference.runs[index]
    found = {"seed": seed, "wanted": wanted, "tokens": whole.tokens, "flops": 1e9 * whole.gflops}
    first = there[0] if there else None
    return found | {
        "accuracy": first[0] if first else None,
        "tokens_needed": first[1] if first else None,
        "flops_needed": 1e9 * first[2] if first else None,
    }


def _against_paper(arms: Sequence[Arm]) -> Iterator[str]:
    """Where these arms and the paper point in different directions, beyond chance here."""
    method = arms[1]
    for arm in arms:
        if arm.name not in PAPER:
            continue
        here = compare(_accuracies(arm.outcomes(REASONING), method.outcomes(REASONING))).difference
        known = here.low is not None and here.high is not None
        if known and here.high < 0:  # type: ignore[operator]
            below = f"the paper has it {PAPER[arm.name]:.1f} points below"
            yield f"{arm.name} is more accurate than {method.name} here; {below}."
        elif not known or here.low <= 0:  # type: ignore[operator]
            above = f"in the paper it is by {PAPER[arm.name]:.1f} points"
            yield f"{method.name} is not clearly above {arm.name} here; {above}."


def _short(recipe: ArmsRecipe, judged: dict[str, Judged], decisions: list[Decision]) -> list[str]:
    few = []
    if len(recipe.seeds) < 5:
        few.append(
            f"Intervals are over documents of {len(recipe.seeds)} seeds: they say nothing about other seeds, "
            "of which there are too few here for an interval of their own."
        )
    return few + shortfalls(judged, decisions, {}, seeds=len(recipe.seeds))


def _summary(
    context: dict[str, Any], decisions: list[Decision]
) -> dict[str, float | int | str | bool | None]:
    summary: dict[str, float | int | str | bool | None] = {
        "gain": context["gain"].value,
        "gain_low": context["gain"].low,
        "gain_high": context["gain"].high,
        "length_ratio": context["ratio"].value if context["ratio"] else None,
    }
    for row in context["rows"]:
        summary[f"accuracy: {row['name']}"] = row["accuracy"].value
        summary[f"thought tokens: {row['name']}"] = row["thought_tokens"].value
    return summary | {f"claim: {decision.name}": decision.verdict for decision in decisions}
