"""The formats that real corpora come in, as the sample world writes them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from rpt_core.sample.dump import Article, write_dump
from rpt_core.sample.eprints import write_eprint
from rpt_core.sample.truth import Truth

DUMP_NAME = "samplewiki-20260101-pages-articles-multistream"
TRUTH_FILE = "truth.json"


class Text(Protocol):
    """A document of either edition."""

    @property
    def title(self) -> str:
        """Unlike every other's."""

    @property
    def paragraphs(self) -> tuple[str, ...]:
        """Without any mark-up."""


def is_paper(number: int) -> bool:
    """Whether document ``number`` is an e-print; one in five, so that every kind comes in both forms."""
    return number % 5 == 3


def write_documents(data: Path, texts: Sequence[Text], truth: Truth) -> dict[str, Article]:
    """All documents, as articles of one dump or as e-prints; returns the articles by title."""
    articles = {}
    for number, text in enumerate(texts):
        if is_paper(number):
            write_eprint(data / "arxiv", number, text.title, text.paragraphs)
        else:
            articles[text.title] = Article(
                text.title, text.paragraphs, page_id=1000 + number, revision=500_000 + number
            )
    write_dump(data / "wikipedia" / f"{DUMP_NAME}.xml.bz2", articles.values(), truth)
    return articles


def write_jsonl(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
