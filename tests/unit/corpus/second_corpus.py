"""A small corpus of the sample world's second edition, whose teacher errs, as prepare-corpus writes it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.second.documents import HeldDocument, documents

SEED = 5


def second_documents(num: int, *languages: str) -> dict[str, HeldDocument]:
    """The documents of :func:`write_second_corpus` by id."""
    edition = SecondEdition(languages=languages or ("en",))
    return {f"{number:032x}": one for number, one in enumerate(documents(edition, SEED, num))}


def write_second_corpus(folder: Path, num: int = 40, *languages: str) -> Path:
    """Documents on both sides of the split, and the traces of those that train."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, thoughts = [], []
    for doc_id, document in second_documents(num, *languages).items():
        split = "eval" if document.is_held else "train"
        rows.append({"doc_id": doc_id, "title": document.title, "text": document.text, "split": split})
        for trace in document.traces:
            gap = trace.answer[: len(trace.answer) - len(trace.answer.lstrip())]
            thoughts.append({
                "doc_id": doc_id, "char_offset": document.text.index(trace.before) + len(trace.before),
                "thought": f"{gap}{trace.lesson.thought}", "answer": trace.answer,
                "boxed": f"{gap}{trace.lesson.boxed}", "kind": f"{document.kind}-{trace.num_steps}",
            })  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "documents.parquet")
    pq.write_table(pa.Table.from_pylist(thoughts), folder / "traces.parquet")
    return folder
