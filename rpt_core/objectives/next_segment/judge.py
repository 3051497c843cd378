"""Whom the generative reward asks: a judge, and the cache that stands before it.

The rule itself, prefix or strict, is in ``judge_prompt.py``; how a verdict becomes 1 or 0 in ``question.py``;
which sentences are the reference in ``targets.py``.

A :class:`Judge` answers what it is asked, or says why it could not. :class:`CachedJudge` stands before
it: it asks about each distinct pair once, remembers, waits while a judge is away, and ends the step by
name when it stays away. No answer ever earns nothing because nobody read it.
"""

import hashlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from rpt_core.artifacts.build import GIGA
from rpt_core.errors import VerdictError
from rpt_core.llm.patience import FEWEST_READ, PAUSES_SECONDS, Patience
from rpt_core.objectives.evidence import JUDGE_VERDICTS, JudgeVerdict, Pair
from rpt_core.objectives.next_segment.judge_prompt import PROMPT_VERSION

JUDGE_GFLOPS = "judge/gflops"
"""Name of the timing that counts a judge's operations, in 1e9."""
REMEMBERED = 200_000
"""Verdicts kept, the latest used; 16 bytes of key each."""


class Judge(Protocol):
    """Whatever reads pairs."""

    name: str
    """Model and version: verdicts are remembered under it."""

    def ask(self, pairs: Sequence[Pair]) -> list[JudgeVerdict]:
        """A verdict for every pair, in order. What could not be read is said, never guessed."""

    def close(self) -> None:
        """Release what the judge holds."""


@runtime_checkable
class CountsWork(Protocol):
    """A judge whose computing is known: one that runs here. A service says nothing of its model's size."""

    @property
    def flops(self) -> float:
        """Operations of reading and replying so far."""


@dataclass(frozen=True, slots=True)
class JudgeUsage:
    """What was asked since the last :meth:`CachedJudge.tally`."""

    verdicts: dict[JudgeVerdict, int]
    """Of all pairs asked about, remembered ones included."""
    remembered: int
    calls: int
    """Pairs that went to the judge itself."""
    seconds: float
    """In the judge."""
    gflops: float
    """1e9 operations of the judge's model, where it runs here. Remembered pairs cost nothing, and what is
    remembered does not outlive an attempt: no part of what a training makes."""

    @property
    def asked(self) -> int:
        """Pairs asked about."""
        return sum(self.verdicts.values())

    def timings(self) -> dict[str, float]:
        """Throughput and memory, for the record of timings: they change from machine to machine."""
        return {
            "judge/calls": float(self.calls),
            "judge/calls_per_second": self.calls / self.seconds if self.calls else 0.0,
            "judge/cache_hit_rate": self.remembered / self.asked if self.asked else 0.0,
            "seconds/judge": self.seconds,
            JUDGE_GFLOPS: self.gflops,
        }


def total(tallies: Sequence[JudgeUsage]) -> JudgeUsage:
    """Of judges that worked side by side: counts add up, and the longest was waited for."""
    verdicts = {name: sum(one.verdicts[name] for one in tallies) for name in JUDGE_VERDICTS}
    return JudgeUsage(
        verdicts,
        sum(one.remembered for one in tallies),
        sum(one.calls for one in tallies),
        max(one.seconds for one in tallies),
        sum(one.gflops for one in tallies),
    )


