"""The sample world on disk, in the formats real corpora come in, with faults planted on purpose.

A MediaWiki dump (multistream bz2 with its index), arXiv e-prints, an Omni-MATH-shaped problem set, a
benchmark, supervised traces; beside them near-duplicates, personal data, benchmark leaks and broken
files. ``truth.json`` says what must become of each, and lies outside the data folder. Same seed, same bytes.
"""

import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rpt_core.recipes.corpus import SampleWorld
from rpt_core.sample.dump import Article, write_dump
from rpt_core.sample.eprints import write_eprint
from rpt_core.sample.planted import NUM_EXTRA_DOCUMENTS, NUM_EXTRA_PROBLEMS, plant
from rpt_core.sample.truth import Truth
from rpt_core.sample.world import WorldDocument, WorldProblem, documents, problems

DUMP_NAME = "samplewiki-20260101-pages-articles-multistream"
TRUTH_FILE = "truth.json"


def write_sample(sample: SampleWorld, folder: Path) -> Path:
    """Write the world's files.

    Args:
        sample: Seed and size.
        folder: Gets ``data/`` and ``truth.json``.

    Returns:
        The data folder.
    """
    data = folder / "data"
    data.mkdir(parents=True)
    drawn = documents(sample.seed, sample.num_documents + NUM_EXTRA_DOCUMENTS)
    texts = list(islice(drawn, sample.num_documents))
    posed = list(problems(sample.seed, sample.num_problems + NUM_EXTRA_PROBLEMS))
    truth = Truth(len(texts), sample.num_problems)
    articles = write_documents(data, texts, truth)
    write_jsonl(data / "problems" / "sample_math.jsonl", map(problem_row, posed[: sample.num_problems]))
    write_jsonl(data / "traces" / "traces.jsonl", (row for text in texts for row in trace_rows(text)))
    plant(data, texts, articles, list(drawn), posed[sample.num_problems :], truth)
    (folder / TRUTH_FILE).write_text(truth.to_json())
    return data


def is_paper(number: int) -> bool:
    """Whether document ``number`` is an e-print; one in five, so that every kind comes in both forms."""
    return number % 5 == 3


def write_documents(data: Path, texts: list[WorldDocument], truth: Truth) -> dict[str, Article]:
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


def problem_row(problem: WorldProblem) -> dict[str, object]:
    """One line in the shape of Omni-MATH."""
    return {
        "domain": [f"Sample World -> {problem.domain}"],
        "difficulty": problem.difficulty,
        "problem": problem.problem,
        "solution": problem.solution,
        "answer": problem.answer,
        "source": "sample_world",
    }


def trace_rows(text: WorldDocument) -> Iterable[dict[str, object]]:
    """The thoughts of one document."""
    for trace in text.traces:
        yield {
            "title": text.title,
            "before": trace.before,
            "thought": trace.thought,
            "answer": trace.answer,
            "kind": text.kind,
        }


def write_jsonl(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """One JSON object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
