"""One journey: what was done, what was found, and what fell short.

The claims are fixed here, before any number is seen. All are paired, clustered by document or problem, and
held to one error rate together (Holm).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rpt_core.artifacts.build import TIMINGS_PAGE, Build
from rpt_core.artifacts.manifest import Outcome
from rpt_core.evaluation.items import FORCED, INSTRUCTED, PLAIN, PROBLEMS, REASONING
from rpt_core.evaluation.scores import (
    Outcomes,
    accuracy,
    accuracy_given,
    bins,
    outcomes,
    think_share,
    tiers_of,
)
from rpt_core.evaluation.statistics.compare import Claim, compare, decide
from rpt_core.evaluation.strategy import Split, split_gain
from rpt_core.pages.ink import as_png, style
from rpt_core.pages.words import count_of, points
from rpt_core.recipes.reports.report import START, ReportRecipe
from rpt_core.report import figures
from rpt_core.report.blocks import (
    Cell,
    Columns,
    Inline,
    KeyFigure,
    Row,
    Section,
    Table,
    count,
    flops,
    gain,
    say,
    share,
)
from rpt_core.report.excerpts import law_section, patterns_section, rollouts_section, undecided_laws
from rpt_core.report.models import Evaluated, Model, pair, thinks
from rpt_core.report.sources import StageRow, fact, journey, lineage, source_of
from rpt_core.report.study import (
    CUT,
    Study,
    Summary,
    claims_section,
    claims_summary,
    ended,
    questions,
    shortfalls,
)
from rpt_core.scaling.fit import read_fit

MODES = {
    PLAIN: "plain next token",
    INSTRUCTED: "plain, instructed",
    REASONING: "thinks if it likes",
    FORCED: "made to think",
    PROBLEMS: "exact answer",
}
TOLERATED_LOSS = 0.05
"""How much plain accuracy a training may cost before a report calls it forgetting."""
MOST = 6
"""Reasons for dropping, and facts, that one stage's row names."""


def study(recipe: ReportRecipe, build: Build) -> Study:
    """The page about one training: a start model, the trained one, and that after verifiable rewards."""
    names = {"before": START, "after": f"after {recipe.method}", "finetuned": "after RLVR"}
    judged = [Evaluated.read(name, build.inputs[place]) for place, name in names.items()]
    before, after, finetuned = judged
    models = [Model(one.name, (one,)) for one in judged]
    fit = read_fit(build.inputs["scaling"])
    decisions = decide(list(claims(before, after, finetuned, recipe.least_gain, recipe.method)))
    split = split_of(before, after, recipe.seed)
    roles = {one.source.fingerprint: f"Evaluated: {one.name}" for one in judged}
    stages = journey(lineage(build.inputs), roles)
    with style():
        image = as_png(figures.picture(judged, fit, recipe.title))
        sections = [
            _found(judged, fit),
            claims_section(
                decisions,
                "Written down in code before any number was seen. Each compares two models on the same "
                "questions; intervals and exact tests are clustered by document, and the p-values are Holm's "
                "over all of them.",
            ),
            *([_strategy(before, after, split)] if split else []),
            *rollouts_section(before, after, recipe.rollouts, recipe.seed),
            _all_accuracies(judged),
            law_section(fit, source_of(build.inputs["scaling"], "scaling")),
            patterns_section(before, after, recipe.seed),
            _done(stages),
        ]
    holds, fails, undecided = ended(decisions).values()
    verdicts = KeyFigure(
        Cell(f"{holds} of {len(decisions)}"), "claims hold", f"{fails} fail, {undecided} undecided"
    )
    return Study(
        title=recipe.title,
        eyebrow="Report · reinforcement learning on plain text",
        lead=_lead(before, after, split),
        facts=[*_facts(before, after, finetuned), *([verdicts] if decisions else [])],
        models=models,
        decisions=decisions,
        sections=sections,
        short=shortfalls(models, decisions, *undecided_laws(fit)),
        footer=f"Positions of {after.floor_nats:g} nats and more under the proxy model are the ones training "
        "asks about; claims and the split are about them. Intervals: Korn and Graubard for shares, Student "
        f"for differences, bootstrap over documents for the split and the law. {CUT}",
        summary=_summary(before, after, split) | claims_summary(decisions),
        picture=image,
        picture_label="Accuracy by difficulty, and over training compute",
        stages=stages,
    )


