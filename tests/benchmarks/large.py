"""A GPU-sized update and rollout: every layout at the most cuts that fit, beside separate rows at as many.

    python -m tests.benchmarks.trainer --device cuda
    python -m tests.benchmarks.large --device cpu --tiny --most-cuts 2       # that it runs

A Qwen3 shape of 0.6 B parameters with random weights, one document of 4096 tokens, 8 answers of 512 to
every cut. Cuts are doubled until memory ends, which is a result like any other. MFU counts 6 operations
a parameter and token, over the tokens that have to be learnt from: the document once and every answer.
"""

import argparse
import time
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import Layout, branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from tests.toys import NO_CODEC

LAYOUTS: tuple[Layout, ...] = get_args(Layout)


@dataclass(frozen=True)
class Size:
    """What is measured."""

    document: int
    answer: int
    group: int
    vocab: int
    width: int
    layers: int
    ffn: int
    heads: int

    def policy(self, device: str, dtype: torch.dtype) -> Policy:
        """Random weights of this shape."""
        torch.manual_seed(0)
        config = Qwen3Config(
            vocab_size=self.vocab, hidden_size=self.width, num_hidden_layers=self.layers,
            num_attention_heads=self.heads, num_key_value_heads=self.heads // 2, head_dim=128,
            intermediate_size=self.ffn, tie_word_embeddings=True, bos_token_id=None, eos_token_id=1,
            pad_token_id=None, max_position_embeddings=2 * self.document,
        )  # fmt: skip
        model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
        return Policy(model.to(device), NO_CODEC, config, dtype)

    def trunk(self, cuts: int) -> Trunk:
        """One document, cut at even distances up to its end."""
        ids = np.random.default_rng(0).integers(2, self.vocab, self.document).tolist()
        places = (Cut(self.document * (place + 1) // cuts) for place in range(cuts))
        return Trunk("document", (), tuple(ids), tuple(places))

    def answers(self, cuts: int) -> list[list[list[list[int]]]]:
        """Random answers to all cuts."""
        shape = (cuts, self.group, self.answer)
        return [np.random.default_rng(1).integers(2, self.vocab, shape).tolist()]


SIZES = {
    "0.6B": Size(4096, 512, 8, 151_936, 1024, 28, 3072, 16),
    "1.5B": Size(4096, 512, 8, 151_936, 2048, 24, 6144, 16),
    "tiny": Size(128, 8, 2, 512, 64, 2, 128, 2),
}


@dataclass(frozen=True)
class Measured:
    """One update: seconds, peak bytes of the device, tokens forwarded."""

    seconds: float
    num_bytes: int
    forwarded: int


def update(policy: Policy, size: Size, cuts: int, layout: Layout, rounds: int) -> Measured:
    """Forward and backward over all answers and the document; the quickest of some rounds after a first."""
    seconds, forwarded = [], 0
    for _ in range(rounds + 1):
        policy.model.zero_grad(set_to_none=True)
        _reset(policy.device)
        begun = time.perf_counter()
        scores = branch_logprobs(policy, [size.trunk(cuts)], size.answers(cuts), layout)
        assert scores.document is not None
        (scores.logprobs_N.mean() + scores.document.nll_M.mean()).backward()  # type: ignore[no-untyped-call]
        _wait(policy.device)
        seconds.append(time.perf_counter() - begun)
        forwarded = scores.num_tokens
    return Measured(min(seconds[1:]), _most_bytes(policy.device), forwarded)


def largest(
    policy: Policy, size: Size, layout: Layout, rounds: int, most: int
) -> tuple[int, Measured | None]:
    """Double the cuts until memory ends: the last number that fitted, and what it took."""
    fitted: tuple[int, Measured | None] = (0, None)
    cuts = 1
    while cuts <= most:
        try:
            fitted = cuts, update(policy, size, cuts, layout, rounds)
        except torch.OutOfMemoryError:
            break
        cuts *= 2
    return fitted


def rollout(policy: Policy, size: Size, cuts: int) -> float:
    """Answer tokens a second, all cuts and answers together."""
    engine = TorchEngine(policy)
    sampling = Sampling(1.0, size.answer, frozenset(), size.group, 0)
    engine.generate([size.trunk(1)], Sampling(1.0, 2, frozenset(), 2, 0), 0)
    begun = time.perf_counter()
    engine.generate([size.trunk(cuts)], sampling, 0)
    _wait(policy.device)
    return cuts * size.group * size.answer / (time.perf_counter() - begun)


def report(
    size: Size, device: str, rounds: int, most_cuts: int, peak_tflops: float, *, checkpointed: bool
) -> None:
    """Print the table."""
    policy = size.policy(device, torch.bfloat16 if device == "cuda" else torch.float32)
    if checkpointed:
        policy.checkpoint_activations()
    print(f"{policy.num_parameters / 1e9:.2f} B parameters on {device}, {policy.compute_dtype}")
    print(f"D={size.document} G={size.group} R={size.answer}, activations checkpointed: {checkpointed}")
    print(f"{'layout':10}{'cuts':>6}{'seconds':>10}{'GiB':>8}{'MFU':>7}   separate rows at as many")
    for layout in LAYOUTS:
        if checkpointed and layout == "two-pass":
            continue
        cuts, found = largest(policy, size, layout, rounds, most_cuts)
        if found is None:
            print(f"{layout:10}     1   out of memory")
            continue
        print(f"{layout:10}{cuts:6}{_line(policy, size, cuts, found, peak_tflops)}   "
              + ("" if layout == "rows" else _rows(policy, size, cuts, rounds, found)))  # fmt: skip
    print(f"rollout of 8 cuts: {rollout(policy, size, min(8, size.document)):.0f} answer tokens a second")


def _line(policy: Policy, size: Size, cuts: int, found: Measured, peak_tflops: float) -> str:
    useful = size.document + cuts * size.group * size.answer
    share = 6 * policy.num_parameters * useful / found.seconds / (peak_tflops * 1e12) if peak_tflops else 0
    return f"{found.seconds:10.3f}{found.num_bytes / 2**30:8.2f}{share:7.2f}"


def _rows(policy: Policy, size: Size, cuts: int, rounds: int, ours: Measured) -> str:
    try:
        rows = update(policy, size, cuts, "rows", rounds)
    except torch.OutOfMemoryError:
        return "out of memory"
    return f"{rows.seconds:.3f} s ({rows.seconds / ours.seconds:.1f} times), {rows.num_bytes / 2**30:.2f} GiB"


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _most_bytes(device: torch.device) -> int:
    return torch.cuda.max_memory_allocated() if device.type == "cuda" else 0


def main(words: list[Any] | None = None) -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--size", choices=list(SIZES), default="0.6B")
    parser.add_argument("--tiny", action="store_const", const="tiny", dest="size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most-cuts", type=int, default=256, help="where doubling ends if memory does not")
    parser.add_argument(
        "--checkpointed", action="store_true", help="activation checkpointing, in packed rows"
    )
    parser.add_argument("--peak-tflops", type=float, default=989.0, help="of the device, dense, in this type")
    options = parser.parse_args(words)
    report(
        SIZES[options.size], options.device, options.rounds, options.most_cuts, options.peak_tflops,
        checkpointed=options.checkpointed,
    )  # fmt: skip


if __name__ == "__main__":
    main()
