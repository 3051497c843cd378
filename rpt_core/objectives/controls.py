"""What stands in the rewards' place for a control: the same update, with rewards that say nothing.

    permuted    each group's own rewards, shuffled within it: the distribution stays, the meaning goes
    random      1 or 0 with equal chances, one draw an answer (arXiv 2506.10947)
    format      1 for an answer in the asked form, 0 for one that could not be read or was cut off

With one update a batch the mean gradient of a permuted reward over all shuffles is exactly 0: what such a
training shows is the damage of noise at its rate. With several, the clip of ratios turns noise into a drift.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from rpt_core.objectives.objective import Asked, Verdict, Verdicts

Control = Callable[[Sequence[Verdict], np.random.Generator], list[Verdict]]
"""From one group's verdicts; what is random comes from the generator."""
FORMED = ("correct", "wrong", "scored")
"""Verdicts of answers in the asked form."""


def permuted(group: Sequence[Verdict], rng: np.random.Generator) -> list[Verdict]:
    """Each answer with the reward of another (or its own)."""
    order = rng.permutation(len(group))
    return [
        replace(verdict, score=group[other].score, advantage=group[other].advantage)
        for verdict, other in zip(group, order, strict=True)
    ]


def at_random(group: Sequence[Verdict], rng: np.random.Generator) -> list[Verdict]:
    """Each answer with the toss of a coin."""
    tosses = rng.integers(2, size=len(group)).tolist()
    return [replace(verdict, score=float(toss)) for verdict, toss in zip(group, tosses, strict=True)]


def by_format(group: Sequence[Verdict], rng: np.random.Generator) -> list[Verdict]:
    """Each answer by its form alone."""
    return [replace(verdict, score=float(verdict.verdict in FORMED)) for verdict in group]


CONTROLS: dict[str, Control] = {"permuted": permuted, "random": at_random, "format": by_format}
"""By the name a recipe gives."""


def controlled(name: str, seed: int, step: int, asked: Sequence[Asked], verdicts: Verdicts) -> Verdicts:
    """All groups under a control; their own rewards where no name is given.

    What is random is keyed by seed, step and question, so that a training that was stopped goes on alike.
    """
    if not name:
        return verdicts
    control = CONTROLS[name]
    return [
        [
            control(
                group, np.random.default_rng([seed, step, crc32(one.trunk.key.encode()), cut.position, n])
            )
            for n, (cut, group) in enumerate(zip(one.trunk.cuts, groups, strict=True))
        ]
        for one, groups in zip(asked, verdicts, strict=True)
    ]