def claims(
    before: Evaluated, after: Evaluated, finetuned: Evaluated | None, least_gain: float, method: str = "RPT"
) -> Iterator[Claim]:
    """What the page claims of two or three models, of those questions that were asked."""
    free = before.outcomes(REASONING), after.outcomes(REASONING)
    if len(free[0]) and len(free[1]):
        yield Claim(f"{method} raises next-token accuracy", pair(*free))
        yield Claim(f"{method} raises it by more than {100 * least_gain:g} points", pair(*free), least_gain)
        yield Claim(f"{method} makes more answers think", pair(*free, thinks))
        if len(forced := before.outcomes(FORCED)):
            yield Claim(f"{method} brings more than the habit of thinking", pair(forced, free[1]))
    plain = before.outcomes(PLAIN), after.outcomes(PLAIN)
    if len(plain[0]) and len(plain[1]):
        if len(free[1]):
            yield Claim("the trained model's thinking beats its own plain guess", pair(plain[1], free[1]))
        name = f"plain prediction loses less than {100 * TOLERATED_LOSS:g} points"
        yield Claim(name, pair(*plain), -TOLERATED_LOSS)
    if finetuned is not None:
        solved = after.outcomes(PROBLEMS), finetuned.outcomes(PROBLEMS)
        if len(solved[0]) and len(solved[1]):
            yield Claim("verifiable rewards raise accuracy on problems", pair(*solved))


def split_of(before: Evaluated, after: Evaluated, seed: int) -> Split | None:
    """How much of the gain is the habit of thinking; None where nothing was asked."""
    free = before.outcomes(REASONING), after.outcomes(REASONING)
    if not len(free[0]) or not len(free[1]):
        return None
    forced = before.outcomes(FORCED)
    return split_gain(*free, forced if len(forced) else None, seed=seed)


def _lead(before: Evaluated, after: Evaluated, split: Split | None) -> tuple[Inline, ...]:
    if split is None:
        return ()
    found = say(
        "Asked for the next token where it is hard to guess, the start model is right {} of the time; after "
        "reinforcement learning on plain text, {}.",
        before.accuracy(REASONING),
        after.accuracy(REASONING),
    )
    if split.habit is None:
        return found
    return found + say(
        " Of the {} points between them, {} are what the start model would have gained by always thinking, "
        "and {} come on top of that.",
        *map(gain, (split.gain, split.habit, split.beyond_habit)),
    )


def _facts(before: Evaluated, after: Evaluated, finetuned: Evaluated) -> Iterator[KeyFigure]:
    for name, model, mode in (
        ("start model, next token", before, REASONING),
        (f"{after.name}, next token", after, REASONING),
        ("start model made to think", before, FORCED),
        ("after RLVR, problems", finetuned, PROBLEMS),
    ):
        if len(model.outcomes(mode)):
            yield KeyFigure.of(model.accuracy(mode), name)


def _found(judged: Sequence[Evaluated], fit: dict[str, Any]) -> Section:
    points_are = (
        "Points are checkpoints of one training, answering the same questions. A curve with a band is the "
        "fitted law; dotted points have none."
    )
    lead = (
        "Accuracy on held-out text and problems, with 95 % intervals clustered by document. Tiers are "
        "nested: every hard position is also a medium and an easy one. A model may think before it "
        "answers, or is made to."
    )
    cards = (
        figures.card(
            figures.accuracy_figure(judged), "accuracy", "Held-out accuracy by tier and mode",
            "Accuracy by difficulty",
        ),
        figures.card(
            figures.curve_figure(fit), "curve", "Accuracy over training compute, with fitted laws",
            "Accuracy over training compute", points_are,
        ),
    )  # fmt: skip
    return Section("What was found", [lead, Columns(cards)])


