"""Several trainings from one start model, at equal training tokens: what RMT's and RPT's studies share.

All is paired by question and clustered by document; the documents of all seeds are pooled, so an interval
speaks of these seeds and other documents.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rpt_core.artifacts.build import GIGA
from rpt_core.evaluation.items import FORCED, PLAIN, REASONING
from rpt_core.evaluation.scores import Outcomes, accuracy
from rpt_core.evaluation.statistics.compare import Claim, Decision, compare, decide
from rpt_core.evaluation.statistics.intervals import (
    Estimate,
    cluster_bootstrap,
    cluster_totals,
    clustered_ratio,
)
from rpt_core.pages.words import percent, points
from rpt_core.recipes.reports.report import ArmsRecipe
from rpt_core.report.blocks import (
    Cell,
    Inline,
    KeyFigure,
    Notes,
    Row,
    Section,
    Table,
    amount,
    count,
    flops,
    gain,
    say,
    share,
)
from rpt_core.report.models import HABITS, Evaluated, Model, Models, TrainingLog, habits, pair, right
from rpt_core.report.study import CUT, Study, Summary, claims_section, claims_summary, ended, shortfalls


def page(
    recipe: ArmsRecipe,
    models: Models,
    claims: Iterator[Claim],
    *,
    more: Sequence[Section] = (),
    paper: Mapping[str, float] | None = None,
    against_paper: Sequence[str] = (),
) -> Study:
    """The page about them.

    Args:
        recipe: Names, seeds and thresholds.
        models: Of the arms, the reference first, then the method.
        claims: What this study claims of them.
        more: Its own sections.
        paper: By arm, points of accuracy the method had over it in its paper.
        against_paper: Where the two point in different directions.
    """
    decisions = decide(list(claims))
    reference, method = models.arms[:2]
    free = reference.outcomes(REASONING), method.outcomes(REASONING)
    change = compare(pair(*free)).difference
    ratio = length_ratio(*free, recipe.seed) if free[0].thought_tokens.sum() else None
    seeds = ", ".join(map(str, recipe.seeds))
    fixed = (
        "Fixed before any number was seen. A difference in length is in points of the reference's mean "
        "length."
    )
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(models.arms)} trainings from one start model · seeds {seeds}",
        lead=_lead(reference, method, change, ratio),
        facts=list(_facts(models, change, ratio, decisions)),
        models=models.all,
        decisions=decisions,
        sections=[
            _every_arm(models),
            _by_tier(models, paper, against_paper),
            *more,
            *_reached(recipe, reference, method),
            _by_seed(recipe, [models.start, *models.arms]),
            claims_section(decisions, fixed),
        ],
        short=shortfalls(models.all, decisions, num_seeds=len(recipe.seeds)),
        footer=f"Positions of {models.start.evaluations[0].floor_nats:g} nats and more under the proxy "
        "model, the ones training asks about. All arms are judged by one rule: the prefix reward of RPT. "
        f"{CUT}",
        summary=_summary(models, change, ratio) | claims_summary(decisions),
    )


def thought_tokens(found: Outcomes) -> Estimate:
    """Mean length of a thought, over all answers; 0 for those without one."""
    return clustered_ratio(found.thought_tokens, found.samples, found.documents).within(0.0, np.inf)


def length_ratio(reference: Outcomes, method: Outcomes, seed: int) -> Estimate:
    """The method's thinking as a share of the reference's, by documents resampled together."""
    lengths = np.column_stack([reference.thought_tokens, method.thought_tokens])
    totals = cluster_totals(lengths, reference.documents)
    found = cluster_bootstrap(totals, lambda t: t[:, 1] / t[:, 0], seed=seed, num_items=len(reference))
    return found.within(0.0, np.inf)


def milestones(one: Evaluated, trained: TrainingLog) -> Iterator[tuple[float, int, float]]:
    """Accuracy where training asks, training tokens and GFLOPs at each evaluated checkpoint."""
    for checkpoint in one.scores["milestones"]:
        found = one.milestone(checkpoint["step"]).above(one.floor_nats)
        yield float(np.mean(right(found))), *trained.used(checkpoint["step"])


def _lead(reference: Model, method: Model, change: Estimate, ratio: Estimate | None) -> tuple[Inline, ...]:
    said = f"At equal training tokens, {method.name} changes accuracy against {reference.name} by {{}} points"
    if ratio is None:
        return say(f"{said}.", gain(change))
    return say(f"{said} and thinks for {{}} of its tokens.", gain(change), share(ratio))


def _facts(
    models: Models, change: Estimate, ratio: Estimate | None, decisions: Sequence[Decision]
) -> Iterator[KeyFigure]:
    reference, method = models.arms[:2]
    yield KeyFigure.of(gain(change), f"{method.name} less {reference.name}, points")
    if ratio:
        yield KeyFigure.of(share(ratio), "of its thinking length")
    name = f"{models.start.name} made to think"
    yield KeyFigure.of(models.start.accuracy(FORCED), name, f"free: {models.start.accuracy(REASONING).text}")
    verdicts = Cell(" / ".join(map(str, ended(decisions).values())))
    yield KeyFigure(verdicts, "claims hold / fail / undecided", "one error rate for all (Holm)")


def _every_arm(models: Models) -> Section:
    start = models.start.outcomes(REASONING)
    lead = say(
        "All start from the same model, which thinks in {} of its answers and is then right in {}; made to "
        "think, in {}. 95 % intervals over documents of all seeds, pooled.",
        HABITS["thinks"](start),
        HABITS["right when thinking"](start),
        models.start.accuracy(FORCED),
    )

    def mean(arm: Model, number: int) -> float:
        used = [(*trained.used(), trained.charged_gflops) for trained in arm.trainings]
        return float(np.mean([one[number] for one in used])) if used else 0.0

    columns = {
        **habits(REASONING),
        "thought tokens": lambda model: amount(thought_tokens(model.outcomes(REASONING))),
        "plain": lambda model: model.accuracy(PLAIN) if model.trainings else "",
        "steps": lambda model: ", ".join(str(len(trained.steps)) for trained in model.trainings),
        "training tokens": lambda model: count(mean(model, 0)) if model.trainings else "",
        "FLOPs": lambda model: flops(GIGA * mean(model, 1)) if model.trainings else "",
        "proxy and judge": lambda model: flops(GIGA * mean(model, 2)) if model.trainings else "",
    }
    caption = (
        "FLOPs are those of the training itself: answers drawn, updates, attention and all. The last column "
        "is charged on top to the arms that need it: the proxy's pass over the corpus where it chose the "
        "positions, and a judge that runs beside the training."
    )
    table = Table.of("arm", (models.start, *models.arms), columns, caption=caption)
    return Section("Every arm", [lead, table])


def _by_tier(models: Models, paper: Mapping[str, float] | None, against_paper: Sequence[str]) -> Section:
    """Accuracy by nested tier, and the method less each other arm."""
    tiers = models.start.evaluations[0].tiers_nats
    method, parts = models.arms[1].name, {arm.name: arm.tiers(REASONING) for arm in models.arms}

    def less(name: str) -> Row:
        gains = [gain(compare(pair(of, parts[method][tier])).difference) for tier, of in parts[name].items()]
        if paper is None:
            return (name, *gains)
        known = points(paper[name] / 100) if name in paper else Cell("not run", look="muted")
        return (name, *gains, known)

    beside = () if paper is None else ("in the paper, mean of tiers",)
    lead = (
        f"{method} less each other arm, points, paired by question and clustered by document"
        f"{'; beside it what the paper found at 14 B' if beside else ''}."
    )
    head = ("arm", *(f"{tier} (≥ {start:g} nats)" for tier, start in tiers.items()))
    rows: list[Row] = [
        (name, *(share(accuracy(part)) for part in found.values())) for name, found in parts.items()
    ]
    versus = Table(("less", *tiers, *beside), [less(name) for name in parts if name != method])
    notes = [Notes(against_paper)] if against_paper else []
    return Section("By tier", [Table(head, rows), lead, versus, *notes])


def _reached(recipe: ArmsRecipe, reference: Model, method: Model) -> Iterator[Section]:
    """The first evaluated checkpoint at which the method was as accurate as the reference in the end."""
    rows: list[Row] = []
    for number, seed in enumerate(recipe.seeds):
        one, trained = method.evaluations[number], method.trainings[number]
        if one.scores["milestones"]:  # else there is nothing to read off
            wanted = float(np.mean(right(reference.evaluations[number].outcomes(REASONING))))
            first = next((point for point in milestones(one, trained) if point[0] >= wanted), None)
            whole = _used(*reference.trainings[number].used())
            never = (Cell("not reached at any checkpoint", look="muted"), "–")
            needed = _used(*first[1:]) if first else never
            rows.append((str(seed), Cell(percent(wanted), value=wanted), *whole, *needed))
    if rows:
        names = f"{reference.name}: tokens", "FLOPs", f"{method.name}: tokens", "FLOPs"
        lead = (
            "Read off the checkpoints that were evaluated, so the true point lies at or before the one named."
        )
        table = Table(("seed", "accuracy to reach", *names), rows, narrow=True)
        yield Section(f"Tokens and compute to reach {reference.name}'s final accuracy", [lead, table])


def _used(tokens: int, gflops: float) -> Row:
    return count(tokens), flops(GIGA * gflops)


def _by_seed(recipe: ArmsRecipe, models: Sequence[Model]) -> Section:
    rows: list[Row] = []
    for number, seed in enumerate(recipe.seeds):
        free = [(one, one.outcomes(REASONING)) for one in (model.evaluations[number] for model in models)]
        rows.append((f"{seed}, accuracy", *(share(accuracy(found), one.source) for one, found in free)))
        lengths = (amount(thought_tokens(found), one.source) for one, found in free)
        rows.append((f"{seed}, thought tokens", *lengths))
    return Section("By seed", [Table(("seed", *(model.name for model in models)), rows)])


def _summary(models: Models, change: Estimate, ratio: Estimate | None) -> Summary:
    summary: Summary = {"gain": change.value, "gain_low": change.low, "gain_high": change.high}
    summary["length_ratio"] = ratio.value if ratio else None
    for arm in models.arms:
        free = arm.outcomes(REASONING)
        summary[f"accuracy: {arm.name}"] = accuracy(free).value
        summary[f"thought tokens: {arm.name}"] = thought_tokens(free).value
    return summary
