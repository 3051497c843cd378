"""AMC 2023: 40 problems of the AMC 12 with a whole number as the answer."""

from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import Published


class Amc23(Mathematics):
    """All problems."""

    name = "amc23"
    also = ("amc2023",)
    published = Published(
        "math-ai/amc23", ("test-00000-of-00001.parquet",), "problem texts (c) MAA: evaluate, do not ship",
        "Mathematical Association of America, AMC 12 2023",
    )  # fmt: skip
