"""Online evaluation at a few held-out questions during training; the real one is a stage of its own."""

from dataclasses import replace

import numpy as np

from rpt_core.objectives.objective import Objective, Reporting
from rpt_core.train.rl.evidence import measured
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
    drawn = trainer.engine.generate([one.trunk for one in asked], sampling, 0)
    evidence = None
    if trainer.objective.needs.forced:  # without it there is no verdict at all
        evidence, _, _ = measured(trainer, asked, trainer.objective.wanted(asked, drawn))
    by_document = trainer.objective.verdicts(asked, drawn, evidence)
    verdicts = [verdict for of_one in by_document for group in of_one for verdict in group]
    right = np.array([verdict.verdict == "correct" for verdict in verdicts])
    thought = np.array([verdict.thought_tokens for verdict in verdicts])
    unread = np.array([verdict.verdict not in ("correct", "wrong", "scored") for verdict in verdicts])
    scored = [verdict.score for verdict in verdicts if verdict.verdict == "scored"]
    own, _ = reported(trainer.objective)
    return {
        **{f"eval/{name}": value for name, value in own.items()},
        **({"eval/score_mean": float(np.mean(scored))} if scored else {"eval/accuracy": float(right.mean())}),
        "eval/think_share": float((thought > 0).mean()),
        "eval/thought_tokens": float(thought.mean()),
        "eval/unread_share": float(unread.mean()),
    }


def reported(objective: Objective) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics and timings of the objective's own since they were last asked for; none where it has none."""
    return objective.report() if isinstance(objective, Reporting) else ({}, {})
