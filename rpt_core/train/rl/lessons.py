"""What a batch of judged answers teaches: by document, and the denominators all of it shares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.objective import ForcedTarget
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.train.rl.collect import Answered
from rpt_core.train.rl.losses import dual
from rpt_core.train.rl.losses.advantages import group_advantages
from rpt_core.train.rl.losses.policy import denominator
from rpt_core.train.rl.state import Trainer


@dataclass(frozen=True)
class PolicyExample:
    """What is learnt from one document: the kept cuts, their answers and advantages."""

    trunk: Trunk
    answers: list[list[tuple[int, ...]]]
    engine_logprobs: list[list[tuple[float, ...]]]
    advantages: list[list[float]]
    counted: list[list[bool]]
    """False for answers that stay out of the loss and its denominator."""
    num_drawn: int
    """Cuts whose answers were drawn. Those after them hold forced targets, one each: what stands before the
    target is the cut's suffix, and the target counts in no denominator."""
    reasoned: frozenset[int]
    """Document tokens that were asked about: not part of the documents' own loss."""

    @property
    def num_tokens(self) -> int:
        """What it takes to forward it once: the trunk, the kept cuts' suffixes, the answers."""
        below = sum(len(cut.suffix_ids) for cut in self.trunk.cuts)
        return self.trunk.num_tokens + below + sum(len(ids) for at in self.answers for ids in at)


@dataclass(frozen=True)
class Scales:
    """Denominators of the whole batch."""

    policy: float
    ntp: float


def lesson_of(trainer: Trainer, document: Answered) -> PolicyExample:
    """The document's kept groups as a lesson."""
    trunk, groups = document.asked.trunk, document.groups
    kept = [(cut, group) for cut, group in zip(trunk.cuts, groups, strict=True) if group.keep]
    masked = trainer.recipe.selection.mask_truncated
    lesson = PolicyExample(
        trunk=replace(trunk, cuts=tuple(cut for cut, _ in kept)),
        answers=[[sample.token_ids for sample in group.samples] for _, group in kept],
        engine_logprobs=[[sample.logprobs for sample in group.samples] for _, group in kept],
        advantages=[
            group_advantages(
                group.scores,
                by_deviation=trainer.preset.by_deviation,
                leave_one_out=trainer.preset.leave_one_out,
            ).tolist()
            for _, group in kept
        ],
        counted=[[not (masked and s.finish == "length") for s in group.samples] for _, group in kept],
        num_drawn=len(kept),
        reasoned=frozenset(cut.position for cut in trunk.cuts),
    )
    forced = [(cut, one.forced) for cut, group in kept for one in group.verdicts if one.forced]
    return _with_targets(lesson, [(cut, one) for cut, one in forced if one.weight])


def _with_targets(lesson: PolicyExample, forced: Sequence[tuple[Cut, ForcedTarget]]) -> PolicyExample:
    """The lesson with a cut for every forced target: at its ratio of 1, ``weight`` times its gradient.

    What comes before a target (a thought) is forwarded once more, as the cut's suffix: the target's gradient
    goes through it, and it has no loss of its own there.
    """
    cuts = [replace(cut, suffix_ids=(*cut.suffix_ids, *one.tail.given)) for cut, one in forced]
    return replace(
        lesson,
        trunk=replace(lesson.trunk, cuts=(*lesson.trunk.cuts, *cuts)),
        answers=[*lesson.answers, *([one.tail.scored] for _, one in forced)],
        engine_logprobs=[*lesson.engine_logprobs, *([one.logprobs] for _, one in forced)],
        advantages=[*lesson.advantages, *([one.weight] for _, one in forced)],
        counted=[*lesson.counted, *([True] for _ in forced)],
    )


def scales_of(trainer: Trainer, lessons: Sequence[PolicyExample]) -> Scales:
    """The denominators of a whole batch."""
    drawn = [(one.answers[: one.num_drawn], one.counted[: one.num_drawn]) for one in lessons]
    counted = [len(ids) for pair in drawn for ids, counts in _flat(*pair) if counts]
    return Scales(
        denominator(counted, trainer.preset, trainer.recipe.reasoning_tokens),
        float(max(sum(_num_own(trainer, one) for one in lessons), 1)),
    )


def _num_own(trainer: Trainer, lesson: PolicyExample) -> int:
    trunk = lesson.trunk
    if trainer.ntp_text == "raw":
        trunk = dual.raw(trunk, trainer.policy.begin_ids)
    return dual.num_own_tokens(trunk, lesson.reasoned)


def _flat(
    answers: list[list[tuple[int, ...]]], counted: list[list[bool]]
) -> list[tuple[tuple[int, ...], bool]]:
    pairs = zip(answers, counted, strict=True)
    return [pair for ids, counts in pairs for pair in zip(ids, counts, strict=True)]
