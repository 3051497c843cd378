"""What both trainers are given: the same weights, prompts, group size and lengths; and our own side."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from rpt_core.artifacts.recipe import Artifact
from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import Layout
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.recipes.reinforce import PolicyRecipe, Selection
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.state import Progress, Trainer
from rpt_core.train.rl.step import step
from tests.toys import NO_CODEC, ByGroup

CLOCKS: tuple[Callable[[], float], ...] = (time.perf_counter, time.process_time)
LEARNING_RATE = 1e-6
FIRST_ID = 8
"""Ids below are special tokens of the benchmark's tokenizer."""


@dataclass(frozen=True)
class Shape:
    """One race: whose prompts are prefixes of shared documents, or each its own document with one cut."""

    name: str
    document_tokens: int
    cuts: tuple[int, ...]
    documents: int
    answer_tokens: int = 32
    group_size: int = 8
    vocab: int = 512

    @property
    def num_prompts(self) -> int:
        """Questions a step."""
        return self.documents * len(self.cuts)

    def trunks(self) -> list[Trunk]:
        """The documents; the same at every call."""
        rng = np.random.default_rng(0)
        cuts = tuple(Cut(position) for position in self.cuts)
        return [
            Trunk(
                str(number),
                (),
                tuple(rng.integers(FIRST_ID, self.vocab, self.document_tokens).tolist()),
                cuts,
            )
            for number in range(self.documents)
        ]

    def prompts(self) -> list[tuple[int, ...]]:
        """The same questions as separate prompts."""
        return [trunk.document_ids[: cut.position] for trunk in self.trunks() for cut in trunk.cuts]


def single(length: int, vocab: int = 512) -> Shape:
    """Four prompts of one length."""
    return Shape(f"P={length} R=32 G=8" + f" V={vocab}" * (vocab > 512), length, (length,), 4, vocab=vocab)


def nested(num_cuts: int, group_size: int) -> Shape:
    """One document of 1024 tokens, cut at even distances up to its end."""
    cuts = tuple(1024 * (place + 1) // num_cuts for place in range(num_cuts))
    return Shape(f"D=1024, {num_cuts} cuts, G={group_size}", 1024, cuts, 1, group_size=group_size)


def model_of(shape: Shape) -> torch.nn.Module:
    """A Qwen3-shaped decoder of about a million parameters (more where the vocabulary is large)."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=shape.vocab, hidden_size=128, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=32, intermediate_size=512, tie_word_embeddings=True,
        max_position_embeddings=2048, bos_token_id=None, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


def reward(token_ids: Sequence[int]) -> float:
    """Something that differs between answers: whether the first token is even."""
    return float(token_ids[0] % 2 == 0)


@dataclass
class FixedQuestions(ByGroup):
    """The shape's questions at every step."""

    shape: Shape
    name: str = "fixed"
    stop_ids: frozenset[int] = frozenset()

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        asked = [
            Asked(t, tuple(Question(t.key, c.position, "") for c in t.cuts)) for t in self.shape.trunks()
        ]
        return asked, cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        return []

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        return [Verdict(reward(s.token_ids), "wrong", 0, len(s.token_ids)) for s in samples]


@dataclass
class Seconds:
    """What one step took, by phase."""

    rollout: float
    update: float
    whole: float

    @classmethod
    def now(cls, read: Callable[[], float], begun: float, rollout: float) -> "Seconds":
        """A step's that ends now, by one clock: the rollout, the rest, both."""
        whole = read() - begun
        return cls(rollout, whole - rollout, whole)


@dataclass
class Step:
    """One step by two clocks. On a shared machine the processor's is the fairer one."""

    wall: Seconds
    cpu: Seconds


class Ours:
    """This project's trainer on a shape."""

    def __init__(self, shape: Shape, model: torch.nn.Module, layout: Layout = "two-pass") -> None:
        model = copy.deepcopy(model)
        model.set_attn_implementation(ATTENTION)
        self.policy = Policy(model, NO_CODEC, model.config)
        given = Artifact(kind="none", fingerprint="0" * 64, digest="0" * 64)
        recipe = PolicyRecipe(
            corpus=given, difficulty=given, start=given, prompts_per_step=shape.num_prompts,
            group_size=shape.group_size, reasoning_tokens=shape.answer_tokens, temperature=1.0, steps=10_000,
            optimiser=Optimiser(learning_rate=LEARNING_RATE),
            selection=Selection(drop_equal_from_step=10_000),
        )  # fmt: skip
        backend = TorchBackend(self.policy, recipe.optimiser, recipe.steps)
        engine = TorchEngine(self.policy)
        self.trainer = Trainer(recipe, self.policy, engine, FixedQuestions(shape), backend, layout, 1 << 20)
        self.progress = Progress()

    def step(self) -> Step:
        """One whole step, timed; judging answers counts to the update, as on the peer's side."""
        begun = [read() for read in CLOCKS]
        drawing = Stopwatch(self.trainer.engine.generate)
        self.trainer.engine.generate = drawing  # type: ignore[method-assign]
        try:
            batch = collect(self.trainer, self.progress, Clock())
        finally:
            self.trainer.engine.generate = drawing.timed  # type: ignore[method-assign]
        self.progress, _ = step(self.trainer, self.progress, batch)
        return Step(*map(Seconds.now, CLOCKS, begun, drawing.seconds))


class Stopwatch:
    """A function that counts its seconds by every clock."""

    def __init__(self, timed: Callable[..., Any]) -> None:
        self.timed = timed
        self.seconds = [0.0 for _ in CLOCKS]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        begun = [read() for read in CLOCKS]
        try:
            return self.timed(*args, **kwargs)
        finally:
            self.seconds = [
                so_far + read() - start
                for so_far, read, start in zip(self.seconds, CLOCKS, begun, strict=True)
            ]
