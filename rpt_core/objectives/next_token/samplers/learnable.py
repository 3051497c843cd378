"""Beyond the paper: ask where the answers of a group are expected to differ.

A group teaches only where some of its answers are right and some wrong; the variance of a right-or-wrong
reward is p (1 - p). An entropy floor is a guess at where that is large, made once, by another model. Here p
is predicted from answers seen: those at the position itself, and those at positions alike, which are of the
same class of uncertainty - the policy's own where an update has passed over the document, else the proxy's.

A walk over the documents, in an order fixed by the seed, lays out a pool a few times as large as needed;
questions are drawn from it with chances in proportion to the predicted variance, beside a share for all
alike. Where the walk is, is one integer; what was seen is the sampler's state.

Letters: W windows, I eligible positions of a window, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpt_core.objectives.next_token.positions import Positions
from rpt_core.objectives.next_token.samplers.sampler import Indices, Nats, State, Visited
from rpt_core.objectives.rounds import Visit
from rpt_core.recipes.objectives import Learnability

Floats = NDArray[np.float64]


def expected_variance(chance: Floats) -> Floats:
    """Variance of a right-or-wrong reward.

    Example:
        >>> expected_variance(np.array([0.0, 0.5, 1.0])).tolist()
        [0.0, 0.25, 0.0]
    """
    return chance * (1 - chance)


@dataclass
class Memory:
    """What answers showed, older ones counting less: right ones and all, by class and by position."""

    settings: Learnability
    right_C: Floats
    answers_C: Floats
    seen: dict[int, tuple[int, Floats, Floats]] = field(default_factory=dict)
    """By window: the step it was last asked in, right answers and all answers by position, as of then."""
    own_nats: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """By window: the policy's entropy at each position when an update last passed over it."""
    now: int = 0

    def chance(self, window: int, classes_I: NDArray[np.int64]) -> Floats:
        """Predicted chance of a right answer at every position of a window."""
        mean = (self.right_C.sum() + 0.5) / (self.answers_C.sum() + 1)
        prior = self.settings.prior_answers
        class_C = (self.right_C + prior * mean) / (self.answers_C + prior)
        chance_I = class_C[classes_I]
        if window not in self.seen:
            return chance_I
        step, right_I, answers_I = self.seen[window]
        fades = self.settings.memory ** (self.now - step)
        return (prior * chance_I + fades * right_I) / (prior + fades * answers_I)

    def add(
        self,
        window: int,
        num: int,
        items: NDArray[np.int64],
        classes: NDArray[np.int64],
        right: Floats,
        answers: Floats,
    ) -> None:
        """One window's answers of this step: ``items`` of its ``num`` positions were asked."""
        np.add.at(self.right_C, classes, right)
        np.add.at(self.answers_C, classes, answers)
        step, right_I, answers_I = self.seen.get(window, (self.now, np.zeros(num), np.zeros(num)))
        fades = self.settings.memory ** (self.now - step)
        right_I, answers_I = fades * right_I, fades * answers_I
        right_I[items] += right
        answers_I[items] += answers
        self.seen[window] = (self.now, right_I, answers_I)

    def fade(self) -> None:
        """A step is over: what was seen counts a little less."""
        self.now += 1
        self.right_C *= self.settings.memory
        self.answers_C *= self.settings.memory


