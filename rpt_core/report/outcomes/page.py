"""The page of a study by seeds, from outcomes alone: what is better thinking, and what is habit."""

from collections.abc import Iterator, Sequence

from rpt_core.artifacts.build import GIGA, Build
from rpt_core.pages.words import count_of, flops_of, percent
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.report.blocks import Cell, Inline, KeyFigure, gain, say, share
from rpt_core.report.outcomes import power, segments, tables
from rpt_core.report.outcomes.claims import FIRST_SEEDS, RULES, Judged, judged
from rpt_core.report.outcomes.tuning import TuningRun, read_runs, tuning_section
from rpt_core.report.outcomes.values import Arm, names_of
from rpt_core.report.ran import Line
from rpt_core.report.study import CUT, Study, Summary


def study(recipe: OutcomesReportRecipe, build: Build) -> Study:
    """The page.

    Raises:
        IntegrityError: a file of outcomes cannot be read.
        RecipeError: two arms were asked different questions, or one was tuned longer than another.
    """
    arms = [Arm.read(arm, build.inputs, "arms") for arm in recipe.arms]
    by_name, start = names_of(arms), arms[0]
    runs = read_runs(recipe.tuning, build.inputs)
    if runs:
        return _tuning_page(recipe, runs, arms)
    rules = RULES[recipe.study]
    found = judged(by_name, rules.claims)
    trained = tables.trained_of(arms[1:])
    method = by_name.get(rules.method)
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(trained)} arms from one start model · {arm_seed_words(trained or arms)}",
        lead=_lead(start, method, rules.method),
        facts=list(_facts(start, method, found)),
        models=(),
        decisions=[one.decision for one in found if one.decision],
        sections=[
            *([tables.thinking_table(start, method)] if method else []),
            tables.claims_table(found, by_name),
            tables.arms_table(arms, rules.of_thoughts),
            *tables.sharpening(arms),
            *tables.faults_table(arms),
            *tables.described(by_name, rules.described),
            *segments.fooled_table(arms),
            *segments.tokens_table(arms),
            tables.cost_table(arms),
            tables.by_seed_table(arms),
            power.power_table(arms, rules),
        ],
        short=list(_short(found, arms)),
        footer="Held out are questions, not documents: kind and steps of a held-out question stand in no "
        f"training text, trace or problem. {CUT}",
        summary=_summary(found, arms, method),
        ran=what_ran(arms),
        names=names_of_sources(arms),
    )


def _tuning_page(recipe: OutcomesReportRecipe, runs: Sequence[TuningRun], starts: Sequence[Arm]) -> Study:
    """The page of tuning runs, which reports no seed."""
    words, num = seed_words(recipe.seeds), len({run.arm for run in runs})
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(runs)} tuning runs of {num} arms · {words}",
        lead=(f"{len(runs)} runs chose the settings of {num} arms; no reported seed is among them.",),
        facts=[],
        models=(),
        decisions=[],
        sections=list(tuning_section(runs)),
        short=[],
        footer=f"Accuracy at tuning questions, which no reported seed asks. {CUT}",
        summary={"runs": len(runs), "arms": num},
        names=names_of_sources(starts) | names_of_runs(runs),
    )


def what_ran(*groups: Sequence[Arm]) -> list[Line]:
    """Operations and files of a page of outcomes, of arms that were trained elsewhere, too.

    Args:
        groups: Arms that go on from one start a seed and world; more groups where starts differ in size.
    """
    grouped = [
        (group, one) for group, arms in enumerate(groups) for arm in arms for one in arm.by_seed.values()
    ]
    if not grouped:
        return []
    kept = [one for _, one in grouped]
    shared: dict[tuple[int, int, str], float] = {}
    for group, one in grouped:
        start = group, one.seed, repr(sorted(one.setting.items()))
        shared[start] = max(one.shared_gflops, shared.get(start, 0.0))  # none for a model that was given
    own = flops_of(GIGA * sum(one.own_gflops for one in kept))
    beside = flops_of(GIGA * sum(shared.values()))
    tokens = count_of(sum(one.tokens for one in kept))
    return [
        Line("Outcomes", f"{len(kept)}, each of one arm under one seed"),
        Line("Compute", f"{own} operations of all arms, {tokens} tokens; {beside} of their start models"),
    ]


def names_of_sources(arms: Sequence[Arm]) -> dict[str, str]:
    """Arm and seed of every outcomes, by fingerprint."""
    return {
        source.fingerprint: f"{arm.name}, seed {seed}" for arm in arms for seed, source in arm.sources.items()
    }


def names_of_runs(runs: Sequence[TuningRun]) -> dict[str, str]:
    """Arm, number and seed of every tuning run, by fingerprint of its outcomes."""
    return {run.source.fingerprint: f"{run.arm}, run {run.number}, seed {run.seed}" for run in runs}


