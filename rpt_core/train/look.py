"""A quick look at held-out questions while training goes on; the real evaluation is a stage of its own."""

from dataclasses import replace

import numpy as np

from rpt_core.train.gather import judge
from rpt_core.train.state import Trainer

QUESTIONS = 64
ANSWERS = 4
SEED = 0
"""The same questions and the same random streams at every look: what moves is the policy."""


def quick_look(trainer: Trainer) -> dict[str, float]:
    """Accuracy and habits on a small fixed set of held-out questions; nothing where none is held out."""
    asked = trainer.objective.held_out(QUESTIONS)
    if not asked:
        return {}
    sampling = replace(trainer.sampling, group_size=ANSWERS, seed=SEED)
    drawn = trainer.engine.generate([one.trunk for one in asked], sampling, 0)
    verdicts = [
        verdict
        for one, samples in zip(asked, drawn, strict=True)
        for group in judge(trainer, one, samples)
        for verdict in group
    ]
    right = np.array([verdict.verdict == "correct" for verdict in verdicts])
    thought = np.array([verdict.thought_tokens for verdict in verdicts])
    unread = np.array([verdict.verdict not in ("correct", "wrong") for verdict in verdicts])
    return {
        "eval/accuracy": float(right.mean()),
        "eval/think_share": float((thought > 0).mean()),
        "eval/thought_tokens": float(thought.mean()),
        "eval/unread_share": float(unread.mean()),
    }
