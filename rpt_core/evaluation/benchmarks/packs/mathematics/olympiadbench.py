"""OlympiadBench: the open-ended, text-only, English problems of mathematics (He et al. 2024)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Refusal
from rpt_core.evaluation.benchmarks.packs.mathematics.problems import Mathematics
from rpt_core.evaluation.benchmarks.packs.pack import ONCE, Published

_ASKED = {
    "language": ("english", "not-english"),
    "modality": ("text-only", "not-text-only"),
    "question_type": ("open-ended", "not-open-ended"),
    "subject": ("math", "not-mathematics"),
}
"""Columns of the full data set, the value that is asked, and the reason of others; files of the subset alone
have none of them."""


class OlympiadBench(Mathematics):
    """The subset ``OE_TO_maths_en_COMP`` of the published data, whatever the file holds beside it."""

    name = "olympiadbench"
    published = Published(
        "Hothan/OlympiadBench", ("OlympiadBench/OE_TO_maths_en_COMP/OE_TO_maths_en_COMP.parquet",),
        "Apache-2.0", "He et al. 2024, arXiv 2402.14008",
    )  # fmt: skip
    modes: ClassVar = {"reasoning": ONCE}

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A row of the subset."""
        for column, (wanted, reason) in _ASKED.items():
            value = record.get(column)
            if isinstance(value, str) and value and not value.lower().startswith(wanted):
                raise Refusal(reason)
        found = super().item(record, file)
        return replace(found, topic=str(record.get("subfield") or found.topic))
