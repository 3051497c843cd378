"""A small corpus artifact from the sample world, written as prepare-corpus writes it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.sample.world import documents, problems

EVERY_NTH_IS_HELD_OUT = 10


def split_of(number: int) -> str:
    return "train" if number % EVERY_NTH_IS_HELD_OUT else "eval"


def write_corpus(
    folder: Path,
    num_documents: int = 60,
    num_problems: int = 20,
    *,
    traces: bool = True,
    extra: tuple[str, ...] = (),
) -> Path:
    """Documents and problems of seed 10, every tenth held out; ``extra`` texts are training documents."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, thoughts = [], []
    for number, document in enumerate(documents(10, num_documents)):
        doc_id = f"{number:032x}"
        rows.append(
            {"doc_id": doc_id, "source": "text", "title": document.title, "text": document.text,
             "split": split_of(number), "lang": "en"}
        )  # fmt: skip
        for trace in document.traces if traces else ():
            offset = document.text.index(trace.before) + len(trace.before)
            thoughts.append(
                {"doc_id": doc_id, "char_offset": offset, "thought": trace.thought, "answer": trace.answer,
                 "kind": f"{document.kind}-{trace.num_steps}"}
            )  # fmt: skip
    for number, text in enumerate(extra):
        rows.append(
            {"doc_id": f"e{number:031x}", "source": "text", "title": f"extra {number}", "text": text,
             "split": "train", "lang": "en"}
        )  # fmt: skip
    asked = [
        {"problem_id": f"p{number}", "source": "text", "problem": p.problem, "solution": p.solution,
         "answer": p.answer, "difficulty": p.difficulty, "domain": p.domain, "split": split_of(number)}
        for number, p in enumerate(problems(10, num_problems))
    ]  # fmt: skip
    schema = pa.schema(
        [("doc_id", pa.string()), ("char_offset", pa.int64())]
        + [(name, pa.string()) for name in ("thought", "answer", "kind")]
    )
    pq.write_table(pa.Table.from_pylist(rows), folder / "documents.parquet")
    pq.write_table(pa.Table.from_pylist(thoughts, schema=schema), folder / "traces.parquet")
    pq.write_table(pa.Table.from_pylist(asked), folder / "problems.parquet")
    return folder
