"""Stage ``train-judge``: a generative judge of the sample world, taught from pairs whose truth is known.

Its answer is its notes, what each predicted sentence and the true one in its place say, and then the
verdict in the format every judge uses. Agreement is measured on held-out pairs in free running: notes of
its own, not given ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.objectives.evidence import JudgeVerdict, Pair
from rpt_core.objectives.next_segment.judge_local import LocalJudge, ask_about
from rpt_core.policy.codec import Codec
from rpt_core.policy.device import device_of
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.sample.pairs import WorldPair, drill, pair
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.supervised.base import by_rank_0, initialise
from rpt_core.train.supervised.loop import Learned, learn_answers, train_supervised

HELD_OUT_FROM = 1_000_000_000
"""Numbers of pairs from here on are never trained on."""
TOKENIZER_PAIRS = 2_000
VERDICT_WEIGHT = 4.0


def train_judge(recipe: JudgeRecipe, build: Build) -> Outcome:
    """Write ``model/``; the summary says how far it agrees with the world's truth on held-out pairs."""

    def write(folder: Path) -> None:
        texts = (text for number in range(TOKENIZER_PAIRS) for text in _texts(_pair(recipe, number)))
        codec = Codec.train(texts, recipe.model.vocab_size, folder, recipe.model.context_tokens)
        initialise(recipe.model, len(codec), codec, recipe.seed, folder)

    policy = load_policy(by_rank_0(build, write), device=device_of(build), for_training=True)
    codec = policy.codec
    backend = open_backend(build.numerics, policy, recipe.optimiser, recipe.steps)
    trained = train_supervised(
        build, policy, backend, recipe.steps, lambda step: _learn(backend, codec, recipe, build, step)
    )
    backend.export(build.out / "model")
    held_out = [_pair(recipe, HELD_OUT_FROM + number) for number in range(recipe.held_out_pairs)]
    with backend.whole():
        agreement = agree(LocalJudge(policy).ask(as_asked(held_out)), [one.is_right for one in held_out])
    pairs = recipe.steps * recipe.pairs_per_step
    return Outcome(
        rows=RowCounts(rows_in=pairs, kept=pairs),
        flops=trained.flops,
        tokens=trained.num_tokens,
        summary={
            "parameters": policy.num_parameters,
            "final_nll_nats": trained.last.get("answer_nll_nats"),
            "held_out_pairs": len(held_out),
            "balanced_accuracy": agreement.balanced_accuracy,
            "false_accepts": agreement.false_accepts,
            "false_rejects": agreement.false_rejects,
            "unread": agreement.unread,
        },
    )


@dataclass(frozen=True, slots=True)
class Agreement:
    """A judge's verdicts beside the truth."""

    balanced_accuracy: float
    """Mean of the shares of right and of wrong texts that were seen as such."""
    false_accepts: float
    """Share of wrong texts that were accepted."""
    false_rejects: float
    """Share of right texts that were not accepted, unread ones included."""
    unread: float


def agree(verdicts: Sequence[JudgeVerdict], truths: Sequence[bool]) -> Agreement:
    """Compare verdicts with the truth.

    Example:
        >>> agree(["yes", "no", "yes", "unparsed"], [True, True, False, False])
        Agreement(balanced_accuracy=0.5, false_accepts=0.5, false_rejects=0.5, unread=0.25)
    """
    of_right = [verdict == "yes" for verdict, is_right in zip(verdicts, truths, strict=True) if is_right]
    of_wrong = [verdict == "yes" for verdict, is_right in zip(verdicts, truths, strict=True) if not is_right]
    accepts = sum(of_wrong) / max(len(of_wrong), 1)
    rejects = 1 - sum(of_right) / max(len(of_right), 1)
    unread = sum(verdict not in ("yes", "no") for verdict in verdicts) / max(len(verdicts), 1)
    return Agreement(1 - (accepts + rejects) / 2, accepts, rejects, unread)


def as_asked(pairs: Sequence[WorldPair]) -> list[Pair]:
    """Pairs as a judge is asked about them."""
    return [Pair(one.reference, one.predicted) for one in pairs]


def _pair(recipe: JudgeRecipe, number: int) -> WorldPair:
    return pair(recipe.seed, number, recipe.reference_sentences, recipe.world)


def _texts(one: WorldPair) -> tuple[str, ...]:
    return f" {one.reference}", f" {one.predicted}", _notes(one), _score(one)


def _notes(one: WorldPair) -> str:
    return f" {one.findings}"


def _score(one: WorldPair) -> str:
    return f"Score: {int(one.is_right)}"


def _answer(one: WorldPair, codec: Codec) -> tuple[int, ...]:
    notes, score = codec.encode(_notes(one)), codec.encode(_score(one))
    return (*notes, *codec.control("end_think"), *score, codec.end_id)


def _weights(ids: Sequence[int], *, noted: float) -> list[float]:
    """By token: the verdict is one token of a dozen, and what the judge is for."""
    return [noted] * (len(ids) - 2) + [VERDICT_WEIGHT, noted]


def _learn(backend: TrainerBackend, codec: Codec, recipe: JudgeRecipe, build: Build, step: int) -> Learned:
    """Leave the gradient of one step: the mean over the replies' tokens."""
    first = (step - 1) * recipe.pairs_per_step
    pairs = [_pair(recipe, number) for number in range(first, first + recipe.pairs_per_step)]
    trunks = [ask_about(one.reference, [one.predicted], "prefix", codec) for one in pairs]
    answers = [[[_answer(one, codec)]] for one in pairs]
    weights = [[[_weights(ids[0][0], noted=1.0)]] for ids in answers]
    bare = [drill(recipe.seed, step, number, recipe.world) for number in range(recipe.drills_per_step)]
    drills = [_answer(one, codec) for one in bare]
    if drills:
        cut = Cut(0, codec.control("think"))
        trunks.append(Trunk("drills", codec.begin_ids + codec.control("rpt"), (), (cut,) * len(drills)))
        answers.append([[ids] for ids in drills])
        weights.append([[_weights(ids, noted=0.0)] for ids in drills])
    return learn_answers(backend, trunks, answers, weights, build)
