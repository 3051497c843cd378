"""The second edition on disk: a dump, e-prints, a problem set, traces; faults where it asks for them."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.formats import TRUTH_FILE, write_documents, write_jsonl
from rpt_core.sample.planted import NUM_EXTRA_DOCUMENTS, NUM_EXTRA_PROBLEMS, plant
from rpt_core.sample.second.documents import HeldDocument, HeldProblem, documents, problems
from rpt_core.sample.truth import Truth


def write_second(
    edition: SecondEdition, seed: int, num_documents: int, num_problems: int, data: Path
) -> None:
    """Write the edition's files.

    Args:
        edition: What is held out, how the teacher errs.
        seed: Of the world.
        num_documents: On both sides of the split together.
        num_problems: The same.
        data: The data folder; beside it, where faults are planted, ``truth.json`` says what becomes of each.
    """
    more = (NUM_EXTRA_DOCUMENTS, NUM_EXTRA_PROBLEMS) if edition.planted else (0, 0)
    drawn = documents(edition, seed, num_documents + more[0])
    texts = list(islice(drawn, num_documents))
    posed = list(problems(edition, seed, num_problems + more[1]))
    truth = Truth(num_documents, num_problems)
    articles = write_documents(data, texts, truth)
    write_jsonl(data / "problems" / "sample_math.jsonl", map(problem_row, posed[:num_problems]))
    write_jsonl(data / "traces" / "traces.jsonl", (row for text in texts for row in trace_rows(text)))
    if edition.planted:
        plant(data, texts, articles, list(drawn), posed[num_problems:], truth)
        (data.parent / TRUTH_FILE).write_text(truth.to_json())


def problem_row(problem: HeldProblem) -> dict[str, object]:
    """One line in the shape of Omni-MATH."""
    return {
        "domain": [f"Sample World -> {problem.question.kind}"],
        "difficulty": problem.difficulty,
        "problem": problem.problem,
        "solution": problem.solution,
        "answer": problem.answer,
        "source": "sample_world",
    }


def trace_rows(text: HeldDocument) -> Iterable[dict[str, object]]:
    """The thoughts of one document: kind and number of steps in one word, such as ``clock-4``."""
    for trace in text.traces:
        gap = trace.answer[: len(trace.answer) - len(trace.answer.lstrip())]
        yield {
            "title": text.title,
            "before": trace.before,
            "thought": f"{gap}{trace.lesson.thought}",
            "answer": trace.answer,
            "boxed": f"{gap}{trace.lesson.boxed}",
            "kind": f"{text.kind}-{trace.num_steps}",
        }
