"""The page of the study of sizes: laws over compute, and thinking against size at equal operations."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from rpt_core.artifacts.build import GIGA, Build
from rpt_core.evaluation.kept.arm import SHARED
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.pages.words import count_of, ends
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.report.blocks import (
    NOTHING,
    Block,
    Cell,
    Inline,
    KeyFigure,
    Row,
    Section,
    Table,
    by_seed,
    chip,
    flops,
    gain,
    say,
    share,
)
from rpt_core.report.figures import card, curve_figure
from rpt_core.report.outcomes.page import names_of_sources, seed_words, what_ran
from rpt_core.report.outcomes.sized import Mean, Size, means, read_sizes
from rpt_core.report.outcomes.sized_laws import AllSizes, SizeLaw, curves_json
from rpt_core.report.outcomes.sizes_figures import answer_figure, training_figure
from rpt_core.report.outcomes.tables import mean_over
from rpt_core.report.outcomes.thinkers import EqualTest, EqualTraining, pairs_of
from rpt_core.report.outcomes.values import Arm
from rpt_core.report.study import CUT, Study, Summary
from rpt_core.scaling.rivals import UNDECIDED


def study(recipe: OutcomesReportRecipe, build: Build) -> Study:
    """The page.

    Raises:
        IntegrityError: a file of outcomes cannot be read.
        RecipeError: a size lacks an arm or its checkpoints, or two arms were asked different questions.
    """
    sizes = read_sizes([Arm.read(arm, build.inputs, "arms") for arm in recipe.arms])
    laws = [SizeLaw(size) for size in sizes]
    jointly = AllSizes(laws)
    words = seed_words(recipe.seeds)
    trained = [EqualTraining.of(*pair) for pair in pairs_of(sizes)]
    asked = [EqualTest.of(*pair) for pair in pairs_of(sizes)]
    return Study(
        title=recipe.title,
        eyebrow=f"Report · {len(sizes)} sizes, {_most_points(laws)} points of compute each · {words}",
        lead=_lead(laws, jointly, words),
        facts=[KeyFigure.of(gain(one.at_end), f"points: {one.name}, each at its end") for one in trained[:3]],
        models=(),
        decisions=[],
        sections=[
            _laws(laws),
            *([_jointly(jointly)] if len(sizes) > 1 else []),
            _training(sizes, trained),
            _answers(sizes, asked),
            _checkpoints(laws),
            _cost(sizes),
        ],
        short=list(_short(sizes, words)),
        footer="All sizes of a seed read one text with one tokenizer and are asked the same questions, found "
        f"by the base model of the smallest. {CUT}",
        summary=_summary(laws, jointly, trained),
        ran=what_ran(*(size.arms for size in sizes)),
        names=names_of_sources([arm for size in sizes for arm in size.arms]),
    )


def _most_points(laws: Sequence[SizeLaw]) -> int:
    return max(len(law.points) for law in laws)


def _lead(laws: Sequence[SizeLaw], jointly: AllSizes, words: str) -> tuple[Inline, ...]:
    ends = ", ".join(f"{law.size.name}: {law.verdict}" for law in laws)
    reached = [law.points[-1].accuracy if law.points else None for law in laws]
    said = "; ".join(f"{law.size.name} {{}}" for law in laws)
    over = f" Over all sizes: {jointly.comparison.verdict}." if len(laws) > 1 else ""
    return say(
        f"Over {words}, at the end of RPT's training, at held-out questions: {said}. The law that the "
        f"means speak for: {ends}.{over} Nothing is decided by so few seeds.",
        *(share(one) for one in reached),
    )


def _laws(laws: Sequence[SizeLaw]) -> Section:
    columns: dict[str, Callable[[SizeLaw], Inline]] = {
        "numbers": lambda law: count_of(law.size.parameters),
        "points": lambda law: str(len(law.points)),
        "law named": lambda law: chip(law.verdict),
        "ahead in AICc": lambda law: law.best or NOTHING,
        "power law's R²": lambda law: NOTHING if law.r_squared is None else f"{law.r_squared:.3f}",
        "its exponent, mean of seeds": lambda law: _exponent(law.exponents),
        "by seed": lambda law: by_seed(list(law.exponents.values()), "{:.2f}".format),
    }
    rows = [(law.size.name, *(column(law) for column in columns.values())) for law in laws]
    figure = card(
        curve_figure(curves_json(laws), width=620, height=340), "sizes-compute",
        "Accuracy over training compute by size", "Accuracy over the compute of RPT",
        "Means over seeds with Student's intervals; a curve only where the power law's parameters are "
        "identified.", width=640,
    )  # fmt: skip
    lead = (
        "Every point is a checkpoint of one training at a constant rate, so a training that ended there. "
        "Compute is RPT's own. Power law and rivals are fitted to the means over seeds; one is named where "
        "it is ahead of all others by 4 in AIC and AICc and predicts left-out points best."
    )
    reasons = [f"{law.size.name}: {law.reason}." for law in laws]
    table = Table(("size", *columns), rows, words=frozenset({0, 3, 4}))
    return Section("Accuracy over training compute", [lead, figure, table, *reasons])


def _exponent(by_one: Mapping[int, float]) -> Inline:
    return _cell(mean_over(by_one))


def _jointly(jointly: AllSizes) -> Section:
    found = jointly.comparison
    rows: list[Row] = [
        (
            rival.curve.name,
            str(rival.curve.num_parameters),
            "" if rival.standing.aicc is None else f"{rival.standing.aicc:.1f}",
            f"{100 * rival.standing.left_out:.1f}",
            ", ".join(f"{name} {value:.2f}" for name, value in rival.curve.parameters.items()),
            "yes" if rival.curve.on_bound else "no",
        )
        for rival in found.rivals
    ]
    head = ("law", "parameters", "AICc", "left-out error, points", "fitted", "at an end")
    lead = (
        "The error 1 − accuracy of models of N numbers after C operations of RPT, all sizes in one fit: "
        "E + a N^−α + b C^−β (size and compute), the same with C / N (size and data), without N (compute "
        "alone), and a logistic curve in both logarithms; N and C in units of their geometric means."
    )
    exponents = say(
        "Of E + a N^−α + b C^−β fitted to every seed alone: α {}, β {}. With three sizes α, a and E pass "
        "through any three levels, so α is what the form makes of them and no finding.",
        *(_cell(jointly.exponent(name)) for name in ("alpha", "beta")),
    )
    return Section(
        "All sizes at once",
        [
            lead,
            Table(head, rows, words=frozenset({0, 4, 5})),
            exponents,
            f"Named: {found.verdict}. {found.reason}.",
        ],
    )


def _cell(found: Estimate | None) -> Cell:
    """To a hundredth, with its interval."""
    if found is None:
        return NOTHING
    return Cell(f"{found.value:.2f}", f"[{ends(found, '{:.2f}'.format)}]", value=found)


def _training(sizes: Sequence[Size], pairs: Sequence[EqualTraining]) -> Section:
    lead = (
        "A thinker is charged with its base model, its lessons, the proxy's pass and RPT; a model without "
        "thoughts with its base model and next-token training on the same text. Where both have spent the "
        "same, the larger one is read between two checkpoints on a logarithmic axis."
    )
    rows: list[Row] = [
        (
            one.name,
            flops(GIGA * one.spent_gflops),
            share(one.thinker),
            _unless(one.at_equal, one.plain_at_equal, share),
            _unless(one.at_equal, one.at_equal, gain),
            by_seed([100 * value for value in one.by_seed.values()], "{:+.1f}".format),
            flops(GIGA * one.larger_gflops),
            gain(one.at_end),
        )
        for one in pairs
    ]
    head = (
        "the smaller thinks, the larger does not", "the smaller's training, operations", "it thinks",
        "the larger's next token at as many", "difference, points", "by seed",
        "the larger's training, operations", "difference at both ends, points",
    )  # fmt: skip
    figure = card(
        training_figure(sizes), "sizes-training", "Accuracy over all training operations",
        "Thinking and not thinking over all operations of training",
        "Solid: the start and RPT, thinking. Dashed: the base model and next-token training, likeliest "
        "token.",
        width=640,
    )  # fmt: skip
    none = [
        f"{one.name}: the larger's base model alone takes more than all of the smaller's training, or its "
        "training ends before: there is no equal point."
        for one in pairs
        if one.at_equal is None
    ]
    table = [Table(head, rows, words=frozenset({0}))] if rows else []
    blocks: list[Block] = [lead, figure, *table, *none]
    return Section("Thinking against size, equal training", blocks)


def _unless(
    known: Estimate | None, value: Estimate | None, shown: Callable[[Estimate | None], Inline]
) -> Inline:
    return NOTHING if known is None else shown(value)


def _answers(sizes: Sequence[Size], pairs: Sequence[EqualTest]) -> Section:
    lead = (
        "An answer takes 2 N operations for each token forwarded: of a model without thoughts the document "
        "before the place, of a thinker also every token of its answers, whose commonest prediction counts. "
        "The instruction's few tokens are left out. A thinker may draw as many answers as cost no more than "
        f"the larger model's one pass, at most {_samples(sizes)}."
    )
    rows: list[Row] = [
        (
            one.name,
            flops(GIGA * one.plain_gflops),
            flops(GIGA * one.single_gflops),
            str(one.votes) if one.votes else "none",
            _unless(one.difference, one.thinker, share),
            share(one.plain),
            _unless(one.difference, one.difference, gain),
            by_seed([100 * value for value in one.by_seed.values()], "{:+.1f}".format),
        )
        for one in pairs
    ]
    head = (
        "the smaller thinks, the larger does not", "the larger's pass, operations",
        "the smaller's single answer, operations", "answers it may draw", "it thinks",
        "the larger's next token", "difference, points", "by seed",
    )  # fmt: skip
    figure = card(
        answer_figure(sizes), "sizes-answers", "Accuracy over operations of one question",
        "Accuracy over what one question takes",
        "Lines: RPT's last model, one answer to eight; squares: next-token training's last model, one pass.",
        width=640,
    )  # fmt: skip
    table = [Table(head, rows, words=frozenset({0}))] if rows else []
    return Section("Thinking against size, equal answers", [lead, figure, *table])


def _samples(sizes: Sequence[Size]) -> int:
    return max(one.answers.num_samples for one in sizes[0].method.by_seed.values())


def _checkpoints(laws: Sequence[SizeLaw]) -> Section:
    groups: list[tuple[str, list[Row]]] = []
    for law in laws:
        size = law.size
        thinking = means({seed: size.thinking(seed) for seed in size.seeds})
        plain = means({seed: size.plain(seed) for seed in size.seeds})
        rows = [_row("start" if one.step == 0 else f"RPT, {one.step} steps", one) for one in thinking]
        rows += [_row("base" if one.step == 0 else f"NTP, {one.step} steps", one) for one in plain]
        groups.append((f"{size.name}, {count_of(size.parameters)} numbers", rows))
    head = ("checkpoint", "own operations", "all operations", "accuracy")
    lead = "Means over seeds: start and RPT as thinkers, base and next-token training by the likeliest token."
    return Section("Checkpoints", [lead, Table(head, groups=groups)])


def _row(name: str, one: Mean) -> Row:
    return name, flops(GIGA * one.own_gflops), flops(GIGA * one.total_gflops), share(one.accuracy)


def _cost(sizes: Sequence[Size]) -> Section:
    def mean(arm: Arm, name: str) -> Inline:
        found = mean_over([one.gflops.get(name, 0.0) for one in arm.by_seed.values()])
        return flops(GIGA * found.value) if found else NOTHING

    columns: dict[str, Callable[[Size], Inline]] = {
        "base": lambda one: mean(one.start, SHARED[0]),
        "lessons": lambda one: mean(one.start, SHARED[1]),
        "proxy's pass": lambda one: mean(one.method, "proxy"),
        "RPT": lambda one: mean(one.method, "training"),
        "next tokens": lambda one: mean(one.without, "training"),
    }
    lead = (
        "Operations by size, means over seeds. Base model and lessons are as many tokens for every size, not "
        "as many operations."
    )
    return Section("What it takes", [lead, Table.of("size", sizes, columns)])


def _short(sizes: Sequence[Size], words: str) -> Iterator[str]:
    yield (
        f"No claim is decided here: no threshold was fixed before, and intervals are Student's over {words} "
        "alone."
    )
    yield (
        "No size was tuned. RPT's rate falls with the width from the one that was tuned at 0.64 M; all other "
        "settings are the tuned ones of that size."
    )
    yield (
        "The proxy is the smallest size's base model. Its pass over the text is charged to RPT of every "
        "size, its training to the smallest alone."
    )
    yield (
        "The likeliest next token is right or wrong as one token; a thinker's prediction is right where it "
        "is a prefix of the truth that ends as a token may end."
    )
    if len(sizes) > 1:
        ratios = [f"{other.parameters / one.parameters:.1f}" for one, other in pairwise(sizes)]
        yield f"A size is {' and '.join(ratios)} times the one before, where the paper's is 2.3 times."


def _summary(laws: Sequence[SizeLaw], jointly: AllSizes, pairs: Sequence[EqualTraining]) -> Summary:
    summary: Summary = {"sizes": len(laws)}
    for law in laws:
        name, found = law.size.name, mean_over(law.exponents)
        summary[f"law: {name}"] = law.verdict
        summary[f"exponent: {name}"] = found.value if found else None
        summary[f"accuracy: {name}"] = law.points[-1].accuracy.value if law.points else None
    summary["law: all sizes"] = jointly.comparison.verdict if len(laws) > 1 else UNDECIDED
    for one in pairs:
        summary[f"equal training: {one.name}"] = one.at_equal.value if one.at_equal else None
        summary[f"at both ends: {one.name}"] = one.at_end.value if one.at_end else None
    return summary
