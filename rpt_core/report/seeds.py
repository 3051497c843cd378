"""Stage ``report-seeds``: the same journey under several seeds, and whether the gain is there every time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import RecipeError
from rpt_core.evaluation.compare import Claim, Decision, Verdict, compare, decide
from rpt_core.evaluation.intervals import Estimate
from rpt_core.evaluation.items import REASONING
from rpt_core.evaluation.scores import accuracy, accuracy_given, paired, think_share
from rpt_core.evaluation.strategy import Split
from rpt_core.pages.ink import DARK, LIGHT, as_png, as_svg, style
from rpt_core.pages.words import environment, render
from rpt_core.recipes.report import SeedsRecipe
from rpt_core.report.figures import seeds_figure
from rpt_core.report.findings import Judged, shortfalls, split_of
from rpt_core.report.page import PAGE, PICTURE, TEXT
from rpt_core.report.sources import lineage

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Seed:
    """One seed: its two evaluations and what lies between them."""

    name: str
    before: Judged
    after: Judged
    split: Split
    gain: Estimate
    """Paired, clustered by document."""
    thinking: dict[str, Estimate | None]
    """Share that thinks and accuracy given thinking, each before and after."""


@dataclass(frozen=True, slots=True)
class MeanGain:
    """A gain averaged over seeds, under two questions."""

    value: float
    within: Estimate
    """These seeds, other documents: the error of each seed's gain, averaged."""
    across: Estimate
    """Other seeds: Student's interval of the seeds' gains. None in its ends with one seed."""
    least: float
    """The worst seed's gain."""

    def verdict(self, threshold: float) -> Verdict:
        """Whether the mean gain is above a threshold, judged by the interval over seeds."""
        if self.across.low is None or self.across.high is None:
            return "undecided"
        if self.across.low > threshold:
            return "holds"
        return "fails" if self.across.high < threshold else "undecided"


def read_seed(name: str, before: Judged, after: Judged, resample_seed: int = 0) -> Seed:
    """Compare one seed's two models.

    Raises:
        RecipeError: they answered different questions, or none.
    """
    split = split_of(before, after, resample_seed)
    if split is None:
        raise RecipeError(
            f"seed {name} was not evaluated in mode {REASONING!r}, so it has no gain to report. Evaluate "
            f"both of its models with {REASONING!r} among the modes."
        )
    found = before.outcomes(REASONING), after.outcomes(REASONING)
    thinking = {
        "think_share_before": think_share(found[0]),
        "think_share_after": think_share(found[1]),
        "given_thinking_before": accuracy_given(found[0], thinking=True),
        "given_thinking_after": accuracy_given(found[1], thinking=True),
        "before": accuracy(found[0]),
        "after": accuracy(found[1]),
    }
    return Seed(name, before, after, split, compare(paired(*found)).difference, thinking)


def mean_gain(gains: Sequence[Estimate]) -> MeanGain:
    """Average the gains of several seeds, with an interval for each way they could have come out otherwise.

    Args:
        gains: One per seed, with their clustered errors.

    Example:
        >>> one = Estimate(0.4, 0.03, 0.34, 0.46, 500, 90)
        >>> two = Estimate(0.5, 0.04, 0.42, 0.58, 500, 90)
        >>> mean = mean_gain([one, two])
        >>> round(mean.value, 3), round(mean.within.standard_error, 3), round(mean.across.standard_error, 3)
        (0.45, 0.025, 0.05)
    """
    values = np.array([gain.value for gain in gains])
    errors = [gain.standard_error for gain in gains]
    num = len(values)
    mean = float(values.mean())
    items, clusters = sum(g.num_items for g in gains), sum(g.num_clusters for g in gains)
    known = [error for error in errors if error is not None]
    within = float(np.sqrt(np.sum(np.square(known)))) / num if len(known) == num else None
    one_answer = 1 / (num * min(gain.num_items for gain in gains))  # seeds that agree are no certainty
    across = max(float(values.std(ddof=1) / np.sqrt(num)), one_answer) if num > 1 else None
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, num - 1)) if num > 1 else 0.0
    normal = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    return MeanGain(
        value=mean,
        within=_around(mean, within, normal, items, clusters),
        across=_around(mean, across, reach, num, num),
        least=float(values.min()),
    )


def _around(mean: float, error: float | None, reach: float, items: int, clusters: int) -> Estimate:
    if error is None:
        return Estimate(mean, None, None, None, items, clusters)
    return Estimate(mean, error, mean - reach * error, mean + reach * error, items, clusters)


