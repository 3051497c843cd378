"""GPQA Diamond: 198 questions of physics, chemistry and biology, four choices (Rein et al. 2023)."""

import random
import re
from collections.abc import Mapping
from typing import ClassVar

from rpt_core.evaluation.benchmarks.packs.item import Item, Refusal, native_id
from rpt_core.evaluation.benchmarks.packs.knowledge.choices import Choices
from rpt_core.evaluation.benchmarks.packs.pack import NOTHING_DRAWN, DefaultSampling, Published, Role

_OTHERS = re.compile(r"gpqa_(?:main|extended|experts)")
_WRONG = tuple(f"Incorrect Answer {number}" for number in (1, 2, 3))


class GpqaDiamond(Choices):
    """The published table names the right answer first; choices are shuffled by a seed of the item's id."""

    name = "gpqa_diamond"
    also = ("gpqa",)
    published = Published(
        "Idavidrein/gpqa",
        ("gpqa_diamond.csv",),
        "CC BY 4.0; access is granted on request, and questions must not be put online",
        "Rein et al. 2023, arXiv 2311.12022",
    )
    modes: ClassVar = {"reasoning": DefaultSampling(8, 0.6, 0.95, 32_768), "likelihood": NOTHING_DRAWN}
    ids = ("Record ID", "id")
    of_topic = ("Subdomain", "High-level domain")

    def role(self, file: str) -> Role:
        """The main and the extended set, which the same archive holds, are not asked."""
        return "other" if _OTHERS.search(file.lower()) else super().role(file)

    def item(self, record: Mapping[str, object], file: str) -> Item:
        """A row with its choices shuffled; the same order whatever else the file holds."""
        texts = [str(record.get(column) or "").strip() for column in ("Correct Answer", *_WRONG)]
        stem = str(record.get("Question") or "").strip()
        if not stem or not all(texts):
            raise Refusal("missing-column")
        name = native_id(record, self.ids, stem, texts[0])
        order = random.Random(f"gpqa/{name}").sample(range(4), 4)
        choices = tuple(texts[place] for place in order)
        topic = self.topic_of(record)
        return Item(name, stem, "ABCD"[order.index(0)], choices, topic=topic)
