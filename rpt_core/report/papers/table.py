"""``docs/claims.md``: every claim of the papers with its verdict, every table of theirs with its recipe."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp

from rpt_core.evaluation.kept.arm import ArmOutcomes
from rpt_core.pages.words import DASH, points
from rpt_core.report.outcomes.page import seed_words
from rpt_core.report.outcomes.values import Arm
from rpt_core.report.papers.evidence import (
    ENDS,
    Decided,
    Found,
    OverDocuments,
    PaperClaim,
    Printed,
    decided,
    is_ratio,
)
from rpt_core.report.papers.rows import ROWS


@dataclass(frozen=True, slots=True)
class PaperTable:
    """A table or figure of a paper, and what makes it at full size."""

    paper: str
    what: str
    command: str
    recipe: str
    """That is priced."""


TABLES = (
    PaperTable("RPT", "table 1, accuracy by tier", "rpt run rpt_14b", "rpt_14b"),
    PaperTable(
        "RPT", "table 2, before and after verifiable rewards", "rpt run rpt_14b --to finetune-rlvr", "rpt_14b"
    ),
    PaperTable(
        "RPT", "table 3, MMLU-Pro and SuperGPQA", "rpt eval rpt_14b-policy --on mmlu_pro,supergpqa", "rpt_14b"
    ),
    PaperTable("RPT", "figure 5, scaling with compute", "rpt run rpt_14b --to fit-scaling", "rpt_14b"),
    PaperTable("RPT", "appendix A, rewards", "rpt study rpt_14b --about rewards", "rpt_14b"),
    PaperTable("RPT", "table of patterns", "rpt run rpt_14b", "rpt_14b"),
    PaperTable("RMT", "accuracy by tier, RMT-R1", "rpt run rmt_14b", "rmt_14b"),
    PaperTable("RMT", "accuracy by tier, RMT-Q3", "rpt run rmt_qwen3_14b", "rmt_qwen3_14b"),
    PaperTable("RMT", "ablations", "rpt study rmt_14b", "rmt_14b"),
    PaperTable("RMT", "post-training", "rpt run rmt_14b --to finetune-rlvr", "rmt_14b"),
    PaperTable("RLPT", "table 1, Llama-3.2-3B", "rpt run rlpt_3b", "rlpt_3b"),
    PaperTable("RLPT", "tables 1 and 2, Qwen3-4B", "rpt run rlpt_4b", "rlpt_4b"),
    PaperTable("RLPT", "table 1, Qwen3-8B", "rpt run rlpt_8b", "rlpt_8b"),
    PaperTable(
        "RLPT", "figure 4, strict and prefix rule", "rpt study rlpt_4b --about next-segment", "rlpt_4b"
    ),
)
"""Of the papers; benchmarks beside them are asked by ``rpt eval``."""


@dataclass(frozen=True, slots=True)
class Price:
    """What ``rpt plan`` says of one recipe."""

    flops: str
    gpu_hours: str
    price: str


def arms_of(outcomes: Iterable[ArmOutcomes]) -> dict[str, Arm]:
    """Outcomes by arm and seed."""
    found: dict[str, dict[int, ArmOutcomes]] = {}
    for one in outcomes:
        found.setdefault(one.arm, {})[one.seed] = one
    return {name: Arm(name, by_seed, {}) for name, by_seed in found.items()}


def written(
    outcomes: Sequence[ArmOutcomes], prices: Mapping[str, Price], machine: str
) -> tuple[str, dict[str, int]]:
    """The file's text, and how many claims ended how.

    Args:
        outcomes: Of the study of an imperfect teacher, and of the same in other worlds; none where they
            have not run.
        prices: By recipe.
        machine: They are for.
    """
    studies = {study: arms_of(own) for study, own in _by_study(outcomes).items()}
    found = decided(ROWS, studies)
    counts = Counter(one.end for one in found)
    ends: dict[str, int] = {end: counts[end] for end in ENDS}
    known = "; ".join(
        f"of {study}, {seed_words(sorted({one.seed for one in own}))} and {len(arms_of(own))} models"
        for study, own in _by_study(outcomes).items()
    )
    said = ", ".join(f"{num} {end}" for end, num in ends.items())
    lines = [
        "# What the papers claim, and what was found",
        "",
        "Written by `rpt study --claims docs/claims.md --keep-outcomes docs/study/outcomes`; not by hand. "
        f"{len(found)} claims: {said}.",
        "",
        "The unit is the seed. A claim of the study of an imperfect teacher (C1 to C6) ends as its page "
        "does; every other row that has a figure for each seed is decided by Student's t over its seeds, "
        "with Holm's correction over those rows. Figures that an earlier page gives over the documents of "
        "three trainings stand in parentheses and decide nothing: such a row is *undecided*, whatever its "
        f"interval. Outcomes that are kept: {known or 'none yet'}.",
        "",
        *_table(
            (
                "",
                "paper",
                "claim",
                "figure there",
                "arms that decide it",
                "figure here, points",
                "verdict",
                "why",
            ),
            ([str(number), *_cells(one)] for number, one in enumerate(found, start=1)),
        ),
        "",
        "## Tables of the papers",
        "",
        f"Operations, GPU hours and price of the whole journey by `rpt plan RECIPE --machine {machine}`, "
        "with answers and documents at their longest.",
        "",
        *_table(
            ("paper", "table", "what makes it", "FLOPs", "GPU hours", "price"),
            (_priced(one, prices[one.recipe]) for one in TABLES),
        ),
    ]
    return "\n".join(lines) + "\n", ends


def _by_study(outcomes: Iterable[ArmOutcomes]) -> dict[str, list[ArmOutcomes]]:
    found: dict[str, list[ArmOutcomes]] = {}
    for one in outcomes:
        found.setdefault(one.study, []).append(one)
    return found


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"

    return [line(head), f"|{'---|' * len(head)}", *map(line, rows)]


def _cells(found: Found) -> list[str]:
    row = found.row
    return [
        row.paper, _named(row), row.figure or DASH, row.arms, _figure(found), f"*{found.end}*", _why(row),
    ]  # fmt: skip


def _named(row: PaperClaim) -> str:
    return f"{row.evidence.key}: {row.claim}" if isinstance(row.evidence, Decided) else row.claim


def _figure(found: Found) -> str:
    """The mean over seeds with its interval, or the one over documents, in parentheses."""
    if isinstance(found.row.evidence, OverDocuments):
        return f"({found.row.evidence.figure})"
    one = found.interval
    if one is None:
        return DASH
    seeds = f"{found.num_seeds} seed{'s' if found.num_seeds > 1 else ''}"
    if is_ratio(found.row.evidence):
        low, high = (exp(end) if end is not None else None for end in (one.low, one.high))
        known = "no interval" if low is None or high is None else f"{low:.2f}, {high:.2f}"
        return f"{exp(one.value):.2f} times [{known}], {seeds}"
    known = "no interval" if one.low is None or one.high is None else f"{points(one.low)}, {points(one.high)}"
    return f"{points(one.value)} [{known}], {seeds}"


def _why(row: PaperClaim) -> str:
    page = row.evidence.page if isinstance(row.evidence, Printed | OverDocuments) else ""
    return f"{row.why} ([{page}]({page}.md))" if page else row.why


def _priced(table: PaperTable, price: Price) -> list[str]:
    return [table.paper, table.what, f"`{table.command}`", price.flops, price.gpu_hours, price.price]
