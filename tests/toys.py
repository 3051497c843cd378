"""Small policies, trees and an objective for tests of the trunk and the trainer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config, Qwen3Config

from rpt_core.objectives.evidence import Evidence, Needs, Wanted
from rpt_core.objectives.objective import Asked, Drawn, Objective, Question, Verdict, Verdicts
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.codec import Codec
from rpt_core.policy.load import load_policy, save_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Sample, Trunk

VOCAB = 64


class _NoCodec:
    """What a policy of random ids needs to know of a tokenizer it does not have."""

    begin_ids = ()

    def unknown_ids(self, num_rows: int) -> list[int]:
        return []

    def save(self, folder: Path) -> None:
        """There is no file of it."""


NO_CODEC = cast(Codec, _NoCodec())
SHAPES = {"qwen3": Qwen3Config, "qwen2": Qwen2Config, "llama": LlamaConfig}


def tiny_config(
    kind: str = "qwen3", *, tied: bool = True, vocab: int = VOCAB, **more: Any
) -> PretrainedConfig:
    sizes = {
        "vocab_size": vocab, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "max_position_embeddings": 512,
        "tie_word_embeddings": tied, "bos_token_id": None, "eos_token_id": 1, "pad_token_id": None,
    }  # fmt: skip
    return SHAPES[kind](**{**sizes, **more})


def tiny_policy(
    kind: str = "qwen3", *, tied: bool = True, vocab: int = VOCAB, sharpness: float = 4.0, **more: Any
) -> Policy:
    """Random weights, made larger than at initialisation so that a wrong mask cannot hide."""
    torch.manual_seed(0)
    config = tiny_config(kind, tied=tied, vocab=vocab, **more)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(sharpness)
    return Policy(model, NO_CODEC, config)


def save_tiny_model(folder: Path, **more: Any) -> Policy:
    """A Hugging Face folder with a trained byte-level tokenizer, read back."""
    codec = Codec.train(["one two three four five six seven eight nine ten " * 40], 280, folder)
    torch.manual_seed(0)
    config = tiny_config(vocab=len(codec), eos_token_id=codec.end_id, **more)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    save_policy(Policy(model, codec, config), folder)
    return load_policy(folder)


def random_ids(rng: np.random.Generator, length: int, vocab: int = VOCAB) -> tuple[int, ...]:
    return tuple(int(token) for token in rng.integers(2, vocab, length))


def random_tree(
    seed: int,
    cuts: Sequence[Sequence[tuple[int, int]]],
    *,
    instruction: int = 1,
    group: int = 2,
    longest: int = 5,
) -> tuple[list[Trunk], list[list[list[tuple[int, ...]]]]]:
    """Trunks with (position, suffix length) cuts, and random answers of 1 to ``longest`` tokens."""
    rng = np.random.default_rng(seed)
    trunks, answers = [], []
    for number, at in enumerate(cuts):
        length = max([4, *(position for position, _ in at)])
        places = tuple(Cut(position, random_ids(rng, suffix)) for position, suffix in at)
        trunks.append(Trunk(str(number), random_ids(rng, instruction), random_ids(rng, length), places))
        answers.append(
            [[random_ids(rng, int(rng.integers(1, longest + 1))) for _ in range(group)] for _ in places]
        )
    return trunks, answers


def gradients(policy: Policy) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in policy.model.named_parameters() if p.grad is not None}
    policy.model.zero_grad()
    return found


def relative_error(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return max(float((ours[k] - theirs[k]).norm() / theirs[k].norm().clamp(min=1e-12)) for k in theirs)


class ByGroup:
    """An objective whose ``judge`` looks at one group of answers and needs nothing else."""

    needs = Needs()

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        return Wanted()

    def verdicts(self, asked: Sequence[Asked], drawn: Drawn, evidence: Evidence | None = None) -> Verdicts:
        return [
            [self.judge(one, cut, group) for cut, group in enumerate(of_one)]
            for one, of_one in zip(asked, drawn, strict=True)
        ]


@dataclass
class ToyObjective(ByGroup):
    """Documents of random tokens; an answer earns 1 when its first token is below half of the vocabulary."""

    vocab: int
    name: str = "toy"
    stop_ids: frozenset[int] = frozenset({1})
    score_all: float | None = None
    """When set, what every answer earns."""
    num_documents: int = 50
    cuts: int = 2
    draws: list[tuple[int, int, int]] = field(default_factory=list)

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        self.draws.append((step, cursor, num_prompts))
        if not self.num_documents:
            return [], cursor
        numbers = range(cursor // self.cuts, -(-(cursor + num_prompts) // self.cuts))
        return [self._ask(number % self.num_documents) for number in numbers], cursor + num_prompts

    def held_out(self, num_prompts: int) -> list[Asked]:
        return [self._ask(self.num_documents + number) for number in range(min(num_prompts, 8) // self.cuts)]

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
        return [self._verdict(sample) for sample in samples]

    def _verdict(self, sample: Sample) -> Verdict:
        right = float(sample.token_ids[0] < self.vocab // 2)
        score = right if self.score_all is None else self.score_all
        name = "correct" if score == 1 else "truncated" if sample.finish == "length" else "wrong"
        return Verdict(score, name, len(sample.token_ids) - 1, len(sample.token_ids), "a thought", "a guess")

    def _ask(self, number: int) -> Asked:
        rng = np.random.default_rng(number)
        length = int(rng.integers(8, 14))
        cuts = tuple(Cut(int(p), (2, 3)) for p in sorted(rng.integers(1, length, self.cuts)))
        trunk = Trunk(f"doc-{number}", (4,), random_ids(rng, length, self.vocab), cuts)
        return Asked(trunk, tuple(Question(trunk.key, cut.position, "truth", tail="tail") for cut in cuts))


def judge_group(objective: Objective, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Verdict]:
    """Verdicts of the answers to one question, right or wrong alone."""
    alone = Asked(replace(asked.trunk, cuts=(asked.trunk.cuts[cut],)), (asked.questions[cut],))
    return objective.verdicts([alone], [[samples]])[0][0]
