"""The same journey under several seeds, and whether the gain is there every time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats

from rpt_core.artifacts.build import Build
from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import REASONING
from rpt_core.evaluation.runs import over_runs
from rpt_core.evaluation.statistics.compare import Claim, PairedItems, Verdict, compare, decide
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.evaluation.strategy import Split
from rpt_core.pages.ink import as_png, style
from rpt_core.pages.words import ends, points
from rpt_core.recipes.reports.report import START, SeedsRecipe
from rpt_core.report.blocks import Card, Cell, Inline, KeyFigure, Section, Table, chip, gain, say, share
from rpt_core.report.figures import card, seeds_figure
from rpt_core.report.journey import split_of
from rpt_core.report.models import Evaluated, Model, pair
from rpt_core.report.study import CUT, FEW_SEEDS, Study, Summary, claims_section, ended, questions, shortfalls

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class MeanGain:
    """A gain averaged over seeds, under two questions."""

    value: float
    within: Estimate
    """These seeds, other documents: the error of each seed's gain, averaged; both ends within what shares
    can differ by."""
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
    normal = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    return MeanGain(
        value=mean,
        within=_around(mean, within, normal, items, clusters).within(-1.0, 1.0),
        across=over_runs(values, least_error=one_answer, confidence=CONFIDENCE).within(-1.0, 1.0),
        least=float(values.min()),
    )


def _around(mean: float, error: float | None, reach: float, items: int, clusters: int) -> Estimate:
    if error is None:
        return Estimate(mean, None, None, None, items, clusters)
    return Estimate(mean, error, mean - reach * error, mean + reach * error, items, clusters)


@dataclass(frozen=True)
class Seed:
    """One seed: its two evaluations and what lies between them."""

    name: str
    before: Evaluated
    after: Evaluated
    split: Split
    pairs: PairedItems

    @classmethod
    def read(cls, recipe: SeedsRecipe, number: int, inputs: Mapping[str, Path]) -> "Seed":
        """From the folders of its evaluations.

        Raises:
            RecipeError: they answered different questions, or none.
        """
        name = str(recipe.seeds[number])
        sides = ("before", START), ("after", f"after {recipe.method}")
        before, after = (
            Evaluated.read(f"seed {name}, {who}", inputs[f"{side}.{number}"]) for side, who in sides
        )
        split = split_of(before, after, recipe.seed)
        if split is None:
            raise RecipeError(
                f"seed {name} was not evaluated in mode {REASONING!r}, so it has no gain to report. Evaluate "
                f"both of its models with {REASONING!r} among the modes."
            )
        return cls(name, before, after, split, pair(before.outcomes(REASONING), after.outcomes(REASONING)))

    @property
    def gain(self) -> Estimate:
        """Paired, clustered by document."""
        return compare(self.pairs).difference


def study(recipe: SeedsRecipe, build: Build) -> Study:
    """The page about several seeds of one journey."""
    seeds = [Seed.read(recipe, number, build.inputs) for number in range(len(recipe.seeds))]
    start, after = tuple(one.before for one in seeds), tuple(one.after for one in seeds)
    models = [Model(START, start), Model(f"after {recipe.method}", after)]
    mean = mean_gain([one.gain for one in seeds])
    habit, beyond = _mean(seeds, "habit"), _mean(seeds, "beyond_habit")
    decisions = decide(
        [Claim(f"seed {one.name}: {recipe.method} raises next-token accuracy", one.pairs) for one in seeds]
    )
    with style():
        figure = seeds_figure([(one.name, one.split) for one in seeds], mean.across)
        drawing = card(figure, "seeds", "Gain of each seed with its interval, and their mean", width=640)
        image = as_png(figure)
    least, verdict = points(recipe.least_gain), chip(mean.verdict(recipe.least_gain))
    exact = " (interval over seeds). Seed by seed, with exact tests and Holm's correction:"
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(seeds)} seeds",
        lead=_lead(len(seeds), mean, beyond),
        facts=[
            *_facts(mean, habit, beyond, f"{ended(decisions)['holds']} of {len(seeds)} gain beyond chance"),
            KeyFigure(verdict, f"mean gain above {least}", "by the interval over seeds"),
        ],
        models=models,
        decisions=decisions,
        sections=[
            _gains(recipe, seeds, (mean, habit, beyond), drawing),
            _thinking(seeds),
            claims_section(decisions, f"That the mean gain is above {least} points: ", verdict, exact),
        ],
        short=[*_short(recipe, mean, seeds), *shortfalls(models, decisions, num_seeds=0)],
        footer=f"Positions of {after[0].floor_nats:g} nats and more under the proxy model, the ones training "
        f"asks about. {CUT}",
        summary=_summary(recipe, mean, beyond, seeds),
        picture=image,
        picture_label="Gain by seed",
    )


def _mean(seeds: Sequence[Seed], part: str) -> MeanGain | None:
    parts = [getattr(seed.split, part) for seed in seeds]
    return mean_gain(parts) if all(part is not None for part in parts) else None


def _lead(num: int, mean: MeanGain, beyond: MeanGain | None) -> tuple[Inline, ...]:
    found = say(
        f"Over {num} {'seed' if num == 1 else 'seeds'}, reinforcement learning on plain text changes sampled "
        f"next-token accuracy by {{}} points on average, and by {points(mean.least)} in the worst seed.",
        gain(mean.across),
    )
    more = " Of the mean, {} is beyond what the start models gain by always thinking."
    return found + say(more, gain(beyond.across)) if beyond else found


def _facts(mean: MeanGain, habit: MeanGain | None, beyond: MeanGain | None, sure: str) -> Iterator[KeyFigure]:
    def over_seeds(found: MeanGain, name: str) -> KeyFigure:
        one = found.across.low is None
        fact = KeyFigure.of(gain(found.across), name)
        return replace(fact, below="one seed: no interval over seeds" if one else f"{fact.below} over seeds")

    yield over_seeds(mean, "mean gain, points")
    yield KeyFigure(Cell(points(mean.least)), "worst seed, points", sure)
    if habit:
        yield KeyFigure(
            Cell(points(habit.value)), "the habit of thinking, points", "made to think, less free"
        )
    if beyond:
        yield over_seeds(beyond, "beyond the habit, points")


def _gains(
    recipe: SeedsRecipe, seeds: Sequence[Seed], means: Sequence[MeanGain | None], drawing: Card
) -> Section:
    columns = {
        "questions": lambda one: questions(one.gain.as_json()),
        START: lambda one: one.before.accuracy(REASONING),
        "made to think": lambda one: share(one.split.forced, one.before.source),
        f"after {recipe.method}": lambda one: one.after.accuracy(REASONING),
        "gain, points": lambda one: gain(one.gain, one.after.source),
        "habit": lambda one: gain(one.split.habit, one.before.source),
        "beyond it": lambda one: gain(one.split.beyond_habit, one.after.source),
    }
    total = ("mean, interval over seeds", *[""] * 4, *(gain(mean and mean.across) for mean in means))
    within = means[0] and means[0].within
    known = f"[{ends(within, points)}]" if within and within.low is not None else "an unknown range"
    caption = f"For these very seeds and other documents of their worlds, the mean gain lies in {known}."
    lead = (
        "Paired differences on the same held-out questions, 95 % intervals clustered by document. The "
        "interval of the mean is over seeds: other seeds would mean other worlds, weights and answers."
    )
    table = Table.of("seed", seeds, columns, total=total, narrow=True, caption=caption)
    return Section("Gain by seed", [lead, drawing, table])


def _thinking(seeds: Sequence[Seed]) -> Section:
    columns = {
        "thinks, before": lambda one: one.before.habit("thinks"),
        "thinks, after": lambda one: one.after.habit("thinks"),
        "right when thinking, before": lambda one: one.before.habit("right when thinking"),
        "right when thinking, after": lambda one: one.after.habit("right when thinking"),
    }
    table = Table.of("seed", seeds, columns)
    return Section("Thinking, before and after", [table])


def _short(recipe: SeedsRecipe, mean: MeanGain, seeds: Sequence[Seed]) -> Iterator[str]:
    verdict = mean.verdict(recipe.least_gain)
    if verdict != "holds":
        end = "is undecided" if verdict == "undecided" else "fails"
        yield f"That the mean gain is above {100 * recipe.least_gain:g} points {end} over {len(seeds)} seeds."
    if mean.least < 0:
        worst = min(seeds, key=lambda seed: seed.gain.value)
        yield f"Seed {worst.name} lost {-100 * worst.gain.value:.1f} points."
    if len(seeds) < FEW_SEEDS:
        yield (
            f"{len(seeds)} seeds say little about other seeds: the interval over seeds has {len(seeds) - 1} "
            "degrees of freedom."
        )


def _summary(recipe: SeedsRecipe, mean: MeanGain, beyond: MeanGain | None, seeds: Sequence[Seed]) -> Summary:
    summary: Summary = {"mean_gain": mean.value, "mean_gain_low": mean.across.low}
    summary |= {"mean_gain_high": mean.across.high, "least_gain": mean.least}
    summary["mean_gain_beyond_habit"] = beyond.value if beyond else None
    summary[f"claim: mean gain above {recipe.least_gain:g}"] = mean.verdict(recipe.least_gain)
    return summary | {f"gain_seed_{seed.name}": seed.gain.value for seed in seeds}
