"""One text put to one model, which continues it, thinks and predicts, or solves, and how sure it was.

Words, engines and scoring are those of training and evaluation: an answer is drawn by a rollout engine, and
its tokens are scored by the pass that updates use, at temperature 1 and without truncation, so that a greedy
answer has a log-probability too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch

from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.pack import Message
from rpt_core.evaluation.benchmarks.suite.prompts import Prompter, usual_form
from rpt_core.objectives.next_token.prefix import read
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.problems.question import Problem, Solve
from rpt_core.objectives.problems.stated import after_thought, stated_value
from rpt_core.objectives.prompts import PROBLEM_PLAIN
from rpt_core.objectives.verdicts import END_OF_THOUGHT, Reading, answer_bytes, verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Sample, Sampling, Trunk
from rpt_core.recipes.objectives import NextTokenSettings, RlvrObjective, RptObjective

Form = Literal["plain", "think", "solve"]
FORMS: tuple[Form, ...] = get_args(Form)
GREEDY = 0.0
_CONTEXT = ("max_position_embeddings", "n_positions")
"""What configurations call the longest row a model was made for."""


@dataclass(frozen=True, slots=True)
class Request:
    """A text, and how a model is to answer it.

    Raises:
        RecipeError: the text is empty, or several answers are wanted where all are the likeliest one.
    """

    text: str
    form: Form = "plain"
    """``plain``: the text is continued. ``think``: a thought, then what comes next in the text. ``solve``:
    the text is a problem; a thought, then the boxed answer. A model that was not trained to think solves it
    in its own form, and its answer is read as ``rpt eval`` reads it."""
    samples: int = 1
    temperature: float = GREEDY
    """0 takes the likeliest token every time."""
    max_new_tokens: int = 128
    seed: int = 0
    next_token: NextTokenSettings = field(default_factory=lambda: RptObjective(prompt="auto"))
    """In which words ``think`` asks."""
    problem: RlvrObjective | None = None
    """In which words ``solve`` asks; None where the model learnt none of ours, so that the form that fits it
    is taken, as by ``rpt eval``."""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise RecipeError("the text is empty: there is nothing to continue. Give some words.")
        if self.form not in FORMS:
            raise RecipeError(
                f"a model cannot be asked as {self.form!r}; it can as {', '.join(FORMS)}. Take one of them."
            )
        if self.samples > 1 and self.temperature == GREEDY:
            raise RecipeError(
                f"{self.samples} samples are asked for at temperature 0, where all are the likeliest answer. "
                "Give a temperature above 0, or ask for one sample."
            )

    def sampling(self, codec: Codec) -> Sampling:
        """How answers are drawn."""
        is_greedy = self.temperature == GREEDY
        return Sampling(
            temperature=1.0 if is_greedy else self.temperature,
            max_new_tokens=self.max_new_tokens,
            stop_ids=codec.end_ids,
            group_size=self.samples,
            seed=self.seed,
            top_k=1 if is_greedy else 0,
        )


@dataclass(frozen=True, slots=True)
class SaidToken:
    """One token of an answer."""

    token_id: int
    text: str
    logprob_nats: float
    """Natural log of its probability under the model, at temperature 1."""
    entropy_nats: float
    """Of the distribution it came from, at temperature 1."""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer, taken apart."""

    text: str
    """All of it, without the token that ends it."""
    thought: str
    """Before the end of the thought; empty where the model was not asked to think."""
    prediction: str
    """What was read after the thought; for ``plain`` the whole text."""
    is_read: bool
    """Whether a prediction could be read."""
    finish: Literal["stop", "length"]
    tokens: tuple[SaidToken, ...]

    @property
    def logprob_nats(self) -> float:
        """Of the whole answer."""
        return math.fsum(token.logprob_nats for token in self.tokens)

    @property
    def entropy_nats(self) -> float:
        """Mean over the answer's tokens."""
        return math.fsum(token.entropy_nats for token in self.tokens) / len(self.tokens)

    @property
    def perplexity(self) -> float:
        """Of the answer under the model that gave it."""
        return math.exp(-self.logprob_nats / len(self.tokens))


