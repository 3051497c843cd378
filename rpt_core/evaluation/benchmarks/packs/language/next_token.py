"""Next-token accuracy on plain text: by default the solutions of Omni-MATH (RPT, section 4.1)."""

from collections.abc import Mapping
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Refusal, native_id
from rpt_core.evaluation.benchmarks.packs.pack import NOTHING_DRAWN, Pack, Published

TIERS_NATS = (0.0, 0.5, 1.0, 1.5)
"""Positions of all entropies, and RPT's easy, medium and hard (section 4.1), by the model's own entropy."""
TOP_K = 16
"""Likeliest tokens over which the entropy is taken (RPT, section 3.3)."""
_TEXTS = ("text", "content", "solution", "document")


class NextTokenPack(Pack):
    """Texts of a folder of its own, or the solutions of Omni-MATH where there is none; an item is a text."""

    name = "next_token"
    also = ("omni_math",)
    published = Published(
        "KbsdJames/Omni-MATH", ("test.jsonl",), "Apache-2.0", "Gao et al. 2024, arXiv 2410.07985"
    )
    modes: ClassVar = {"plain": NOTHING_DRAWN}
    reads_texts = True

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """The row's text; of a problem, its solution."""
        text = next(
            (value for name in _TEXTS if isinstance(value := record.get(name), str) and value.strip()), ""
        )
        if not text:
            raise Refusal("no-text")
        return Item(native_id(record, self.ids, text), text.strip(), "")
