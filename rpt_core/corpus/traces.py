"""Supervised thoughts, put at their place in the cleaned text."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from rpt_core.corpus.clean.cleaning import normalise
from rpt_core.corpus.ledger import Ledger
from rpt_core.corpus.tables import BOXED, CORPUS_TRACES, TableWriter, read_rows

BATCH_BYTES = 64 << 20
"""Traces held at once; every batch is one pass over the documents."""


def find_place(text: str, before: str, answer: str) -> int | None:
    """Offset of ``answer`` where it follows ``before``; None when nowhere, -1 when in two places.

    Example:
        >>> find_place("One and one is two.", "one is", " two")
        14
    """
    joined = before + answer
    first = text.find(joined)
    if first < 0:
        return None
    if text.find(joined, first + 1) >= 0:
        return -1
    return first + len(before)


def align_traces(traces: Path, documents: Path, out: Path, ledger: Ledger) -> Counter[str]:
    """Write every trace whose place is certain, with its document and offset; drop the others by reason.

    A title may name several documents (an article in two editions); the first that holds the text is it. A
    document made of a problem and its solution has no title, and is named by its id.

    Returns:
        Traces per split.
    """
    splits: Counter[str] = Counter()
    errs = BOXED.name in pq.read_schema(traces).names
    with TableWriter(out, CORPUS_TRACES.append(BOXED) if errs else CORPUS_TRACES) as writer:
        for batch in _batches(traces):
            waiting = defaultdict(list)
            for trace in batch:
                waiting[trace["title"]].append(trace)
            for document in read_rows(documents, ["doc_id", "title", "text", "split"]):
                for trace in (*waiting.get(document["title"], ()), *waiting.get(document["doc_id"], ())):
                    _place(trace, document, writer, splits)
            for trace in batch:
                if trace["state"] == "placed":
                    ledger.count("traces")
                else:
                    ledger.drop(
                        "traces",
                        trace,
                        trace["state"],
                        "align",
                        f"{trace['before'][-100:]} | {trace['answer']}",
                    )
    return splits


def _place(
    trace: dict[str, Any], document: dict[str, Any], writer: TableWriter, splits: Counter[str]
) -> None:
    if trace["state"] == "placed":
        return
    offset = find_place(document["text"], trace["before"], trace["answer"])
    if offset is None or offset < 0:
        trace["state"] = "not-found" if offset is None else "ambiguous"
        return
    trace["state"] = "placed"
    splits[document["split"]] += 1
    writer.add(
        {
            "doc_id": document["doc_id"], "char_offset": offset, "thought": trace["thought"],
            "answer": trace["answer"], "kind": trace["kind"], "split": document["split"],
            "boxed": trace.get("boxed"),
        }
    )  # fmt: skip


def _batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    held = 0
    for row in read_rows(path):
        texts = ("before", "thought", "answer", BOXED.name)
        cleaned = {name: _normalised(row[name]) for name in texts if name in row}
        batch.append({**row, **cleaned, "title": normalise(row["title"]), "state": "no-document"})
        held += sum(len(text) for text in cleaned.values())
        if held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _normalised(text: str) -> str:
    """Cleaned like the documents, but with the blanks at its ends, which belong to the tokens."""
    inner = normalise(text)
    if not inner:
        return text
    lead = text[: len(text) - len(text.lstrip())]
    return lead + inner + text[len(text.rstrip()) :]
