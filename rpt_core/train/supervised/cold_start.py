"""The cold start: supervised answers, so that reinforcement finds answers in the asked form at all.

Every answer trains the skill; only the weight of its *first* token says how often to think. So a model
comes out that can think well, but does so in a given share of its answers, and reinforcement learning
has a strategy left to find (the sample world's prototype, section 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.errors import RecipeError, StarvedError
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.problems.question import read_problems
from rpt_core.objectives.prompts import problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.policy.device import device_of
from rpt_core.policy.forward import BranchScores, Layout
from rpt_core.policy.load import load_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import Part
from rpt_core.recipes.supervised import ColdStartRecipe
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.supervised.lessons import (
    Answer,
    Lessons,
    PlainDocuments,
    PlainText,
    SolvedProblems,
    SupervisedExample,
    ThoughtStyle,
    TracedDocuments,
)
from rpt_core.train.supervised.loop import Learned, shared_batches, train_supervised
from rpt_core.train.supervised.segment_lessons import SegmentLessons
from rpt_core.train.supervised.windows import Windows, shuffled


def train_cold_start(recipe: ColdStartRecipe, build: Build) -> Outcome:
    """Write ``model/``: the base model after supervised answers.

    Raises:
        StarvedError: the corpus has neither a document nor a problem to learn from.
    """
    device = device_of(build)
    policy = load_policy(build.inputs["base"] / "model", device=device, for_training=True)
    school = ColdStartData.open(recipe, build, policy)
    backend = open_backend(build.numerics, policy, recipe.optimiser, recipe.steps)
    trained = train_supervised(
        build,
        policy,
        backend,
        recipe.steps,
        lambda step: _learn(backend, school, recipe, build, step),
        recipe.max_gflops,
    )
    backend.export(build.out / "model")
    return Outcome(
        rows=school.balance,
        flops=trained.flops,
        tokens=trained.num_tokens,
        summary={
            "documents": len(school.documents),
            "problems": len(school.problems),
            "traced": school.traced,
            "final_nll_nats": trained.last.get("nll_nats"),
            "final_answer_nll_nats": trained.last.get("answer_nll_nats"),
        },
    )


@dataclass(frozen=True)
class ColdStartData:
    """The lessons of one cold start."""

    documents: Lessons
    problems: SolvedProblems
    traced: bool
    """Whether documents bring thoughts of their own, or teach the form alone."""
    balance: RowCounts
    plain: PlainText | None = None
    """Text that is learnt as it is, where the recipe mixes some in."""

    @classmethod
    def open(cls, recipe: ColdStartRecipe, build: Build, policy: Policy) -> "ColdStartData":
        """Find what the corpus can teach.

        Raises:
            StarvedError: nothing.
        """
        codec, corpus = policy.codec, build.inputs["corpus"]
        longest = recipe.thought_tokens_max
        room = min(recipe.context_tokens, _context_tokens(policy) - longest)
        documents, is_traced, sources = _documents(recipe, build, codec, room)
        problems = SolvedProblems.of(
            read_problems(corpus, "train") if recipe.problems_per_step else [],
            codec,
            problem_prompt("compact" if recipe.prompt == "compact" else "auto", codec),
            context_tokens=room,
            thought_tokens_max=longest,
        )
        if not len(documents) and not len(problems):
            raise StarvedError(
                "there is nothing to learn from: no training document of two tokens or more, and no problem "
                "with a solution that fits. Look at what prepare-corpus dropped, or give more text."
            )
        sources["problems"] = problems.balance
        plain = None
        if recipe.plain_per_step:
            windows = Windows.build(corpus, "train", codec, room, build.scratch / "plain.tokens")
            plain = PlainText(windows, policy.begin_ids)
            sources["plain text"] = RowCounts(rows_in=len(plain), kept=len(plain))
        rows = sum(sources.values(), RowCounts())
        return cls(documents, problems, is_traced, rows.model_copy(update={"by_source": sources}), plain)

    def lessons(self, recipe: ColdStartRecipe, step: int) -> list[list[SupervisedExample]]:
        """The documents and the problems of one step; every epoch each once, in random order."""
        rng = np.random.default_rng([recipe.seed, step, 7])
        pools: tuple[tuple[Lessons | None, int], ...] = (
            (self.documents, recipe.documents_per_step),
            (self.problems, recipe.problems_per_step),
            (self.plain, recipe.plain_per_step),
        )
        drawn = [
            [pool.lesson(int(index), rng) for index in shuffled(len(pool), num, step, recipe.seed)]
            for pool, num in pools
            if num and pool
        ]
        if recipe.direct_answers:
            return drawn
        return [[thinking_alone(lesson) for lesson in pool] for pool in drawn]


def _documents(
    recipe: ColdStartRecipe, build: Build, codec: Codec, room: int
) -> tuple[Lessons, bool, dict[str, RowCounts]]:
    """What the documents teach, whether by thoughts of the corpus, and the balance of each source."""
    corpus, longest = build.inputs["corpus"], recipe.thought_tokens_max
    if recipe.form == "segments":
        segments = SegmentLessons.open(corpus, "train", codec, recipe, room)
        return segments, segments.is_traced, {"traces" if segments.is_traced else "windows": segments.balance}
    prompt = next_token_prompt(recipe.prompt, codec)
    window = max(2, room - prompt.num_tokens)
    traced = TracedDocuments.open(
        corpus, "train", codec, prompt,
        window_tokens=window, thought_tokens_max=longest, kinds=recipe.trace_kinds,
        style=_style(recipe, codec), whole_answers=recipe.whole_answers,
    )  # fmt: skip
    if recipe.trace_kinds and not len(traced):
        raise RecipeError(
            f"trace_kinds {', '.join(recipe.trace_kinds)} match traces of the corpus, and none can be "
            f"shown ({traced.balance.dropped}): the form alone would be taught in their place. Fix the "
            "patterns, or leave them out."
        )
    if len(traced):
        return traced, True, {"traces": traced.balance}
    plain = PlainDocuments(
        Windows.build(corpus, "train", codec, window, build.scratch / "train.tokens"), prompt, codec
    )
    return plain, False, {"traces": traced.balance, "windows": RowCounts(rows_in=len(plain), kept=len(plain))}


def _style(recipe: ColdStartRecipe, codec: Codec) -> ThoughtStyle:
    lowest, highest = recipe.budget_words or (1, 0)
    budgeted = (next_token_prompt(recipe.prompt, codec, tokens) for tokens in range(lowest, highest + 1))
    return ThoughtStyle(recipe.long_share, recipe.long_passes, tuple(budgeted))


def _learn(
    backend: TrainerBackend, school: ColdStartData, recipe: ColdStartRecipe, build: Build, step: int
) -> Learned:
    """Leave the gradient of one step: mean over answer tokens, plus the documents' own loss."""
    pools = school.lessons(recipe, step)
    lessons = [lesson for pool in pools for lesson in pool]
    batch = _Batch(
        sum(len(answer.ids) for lesson in lessons for at in lesson.answers for answer in at),
        sum(lesson.trunk.num_tokens - 1 for lesson in lessons),
        recipe.ntp_weight,
    )
    layout, budget = cast(Layout, build.numerics.layout), build.numerics.tokens_per_micro_batch
    # documents and problems apart: problems are short, and would be padded to a document's length
    shares = [
        first_token_weights([a for x in pool for at in x.answers for a in at], recipe.think_share)
        for pool in pools
    ]
    done = [
        batch.learn(backend, pool, first, layout, budget) for pool, first in zip(pools, shares, strict=True)
    ]
    names = ("loss", "nll_nats", "answer_nll_nats", "tokens")
    sums = {name: sum(one[i] for one in done) for i, name in enumerate(names)}
    forwarded = int(sums.pop("tokens"))
    return Learned(sums.pop("loss"), sums, forwarded)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What all parts of one step share: the denominators of its means, and the weight between them."""

    num_answer_tokens: int
    num_document_tokens: int
    ntp_weight: float

    def learn(
        self,
        backend: TrainerBackend,
        lessons: Sequence[SupervisedExample],
        first: dict[bool, float],
        layout: Layout,
        budget: int,
    ) -> tuple[float, float, float, int]:
        """Add the gradient of this rank's share of lessons; its losses, and the tokens it forwarded.

        That is the loss, the documents' and the answers'.
        """
        trunks = [lesson.trunk for lesson in lessons]
        answers = [[[answer.ids for answer in at] for at in lesson.answers] for lesson in lessons]
        sums = np.zeros(3)
        forwarded = 0
        for parts, counts in shared_batches(trunks, answers, budget, backend):
            picked = [part.pick(trunks[part.trunk], answers[part.trunk]) for part in parts]
            scores = backend.score([t for t, _ in picked], [a for _, a in picked], layout)
            losses = self._losses(scores, _token_weights(parts, lessons, first), parts)
            backend.backward(losses[0] * float(counts))
            sums += [float(loss.detach()) * counts for loss in losses]
            forwarded += scores.num_tokens
        return float(sums[0]), float(sums[1]), float(sums[2]), forwarded

    def _losses(
        self, scores: BranchScores, weights: NDArray[np.float32], parts: Sequence[Part]
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert scores.document is not None
        nll_M = scores.document.nll_M
        counted = np.array([part.counts_document for part in parts])[scores.document.trunk_M]
        nll = nll_M[torch.from_numpy(counted).to(nll_M.device)].sum() / self.num_document_tokens
        weights_N = torch.from_numpy(weights).to(nll_M.device)
        answer_nll_N = -scores.logprobs_N / self.num_answer_tokens
        return (weights_N * answer_nll_N).sum() + self.ntp_weight * nll, nll, answer_nll_N.sum()


def thinking_alone(lesson: SupervisedExample) -> SupervisedExample:
    """The lesson without its direct answers; a place that has no other keeps its own."""
    answers = (tuple(answer for answer in at if answer.thinks) or at for at in lesson.answers)
    return replace(lesson, answers=tuple(answers))


def first_token_weights(answers: Sequence[Answer], think_share: float) -> dict[bool, float]:
    """Weight of the first token of thinking (True) and of direct (False) answers.

    Their sums are in the ratio of the wanted shares, and they average 1 over the answers.

    Example:
        >>> five = [Answer((1,), True)] * 5 + [Answer((2,), False)]
        >>> {k: round(v, 2) for k, v in first_token_weights(five, 0.3).items()}
        {True: 0.36, False: 4.2}
    """
    thinking = sum(answer.thinks for answer in answers)
    direct = len(answers) - thinking
    return {
        True: think_share * len(answers) / thinking if thinking else 0.0,
        False: (1 - think_share) * len(answers) / direct if direct else 0.0,
    }


def _token_weights(
    parts: Sequence[Part], lessons: Sequence[SupervisedExample], first: dict[bool, float]
) -> NDArray[np.float32]:
    """Weight of every scored answer token, in the order of the pass."""
    weights: list[float] = []
    for part in parts:
        for cut, number in part.branches:
            answer = lessons[part.trunk].answers[cut][number]
            weights += [first[answer.thinks], *[1.0] * (len(answer.ids) - 1)]
    return np.array(weights, np.float32)


def _context_tokens(policy: Policy) -> int:
    """Longest row the model was made for."""
    return int(getattr(policy.config, "max_position_embeddings", 2048))
