"""Omni-MATH: the rule-gradable part of 4,428 olympiad problems (Gao et al. 2024)."""

from collections.abc import Mapping
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Refusal
from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import ONCE, Published
from rpt_core.objectives.problems.answers.reading import Quantity, read_answer
from rpt_core.objectives.problems.answers.tokens import UnreadableError


class OmniMath(Mathematics):
    """Problems of the authors' rule file (2,821 of 4,428); of other files, those with one exact answer.

    Problems of a file whose name says ``nonrule`` need a judge and are refused.
    """

    name = "omni_math"
    also = ("omnimath",)
    published = Published(
        "KbsdJames/Omni-MATH", ("test.jsonl",), "Apache-2.0", "Gao et al. 2024, arXiv 2410.07985"
    )
    modes: ClassVar = {"reasoning": ONCE}

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A problem whose answer a rule can grade."""
        name = file.rsplit("/", 1)[-1].lower().replace("-", "").replace("_", "")
        if "nonrule" in name:
            raise Refusal("not-rule-gradable")
        found = super().item(record, file)
        if "rule" not in name and not is_exact(found.answer):
            raise Refusal("not-rule-gradable")
        return found


def is_exact(answer: str) -> bool:
    r"""Whether an answer is one number or expression, which a rule can grade.

    Of the authors' rule file 98 % are (2,089 of a sample of 2,123), of problems outside it 14 % (9 of 63).

    Example:
        >>> is_exact("\\frac{1}{2}"), is_exact("\\text{no such function exists}")
        (True, False)
    """
    try:
        return isinstance(read_answer(answer), Quantity)
    except UnreadableError:
        return False
