"""Difficulty scoring beside plain logits of the same model: tokens a second, and memory beyond the weights.

    python -m tests.benchmarks.difficulty

Scoring takes the exact entropy of the 16 likeliest tokens and the next token's log-likelihood; the plain
pass only makes the logits, all at once. Steps alternate, the first round is discarded.
"""

import argparse
import json
import statistics
import subprocess
import sys
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.forward import document_scores
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk
from tests.benchmarks import resident
from tests.benchmarks.workload import CLOCKS
from tests.toys import NO_CODEC

TARGETS = {4_096: 0.8, 32_768: 0.8, 151_936: 0.6}
"""Vocabulary -> share of the plain pass's tokens a second, at least."""
TOP_K, WIDTH, DOCUMENTS, TOKENS = 16, 512, 4, 256
FLAT = 1.2
"""How much more memory beyond the weights four times the documents may take."""
SETTLED = 2 * DOCUMENTS
"""Documents memory is measured from: two passes. The first one meets an allocator that has kept nothing yet:
peaks after one to six passes were 107, 127, 133, 133, 133 and 133 MiB."""


def policy_of(vocab: int) -> Policy:
    """A decoder of width 512, as wide as the target is stated for."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=vocab, hidden_size=WIDTH, num_hidden_layers=4, num_attention_heads=8,
        num_key_value_heads=4, head_dim=64, intermediate_size=1536, tie_word_embeddings=True,
        max_position_embeddings=1024, bos_token_id=None, eos_token_id=1, pad_token_id=None,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    return Policy(model, NO_CODEC, config)


def texts(vocab: int, number: int) -> list[Trunk]:
    """Documents of random tokens, the same at every call."""
    rng = np.random.default_rng(0)
    return [Trunk(str(n), (), tuple(rng.integers(2, vocab, TOKENS).tolist())) for n in range(number)]


def measure(rounds: int, by: str) -> list[str]:
    """Race at every vocabulary, then memory, all in fresh processes; the targets that were missed.

    As the stage does: what other parts of a benchmark leave in memory slows whoever allocates most often.
    """
    missed = []
    print(f"\ndifficulty, d={WIDTH}, {DOCUMENTS} documents of {TOKENS} tokens: share of plain logits' rate")
    for vocab, target in TARGETS.items():
        shares: dict[str, float] = _alone("--race", vocab, "--rounds", rounds)
        words = "  ".join(f"{clock} {share:.2f}" for clock, share in shares.items())
        print(f"V={vocab:<8}{words}  (target {target:g})")
        if shares[by] < target:
            missed.append(f"difficulty at V={vocab} {shares[by]:.2f} < {target:g}")
    few, many = (_alone("--memory-of", number) for number in (SETTLED, 4 * SETTLED))
    sizes = f"{few / 2**20:.0f} MiB for {SETTLED}, {many / 2**20:.0f} MiB for {4 * SETTLED} documents"
    print(f"memory beyond the weights at V=151936: {sizes}: {many / few:.2f} times (target < {FLAT:g})")
    return missed if many / few < FLAT else [*missed, f"difficulty's memory grows by {many / few:.2f}"]


def race(vocab: int, rounds: int) -> dict[str, float]:
    """Our tokens a second as a share of the plain pass's, by clock."""
    policy, trunks = policy_of(vocab), texts(vocab, DOCUMENTS)
    ids = torch.tensor([trunk.document_ids for trunk in trunks])
    taken: list[list[list[float]]] = [[[], []], [[], []]]
    with torch.no_grad():
        for _ in range(rounds + 1):
            begun = [read() for read in CLOCKS]
            document_scores(policy, trunks, top_k=TOP_K)
            _note(taken[0], begun)
            with policy.attending("sdpa"):
                begun = [read() for read in CLOCKS]
                policy.model(input_ids=ids, use_cache=False).logits  # noqa: B018  (made, and dropped)
                _note(taken[1], begun)
    ours, plain = ([statistics.median(seconds[1:]) for seconds in side] for side in taken)
    return {name: plain[i] / ours[i] for i, name in enumerate(("wall", "cpu"))}


def _note(seconds: list[list[float]], begun: list[float]) -> None:
    for clock, start, read in zip(seconds, begun, CLOCKS, strict=True):
        clock.append(read() - start)


def _alone(*options: str | int) -> Any:
    """What a process of its own with so many threads says."""
    command = [sys.executable, "-m", "tests.benchmarks.difficulty", "--threads", torch.get_num_threads()]
    done = subprocess.run(
        [str(word) for word in [*command, *options]], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def peak_beyond(documents: int) -> int:
    """Peak bytes that scoring adds to a loaded model; a pass over a few tokens first brings libraries in."""
    vocab = max(TARGETS)
    policy, trunks = policy_of(vocab), texts(vocab, documents)
    with torch.no_grad():
        document_scores(policy, [Trunk("first", (), trunks[0].document_ids[:32])], top_k=TOP_K)
        # Making the weights peaks higher than scoring does, so the kernel is told to forget that peak.
        resident.forget_peak()
        before = resident.status_bytes("VmRSS")
        for start in range(0, documents, DOCUMENTS):  # as the stage does: a bucket of the budget at a time
            document_scores(policy, trunks[start : start + DOCUMENTS], top_k=TOP_K)
    return resident.peak_bytes() - before


def main() -> None:
    """Run by itself."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--by", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--memory-of", type=int, default=0, help="so many documents, in this process")
    parser.add_argument("--race", type=int, default=0, help="at this vocabulary, in this process")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(json.dumps(peak_beyond(options.memory_of)))
        return
    if options.race:
        print(json.dumps(race(options.race, options.rounds)))
        return
    if missed := measure(options.rounds, options.by):
        sys.exit("missed: " + "; ".join(missed))


if __name__ == "__main__":
    main()
