"""Answers that are drawn: which samples of which items, and what each is worth.

Samples of an item are drawn in rounds of :data:`ROUND`: sample ``k`` is number ``k % ROUND`` of round
``k // ROUND``, and its random stream is keyed by seed, round, item and number. So 8 samples are the first 8
of 64, whatever is drawn beside them. Items are asked some at a time, in a fixed order; a round of such a
portion is one part of the table, and an evaluation that was interrupted resumes from the last part.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rpt_core.evaluation.benchmarks.packs.pack import Mode, Pack
from rpt_core.evaluation.benchmarks.suite.prompts import Prompted, stop_ids
from rpt_core.evaluation.benchmarks.suite.table import OutcomeRow
from rpt_core.objectives.outcomes import VerdictName
from rpt_core.objectives.problems.answer import Grade
from rpt_core.objectives.verdicts import END_OF_THOUGHT, answer_bytes, thought_tokens
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.draws import cut_names, stream_keys
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.trunk import Sample, Sampling
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe

ROUND = 8
"""Samples of an item that are drawn together."""
ANSWERS_AT_ONCE, ANSWERS_ON_GPU = 64, 1024
"""Answers in one part of the table: of few, little is lost by a kill; many are drawn faster."""
TAIL_CHARS = 80
Held = Mapping[tuple[str, int], OutcomeRow]
"""Rows of earlier evaluations, by item and number of the sample."""


@dataclass(frozen=True, slots=True)
class SamplingRound:
    """A round of a portion of the items."""

    asked: tuple[Prompted, ...]
    round: int
    num_samples: int

    @property
    def numbers(self) -> range:
        """Of the samples of each item."""
        return range(self.round * ROUND, self.round * ROUND + self.num_samples)


def parts_of(asked: Sequence[Prompted], samples: int, *, on_gpu: bool = False) -> Iterator[SamplingRound]:
    """All parts of an evaluation in their order: portion by portion, round by round."""
    most = max(1, (ANSWERS_ON_GPU if on_gpu else ANSWERS_AT_ONCE) // min(samples, ROUND))
    for start in range(0, len(asked), most):
        for number in range(-(-samples // ROUND)):
            num = min(ROUND, samples - number * ROUND)
            yield SamplingRound(tuple(asked[start : start + most]), number, num)


def sampling_of(recipe: BenchmarkRecipe, codec: Codec, longest: int, stops: tuple[str, ...]) -> Sampling:
    """How answers of one part are drawn; temperature 0 is the likeliest token."""
    greedy = recipe.temperature == 0
    return Sampling(
        temperature=1.0 if greedy else recipe.temperature,
        max_new_tokens=longest,
        stop_ids=stop_ids(codec, stops),
        group_size=1,
        seed=recipe.seed,
        top_p=1.0 if greedy else recipe.top_p,
        top_k=1 if greedy else 0,
    )


@dataclass(frozen=True, slots=True)
class Drawing:
    """Draws parts, and grades what was drawn."""

    pack: Pack
    mode: Mode
    codec: Codec
    engine: RolloutEngine
    sampling: Sampling

    def __call__(self, part: SamplingRound, held: Held) -> list[OutcomeRow]:
        """The rows of a part, by item and sample; those held already are not drawn again."""
        missing = [one for one in part.asked if any(_key(one, k) not in held for k in part.numbers)]
        fresh = self._drawn(missing, part) if missing else {}
        return [held.get(_key(one, k)) or fresh[_key(one, k)] for one in part.asked for k in part.numbers]

    def _drawn(self, asked: Sequence[Prompted], part: SamplingRound) -> dict[tuple[str, int], OutcomeRow]:
        sampling = replace(self.sampling, group_size=part.num_samples)
        drawn = self.engine.generate([one.trunk for one in asked], sampling, part.round)
        answers = [
            _Answer(one, number, sample, self._text(one, sample))
            for one, (of_cut,) in zip(asked, drawn, strict=True)
            for number, sample in zip(part.numbers, of_cut, strict=True)
        ]
        said = [self._said(answer) for answer in answers]
        pairs = [
            (words, one.asked.item) for one, words in zip(answers, said, strict=True) if words is not None
        ]
        left = iter(self.pack.grades(pairs))
        rows = [
            self._row(one, words, next(left) if words is not None else None, part)
            for one, words in zip(answers, said, strict=True)
        ]
        return {(row.item_id, row.sample): row for row in rows}

    def _text(self, asked: Prompted, sample: Sample) -> tuple[str, bool]:
        """What an answer says up to where it ends, and whether it ends at all."""
        text = answer_bytes(sample, self.codec).decode("utf-8", errors="replace")
        cuts = [place for stop in asked.stops if (place := text.find(stop)) >= 0]
        return (text[: min(cuts)], True) if cuts else (text, sample.finish == "stop")

    def _said(self, answer: "_Answer") -> str | None:
        text, ended = answer.text
        asked = answer.asked
        return self.pack.said(text, asked.item, self.mode, in_thought=asked.in_thought, ended=ended)

    def _row(
        self, answer: "_Answer", said: str | None, grade: Grade | None, part: SamplingRound
    ) -> OutcomeRow:
        asked, item, (text, ended) = answer.asked, answer.asked.item, answer.text
        thinks = asked.in_thought or END_OF_THOUGHT.decode() in text
        name = _verdict(grade, ended=ended)
        trunk = asked.trunk
        (seed,) = stream_keys(
            self.sampling.seed, part.round, [(trunk.key, cut_names(trunk)[0], answer.number % ROUND)]
        ).tolist()
        return OutcomeRow(
            mode=self.mode,
            item_id=item.item_id,
            doc_id=item.item_id,
            sample=answer.number,
            verdict=name,
            score=float(name == "correct"),
            thought_tokens=thought_tokens(answer.sample, self.codec) if thinks else 0,
            answer_tokens=len(answer.sample.token_ids),
            prediction=said or "",
            truth=item.answer,
            prompt_digest=asked.digest,
            thinks=thinks,
            tail=item.question[-TAIL_CHARS:] if answer.number == 0 else None,
            prediction_tokens=len(self.codec.encode(said)) if said else 0,
            subject=item.subject or None,
            topic=item.topic,
            answer=text,
            sample_seed=seed,
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    asked: Prompted
    number: int
    sample: Sample
    text: tuple[str, bool]


def _key(asked: Prompted, number: int) -> tuple[str, int]:
    return asked.item.item_id, number


def _verdict(grade: Grade | None, *, ended: bool) -> VerdictName:
    if grade is None:
        return "unparsed" if ended else "truncated"
    if grade.timed_out:
        return "timed out"
    return {"correct": "correct", "wrong": "wrong"}.get(grade.match, "unparsed")  # type: ignore[return-value]
