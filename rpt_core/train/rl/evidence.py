"""The trainer's side of :mod:`rpt_core.objectives.evidence`: what rewards stand on is measured here."""

from collections.abc import Sequence

from rpt_core.objectives.evidence import Evidence, HasJudge, JudgeVerdict, Pair, Placed, Wanted
from rpt_core.objectives.objective import Asked
from rpt_core.policy.model import Policy
from rpt_core.policy.plain import PlainProbabilities
from rpt_core.policy.tails import Tail, forced_logprobs
from rpt_core.policy.trunk import Trunk
from rpt_core.train.rl.state import Trainer


def measured(trainer: Trainer, asked: Sequence[Asked], wanted: Wanted) -> tuple[Evidence, int, float]:
    """What is wanted for a batch of answers, under the policy as it is now.

    Returns:
        The evidence, the tokens forwarded for it, and the operations.

    Raises:
        TypeError: the objective asks for a kind of evidence that its ``needs`` do not declare.
    """
    _refuse_undeclared(trainer, wanted)
    trunks = [one.trunk for one in asked]
    models = [model for model in (trainer.policy, trainer.average) if model is not None]
    before = sum(model.work.flops for model in models)
    plain = PlainProbabilities(trainer.policy)
    chances = () if wanted.plain is None else plain(trunks, wanted.plain)
    together, own = _scored(trainer, trainer.policy, trunks, _joined(wanted.tails, wanted.empty_tails))
    reference_tails, others = _scored(trainer, trainer.average, trunks, wanted.reference_tails)
    judged = _judged(trainer, wanted.pairs)
    evidence = Evidence(chances, *_parted(together, wanted.tails), reference_tails, judged)
    flops = sum(model.work.flops for model in models) - before
    return evidence, plain.num_forwarded + own + others, flops


def _scored(
    trainer: Trainer, policy: Policy | None, trunks: Sequence[Trunk], tails: Placed[Tail] | None
) -> tuple[Placed[tuple[float, ...]], int]:
    if tails is None:
        return (), 0
    assert policy is not None
    return forced_logprobs(policy, trunks, tails, trainer.layout, trainer.tokens_per_micro_batch)


def _joined(first: Placed[Tail] | None, second: Placed[Tail] | None) -> Placed[Tail] | None:
    """Both below the same cuts, so that one pass over the trunks serves them."""
    if first is None or second is None:
        return second if first is None else first
    return [
        [[*one, *other] for one, other in zip(ones, others, strict=True)]
        for ones, others in zip(first, second, strict=True)
    ]


def _parted(
    found: Placed[tuple[float, ...]], first: Placed[Tail] | None
) -> tuple[Placed[tuple[float, ...]], Placed[tuple[float, ...]]]:
    """The other way round: those of ``first``, and the rest of each cut's."""
    if first is None:
        return (), found
    own = [
        [of[: len(one)] for of, one in zip(cuts, asked, strict=True)]
        for cuts, asked in zip(found, first, strict=True)
    ]
    rest = [
        [of[len(one) :] for of, one in zip(cuts, asked, strict=True)]
        for cuts, asked in zip(found, first, strict=True)
    ]
    return own, rest


def _judged(trainer: Trainer, pairs: Placed[Pair | None] | None) -> Placed[JudgeVerdict | None]:
    """What the objective's judge says of all pairs, asked at once; it counts its own operations."""
    if pairs is None:
        return ()
    assert isinstance(trainer.objective, HasJudge)
    said = iter(trainer.objective.judge.ask([one for cuts in pairs for of in cuts for one in of if one]))
    return [[[next(said) if one else None for one in of] for of in cuts] for cuts in pairs]


def _refuse_undeclared(trainer: Trainer, wanted: Wanted) -> None:
    needs = trainer.objective.needs
    undeclared = {
        "plain": wanted.plain is not None and not needs.plain,
        "forced": not (wanted.tails is wanted.empty_tails is None) and not needs.forced,
        "judge": wanted.pairs is not None and not (needs.judge and isinstance(trainer.objective, HasJudge)),
        "reference_decay": wanted.reference_tails is not None and needs.reference_decay is None,
    }
    if any(undeclared.values()):
        names = ", ".join(name for name, is_missing in undeclared.items() if is_missing)
        raise TypeError(
            f"objective {trainer.objective.name} asks for evidence that its needs do not declare ({names}), "
            "so nothing was opened for it. Declare it in needs."
        )
