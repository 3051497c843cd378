"""Sections of the page about an imperfect teacher: arms, claims, pass@k, faults, cost and tuning."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import exp

import numpy as np
from numpy.typing import NDArray

from rpt_core.artifacts.build import GIGA
from rpt_core.evaluation.kept.arm import (
    FAULTS,
    SHARED,
    ArmOutcomes,
    fault_shares,
    thought_entropy,
    thought_tokens,
)
from rpt_core.evaluation.runs import over_runs
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.pages.words import listed, minus_signs, number_word, p_value, percent, points
from rpt_core.report.blocks import (
    NOTHING,
    Cell,
    Inline,
    Row,
    Section,
    Table,
    amount,
    by_seed,
    chip,
    count,
    flops,
    gain,
    nats,
    share,
)
from rpt_core.report.outcomes.claims import Claim, Judged
from rpt_core.report.outcomes.values import (
    ENDS,
    Arm,
    ScoreName,
    curve,
    differences,
    never_solved,
    over_documents,
)

MANY_TRIES = 16
"""From here on pass@k says whether a model finds more than its start."""
LEAST_BUDGET = 0.95
"""Of what arms are usually charged with, below which one is not at equal FLOPs with the others."""


def mean_over(values: Mapping[int, float] | Sequence[float]) -> Estimate | None:
    """Mean over seeds with Student's interval, none where all seeds agree; None of no seed."""
    numbers = list(values.values()) if isinstance(values, Mapping) else list(values)
    return over_runs(numbers) if numbers else None


def mean_share(values: Mapping[int, float]) -> Estimate | None:
    """The same of shares: an interval ends where a share does."""
    found = mean_over(values)
    return found.within(0.0, 1.0) if found else None


def claims_table(found: Sequence[Judged], arms: Mapping[str, Arm]) -> Section:
    """Every claim with its end, its interval over seeds, and beside it the one over documents."""

    def documents(one: Judged) -> Inline:
        claim = one.claim
        if claim.score != "accuracy" or not one.seeds:
            return NOTHING
        return gain(over_documents(arms[claim.method], arms[claim.reference]))

    columns: dict[str, Callable[[Judged], Inline]] = {
        "claim": lambda one: one.claim.sentence,
        "verdict": lambda one: chip(one.verdict),
        "holds if": lambda one: rule(one.claim),
        "difference over seeds, points": lambda one: change(
            one.claim.score, one.decision.difference if one.decision else None
        ),
        "p, adjusted": lambda one: p_value(one.decision.adjusted_p_value) if one.decision else NOTHING,
        "seeds": lambda one: count(len(one.seeds)),
        "over documents, no verdict": documents,
        "expected before": lambda one: minus_signs(one.claim.expected),
    }
    rows = [(one.claim.key, *(column(one) for column in columns.values())) for one in found]
    lead = (
        "Fixed before the first reported seed. The unit is the seed: Student's t over the paired differences "
        f"of seeds, two-sided at 5 %, with Holm's correction over all {number_word(len(found))}; intervals "
        "are of 95 %, of 90 % for the claim that nothing moves. The interval over documents of these very "
        "seeds decides nothing."
    )
    return Section("Claims", [lead, Table(("", *columns), rows, words=frozenset({0, 1, 2, 3, 8}))])


def change(score: ScoreName, difference: Estimate | None) -> Cell:
    """A difference of scores in points; of lengths, how many times as long."""
    if score != "length" or difference is None:
        return gain(difference)
    low, high = difference.low, difference.high
    beside = "" if low is None or high is None else f"[{exp(low):.2f}, {exp(high):.2f}]"
    return Cell(f"{exp(difference.value):.2f} times", beside, value=difference)


def rule(claim: Claim) -> str:
    """When a claim holds, in words."""
    if claim.score == "length":
        return f"upper end below {exp(claim.threshold):g} times"
    if claim.direction == "within":
        return f"90 % interval within ±{100 * claim.threshold:g}"
    end = "lower end above" if claim.direction == "above" else "upper end below"
    return f"{end} {100 * claim.threshold:g}"


