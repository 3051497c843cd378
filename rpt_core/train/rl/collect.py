"""Collect the rollouts of one step: draw questions, answer, judge, and pick the groups worth an update."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rpt_core.errors import StarvedError
from rpt_core.objectives.controls import controlled
from rpt_core.objectives.objective import Asked, Drawn, Question, Verdict, Verdicts
from rpt_core.objectives.outcomes import VERDICTS
from rpt_core.policy.trunk import Sample
from rpt_core.train.clock import Clock
from rpt_core.train.rl.losses.selection import kept_groups, learnt_answers
from rpt_core.train.rl.rollouts import answered_in_turn
from rpt_core.train.rl.state import Progress, Trainer


@dataclass(frozen=True, slots=True)
class Group:
    """All answers to one question."""

    question: Question
    samples: Sequence[Sample]
    verdicts: Sequence[Verdict]
    keep: bool
    """Whether the group takes part in the update."""

    @property
    def scores(self) -> list[float]:
        """The answers' rewards."""
        return [verdict.score for verdict in self.verdicts]


@dataclass(frozen=True, slots=True)
class Answered:
    """One document with the groups at its cuts."""

    asked: Asked
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from, and what it saw on the way."""

    documents: tuple[Answered, ...]
    cursor: int
    """The objective's, after this batch."""
    num_forwarded: int
    """Tokens the engine forwarded."""
    flops: float
    """Operations of drawing the answers, and of measuring what rewards stand on."""

    @property
    def groups(self) -> Iterator[Group]:
        """Every group, kept or not."""
        return (group for document in self.documents for group in document.groups)

    @property
    def asks(self) -> bool:
        """Whether anything was asked; documents may also come without a question, for their own loss."""
        return any(document.groups for document in self.documents)

    @property
    def num_kept(self) -> int:
        """Groups that take part in the update."""
        return sum(group.keep for group in self.groups)

    def verdict_counts(self) -> dict[str, int]:
        """Answers by verdict: every verdict named, and those that were only scored where there are any."""
        found = Counter(verdict.verdict for group in self.groups for verdict in group.verdicts)
        return {name: found[name] for name in VERDICTS} | ({"scored": n} if (n := found["scored"]) else {})


def collect(trainer: Trainer, progress: Progress, clock: Clock) -> Batch:
    """Collect rollouts: draw questions until enough groups are worth an update, or the refills are used up.

    The same on every rank: questions are a function of step and cursor, and answers are all ranks'. Those
    to the first questions may have been drawn before (``progress.ahead``); further ones are drawn now.

    Raises:
        StarvedError: the objective has no question to ask.
    """
    step, recipe = progress.step + 1, trainer.recipe
    documents: list[Answered] = []
    cursor, wanted, forwarded, flops = progress.cursor, recipe.prompts_per_step, 0, 0.0
    for _ in range(1 + recipe.selection.max_refills):
        asked, cursor = trainer.objective.draw(step, cursor, wanted)
        if not asked:
            raise StarvedError(
                f"the objective {trainer.objective.name} had no question to ask at step {step}: no position "
                "is eligible. Lower its floor, or give it more text."
            )
        ahead = None if documents else progress.ahead
        asked, found = answered_in_turn(trainer, asked, step, clock, ahead=ahead)
        forwarded, flops = forwarded + found.forwarded, flops + found.flops
        with clock.phase("select"):
            verdicts = controlled(recipe.reward_control, recipe.seed, step, asked, found.verdicts)
            documents += _select(trainer, progress, asked, found.drawn, verdicts)
        wanted = recipe.prompts_per_step - sum(
            group.keep for document in documents for group in document.groups
        )
        if wanted <= 0:
            break
    return Batch(tuple(documents), cursor, forwarded, flops)


def _select(
    trainer: Trainer,
    progress: Progress,
    asked: Sequence[Asked],
    drawn: Drawn,
    verdicts: Verdicts,
) -> list[Answered]:
    documents = []
    for one, samples, judged in zip(asked, drawn, verdicts, strict=True):
        keep = _kept(trainer, progress, judged)
        groups = (Group(*row) for row in zip(one.questions, samples, judged, keep, strict=True))
        documents.append(Answered(one, tuple(groups)))
    return documents


def _kept(trainer: Trainer, progress: Progress, judged: Sequence[Sequence[Verdict]]) -> list[bool]:
    """Whether each group of a document is worth an update."""
    selection, step = trainer.recipe.selection, progress.step + 1
    if trainer.preset.surrogate == "likelihood":
        return [any(learnt_answers(group, selection.keep_right)) for group in judged]
    scores = [[verdict.score for verdict in group] for group in judged]
    return kept_groups(scores, selection, step, progress.deviation)