def _strategy(before: Evaluated, after: Evaluated, split: Split) -> Section:
    """Whether the model thinks more often, or better."""
    shown = {
        "share that thinks": "thinks",
        "right when thinking": "right when thinking",
        "right when guessing": "right when guessing",
        "right, all answers": "accuracy",
    }
    habits: list[Row] = [(label, before.habit(name), after.habit(name)) for label, name in shown.items()]
    habits.append(("right when made to think", before.accuracy(FORCED), after.accuracy(FORCED)))
    parts = [
        ("thinking more often", split.thinking_more, "change of share, at the mean advantage of thinking"),
        ("thinking better", split.thinking_better, "change when thinking, at the mean share"),
        ("guessing better", split.guessing_better, "change when guessing, at the mean share"),
        ("the habit alone", split.habit, "the start model made to think, less the start model left free"),
        ("beyond the habit", split.beyond_habit, "the trained model, less the start model made to think"),
    ]
    free = [accuracy(one.outcomes(REASONING)) for one in (before, after)]
    figure = figures.strategy_figure(split, free[0], free[1])
    card = figures.card(
        figure,
        "strategy",
        "The gain: habit of thinking, and beyond it",
        f"From start to trained, positions of {after.floor_nats:g} nats and more",
        "The bars are the cut free of choice: a model free to think chooses where it does, a model made to "
        "think does not.",
    )
    lead = (
        "A gain has two easy sources: the model thinks more often, or it thinks better. The start model was "
        "also made to think: what it gains by that needed no learning but the habit."
    )
    whole = Table(
        (f"part of the gain of {points(split.gain.value)} points", "points", "what it is"),
        [(name, gain(part, after.source), meaning) for name, part, meaning in parts if part is not None],
        words=frozenset({2}),
        caption="The first three add up to the gain exactly (Oaxaca and Blinder, symmetric form), and so do "
        "the last two.",
    )
    habit = Table(("", before.name, after.name), habits, narrow=True)
    return Section("Strategy or better thinking?", [lead, Columns((card, habit)), whole])


def _all_accuracies(judged: Sequence[Evaluated]) -> Section:
    """One value per model: nested tiers by mode, disjoint bins, problems, pass@k."""
    tiers = judged[1].tiers_nats
    ranges = list(bins(list(tiers.values())))[:-1]
    groups = [
        (f"{tier} (≥ {start:g} nats)", _rows(judged, "accuracy", tier)) for tier, start in tiers.items()
    ]
    groups += [(f"only {name}", _rows(judged, "bins", name)) for name in ranges]
    groups.append(("problems", _rows(judged, "accuracy", "all")))
    groups.append(("other benchmarks", _rows(judged, "accuracy", "all", _other_modes(judged))))
    groups.append(("right in any of k answers", _pass_rows(judged, next(iter(tiers)))))
    names = [one.name for one in judged]
    samples = judged[1].scores["samples"]
    table = Table(
        ("tier and mode", "questions", *names, f"{names[0]} → {names[1]}"),
        groups=[(name, rows) for name, rows in groups if rows],
        caption=f"Each question is answered {samples} times; accuracy is the mean over answers "
        f"(avg@{samples}), pass@{samples} whether any of them is right. Ranges that end are disjoint; the "
        "open one is the last tier.",
    )
    return Section("All accuracies", [table])


def _other_modes(judged: Sequence[Evaluated]) -> dict[str, str]:
    """Modes that were asked and have no words of their own here; each is shown by its name."""
    return {mode: mode for one in judged for mode in one.scores["modes"] if mode not in MODES}


def _rows(judged: Sequence[Evaluated], field: str, tier: str, labels: Mapping[str, str] = MODES) -> list[Row]:
    rows = []
    for mode, label in labels.items():
        estimates = [one.scores["modes"].get(mode, {}).get(field, {}).get(tier) for one in judged]
        if any(estimates):
            before, after = (_tier(one, mode, tier) for one in judged[:2])
            known = before is not None and after is not None
            difference = compare(pair(before, after)).difference if known else None  # type: ignore[arg-type]
            rows.append(_row(label, judged, estimates, difference))
    return rows