def arms_table(arms: Sequence[Arm], of_thoughts: str = "") -> Section:
    """Every arm by its scores, mean over its seeds.

    Args:
        arms: The start first.
        of_thoughts: What a reader of their measures must know.
    """
    start = arms[0]
    right: tuple[ScoreName, ...] = ("accuracy", "new-sentence", "new-pair", "updated", "long", "seen")
    thought: tuple[ScoreName, ...] = ("verified", "process", "thinks", "plain")

    def shares(names: Sequence[ScoreName]) -> dict[str, Callable[[Arm], Inline]]:
        shown = [name for name in names if any(arm.scores(name) for arm in arms)]
        return {ENDS[name]: partial(_mean_of, name=name) for name in shown}

    accuracies: dict[str, Callable[[Arm], Inline]] = {
        "seeds": lambda arm: count(len(arm.by_seed)),
        "over the start, points": lambda arm: (
            NOTHING if arm is start else gain(mean_over(differences(arm, start, "accuracy")))
        ),
        **shares(right),
    }
    thoughts: dict[str, Callable[[Arm], Inline]] = {
        **shares(thought),
        "thought tokens": lambda arm: amount(mean_over(of_held(arm, thought_tokens))),
        "entropy of thoughts, nats": lambda arm: nats(mean_over(of_held(arm, thought_entropy))),
        "held-out text, nats a token": lambda arm: nats(mean_over(text_nats(arm))),
    }
    but = ", but for the column at equal updates" if ENDS["updated"] in accuracies else ""
    less = spent_less(arms)
    cheaper = f" but for {listed(less)}, which had less to spend (what it took stands below)" if less else ""
    lead = (
        f"At equal FLOPs{cheaper}, each arm at the first update that reached the budget{but}; means over "
        "seeds with Student's interval of 95 %."
    )
    if len({frozenset(arm.by_seed) for arm in arms[1:]}) > 1:
        lead += " Arms that differ in their seeds are compared under those they share."
    more = f"The thoughts of the same answers, and what became of plain text. {of_thoughts}".strip()
    tables = Table.of("arm", arms, accuracies), Table.of("arm", arms, thoughts)
    return Section("Every arm", [lead, tables[0], more, tables[1]])


def spent_less(arms: Sequence[Arm]) -> list[str]:
    """Names of the arms that were charged with clearly less than most: they are at no equal FLOPs."""
    charged = {arm.name: own_gflops(arm) for arm in trained_of(arms)}
    usual = float(np.median(list(charged.values()))) if charged else 0.0
    return [name for name, value in charged.items() if value < LEAST_BUDGET * usual]


def trained_of(arms: Sequence[Arm]) -> list[Arm]:
    """Those that were charged with any operations."""
    return [arm for arm in arms if any(one.own_gflops for one in arm.by_seed.values())]


def own_gflops(arm: Arm) -> float:
    """What an arm was charged with, mean over its seeds."""
    return float(np.mean([one.own_gflops for one in arm.by_seed.values()]))


def _mean_of(arm: Arm, name: ScoreName) -> Inline:
    return share(mean_share(arm.scores(name)))


def of_held(arm: Arm, measure: Callable[[ArmOutcomes, NDArray[np.bool_]], float]) -> dict[int, float]:
    """A measure of thoughts at held-out questions, by seed; without those it was not taken under."""
    found = {seed: measure(one, one.questions.held_I) for seed, one in sorted(arm.by_seed.items())}
    return {seed: value for seed, value in found.items() if np.isfinite(value)}


def text_nats(arm: Arm) -> dict[int, float]:
    """Negative log-likelihood of held-out text, by seed."""
    found = {seed: one.text_nats for seed, one in sorted(arm.by_seed.items())}
    return {seed: value for seed, value in found.items() if value is not None}


