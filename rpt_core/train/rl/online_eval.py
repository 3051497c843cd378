"""Online evaluation at a few held-out questions during training; the real one is a stage of its own."""

from dataclasses import replace

import numpy as np

from rpt_core.objectives.objective import Reporting
from rpt_core.train.clock import Clock
from rpt_core.train.rl.rollouts import answered
from rpt_core.train.rl.state import Trainer

QUESTIONS = 64
ANSWERS = 4
SEED = 0
"""The same questions and the same random streams at every look: what moves is the policy."""


def online_eval(trainer: Trainer) -> dict[str, float]:
    """Accuracy and habits on a small fixed set of held-out questions; nothing where none is held out."""
    asked = trainer.objective.held_out(QUESTIONS)
    if not asked:
        return {}
    sampling = replace(trainer.sampling, group_size=ANSWERS, seed=SEED)
    rewarded = trainer.objective.needs.forced  # without it there is no verdict at all
    found = answered(trainer, asked, sampling, 0, Clock(), rewarded=rewarded)
    verdicts = [verdict for of_one in found.verdicts for group in of_one for verdict in group]
    right = np.array([verdict.verdict == "correct" for verdict in verdicts])
    thought = np.array([verdict.thought_tokens for verdict in verdicts])
    unread = np.array([verdict.verdict not in ("correct", "wrong", "scored") for verdict in verdicts])
    scored = [verdict.score for verdict in verdicts if verdict.verdict == "scored"]
    own, _ = reported(trainer)
    return {
        **{f"eval/{name}": value for name, value in own.items()},
        **({"eval/score_mean": float(np.mean(scored))} if scored else {"eval/accuracy": float(right.mean())}),
        "eval/think_share": float((thought > 0).mean()),
        "eval/thought_tokens": float(thought.mean()),
        "eval/unread_share": float(unread.mean()),
    }


def reported(trainer: Trainer) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics and timings of the objective's own, of all ranks, since they were last asked for; or none."""
    objective = trainer.objective
    return objective.report(trainer.backend.all_gather) if isinstance(objective, Reporting) else ({}, {})
