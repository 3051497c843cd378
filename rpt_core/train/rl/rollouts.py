"""Questions answered and judged by all ranks, each its share: no answer is drawn or judged twice.

Every rank is given the same questions and ends with the same answers and verdicts. Random streams are keyed
by question, so which rank answers one changes nothing but the last bits of its arithmetic.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from rpt_core.objectives.objective import Asked, AsksFurther, Drawn, Verdicts
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.trunk import Sample, Sampling, Trunk
from rpt_core.train.backends.shares import dealt, on_every_rank
from rpt_core.train.clock import Clock
from rpt_core.train.rl.evidence import measured
from rpt_core.train.rl.state import DrawnAnswers, Trainer

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AnsweredQuestions:
    """Answers and what they earned, in the order asked; of one rank, or of all."""

    drawn: Drawn
    verdicts: Verdicts
    forwarded: int
    """Tokens of drawing and of measuring what rewards stand on."""
    flops: float


def answered(
    trainer: Trainer, asked: Sequence[Asked], sampling: Sampling, step: int, clock: Clock,
    *, rewarded: bool = True, ahead: DrawnAnswers | None = None,
) -> AnsweredQuestions:  # fmt: skip
    """Draw and judge the answers to some questions.

    Args:
        trainer: Its engine draws, its objective judges.
        asked: The questions, the same on every rank.
        sampling: How answers are drawn.
        step: Keys the random streams.
        clock: Of this rank's work.
        rewarded: Whether what rewards stand on is measured; without it, right and wrong alone are told.
        ahead: The answers of all ranks, where they have been drawn already; they are judged only.

    Raises:
        RptError: what went wrong on any rank, on all of them.
    """
    shares = shares_of(asked, sampling, trainer.backend.world_size)
    mine = shares[trainer.backend.rank]
    own = [asked[index] for index in mine]

    def work() -> AnsweredQuestions:
        with clock.phase("rollout"):
            found = drawn_by(trainer.engine, own, sampling, step) if ahead is None else _some(ahead, mine)
        return _judged(trainer, own, found, clock, rewarded=rewarded)

    parts = on_every_rank(work, trainer.backend)
    before = (0, 0.0) if ahead is None else (ahead.forwarded, ahead.flops)
    return AnsweredQuestions(
        as_asked([part.drawn for part in parts], shares),
        as_asked([part.verdicts for part in parts], shares),
        sum((part.forwarded for part in parts), before[0]),
        sum((part.flops for part in parts), before[1]),
    )


def answered_in_turn(
    trainer: Trainer, asked: Sequence[Asked], step: int, clock: Clock, *, ahead: DrawnAnswers | None = None
) -> tuple[list[Asked], AnsweredQuestions]:
    """Answers to a step's questions, and to those that follow from them, where the objective asks further.

    Returns:
        By document, both kinds of questions as one trunk, the first ones first; their answers, and what both
        took.

    Raises:
        RptError: as :func:`answered`.
    """
    sampling, objective = trainer.sampling_at(step), trainer.objective
    first = answered(trainer, asked, sampling, step, clock, ahead=ahead)
    if not isinstance(objective, AsksFurther):
        return list(asked), first
    further = objective.further(step, asked, first.drawn)
    places = [place for place, one in enumerate(further) if one.questions]
    found = _spread(
        answered(trainer, [further[place] for place in places], sampling, step, clock), places, len(further)
    )
    verdicts = objective.concluded(asked, first.drawn, further, found.verdicts)
    together = [
        Asked(replace(one.trunk, cuts=(*one.trunk.cuts, *more.trunk.cuts)), (*one.questions, *more.questions))
        for one, more in zip(asked, further, strict=True)
    ]
    return together, AnsweredQuestions(
        [[*one, *more] for one, more in zip(first.drawn, found.drawn, strict=True)],
        [[*one, *more] for one, more in zip(verdicts, found.verdicts, strict=True)],
        first.forwarded + found.forwarded,
        first.flops + found.flops,
    )


def shares_of(asked: Sequence[Asked], sampling: Sampling, world_size: int) -> list[list[int]]:
    """Which rank draws the answers to which documents' questions: about as many tokens on each."""
    return dealt([_most_tokens(one.trunk, sampling) for one in asked], world_size)


def drawn_by(engine: RolloutEngine, asked: Sequence[Asked], sampling: Sampling, step: int) -> DrawnAnswers:
    """The answers to some questions, and what it took; an engine that is asked nothing is left alone."""
    if not asked:
        return DrawnAnswers([], 0, 0.0)
    before = engine.num_forwarded, engine.flops
    drawn = engine.generate([one.trunk for one in asked], sampling, step)
    return DrawnAnswers(drawn, engine.num_forwarded - before[0], engine.flops - before[1])


def as_asked(parts: Sequence[Sequence[T]], shares: Sequence[Sequence[int]]) -> list[T]:
    """What the ranks have for each document, in the order they were asked in."""
    found = {
        index: one
        for share, part in zip(shares, parts, strict=True)
        for index, one in zip(share, part, strict=True)
    }
    return [found[index] for index in range(len(found))]


def _spread(found: AnsweredQuestions, places: Sequence[int], num: int) -> AnsweredQuestions:
    """Answers of some of ``num`` documents at their places; none at the others."""
    drawn: list[list[list[Sample]]] = [[] for _ in range(num)]
    verdicts: Verdicts = [[] for _ in range(num)]
    for place, samples, judged in zip(places, found.drawn, found.verdicts, strict=True):
        drawn[place], verdicts[place] = [list(of_cut) for of_cut in samples], judged
    return replace(found, drawn=drawn, verdicts=verdicts)


def _some(ahead: DrawnAnswers, documents: Sequence[int]) -> DrawnAnswers:
    """The answers to some documents' questions; what they took is counted once, by :func:`answered`."""
    return DrawnAnswers([ahead.drawn[index] for index in documents], 0, 0.0)


def _judged(
    trainer: Trainer, asked: Sequence[Asked], found: DrawnAnswers, clock: Clock, *, rewarded: bool
) -> AnsweredQuestions:
    """One rank's answers with their verdicts, under the policy as it is now."""
    if not asked:
        return AnsweredQuestions([], [], 0, 0.0)
    objective, evidence, tokens, flops = trainer.objective, None, 0, 0.0
    with clock.phase("reward"):
        if rewarded:
            evidence, tokens, flops = measured(trainer, asked, objective.wanted(asked, found.drawn))
        verdicts = objective.verdicts(asked, found.drawn, evidence)
    return AnsweredQuestions(found.drawn, verdicts, found.forwarded + tokens, found.flops + flops)


def _most_tokens(trunk: Trunk, sampling: Sampling) -> int:
    """What answering a document's questions forwards at most."""
    answers = sampling.group_size * sampling.max_new_tokens
    return trunk.num_tokens + sum(len(cut.suffix_ids) + answers for cut in trunk.cuts)
