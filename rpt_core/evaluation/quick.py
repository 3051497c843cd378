"""A quick look at a policy while it trains: a handful of numbers, one call."""

from collections.abc import Sequence

import numpy as np

from rpt_core.evaluation.intervals import clustered_mean
from rpt_core.objectives.objective import VERDICTS, Asked, Objective, Verdict
from rpt_core.policy.engine import RolloutEngine
from rpt_core.policy.trunk import Sampling


def quick_accuracy(
    engine: RolloutEngine, objective: Objective, asked: Sequence[Asked], sampling: Sampling
) -> dict[str, float]:
    """Draw answers to fixed questions and say how many are right, and how many thought.

    The same questions, seed and weights give the same numbers: call it with ``objective.held_out(n)``
    and a sampling whose seed does not change over the training.

    Args:
        engine: Serves the weights to look at.
        objective: Judges.
        asked: Held-out questions, by document.
        sampling: ``group_size`` answers each; two or four will do.

    Returns:
        ``accuracy`` (avg@n) and its clustered ``accuracy_error`` (absent with one document),
        ``think_share``, ``accuracy_given_thinking`` (absent when nobody thought), ``thought_tokens``,
        ``answer_tokens``, the share of each verdict as ``share_correct`` ..., and ``num_questions``.
        Empty when there is no question.
    """
    drawn = engine.generate([one.trunk for one in asked], sampling, 0)
    by_question: list[tuple[str, list[Verdict]]] = [
        (one.questions[cut].document, objective.judge(one, cut, samples))
        for one, of_trunk in zip(asked, drawn, strict=True)
        for cut, samples in enumerate(of_trunk)
    ]
    if not by_question:
        return {}
    verdicts = [verdict for _, group in by_question for verdict in group]
    right = [float(np.mean([v.verdict == "correct" for v in group])) for _, group in by_question]
    accuracy = clustered_mean(right, [document for document, _ in by_question], proportion=True)
    numbers = {
        "accuracy": accuracy.value,
        "think_share": float(np.mean([v.thought_tokens > 0 for v in verdicts])),
        "thought_tokens": float(np.mean([v.thought_tokens for v in verdicts])),
        "answer_tokens": float(np.mean([v.answer_tokens for v in verdicts])),
        "num_questions": float(len(by_question)),
    }
    for name in VERDICTS:
        numbers[f"share_{name.replace(' ', '_')}"] = float(np.mean([v.verdict == name for v in verdicts]))
    if accuracy.standard_error is not None:
        numbers["accuracy_error"] = accuracy.standard_error
    if thinking := [v.verdict == "correct" for v in verdicts if v.thought_tokens > 0]:
        numbers["accuracy_given_thinking"] = float(np.mean(thinking))
    return numbers