def write_seeds_report(recipe: SeedsRecipe, build: Build) -> Outcome:
    """Write ``report.html``, ``report.md`` and ``report.png`` about several seeds of one journey.

    Raises:
        RecipeError: a seed's two models did not answer the same questions.
    """
    seeds = []
    for index, number in enumerate(recipe.seeds):
        before, after = (
            Judged.read(f"seed {number}, {name}", build.inputs[f"{side}.{index}"])
            for side, name in (("before", "start model"), ("after", f"after {recipe.method}"))
        )
        seeds.append(read_seed(str(number), before, after, recipe.seed))
    context = _context(recipe, build, seeds)
    with style():
        figure = seeds_figure([(seed.name, seed.split) for seed in seeds], context["mean"].across)
        context["figure"] = as_svg(figure, "seeds", "Gain of each seed with its interval, and their mean")
        (build.out / PICTURE).write_bytes(as_png(figure))
    templates = environment("rpt_core.report")
    render(build.out / PAGE, templates.get_template("seeds.html.j2").render(context))
    render(build.out / TEXT, templates.get_template("seeds.md.j2").render(context))
    rows = sum(len(seed.before.items) + len(seed.after.items) for seed in seeds)
    return Outcome(rows=RowCounts(rows_in=rows, kept=rows), summary=_summary(recipe, context, seeds))


def _context(recipe: SeedsRecipe, build: Build, seeds: list[Seed]) -> dict[str, Any]:
    mean = mean_gain([seed.gain for seed in seeds])
    decisions = decide(
        [
            Claim(f"seed {s.name}: {recipe.method} raises next-token accuracy", paired(*_free(s)))
            for s in seeds
        ]
    )
    return {
        "title": recipe.title,
        "method": recipe.method,
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "seeds": seeds,
        "mean": mean,
        "beyond": _mean_of(seeds, "beyond_habit"),
        "habit": _mean_of(seeds, "habit"),
        "threshold": recipe.least_gain,
        "verdict": mean.verdict(recipe.least_gain),
        "decisions": decisions,
        "verdicts": Counter(d.verdict for d in decisions),
        "floor": f"{seeds[0].after.floor_nats:g}",
        "sources": lineage(build.inputs),
        "short": _short(recipe, mean, seeds, decisions),
    }


def _free(seed: Seed) -> tuple[Any, Any]:
    return seed.before.outcomes(REASONING), seed.after.outcomes(REASONING)


def _mean_of(seeds: list[Seed], part: str) -> MeanGain | None:
    parts = [getattr(seed.split, part) for seed in seeds]
    return mean_gain(parts) if all(part is not None for part in parts) else None


def _short(recipe: SeedsRecipe, mean: MeanGain, seeds: list[Seed], decisions: list[Decision]) -> list[str]:
    found = []
    verdict = mean.verdict(recipe.least_gain)
    if verdict != "holds":
        found.append(
            f"That the mean gain is above {100 * recipe.least_gain:g} points "
            f"{'is undecided' if verdict == 'undecided' else 'fails'} over {len(seeds)} seeds."
        )
    if mean.least < 0:
        worst = min(seeds, key=lambda seed: seed.gain.value)
        found.append(f"Seed {worst.name} lost {-100 * worst.gain.value:.1f} points.")
    if len(seeds) < 5:
        found.append(
            f"{len(seeds)} seeds say little about other seeds: the interval over seeds has "
            f"{len(seeds) - 1} degrees of freedom."
        )
    judged = {model.name: model for seed in seeds for model in (seed.before, seed.after)}
    return found + shortfalls(judged, decisions, {}, seeds=len(seeds))


def _summary(
    recipe: SeedsRecipe, context: dict[str, Any], seeds: list[Seed]
) -> dict[str, float | int | str | bool | None]:
    mean: MeanGain = context["mean"]
    summary: dict[str, float | int | str | bool | None] = {
        "mean_gain": mean.value,
        "mean_gain_low": mean.across.low,
        "mean_gain_high": mean.across.high,
        "least_gain": mean.least,
        "mean_gain_beyond_habit": context["beyond"].value if context["beyond"] else None,
        f"claim: mean gain above {recipe.least_gain:g}": context["verdict"],
    }
    for seed in seeds:
        summary[f"gain_seed_{seed.name}"] = seed.gain.value
    return summary