def seed_words(seeds: Sequence[int]) -> str:
    """Seeds as a page names them.

    Example:
        >>> seed_words(range(100, 108)), seed_words([3]), seed_words([0, 2])
        ('8 seeds, 100 to 107', '1 seed, 3', '2 seeds, 0, 2')
    """
    ordered = sorted(seeds)
    head = f"{len(ordered)} {'seed' if len(ordered) == 1 else 'seeds'}, "
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{head}{ordered[0]} to {ordered[-1]}"
    return head + ", ".join(map(str, ordered))


def arm_seed_words(arms: Sequence[Arm]) -> str:
    """Seeds of the arms, and where they differ, how many arms were run under which."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for arm in arms:
        groups.setdefault(tuple(sorted(arm.by_seed)), []).append(arm.name)
    if len(groups) == 1:
        return seed_words(next(iter(groups)))
    return "; ".join(f"{len(names)} under {seed_words(seeds)}" for seeds, names in groups.items())


def _lead(start: Arm, method: Arm | None, name: str) -> tuple[Inline, ...]:
    if method is None:
        return (f"No outcomes of {name} are known yet, so nothing is said of it.",)
    seeds = tables.thinking_of(start, method)
    if not seeds:
        return (f"{name} and its start have no seed in common yet, so nothing is said of them.",)
    change, better = (tables.mean_over([getattr(one, name) for one in seeds]) for name in ("gain", "better"))
    before, after = (tables.mean_over([getattr(one, name) for one in seeds]) for name in ("before", "after"))
    assert before is not None
    assert after is not None
    words = seed_words([one.seed for one in seeds])
    return say(
        f"Over {words}, {method.name} changes accuracy at questions that stand in no training text by {{}} "
        f"points. At least {{}} of them are better thinking and not the habit of thinking: the start "
        f"thinks in {percent(before.value)} of its answers, {method.name} in {percent(after.value)}.",
        gain(change),
        gain(better),
    )


def _facts(start: Arm, method: Arm | None, found: Sequence[Judged]) -> Iterator[KeyFigure]:
    if method is not None and (seeds := tables.thinking_of(start, method)):
        yield KeyFigure.of(
            gain(tables.mean_over([one.better for one in seeds])), "better thinking, at least, points"
        )
        yield KeyFigure.of(gain(tables.mean_over([one.habit for one in seeds])), "habit, at most, points")
        verified = method.scores("verified")
        yield KeyFigure.of(
            share(tables.mean_share(verified)), "right with a true chain", _from(start, verified)
        )
    ends = [one.verdict for one in found]
    counts = " / ".join(str(ends.count(word)) for word in ("holds", "fails", "undecided", "not tested"))
    yield KeyFigure(
        Cell(counts), "claims hold / fail / undecided / not tested", "one error rate for all (Holm)"
    )


def _from(start: Arm, shown: object) -> str:
    before = tables.mean_over(start.scores("verified"))
    return f"start: {percent(before.value)}" if before and shown else ""


def _short(found: Sequence[Judged], arms: Sequence[Arm]) -> Iterator[str]:
    for one in found:
        if one.decision is None:
            yield f"{one.claim.key}, “{one.claim.sentence}”, is not tested: something of it is missing."
        elif one.verdict != "holds":
            end = "fails" if one.verdict == "fails" else "is undecided"
            shown = tables.change(one.claim.score, one.decision.difference)
            unit = "" if one.claim.score == "length" else " points"
            yield (
                f"{one.claim.key}, “{one.claim.sentence}”, {end}: {shown.text} {shown.detail}{unit} over "
                f"{len(one.seeds)} seeds; to hold: {tables.rule(one.claim)}."
            )
    if few := [arm.name for arm in arms if len(arm.by_seed) < len(FIRST_SEEDS)]:
        yield f"Fewer than {len(FIRST_SEEDS)} seeds were run of {', '.join(few)}."
    if arms and not arms[0].scores("verified"):
        yield "Thoughts were not judged, so nothing is said of true chains, faults and sharpening."


def _summary(found: Sequence[Judged], arms: Sequence[Arm], method: Arm | None) -> Summary:
    summary: Summary = {f"claim {one.claim.key}: {one.claim.sentence}": one.verdict for one in found}
    better = tables.mean_over([one.better for one in tables.thinking_of(arms[0], method)]) if method else None
    if better:
        summary |= {"better_thinking": better.value, "better_thinking_low": better.low}
        summary |= {"better_thinking_high": better.high}
    for arm in arms:
        mean = tables.mean_over(arm.scores("accuracy"))
        summary[f"accuracy: {arm.name}"] = mean.value if mean else None
    return summary | {"claims": len(found)}