def by_seed_table(arms: Sequence[Arm]) -> Section:
    """Accuracy of every arm under every seed, each linked to what it is from."""
    seeds = sorted({seed for arm in arms for seed in arm.by_seed})

    def cell(arm: Arm, seed: int) -> Inline:
        found = arm.scores("accuracy").get(seed)
        return NOTHING if found is None else Cell(percent(found), source=arm.sources[seed], value=found)

    rows: list[Row] = [(str(seed), *(cell(arm, seed) for arm in arms)) for seed in seeds]
    lead = (
        "Accuracy at held-out questions of 2 to 4 steps. A missing cell is an arm that seed was not run for."
    )
    return Section("By seed", [lead, Table(("seed", *(arm.name for arm in arms)), rows)])


@dataclass(frozen=True, slots=True)
class Thinking:
    """A seed's gain, and how much of it the habit of thinking could be."""

    seed: int
    gain: float
    before: float
    """Share of answers with a thought."""
    after: float
    verified: float | None
    """Gain in right answers with a true chain; None where thoughts were not judged."""

    @property
    def habit(self) -> float:
        """The most that thinking more often can have brought: an answer each that became a thought."""
        return max(0.0, self.after - self.before)

    @property
    def better(self) -> float:
        """The least that better thoughts have brought."""
        return self.gain - self.habit


def thinking_of(start: Arm, method: Arm) -> list[Thinking]:
    """The gain of a method by seed."""
    gains, verified = differences(method, start, "accuracy"), differences(method, start, "verified")
    before, after = start.scores("thinks"), method.scores("thinks")
    return [
        Thinking(seed, value, before[seed], after[seed], verified.get(seed)) for seed, value in gains.items()
    ]


def thinking_table(start: Arm, method: Arm) -> Section:
    """What is better thinking and what could be habit, seed by seed."""
    found = thinking_of(start, method)
    columns: dict[str, Callable[[Thinking], Inline]] = {
        "gain, points": lambda one: Cell(points(one.gain), value=one.gain),
        "thinks, before": lambda one: Cell(percent(one.before), value=one.before),
        "thinks, after": lambda one: Cell(percent(one.after), value=one.after),
        "habit, at most": lambda one: Cell(points(one.habit), value=one.habit),
        "better thinking, at least": lambda one: Cell(points(one.better), value=one.better),
        "with a true chain": lambda one: (
            NOTHING if one.verified is None else Cell(points(one.verified), value=one.verified)
        ),
    }
    rows = [(str(one.seed), *(column(one) for column in columns.values())) for one in found]
    known = [one.verified for one in found if one.verified is not None]
    total = (
        "mean over seeds",
        gain(mean_over([one.gain for one in found])),
        "",
        "",
        gain(mean_over([one.habit for one in found])),
        gain(mean_over([one.better for one in found])),
        gain(mean_over(known)),
    )
    lead = (
        f"{method.name} less its start, at held-out questions of 2 to 4 steps. To think more often can "
        "bring at most one right answer for each answer that became a thought; the rest of a gain is "
        "better thinking."
    )
    return Section("Better thinking, or a habit", [lead, Table(("seed", *columns), rows, total=total)])


def described(arms: Mapping[str, Arm], differing: Iterable[tuple[str, str, ScoreName]]) -> Iterator[Section]:
    """Differences without a threshold: method, reference and score of each."""
    rows: list[Row] = []
    for method, reference, name in differing:
        if method in arms and reference in arms:
            found = differences(arms[method], arms[reference], name)
            if found:
                words = f"{method} less {reference}"
                rows.append(
                    (words, ENDS[name], gain(mean_over(found)), by_seed(list(found.values()), points))
                )
    if rows:
        head = ("", "score", "points, interval over seeds", "by seed")
        lead = "Two-sided and descriptive: no threshold was fixed, and none of them is a verdict."
        yield Section("Beside the claims", [lead, Table(head, rows, words=frozenset({0, 1}))])