def _pass_rows(judged: Sequence[Evaluated], tier: str) -> list[Row]:
    rows = []
    for mode, key in ((REASONING, tier), (PROBLEMS, "all")):
        by_model = [one.scores["modes"].get(mode, {}).get("pass_at", {}) for one in judged]
        for k in sorted({int(k) for found in by_model for k in found} - {1}):
            estimates = [found.get(str(k), {}).get(key) for found in by_model]
            name = f"pass@{k}, {'problems' if mode == PROBLEMS else tier}"
            rows.append(_row(name, judged, estimates, None))
    return rows


def _row(name: str, judged: Sequence[Evaluated], estimates: Sequence[Any], difference: Any) -> Row:
    shares = (share(found, one.source) for found, one in zip(estimates, judged, strict=True))
    return (name, questions(next(e for e in estimates if e)), *shares, gain(difference, judged[1].source))


def _tier(one: Evaluated, mode: str, tier: str) -> Outcomes | None:
    """The outcomes of a nested tier or a disjoint bin; positions below the floor are among them."""
    nats = list(one.tiers_nats.values())
    found = outcomes(one.items, mode)
    if tier in bins(nats):
        found = found.of_tiers(bins(nats)[tier])
        return found if len(found) else None
    return tiers_of(found, nats).get(tier)


def _done(stages: Sequence[StageRow]) -> Section:
    """Every stage with its balance."""
    unknown = "No manifests came with the inputs, so the stages before the evaluations are not known here."
    if not stages:
        return Section("What was done", [unknown])
    rows = [
        (Cell(stage.name, source=stage.source), count(done.rows.rows_in), count(done.rows.kept),
         _dropped(done), flops(done.flops), count(done.tokens))
        for stage, done in ((stage, stage.manifest.outcome) for stage in stages)
    ]  # fmt: skip
    done = [stage.manifest.outcome for stage in stages]
    total = sum(one.flops for one in done), sum(one.tokens for one in done)
    table = Table(
        ("stage", "in", "kept", "dropped", "FLOPs", "tokens"),
        rows,
        total=("together", "", "", "", flops(total[0]), count(total[1])),
        words=frozenset({3}),
        caption=f"Attempts and dates of each stage stand beside this page in {TIMINGS_PAGE}.",
    )
    lead = "Every stage, what went in, what was kept, and why the rest was not."
    return Section("What was done", [lead, table])


def _dropped(done: Outcome) -> Cell:
    """The most frequent reasons first, and what the stage says of itself."""
    dropped = sorted(done.rows.dropped.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = [f"{count_of(num)} {reason}" for reason, num in dropped[:MOST]]
    reasons += [f"{len(dropped) - MOST} more reasons"] if len(dropped) > MOST else []
    facts = [f"{name.replace('_', ' ')} {fact(value)}" for name, value in done.summary.items()][:MOST]
    return Cell(", ".join(reasons) or "nothing", look="muted", facts=tuple(facts), value=done.rows.dropped)


def _summary(before: Evaluated, after: Evaluated, split: Split | None) -> Summary:
    summary: Summary = {}
    for side, one in (("before", before), ("after", after)):
        found = one.outcomes(REASONING)
        summary[f"accuracy_{side}"] = accuracy(found).value if len(found) else None
        if len(found):
            summary[f"share_that_thinks_{side}"] = think_share(found).value
            if given := accuracy_given(found, thinking=True):
                summary[f"right_when_thinking_{side}"] = given.value
    if split:
        summary |= {"gain": split.gain.value, "gain_low": split.gain.low, "gain_high": split.gain.high}
        summary["accuracy_made_to_think"] = split.forced.value if split.forced else None
        summary["gain_beyond_habit"] = split.beyond_habit.value if split.beyond_habit else None
    return summary
