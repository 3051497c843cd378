"""Multiple choice (ARC, MMLU): options ranked by the likelihood of their texts, or one letter boxed.

Items are the problems of a corpus whose options stand below them, each behind its letter, as ingest writes
them: those of known benchmarks, and held-out problems of its own. A model without any skill is right at the
*chance level*, the mean over items of one over the number of options; it stands beside every accuracy.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from rpt_core.evaluation.answers import GradedAnswer, ModelUnderTest
from rpt_core.evaluation.benchmarks.known import KnownBenchmarks, by_benchmark, read_benchmarks
from rpt_core.evaluation.benchmarks.likelihood import TOKENS_PER_BATCH, continuation_nats
from rpt_core.evaluation.scores import mode_scores, outcomes
from rpt_core.objectives.objective import Asked, Verdict
from rpt_core.objectives.outcomes import VerdictName
from rpt_core.objectives.problems.question import Problem, read_problems
from rpt_core.policy.parts import padded_batches
from rpt_core.policy.trunk import Cut, Trunk

CHOICE, NORMALISED, BOXED = "choice", "choice-normalised", "choice-boxed"
HELD_OUT = "held-out"
CONTEXT = "Question: {stem}\nAnswer:"
"""Stands before an option as plain text, no instruction and no thought: lm-evaluation-harness, task ARC."""
_LETTER = re.compile(r"^\(?([A-Z])[.):][ \t]*", re.MULTILINE)


@dataclass
class Choice(KnownBenchmarks):
    """Accuracy of the likeliest option, of the likeliest a byte, and of a boxed letter."""

    name: ClassVar[str] = "choices"
    modes: ClassVar[Mapping[str, tuple[str, ...]]] = {CHOICE: (CHOICE, NORMALISED), BOXED: (BOXED,)}

    @classmethod
    def held(cls, corpus: Path) -> dict[str, list[Problem]]:
        """Items of known benchmarks, and held-out problems."""
        own = [
            replace(one, problem_id=f"{HELD_OUT}:{one.problem_id}") for one in read_problems(corpus, "eval")
        ]
        return read_benchmarks(corpus) | ({HELD_OUT: own} if own else {})

    @staticmethod
    def refusal(problem: Problem) -> str:
        """``no-options`` where the problem has none, or its answer is not the letter of one."""
        _, options = split_options(problem.problem)
        return "" if problem.answer in letters(options) else "no-options"

    def num_answers(self, mode: str) -> int:
        """One ranking an item, or its samples."""
        return super().num_answers(mode) if mode == BOXED else len(self.asked)

    def answers(self, mode: str, model: ModelUnderTest) -> Iterator[list[GradedAnswer]]:
        """A thought and a boxed letter, sampled; or the options ranked, each mode by a pass of its own."""
        if mode == BOXED:
            yield from super().answers(mode, model)
            return
        sizes = [2 * one.trunk.num_tokens for one in self.asked]  # and padding
        for batch in padded_batches(sizes, TOKENS_PER_BATCH):
            yield self._ranked([self.asked[i] for i in batch], model, by_byte=mode == NORMALISED)

    def scores(self, items: pa.Table, mode: str, checkpoint: str) -> dict[str, Any]:
        """One tier, ``all``, and each benchmark by itself, with the chance level of both."""
        found = outcomes(items, mode, checkpoint)
        told = mode_scores(items, mode, checkpoint, sampled=mode == BOXED)
        told["by_benchmark"] = by_benchmark(found)
        chances = {one.trunk.key: 1 / len(self._parts(one)[1]) for one in self.asked}
        names = {"all": "", **{name: f"{name}:" for name in told["by_benchmark"]}}
        told["chance"] = {
            name: float(np.mean([chances[key] for key in chances if key.startswith(prefix)]))
            for name, prefix in names.items()
            if chances
        }
        return told

    def _parts(self, asked: Asked) -> tuple[str, list[str]]:
        return split_options(self.solve.codec.decode(asked.trunk.document_ids))

    def _ranked(self, some: list[Asked], model: ModelUnderTest, *, by_byte: bool) -> list[GradedAnswer]:
        """The likeliest option of each item: log P(option | question), or that over its UTF-8 bytes."""
        codec, parts = self.solve.codec, [self._parts(one) for one in some]
        contexts = [tuple(codec.encode(CONTEXT.format(stem=stem))) for stem, _ in parts]
        trunks = [
            Trunk(one.trunk.key, codec.begin_ids, ids, (Cut(len(ids)),))
            for one, ids in zip(some, contexts, strict=True)
        ]
        texts = [[[f" {option}" for option in options]] for _, options in parts]
        ids = [[[codec.encode(text) for text in of_cut] for of_cut in of_trunk] for of_trunk in texts]
        scored, num_tokens = continuation_nats(model.policy, trunks, [of_cut for (of_cut,) in ids])
        model.num_forwarded += num_tokens
        found = list[GradedAnswer]()
        for one, (of_cut,), (ids_of,), whole in zip(some, texts, ids, scored, strict=True):
            nats = [
                one_nats / (len(text.encode()) if by_byte else 1)
                for one_nats, text in zip(whole, of_cut, strict=True)
            ]
            found.append(_graded(one, nats, [len(option) for option in ids_of]))
        return found


def _graded(asked: Asked, nats: list[float], tokens: list[int]) -> GradedAnswer:
    """The option with the highest score, the first of equal ones; unread where a score is no number."""
    (question,) = asked.questions
    best = int(np.argmax(nats))
    said, is_read = letters(nats)[best], all(map(isfinite, nats))
    is_right = is_read and said == question.truth
    name: VerdictName = "correct" if is_right else "wrong" if is_read else "unparsed"
    size = tokens[best]
    return GradedAnswer(question, 0, Verdict(float(is_right), name, 0, size, "", said, size))


def letters(options: Sequence[object]) -> list[str]:
    """``A``, ``B`` ... for some options."""
    return [chr(ord("A") + number) for number in range(len(options))]


def split_options(problem: str) -> tuple[str, list[str]]:
    r"""A problem without the options below it, and their texts; none where fewer than two stand there.

    Example:
        >>> split_options("Which?\nA. red\nB. a bit\nof blue"), split_options("A. Smith wrote 3 lines.")
        (('Which?', ['red', 'a bit\nof blue']), ('A. Smith wrote 3 lines.', []))
    """
    marks = list(_LETTER.finditer(problem))
    for first in reversed([i for i, mark in enumerate(marks) if mark[1] == "A"]):
        own = marks[first:]
        if len(own) >= 2 and [mark[1] for mark in own] == letters(own):
            ends = [mark.start() for mark in own[1:]] + [len(problem)]
            texts = [problem[mark.end() : end].strip() for mark, end in zip(own, ends, strict=True)]
            return problem[: own[0].start()].rstrip(), texts
    return problem, []