def sharpening(arms: Sequence[Arm]) -> Iterator[Section]:
    """pass@k with a true chain, less the start's: wider, or sharper?"""
    start, *others = arms
    curves = {arm.name: curve(arm, verified=True) for arm in arms}
    if not curves[start.name]:
        return
    ks = [k for k in curves[start.name] if k in (1, 4, 16, 64) or k == max(curves[start.name])]
    rows: list[Row] = [
        (
            arm.name,
            *(share(mean_share(curves[arm.name].get(k, {}))) for k in ks),
            *_widens(curves, start, arm),
        )
        for arm in arms
    ]
    head = ("arm", *(f"pass@{k}" for k in ks), f"pass@{ks[-1]} less the start's", "so it")
    lead = (
        "Right with a true chain: in so small a world blind guesses are right at some try, so answers "
        "alone say nothing at many. Above at one and below at many is sharper; above everywhere is wider."
    )
    if ks[-1] < MANY_TRIES:
        lead += f" {number_word(ks[-1]).capitalize()} tries are not many: they tell neither."
    yield Section("Sharper or wider", [lead, Table(head, rows, words=frozenset({0, len(ks) + 2}))])
    tables = [(arm.name, table) for arm in others if (table := never_solved(start, arm))]
    never: list[Row] = [
        (name, count(one.both), count(one.gained), count(one.lost), count(one.neither), count(one.total))
        for name, one in tables
    ]
    names = ("arm", "before and after", "only after", "only before", "never", "questions")
    text = "Questions of all seeds by whether any answer was right with a true chain, before and after."
    yield Section("Never solved", [text, Table(names, never)])


def _widens(curves: Mapping[str, dict[int, dict[int, float]]], start: Arm, arm: Arm) -> tuple[Inline, Inline]:
    """The difference at the most tries, and what it is called."""
    if arm is start:
        return NOTHING, NOTHING
    most = max(curves[start.name])
    one, other = curves[arm.name].get(most, {}), curves[start.name][most]
    found = mean_over({seed: one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())})
    if most < MANY_TRIES:
        return gain(found), "too few tries"
    if found is None or found.low is None or found.high is None:
        return gain(found), "undecided"
    return gain(found), "widens" if found.low > 0 else "narrows" if found.high < 0 else "undecided"


def faults_table(arms: Sequence[Arm]) -> Iterator[Section]:
    """Shares of named faults, and how they moved."""
    rows: list[Row] = []
    for arm in arms:
        shares = [fault_shares(one, one.questions.held_I) for one in arm.by_seed.values()]
        if shares and all(shares):
            rows.append((arm.name, *(_mean_share([one[name] for one in shares]) for name in FAULTS)))
    if rows:
        lead = (
            "What thoughts at held-out questions of 2 to 4 steps are taken for by a reader of their text, "
            "mean over seeds: one step off by a place, one step left out, the last step alone, anything "
            "else."
        )
        yield Section("Faults", [lead, Table(("arm", *FAULTS), rows)])


def _mean_share(values: Sequence[float]) -> Cell:
    mean = float(np.mean(values))
    return Cell(percent(mean), value=mean)


def cost_table(arms: Sequence[Arm]) -> Section:
    """Operations by what they were spent on."""
    trained = trained_of(arms)
    parts = dict.fromkeys(
        name for arm in trained for one in arm.by_seed.values() for name in one.gflops if name not in SHARED
    )

    def of(arm: Arm, part: str) -> Cell:
        return flops(GIGA * float(np.mean([one.gflops.get(part, 0.0) for one in arm.by_seed.values()])))

    columns: dict[str, Callable[[Arm], Inline]] = {
        **{part: partial(of, part=part) for part in parts},
        "charged in all": lambda arm: flops(GIGA * own_gflops(arm)),
        "updates": lambda arm: by_seed([one.steps for _, one in sorted(arm.by_seed.items())]),
    }
    outcomes = [one for arm in arms for one in arm.by_seed.values()]
    taught = [one for one in outcomes if one.shared_gflops] or outcomes
    common = ", ".join(
        f"{name} {flops(GIGA * float(np.mean([one.gflops.get(name, 0.0) for one in taught]))).text}"
        for name in SHARED
    )
    lead = (
        "Mean over seeds; attention and all, padding counted. The proxy's pass is charged to arms that "
        f"use its positions and to no other. Shared by all arms of a seed and charged to none: {common}."
    )
    return Section("What it took", [lead, Table.of("arm", trained, columns)])
