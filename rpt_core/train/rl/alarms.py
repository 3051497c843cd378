"""What in a training's metrics should bring somebody to look: pure functions of the rows written so far.

An alarm stops nothing. It is said at the first row at which it holds; means over :data:`WINDOW_STEPS` steps
are compared, so that one bad batch says nothing.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Literal

from rpt_core.errors import RecipeError

WINDOW_STEPS = 10
FALL = 0.5
"""Share of its best mean that the reward has lost when it counts as collapsed."""
_STANDARD_ERRORS = 6.0
"""How far it must have fallen beyond noise; many, since the best of all windows is partly luck."""
DRIFT_SHARE = 0.5
"""Share of ``mismatch_nats_max``, at which a training stops by itself; from here an engine drifts."""
Kind = Literal["reward-collapse", "engine-drift", "threshold"]
Rows = Sequence[Mapping[str, float]]
_RULE = re.compile(r"([A-Za-z][\w/.-]*)([<>])([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A bound of the user's on the mean of a metric."""

    metric: str
    is_below: bool
    """Whether the alarm is at a mean below the bound, or above it."""
    bound: float

    def __str__(self) -> str:
        return f"{self.metric}{'<' if self.is_below else '>'}{self.bound:g}"


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to look at."""

    kind: Kind
    step: int
    text: str
    """A sentence with both values, and what to look at."""
    metric: str
    value: float
    bound: float


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The user's rules from text such as ``reward_mean<0.05 answer_tokens>400``.

    Raises:
        RecipeError: a word of it is no rule.
    """
    rules = []
    for word in text.split():
        found = _RULE.fullmatch(word)
        if found is None:
            raise RecipeError(
                f"RPT_ALERT_WHEN has {word[:80]!r}, which is no rule. Write METRIC<NUMBER or METRIC>NUMBER, "
                "with blanks between rules, for example: reward_mean<0.05 answer_tokens>400"
            )
        rules.append(Rule(found[1], found[2] == "<", float(found[3])))
    return tuple(rules)


def alarms(rows: Rows, mismatch_nats_max: float | None, rules: Sequence[Rule] = ()) -> list[Alarm]:
    """What holds at the last of the rows.

    Args:
        rows: Metrics of a training by step, as far as it is.
        mismatch_nats_max: Gap between engine and trainer at which its recipe stops it; None where nothing is
            sampled.
        rules: Bounds of the user's own.
    """
    if not rows:
        return []
    found = [_collapse(rows), _drift(rows, mismatch_nats_max), *(_beyond(rows, rule) for rule in rules)]
    return [alarm for alarm in found if alarm is not None]


def _collapse(rows: Rows) -> Alarm | None:
    """The reward lost half of the best it had, by more than its noise."""
    rewards = [row["reward_mean"] for row in rows if "reward_mean" in row]
    windows = [rewards[end - WINDOW_STEPS : end] for end in range(WINDOW_STEPS, len(rewards) + 1)]
    if len(windows) <= WINDOW_STEPS:  # the first and the last must not share a step
        return None
    now, best = windows[-1], max(windows[:-WINDOW_STEPS], key=fmean)
    fell = fmean(best) - fmean(now)
    noise = math.sqrt(2 * _variance(rewards) / WINDOW_STEPS)
    if fmean(best) <= 0 or fell < FALL * fmean(best) or fell <= _STANDARD_ERRORS * noise:
        return None
    text = (
        f"the reward fell to {fmean(now):.3g} (mean of {WINDOW_STEPS} steps) from {fmean(best):.3g}, its "
        "best so far: look at rollouts (`rpt show REF --rollouts`), and consider a lower rate"
    )
    bound = (1 - FALL) * fmean(best)
    return Alarm("reward-collapse", _step(rows), text, "reward_mean", fmean(now), bound)


def _variance(rewards: Sequence[float]) -> float:
    """Of one step's reward about its trend: half of the mean squared difference of neighbours."""
    return fmean((after - before) ** 2 for before, after in pairwise(rewards)) / 2


def _drift(rows: Rows, mismatch_nats_max: float | None) -> Alarm | None:
    if mismatch_nats_max is None:
        return None
    mean, bound = _mean(rows, "mismatch_nats"), DRIFT_SHARE * mismatch_nats_max
    if mean is None or mean < bound:
        return None
    text = (
        f"engine and trainer disagree by {mean:.3g} nats a token (mean of {WINDOW_STEPS} steps); at "
        f"{mismatch_nats_max:g} an update is refused and the training ends: look at the engine's dtype and "
        "version (`rpt doctor --gpu`)"
    )
    return Alarm("engine-drift", _step(rows), text, "mismatch_nats", mean, bound)


def _beyond(rows: Rows, rule: Rule) -> Alarm | None:
    mean = _mean(rows, rule.metric)
    if mean is None or not (mean < rule.bound if rule.is_below else mean > rule.bound):
        return None
    side = "below" if rule.is_below else "above"
    text = f"{rule.metric} is {mean:.4g} (mean of {WINDOW_STEPS} steps), {side} the bound {rule.bound:g}"
    return Alarm("threshold", _step(rows), text, rule.metric, mean, rule.bound)


def _mean(rows: Rows, metric: str) -> float | None:
    """Mean of a metric's last values; None before there are enough."""
    values = [row[metric] for row in rows if metric in row][-WINDOW_STEPS:]
    return fmean(values) if len(values) == WINDOW_STEPS else None


def _step(rows: Rows) -> int:
    return int(rows[-1]["step"])
