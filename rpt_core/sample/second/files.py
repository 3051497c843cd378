"""The second edition on disk: a dump, e-prints, a problem set and the teacher's traces, nothing planted."""

from collections.abc import Iterable
from pathlib import Path

from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.formats import write_documents, write_jsonl
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
        data: The data folder.
    """
    texts = list(documents(edition, seed, num_documents))
    write_documents(data, texts, Truth(num_documents, num_problems))
    posed = problems(edition, seed, num_problems)
    write_jsonl(data / "problems" / "sample_math.jsonl", map(problem_row, posed))
    write_jsonl(data / "traces" / "traces.jsonl", (row for text in texts for row in trace_rows(text)))


def problem_row(problem: HeldProblem) -> dict[str, object]:
    """One line in the shape of Omni-MATH."""
    question = problem.question
    return {
        "domain": [f"Sample World -> {question.kind}"],
        "difficulty": min(10.0, 2.0 * question.num_steps),
        "problem": problem.problem,
        "solution": question.thought,
        "answer": question.truth,
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
