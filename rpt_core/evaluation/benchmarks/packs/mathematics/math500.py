"""MATH-500: 500 test problems of MATH (Hendrycks et al. 2021; Lightman et al. 2023)."""

from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import Published


class Math500(Mathematics):
    """All problems, told by subject."""

    name = "math500"
    published = Published(
        "HuggingFaceH4/MATH-500", ("test.jsonl",), "MIT; problems stem from contests of the MAA",
        "Lightman et al. 2023, arXiv 2305.20050",
    )  # fmt: skip
