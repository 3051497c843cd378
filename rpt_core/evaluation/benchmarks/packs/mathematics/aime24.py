"""AIME 2024: 30 problems, each answer a whole number from 0 to 999."""

from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import Published


class Aime24(Mathematics):
    """Both papers."""

    name = "aime24"
    also = ("aime2024",)
    published = Published(
        "HuggingFaceH4/aime_2024", ("data/train-00000-of-00001.parquet",),
        "problem texts (c) MAA: evaluate, do not ship", "Mathematical Association of America, AIME 2024",
    )  # fmt: skip
