"""Curriculum-based adaptive sampling of RMT (arXiv 2509.24375): draw a tier of entropy, then a token of it.

    p_t = p_early before t1, p_late after t2, and between them (1 - tau) * p_early + tau * p_late,
    tau = (t - t1) / (t2 - t1)

How many questions of a step belong to which tier is drawn from the tiers' shares at that step. A walk
over the documents, in an order fixed by the seed, then fills those numbers: each document gives up to
``per_visit`` positions of tiers that are still wanted, a token of a tier as likely as any other of it in
that document. So the shares are met exactly, and questions still share trunks. Where the walk is, is one
integer (windows passed), so a resumed training asks what the uninterrupted one would have asked.

Beyond the paper, two further modes (:class:`~rpt_core.recipes.objectives.Curriculum`): tiers by the
current policy's entropy, remembered from update passes over the same document, and a level of difficulty
that follows the share of right answers. Both carry state, which checkpoints keep.

Letters: W windows, T tiers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rpt_core.objectives.next_token.positions import Positions
from rpt_core.objectives.next_token.samplers.sampler import Indices, Nats, State, Visited
from rpt_core.objectives.rounds import Visit
from rpt_core.recipes.objectives import Curriculum

Floats = NDArray[np.float64]


def tier_shares(settings: Curriculum, done: float) -> Floats:
    """Shares of the tiers when a share ``done`` of the schedule is over (RMT, CAS).

    Example:
        >>> [tier_shares(Curriculum(), done).round(2).tolist() for done in (0.1, 0.5, 0.9)]
        [[0.6, 0.3, 0.1], [0.35, 0.3, 0.35], [0.1, 0.3, 0.6]]
    """
    begin, end = settings.turns
    late = min(max((done - begin) / (end - begin), 0.0), 1.0)
    return (1 - late) * np.array(settings.early) + late * np.array(settings.late)


def level_shares(level: float, num_tiers: int) -> Floats:
    """Shares of the two tiers a level of difficulty lies between; 0 is all of the easiest.

    Example:
        >>> level_shares(0.25, 3).tolist(), level_shares(2.0, 3).tolist()
        ([0.75, 0.25, 0.0], [0.0, 0.0, 1.0])
    """
    return np.maximum(0.0, 1.0 - np.abs(np.arange(num_tiers) - level))


def next_level(level: float, right: float, settings: Curriculum) -> float:
    """The level after a step with a share ``right`` of right answers: harder when it was above the target.

    Example:
        >>> round(next_level(0.5, 0.9, Curriculum()), 2), next_level(0.0, 0.1, Curriculum())
        (0.7, 0.0)
    """
    moved = level + settings.gain * (right - settings.target)
    return min(max(moved, 0.0), len(settings.tiers_nats) - 1.0)


def tiers_of(entropies_nats: NDArray[np.float32], tiers_nats: Sequence[float]) -> Indices:
    """Tier of each position, 0 the easiest; -1 below all of them.

    Example:
        >>> tiers_of(np.array([0.2, 0.5, 1.2, 9.0], np.float32), (0.5, 1.0, 1.5)).tolist()
        [-1, 0, 1, 2]
    """
    return np.searchsorted(np.array(tiers_nats), entropies_nats, side="right") - 1


@dataclass
class TieredSampler:
    """The positions of a scored corpus by tier, and the walk over its windows that draws from them."""

    positions: Positions
    settings: Curriculum
    per_visit: int
    """Most questions of one document in one step."""
    seed: int
    steps: int
    """Of the training; the schedule's length where the settings have none of their own."""
    level: float = 0.0
    """Of ``follows="success"``."""
    own_nats: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    """Of ``follows="policy"``: by window, the policy's entropy at each eligible position when last seen."""

    def __post_init__(self) -> None:
        self._order = lru_cache(maxsize=2)(self._shuffled)
        tiers = len(self.settings.tiers_nats)
        self.counts_WT = np.zeros((len(self.positions.counts), tiers), np.int32)
        for window in range(len(self.counts_WT)):
            self._count(window)

    @property
    def num(self) -> int:
        """Positions that lie in a tier."""
        return int(self.counts_WT.sum())

    def shares(self, done: float) -> Floats:
        """Shares of the tiers now; a tier without any position leaves its share to the others."""
        num_tiers = self.counts_WT.shape[1]
        wanted_T = (
            level_shares(self.level, num_tiers)
            if self.settings.follows == "success"
            else tier_shares(self.settings, done)
        )
        held_T = np.where(self.counts_WT.sum(0) > 0, wanted_T, 0.0)
        if not held_T.sum():  # only tiers without a share have positions: those are asked
            held_T = (self.counts_WT.sum(0) > 0).astype(np.float64)
        return held_T / held_T.sum()

    @property
    def wants_entropies(self) -> bool:
        """Whether tiers are those of the policy's own entropy."""
        return self.settings.follows == "policy"

    def take(self, step: int, cursor: int, num: int) -> tuple[list[Visit], int]:
        """The step's tiers; fewer questions where a whole round holds no more. The cursor counts windows."""
        done = (step - 1) / (self.settings.schedule_steps or self.steps)
        rng = np.random.default_rng([self.seed, step, cursor, 3])
        wanted_T = rng.multinomial(num, self.shares(done))
        visits: list[Visit] = []
        for _ in range(len(self.counts_WT)):
            if not wanted_T.any():
                break
            epoch, place = divmod(cursor, len(self.counts_WT))
            window = int(self._order(epoch)[place])
            cursor += 1
            if np.minimum(self.counts_WT[window], wanted_T).any():
                visits.append((window, self._pick(window, wanted_T, rng)))
        return visits, cursor

    def observe(self, visits: Sequence[Visited], own_nats: Mapping[int, Nats]) -> None:
        """Move the level by the share of right answers, or grade windows anew, as the settings say."""
        if self.settings.follows == "success":
            right = [v.verdict == "correct" for visit in visits for group in visit.groups for v in group]
            self.level = next_level(self.level, float(np.mean(right)), self.settings)
        for window, nats in own_nats.items():
            self.remember(window, nats)

    def remember(self, window: int, entropies_nats: NDArray[np.float32]) -> None:
        """Re-grade a window's eligible positions by the policy's own entropy; NaN keeps the stored one."""
        stored = self.positions.read(window).entropies_nats
        self.own_nats[window] = np.where(np.isnan(entropies_nats), stored, entropies_nats).astype(np.float32)
        self._count(window)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """What a draw depends on beside step and cursor."""
        windows = sorted(self.own_nats)
        values = [self.own_nats[window] for window in windows]
        return {
            "level": np.array([self.level]),
            "windows": np.array(windows, np.int64),
            "entropies_nats": np.concatenate([*values, np.zeros(0, np.float32)]),
        }

    def restore(self, state: State) -> None:
        """Go on from :meth:`state`."""
        self.level = float(state["level"][0])
        windows: list[int] = state["windows"].tolist()
        ends = np.cumsum([self.positions.counts[window] for window in windows])
        values = np.split(np.asarray(state["entropies_nats"], np.float32), ends[:-1])
        for window, entropies in zip(windows, values, strict=False):  # no window: one empty piece
            self.own_nats[window] = entropies
            self._count(window)

    def tiers(self, window: int) -> Indices:
        """Tier of each eligible position of a window; -1 below all tiers."""
        own = self.own_nats.get(window)
        nats = self.positions.read(window).entropies_nats if own is None else own
        return tiers_of(nats, self.settings.tiers_nats)

    def _count(self, window: int) -> None:
        tiers = self.tiers(window)
        self.counts_WT[window] = np.bincount(tiers[tiers >= 0], minlength=self.counts_WT.shape[1])

    def _pick(self, window: int, wanted_T: Indices, rng: np.random.Generator) -> Indices:
        """Some positions of a window, of tiers still wanted; what is taken leaves ``wanted_T``."""
        tiers = self.tiers(window)
        left = tiers >= 0
        chosen: list[int] = []
        for _ in range(self.per_visit):
            there_T = np.bincount(tiers[left], minlength=len(wanted_T)) > 0
            chances_T = np.where(there_T, wanted_T, 0)
            if not chances_T.any():
                break
            tier = rng.choice(len(wanted_T), p=chances_T / chances_T.sum())
            position = int(rng.choice(np.flatnonzero(left & (tiers == tier))))
            left[position] = False
            wanted_T[tier] -= 1
            chosen.append(position)
        return np.array(sorted(chosen), np.int64)

    def _shuffled(self, epoch: int) -> Indices:
        return np.random.default_rng([self.seed, epoch, 4]).permutation(len(self.counts_WT))
