"""AIME 2025: 30 problems, each answer a whole number from 0 to 999."""

from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import Published


class Aime25(Mathematics):
    """Both papers."""

    name = "aime25"
    also = ("aime2025",)
    published = Published(
        "opencompass/AIME2025", ("aime2025-I.jsonl", "aime2025-II.jsonl"),
        "problem texts (c) MAA: evaluate, do not ship", "Mathematical Association of America, AIME 2025",
    )  # fmt: skip