@dataclass
class LearnableSampler:
    """The positions of a scored corpus, what answers to them showed, and the walk that draws from them."""

    positions: Positions
    settings: Learnability
    per_visit: int
    """Most questions of one document in one step."""
    seed: int

    def __post_init__(self) -> None:
        self._order = lru_cache(maxsize=2)(self._shuffled)
        num = len(self.positions.counts)
        nats = [self.positions.read(window).entropies_nats for window in range(num)]
        inner = np.linspace(0, 1, self.settings.classes + 1)[1:-1]
        self.edges_nats = np.quantile(np.concatenate(nats), inner) if num else inner
        # classes by the proxy's uncertainty, then the same classes by the policy's own
        empty = np.zeros(2 * self.settings.classes)
        self.memory = Memory(self.settings, empty, empty.copy())

    def classes(self, window: int) -> NDArray[np.int64]:
        """Class of each eligible position of a window."""
        own = self.memory.own_nats.get(window)
        if own is None:
            return np.searchsorted(self.edges_nats, self.positions.read(window).entropies_nats, side="right")
        return self.settings.classes + np.searchsorted(self.edges_nats, own, side="right")

    @property
    def wants_entropies(self) -> bool:
        """Whether positions are classed by the policy's own uncertainty."""
        return self.settings.follow_policy

    def take(self, step: int, cursor: int, num: int) -> tuple[list[Visit], int]:
        """Up to ``num`` questions of the windows after ``cursor``, and the cursor after the pool."""
        wanted = -(-num // self.per_visit) * self.settings.pool
        pool = [self._window(cursor + i) for i in range(min(wanted, len(self.positions.counts)))]
        owners, items, chances = self._pool(pool)
        rng = np.random.default_rng([self.seed, step, cursor, 5])
        # the largest of log-weight plus Gumbel noise: draws by weight, without replacement
        keys = np.log(chances) + rng.gumbel(size=len(chances))
        chosen: dict[int, list[int]] = {}
        for place in np.argsort(-keys, kind="stable"):
            mine = chosen.setdefault(int(owners[place]), [])
            if len(mine) < self.per_visit:
                mine.append(int(items[place]))
                num -= 1
            if not num:
                break
        visits = [(window, np.array(sorted(chosen[window]), np.int64)) for window in pool if window in chosen]
        return visits, cursor + len(pool)

    def tiers(self, window: int) -> Indices:
        """None of them has a tier."""
        return np.full(int(self.positions.counts[window]), -1)

    def observe(self, visits: Sequence[Visited], own_nats: Mapping[int, Nats]) -> None:
        """Take in which answers of the step were right, and how uncertain the policy was on the way."""
        self.memory.fade()
        for visit in visits:
            groups = visit.groups
            right = np.array([sum(v.verdict == "correct" for v in group) for group in groups], np.float64)
            answers = np.array([len(group) for group in groups], np.float64)
            classes = self.classes(visit.window)[visit.items]
            num = int(self.positions.counts[visit.window])
            self.memory.add(visit.window, num, visit.items, classes, right, answers)
        self.memory.own_nats.update(own_nats)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What draws depend on beside step and cursor."""
        memory = self.memory
        seen = list(memory.seen.items())
        return {
            "now": np.array([memory.now], np.int64),
            "right_C": memory.right_C,
            "answers_C": memory.answers_C,
            "seen_windows": np.array([window for window, _ in seen], np.int64),
            "seen_steps": np.array([step for _, (step, _, _) in seen], np.int64),
            "seen_right": _joined([right for _, (_, right, _) in seen], np.float64),
            "seen_answers": _joined([answers for _, (_, _, answers) in seen], np.float64),
            "own_windows": np.array(list(memory.own_nats), np.int64),
            "own_nats": _joined(list(memory.own_nats.values()), np.float32),
        }

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        memory = self.memory
        memory.now = int(state["now"][0])
        memory.right_C, memory.answers_C = (
            np.array(state[name], np.float64) for name in ("right_C", "answers_C")
        )
        windows: list[int] = state["seen_windows"].tolist()
        names = ("seen_right", "seen_answers")
        right, answers = (self._by_window(windows, state[name], np.float64) for name in names)
        steps = state["seen_steps"].tolist()
        memory.seen = {w: (steps[i], right[i], answers[i]) for i, w in enumerate(windows)}
        own: list[int] = state["own_windows"].tolist()
        memory.own_nats = dict(zip(own, self._by_window(own, state["own_nats"], np.float32), strict=True))

    def _by_window(
        self, windows: Sequence[int], values: NDArray[np.generic], dtype: type
    ) -> list[NDArray[Any]]:
        """Values of whole windows one after the other, cut apart again."""
        ends = np.cumsum([self.positions.counts[window] for window in windows])
        whole: NDArray[Any] = np.asarray(values, dtype)
        return [part.copy() for part in np.split(whole, ends[:-1])] if windows else []

    def _pool(self, windows: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        """Window and position of everything in a pool, and its chance to be drawn."""
        counts = [int(self.positions.counts[window]) for window in windows]
        owners = np.repeat(np.array(windows, np.int64), counts)
        items = np.concatenate([np.arange(count) for count in counts])
        variance = np.concatenate(
            [expected_variance(self.memory.chance(window, self.classes(window))) for window in windows]
        )
        alike = 1 / len(variance)
        explore = self.settings.explore
        return owners, items, (1 - explore) * variance / variance.sum() + explore * alike

    def _window(self, place: int) -> int:
        epoch, within = divmod(place, len(self.positions.counts))
        return int(self._order(epoch)[within])

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, epoch, 6]).permutation(len(self.positions.counts))


def _joined(parts: Sequence[NDArray[np.generic]], dtype: type) -> NDArray[np.generic]:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(0, dtype)
