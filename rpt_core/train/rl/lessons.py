"""What a batch of judged answers teaches: by document, and the denominators all of it shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rpt_core.objectives.objective import ForcedTarget
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.train.rl.collect import Answered, Group
from rpt_core.train.rl.losses import dual
from rpt_core.train.rl.losses.advantages import group_advantages
from rpt_core.train.rl.losses.policy import denominator
from rpt_core.train.rl.losses.selection import learnt_answers
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
    emphases: Mapping[tuple[int, int], tuple[float, ...]] = field(default_factory=dict)
    """By cut and answer, a factor of each token's weight; 1 where there is none."""

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
    lesson = PolicyExample(
        trunk=replace(trunk, cuts=tuple(cut for cut, _ in kept)),
        answers=[[sample.token_ids for sample in group.samples] for _, group in kept],
        engine_logprobs=[[sample.logprobs for sample in group.samples] for _, group in kept],
        advantages=[_advantages(trainer, group) for _, group in kept],
        counted=[_counted(trainer, group) for _, group in kept],
        num_drawn=len(kept),
        reasoned=frozenset(cut.position for cut in trunk.cuts),
    )
    forced = [(cut, one) for cut, group in kept for verdict in group.verdicts for one in verdict.forced]
    return _with_targets(lesson, [(cut, one) for cut, one in forced if one.weight])


def _advantages(trainer: Trainer, group: Group) -> list[float]:
    """By answer: those the objective gives, or the comparison of rewards that the loss names."""
    preset = trainer.preset
    if preset.surrogate == "likelihood":
        right = _right(trainer, group)
        return [one / max(sum(right), 1) for one in right]
    given = [verdict.advantage for verdict in group.verdicts if verdict.advantage is not None]
    if given:
        return given
    found: list[float] = group_advantages(
        group.scores, by_deviation=preset.by_deviation, leave_one_out=preset.leave_one_out
    ).tolist()
    return found


def _counted(trainer: Trainer, group: Group) -> list[bool]:
    """By answer, whether it is in the loss and its denominator."""
    if trainer.preset.surrogate == "likelihood":
        return _right(trainer, group)
    masked = trainer.recipe.selection.mask_truncated
    return [not (masked and sample.finish == "length") for sample in group.samples]


def _right(trainer: Trainer, group: Group) -> list[bool]:
    return learnt_answers(group.verdicts, trainer.recipe.selection.keep_right)


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
        emphases={
            (lesson.num_drawn + n, 0): one.emphasis for n, (_, one) in enumerate(forced) if one.emphasis
        },
    )


def scales_of(trainer: Trainer, lessons: Sequence[PolicyExample]) -> Scales:
    """The denominators of a whole batch."""
    counted = [length for one in lessons for length in _lengths(trainer, one)]
    return Scales(
        denominator(counted, trainer.preset, trainer.recipe.reasoning_tokens),
        float(max(sum(_num_own(trainer, one) for one in lessons), 1)),
    )


def _num_own(trainer: Trainer, lesson: PolicyExample) -> int:
    trunk = lesson.trunk
    if trainer.ntp_text == "raw":
        trunk = dual.raw(trunk, trainer.policy.begin_ids)
    return dual.num_own_tokens(trunk, lesson.reasoned)


def _lengths(trainer: Trainer, lesson: PolicyExample) -> list[float]:
    """Tokens of the drawn answers that count, as the loss's denominator takes them."""
    weighed = trainer.preset.surrogate == "likelihood"
    return [
        len(ids) * (advantage if weighed else 1)
        for cut in range(lesson.num_drawn)
        for ids, counts, advantage in zip(
            lesson.answers[cut], lesson.counted[cut], lesson.advantages[cut], strict=True
        )
        if counts
    ]
