"""SuperGPQA: 285 graduate disciplines, up to ten choices (M-A-P 2025)."""

from rpt_core.evaluation.benchmarks.packs.knowledge.choices import Choices
from rpt_core.evaluation.benchmarks.packs.pack import Published


class SuperGpqa(Choices):
    """All questions, told by discipline."""

    name = "supergpqa"
    published = Published(
        "m-a-p/SuperGPQA", ("SuperGPQA-all.jsonl",), "ODC-BY 1.0", "M-A-P 2025, arXiv 2502.14739"
    )
    right = ("answer_letter", "answer")
    of_topic = ("discipline", "field", "subfield")
