"""Minerva: 272 problems of undergraduate courses (OCWCourses; Lewkowycz et al. 2022, appendix)."""

from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import Published


class Minerva(Mathematics):
    """All problems; where no column holds the answer, it is the last box of the solution."""

    name = "minerva"
    also = ("minerva_math", "minervamath")
    published = Published(
        "math-ai/minervamath", ("test.jsonl",), "CC BY-NC-SA 4.0 (MIT OpenCourseWare): evaluate, do not ship",
        "Lewkowycz et al. 2022, arXiv 2206.14858",
    )  # fmt: skip