def answers(policy: Policy, engine: RolloutEngine, request: Request) -> tuple[Trunk, list[Said]]:
    """Put a text to a model.

    Args:
        policy: The model, for its codec and for scores.
        engine: What draws; it serves the same weights.
        request: The text, and how it is asked.

    Returns:
        The text as the model read it, and the answers in the order they were drawn.

    Raises:
        RecipeError: the text, the words around it and the answer do not fit into the model's context.
    """
    trunk = trunk_of(request, policy.codec)
    refuse_too_long(policy, trunk, request)
    ((samples,),) = engine.generate([trunk], request.sampling(policy.codec), 0)
    scored = _scored(policy, trunk, samples)
    return trunk, [_said(request, policy.codec, *pair) for pair in zip(samples, scored, strict=True)]


def trunk_of(request: Request, codec: Codec) -> Trunk:
    """The text with the words around it, cut at its end."""
    if _is_in_words(request, codec):
        ask = Prompter(codec, "try", usual_form(codec))
        return ask(Item("try", request.text, ""), Message(PROBLEM_PLAIN, request.text)).trunk
    if request.form == "solve":
        return _solve(request, codec).ask(Problem("try", request.text, "", "")).trunk
    ids = tuple(codec.encode(request.text))
    if request.form == "plain":
        return Trunk("try", codec.begin_ids, ids, (Cut(len(ids)),))
    prompt = NextToken.of(request.next_token, codec).prompt
    return Trunk("try", prompt.instruction_ids, ids, (Cut(len(ids), prompt.suffix_ids),))


def _solve(request: Request, codec: Codec) -> Solve:
    """The objective in whose words a problem is put and read."""
    return Solve.of(request.problem or RlvrObjective(prompt="auto"), codec)


def _is_in_words(request: Request, codec: Codec) -> bool:
    """Whether a problem is put to a model that neither learnt our words nor opens thoughts."""
    return request.form == "solve" and request.problem is None and usual_form(codec) != "think"


def refuse_too_long(policy: Policy, trunk: Trunk, request: Request) -> None:
    """Refuse a row that is longer than the model was made for.

    Raises:
        RecipeError: with all lengths.
    """
    stated = (getattr(policy.config, name, None) for name in _CONTEXT)
    most = min((size for size in stated if isinstance(size, int)), default=None)
    text, words = len(trunk.document_ids), len(trunk.instruction_ids) + len(trunk.cuts[0].suffix_ids)
    if most is not None and text + words + request.max_new_tokens > most:
        raise RecipeError(
            f"the text is {text} tokens, the words around it {words} and the answer up to "
            f"{request.max_new_tokens}, and this model was made for rows of {most}: they do not fit. Give a "
            "shorter text or fewer new tokens (--max-new-tokens)."
        )


@torch.no_grad()
def _scored(policy: Policy, trunk: Trunk, samples: Sequence[Sample]) -> list[list[tuple[float, float]]]:
    """Log-probability and entropy of every token of every answer, nats."""
    ids = [list(sample.token_ids) for sample in samples]
    found = branch_logprobs(policy, [trunk], [[ids]], with_document=False, as_drawn=True)
    pairs = zip(found.logprobs_N.float().tolist(), found.entropies_N.float().tolist(), strict=True)
    return [[next(pairs) for _ in row] for row in ids]


def _said(request: Request, codec: Codec, sample: Sample, scores: list[tuple[float, float]]) -> Said:
    content = answer_bytes(sample, codec)
    text = content.decode("utf-8", errors="replace")
    tokens = tuple(
        SaidToken(token, codec.decode([token]), *pair)
        for token, pair in zip(sample.token_ids, scores, strict=True)
    )
    if request.form == "plain":
        return Said(text, "", text, True, sample.finish, tokens)
    if _is_in_words(request, codec):
        rest = after_thought(text)
        value = None if rest is None else stated_value(rest, ended=sample.finish == "stop")
        thought = text[: len(text) - len(rest or "")].removesuffix(END_OF_THOUGHT.decode())
        return Said(text, thought, value or "", value is not None, sample.finish, tokens)
    reading = _reading(request, codec, content) if sample.finish == "stop" else None
    found = verdict(sample, codec, reading, None)
    return Said(text, found.thought, found.prediction, reading is not None, sample.finish, tokens)


def _reading(request: Request, codec: Codec, content: bytes) -> Reading | None:
    if request.form == "think":
        return read(content, newline_escapes=request.next_token.newline_escapes)
    said = _solve(request, codec).said(content.decode("utf-8", errors="replace"), or_number=True)
    return None if said is None else Reading(content.partition(END_OF_THOUGHT)[0], (said.encode(),))
