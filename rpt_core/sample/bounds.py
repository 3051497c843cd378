"""The best any reader could do at a derived value of the sample world, without and with thinking.

With thinking every derived value is certain: it follows from the text. Without, the generator knows what
there is to know before the steps are taken one by one: where they begin and how many there are. One step is
a table that can be known by heart; of more, the best guess is the value that most walks of that length end
on. A model that takes two steps within its layers can do better than that, which is then said by a share
above 1.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from rpt_core.sample.world import KINDS, Kind

BY_NAME = {kind.name: kind for kind in KINDS}
WORDS_A_STEP = 3
"""Of a thought: amount, word, value reached."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Best accuracy at one place."""

    kind: str
    num_steps: int
    without: float
    """Without taking the steps."""
    thinking: float = 1.0


def bound_of(kind: str, thought: str) -> Bound | None:
    """The bound at the place a thought leads to; None where the world has no such kind.

    Args:
        kind: Of the trace, such as ``clock``.
        thought: Of the trace: where it begins, then each step and the value it reaches.

    Example:
        >>> bound_of("week", " Monday 2 days Wednesday 1 day Thursday").num_steps
        2
        >>> bound_of("week", " Monday 2 days Wednesday").without
        1.0
    """
    name = kind.partition("-")[0]
    if name not in BY_NAME:
        return None
    of, words = BY_NAME[name], thought.split()
    before = 2 if of.shown else 1
    num_steps = (len(words) - before) // WORDS_A_STEP
    start = of.values.index(words[before - 1])
    ends = walk_ends(name, start, num_steps)
    return Bound(name, num_steps, 1.0 if num_steps == 1 else float(max(ends.values())))


@cache
def walk_ends(name: str, start: int, num_steps: int) -> Mapping[int, Fraction]:
    """Chance of every end of a walk, exact, by taking all its steps at once.

    Example:
        >>> walk_ends("week", 0, 1)[2]
        Fraction(1, 3)
    """
    kind = BY_NAME[name]
    chances: dict[int, Fraction] = {start: Fraction(1)}
    for _ in range(num_steps):
        after: dict[int, Fraction] = defaultdict(Fraction)
        for position, chance in chances.items():
            for end, share in _step(kind, position).items():
                after[end] += chance * share
        chances = after
    return chances


def _step(kind: Kind, position: int) -> Mapping[int, Fraction]:
    ways = [(amount, sign) for amount in kind.amounts for _, sign in kind.directions]
    ends: dict[int, Fraction] = defaultdict(Fraction)
    for amount, sign in ways:
        end = position + sign * amount
        if not kind.wraps and not 0 <= end < len(kind.values):
            end = position - sign * amount
        ends[end % len(kind.values)] += Fraction(1, len(ways))
    return ends
