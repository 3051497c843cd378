"""Next-token questions whose rewards stand on the true tokens, forced after a thought.

Two kinds: an answer is the thought alone (:class:`ThoughtAlone`), or a thought and a prediction of the
policy's own (:class:`ThoughtAndAnswer`), which is told right or wrong beside what the thought earns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence, Needs, Placed, Wanted
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Asked, Drawn, ForcedTarget, Question, Verdict, Verdicts
from rpt_core.objectives.verdicts import END_OF_THOUGHT, is_ended, scored_thought, thought_end, thought_tokens
from rpt_core.policy.tails import Tail
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import LikelihoodSettings

Logprobs = tuple[float, ...]
"""Of a tail's scored tokens, nats; none of them where its thought never ended."""


@dataclass(frozen=True)
class ForcedTruth(NextToken):
    """What can be forced after a thought: the box, as a condition, and the true tokens by their ids."""

    settings: LikelihoodSettings

    def thought_ids(self, sample: Sample) -> tuple[int, ...] | None:
        """An answer's thought with the end of it, however that was spelled; None where it never ended."""
        if END_OF_THOUGHT not in self.codec.to_bytes(sample.token_ids):
            return None
        return (*sample.token_ids[: thought_tokens(sample, self.codec)], *self.codec.control("end_think"))

    def tail_after(self, question: Question, thought_ids: Sequence[int]) -> Tail:
        """The true tokens in a box after a thought; the box is a condition, not a target."""
        box = self.codec.control("box_open")
        return Tail((*thought_ids, *box), question.truth_ids[: self.settings.target_tokens])

    def tail(self, question: Question, sample: Sample) -> Tail:
        """The true tokens after an answer's thought; nothing to score where it never ended."""
        thought = self.thought_ids(sample)
        return Tail((), ()) if thought is None else self.tail_after(question, thought)

    def tails(self, asked: Sequence[Asked], drawn: Drawn) -> Placed[Tail]:
        """:meth:`tail` of every answer."""
        return [
            [
                [self.tail(question, sample) for sample in group]
                for question, group in zip(one.questions, groups, strict=True)
            ]
            for one, groups in zip(asked, drawn, strict=True)
        ]

    @property
    def needs(self) -> Needs:
        """The likelihood of what the evidence is asked for, under the policy."""
        return Needs(forced=True)

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The true tokens after every thought that ended."""
        return Wanted(tails=self.tails(asked, drawn))

    def empty_tails(self, asked: Sequence[Asked]) -> Placed[Tail]:
        """The true tokens after an empty thought: one tail a question."""
        end = self.codec.control("end_think")
        return [[[self.tail_after(question, end)] for question in one.questions] for one in asked]


@dataclass(frozen=True)
class ThoughtAndAnswer(ForcedTruth):
    """An answer goes on after its thought, and its prediction is told right or wrong by the prefix rule.

    That is for the record: what it earns stands on the forced truth.
    """

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """Right or wrong, and no reward yet."""
        return replace(super().judge(question, sample), score=0.0)

    def is_formed(self, sample: Sample) -> bool:
        """Whether an answer is one in the asked form: a thought that ends, then one box that can be read."""
        return self._reading(sample) is not None


@dataclass(frozen=True)
class ThoughtAlone(ForcedTruth):
    """Drawing stops where the thought ends. Nothing is compared with a truth: an answer is *scored*."""

    @property
    def stop_ids(self) -> frozenset[int]:
        """The end of the thought."""
        return thought_end(self.codec)

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The thought as it is; what it earns is known with the evidence alone."""
        return scored_thought(sample, self.codec)

    def thought_ids(self, sample: Sample) -> tuple[int, ...] | None:
        """All of the answer; None where it never ended."""
        return sample.token_ids if is_ended(sample, self.codec) else None


@dataclass(frozen=True)
class ThoughtAndTruth(ThoughtAlone):
    """The thought alone, and the true tokens after it that the update learns as well."""

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """The thought, and the true tokens that are learnt after it."""
        return replace(super().judge(question, sample), forced=(ForcedTarget(self.tail(question, sample)),))


def by_group(
    verdicts: Verdicts, evidence: Evidence, others: Placed[Logprobs] | None = None
) -> Iterator[tuple[list[Verdict], Sequence[Logprobs], Logprobs]]:
    """Every group of answers with the log-probabilities of its tails, and of what all are compared with.

    Args:
        verdicts: By document, cut and answer.
        evidence: Its ``tails`` are the first; the second are its ``empty_tails``.
        others: In place of those; none where nothing is.
    """
    without = evidence.empty_tails if others is None else others
    for number, groups in enumerate(verdicts):
        for cut, group in enumerate(groups):
            own = without[number][cut] if len(without) else ()
            yield group, evidence.tails[number][cut], own[0] if own else ()


def settled_groups(verdicts: Verdicts, found: Iterator[list[Verdict]]) -> Verdicts:
    """Groups in the order of :func:`by_group`, by document and cut again."""
    return [[next(found) for _ in groups] for groups in verdicts]
