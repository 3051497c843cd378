"""Questions answered and judged by all ranks, each its share: no answer is drawn or judged twice.

Every rank is given the same questions and ends with the same answers and verdicts. Random streams are keyed
by question, so which rank answers one changes nothing but the last bits of its arithmetic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rpt_core.objectives.objective import Asked, Drawn, Verdicts
from rpt_core.policy.trunk import Sample, Sampling, Trunk
from rpt_core.train.backends.shares import dealt, on_every_rank
from rpt_core.train.clock import Clock
from rpt_core.train.rl.evidence import measured
from rpt_core.train.rl.state import Trainer


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
    *, rewarded: bool = True,
) -> AnsweredQuestions:  # fmt: skip
    """Draw and judge the answers to some questions.

    Args:
        trainer: Its engine draws, its objective judges.
        asked: The questions, the same on every rank.
        sampling: How answers are drawn.
        step: Keys the random streams.
        clock: Of this rank's work.
        rewarded: Whether what rewards stand on is measured; without it, right and wrong alone are told.

    Raises:
        RptError: what went wrong on any rank, on all of them.
    """
    sizes = [_most_tokens(one.trunk, sampling) for one in asked]
    shares = dealt(sizes, trainer.backend.world_size)
    mine = [asked[index] for index in shares[trainer.backend.rank]]
    found = on_every_rank(_work(trainer, mine, sampling, step, clock, rewarded=rewarded), trainer.backend)
    drawn: list[Sequence[Sequence[Sample]]] = [[] for _ in asked]
    verdicts: Verdicts = [[] for _ in asked]
    for share, part in zip(shares, found, strict=True):
        for index, answers, judged in zip(share, part.drawn, part.verdicts, strict=True):
            drawn[index], verdicts[index] = answers, judged
    forwarded, flops = sum(part.forwarded for part in found), sum(part.flops for part in found)
    return AnsweredQuestions(drawn, verdicts, forwarded, flops)


def _work(
    trainer: Trainer, asked: list[Asked], sampling: Sampling, step: int, clock: Clock, *, rewarded: bool
) -> Callable[[], AnsweredQuestions]:
    """One rank's part."""

    def work() -> AnsweredQuestions:
        if not asked:
            return AnsweredQuestions([], [], 0, 0.0)
        engine, objective = trainer.engine, trainer.objective
        with clock.phase("rollout"):
            before = engine.num_forwarded, engine.flops
            drawn = engine.generate([one.trunk for one in asked], sampling, step)
            forwarded, flops = engine.num_forwarded - before[0], engine.flops - before[1]
        with clock.phase("reward"):
            evidence = None
            if rewarded:
                evidence, tokens, worked = measured(trainer, asked, objective.wanted(asked, drawn))
                forwarded, flops = forwarded + tokens, flops + worked
            return AnsweredQuestions(drawn, objective.verdicts(asked, drawn, evidence), forwarded, flops)

    return work


def _most_tokens(trunk: Trunk, sampling: Sampling) -> int:
    """What answering a document's questions forwards at most."""
    answers = sampling.group_size * sampling.max_new_tokens
    return trunk.num_tokens + sum(len(cut.suffix_ids) + answers for cut in trunk.cuts)