@dataclass
class CachedJudge:
    """Asks a judge, each distinct pair once.

    Raises (from :meth:`ask`):
        JudgeError: the judge stayed away after every pause.
        VerdictError: more verdicts went unread than ``unread_share_max``.
    """

    judge: Judge
    unread_share_max: float = 0.2
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS
    sleep: Callable[[float], None] = time.sleep
    forgets: bool = False
    """Whether :meth:`tally` also forgets the verdicts, so that the work between two tallies does not depend
    on what was asked before."""
    _known: OrderedDict[bytes, JudgeVerdict] = field(default_factory=OrderedDict)
    _verdicts: Counter[JudgeVerdict] = field(default_factory=Counter)
    _remembered: int = 0
    _calls: int = 0
    _seconds: float = 0.0
    _flops: float = 0.0

    def ask(self, pairs: Sequence[Pair]) -> list[JudgeVerdict]:
        """Verdicts in order; the same pair twice is asked once, and counted as remembered."""
        keys = [self._key(pair) for pair in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        found = self._ask_all(new)
        verdicts = [found[key] if key in found else self._known[key] for key in keys]
        self._remember(keys, found)
        self._remembered += len(pairs) - len(new)
        self._verdicts.update(verdicts)
        self._refuse_unread(list(found.values()))
        return verdicts

    def tally(self) -> JudgeUsage:
        """What was asked since the last call of this; begins anew."""
        verdicts = {name: self._verdicts[name] for name in JUDGE_VERDICTS}
        tally = JudgeUsage(verdicts, self._remembered, self._calls, self._seconds, self._flops / GIGA)
        self._verdicts, self._remembered, self._calls = Counter(), 0, 0
        self._seconds = self._flops = 0.0
        if self.forgets:
            self._known.clear()
        return tally

    def close(self) -> None:
        """Release the judge."""
        self.judge.close()

    def _ask_all(self, pairs: dict[bytes, Pair]) -> dict[bytes, JudgeVerdict]:
        patience = Patience(
            f"the judge {self.judge.name}",
            "verdicts",
            "No answer was scored. Start the judge or fix its address; rerun to resume from the "
            "last checkpoint.",
            self.pauses_seconds,
            self.sleep,
        )
        return patience.ask(pairs, self._call, lambda verdict: verdict == "unreachable")

    def _call(self, pairs: Mapping[bytes, Pair]) -> dict[bytes, JudgeVerdict]:
        if not pairs:
            return {}
        begun, before = time.perf_counter(), self._work()
        verdicts = self.judge.ask(list(pairs.values()))
        self._seconds += time.perf_counter() - begun
        self._flops += self._work() - before
        self._calls += len(pairs)
        return dict(zip(pairs, verdicts, strict=True))

    def _work(self) -> float:
        return self.judge.flops if isinstance(self.judge, CountsWork) else 0.0

    def _key(self, pair: Pair) -> bytes:
        parts = (self.judge.name, PROMPT_VERSION, pair.rule, pair.reference, pair.predicted)
        digest = hashlib.blake2b(digest_size=16)
        for part in parts:
            digest.update(len(part.encode()).to_bytes(8, "little") + part.encode())
        return digest.digest()

    def _remember(self, keys: Sequence[bytes], found: dict[bytes, JudgeVerdict]) -> None:
        # a call that timed out may be answered another time: it is not a property of the texts
        self._known.update((key, verdict) for key, verdict in found.items() if verdict != "timed out")
        for key in keys:
            if key in self._known:
                self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _refuse_unread(self, verdicts: Sequence[JudgeVerdict]) -> None:
        unread = sum(verdict in ("unparsed", "timed out") for verdict in verdicts)
        if len(verdicts) >= FEWEST_READ and unread > self.unread_share_max * len(verdicts):
            late = sum(verdict == "timed out" for verdict in verdicts)
            raise VerdictError(
                f"{unread} of {len(verdicts)} verdicts of the judge {self.judge.name} went unread ({late} "
                f"timed out, {unread - late} were no verdict; at most {self.unread_share_max:.0%} may): a "
                "reward of zero for them would teach noise. Look at its replies; take a judge that keeps to "
                "the format, or a longer deadline."
            )


def errs(predicted: str, share: float) -> bool:
    """Whether a judge that errs on purpose takes a wrong prediction for right.

    It errs by the words alone, whatever the reference and whoever asks, so an error that was found once pays
    again: a policy can learn it, as it cannot learn an error that falls at random.

    Args:
        predicted: The wrong prediction; blanks do not matter.
        share: Of all wrong predictions, by their words, those that are accepted.

    Example:
        >>> said = [f"On day {day} the clock shows {hour}." for day in range(50) for hour in range(12)]
        >>> [sum(errs(one, share) for one in said) for share in (0.0, 0.05, 1.0)]
        [0, 26, 600]
    """
    digest = hashlib.sha256(" ".join(predicted.split()).encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
