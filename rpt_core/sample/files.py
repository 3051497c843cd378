"""The sample world on disk, in the formats real corpora come in, with faults planted on purpose.

A MediaWiki dump (multistream bz2 with its index), arXiv e-prints, an Omni-MATH-shaped problem set, a
benchmark, supervised traces; beside them near-duplicates, personal data, benchmark leaks and broken
files. ``truth.json`` says what must become of each, and lies outside the data folder. Same seed, same bytes.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rpt_core.recipes.corpus import SampleWorld
from rpt_core.sample.formats import TRUTH_FILE, write_documents, write_jsonl
from rpt_core.sample.planted import NUM_EXTRA_DOCUMENTS, NUM_EXTRA_PROBLEMS, plant
from rpt_core.sample.second.files import write_second
from rpt_core.sample.truth import Truth
from rpt_core.sample.world import WorldDocument, WorldProblem, documents, problems


def write_sample(sample: SampleWorld, folder: Path) -> Path:
    """Write the world's files; the second edition's without planted faults where it does not ask for them.

    Args:
        sample: Seed and size.
        folder: Gets ``data/`` and ``truth.json``.

    Returns:
        The data folder.
    """
    data = folder / "data"
    data.mkdir(parents=True)
    if sample.second is not None:
        write_second(sample.second, sample.seed, sample.num_documents, sample.num_problems, data)
        return data
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
