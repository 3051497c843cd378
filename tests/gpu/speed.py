"""Rollouts and updates of a random-weight Qwen3 shape: one document, many cuts, every layout, every back end.

An update is the trainer's own: scored in micro-batches through a back end of the registry, backward, one step
of AdamW. *Useful* tokens are those that are learnt from: the document once and every answer. *Forwarded*
tokens are those that went through the model, the document again for every row in separate rows; published
figures of other trainers count these. MFU takes 6 operations a parameter and useful token.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rpt_core.artifacts.placement import Numerics
from rpt_core.errors import RptError
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.forward import Layout
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import micro_batches
from rpt_core.policy.trunk import Answers, Sampling, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.registry import BACKENDS, open_backend
from tests.benchmarks.large import SIZES, Size
from tests.gpu.ledger import Ledger, device_name, forget_peak, peak_gib, peak_tflops, wait

GOAL_TOKENS, GOAL_MFU = 25_000, 0.25
"""Useful tokens a second and share of the peak, of an update in the best layout on one H100."""
ANCHOR = {
    "what": "prime-rl, Qwen3-0.6B, RL update, 16k tokens, one H100",
    "tokens_per_second": 11_896, "mfu": 0.111, "peak_gib": 12.5,
}  # fmt: skip
ROUNDS = 3
TOY = Size(document=128, answer=24, group=2, vocab=512, width=64, layers=2, ffn=128, heads=2)


@dataclass(frozen=True)
class Job:
    """What is timed."""

    size: Size
    cuts: int
    device: str
    budgets: Sequence[int]
    """Tokens of a micro-batch, tried from the largest on until one fits."""

    @property
    def dtype(self) -> torch.dtype:
        """Products are taken in."""
        return torch.bfloat16 if self.device == "cuda" else torch.float32

    @property
    def useful(self) -> int:
        """Tokens learnt from: the document and all answers."""
        return self.size.document + self.answers

    @property
    def answers(self) -> int:
        """Tokens of all answers."""
        return self.cuts * self.size.group * self.size.answer


def job_of(device: str, *, toy: bool) -> Job:
    """The proof's job, or a toy of the same kind."""
    if toy:
        return Job(TOY, 4, device, (1 << 20, 64))
    return Job(SIZES["0.6B"], 16, device, (1 << 20, 32_768, 16_384, 8192))


def rollouts(ledger: Ledger, job: Job) -> None:
    """Answer tokens a second, recorded and called."""
    policy = job.size.policy(job.device, job.dtype)
    trunk = job.size.trunk(job.cuts)
    on_gpu = job.device == "cuda"
    for name, steps, tokens in (
        ("recorded" if on_gpu else "simulated", "recorded" if on_gpu else "simulated", job.size.answer),
        ("called", "called", min(job.size.answer, 64)),
    ):
        engine = TorchEngine(policy, steps=steps)  # type: ignore[arg-type]
        engine.generate([trunk], _sampling(job, min(tokens, 24)), 0)  # libraries and graphs are warm after it
        forget_peak(job.device)
        begun = time.perf_counter()
        engine.generate([trunk], _sampling(job, tokens), 1)
        wait(job.device)
        seconds = time.perf_counter() - begun
        drawn = job.cuts * job.size.group * tokens
        ledger.note(f"rollout, {name}", {
            "tokens_per_second": round(drawn / seconds, 1), "seconds": round(seconds, 3),
            "answer_tokens": drawn, "peak_gib": peak_gib(job.device),
            "recorded": engine.replays.num_recorded if engine.replays else 0,
            "not_recorded_because": engine.replays.refused if engine.replays else None,
        })  # fmt: skip


def _sampling(job: Job, tokens: int) -> Sampling:
    return Sampling(1.0, tokens, frozenset(), job.size.group, 0)


def updates(ledger: Ledger, job: Job, backend: str = "torch") -> None:
    """Updates in every layout; a layout that does not fit or fails says so."""
    peak = peak_tflops(job.device)
    ledger.note("peak_tflops", {"value": round(peak[0], 3), "from": peak[1]})
    kinds: list[tuple[str, Layout, bool]] = [
        ("packed", "packed", False), ("two-pass", "two-pass", False),
        ("packed, activations again", "packed", True), ("rows", "rows", False),
    ]  # fmt: skip
    for position, (name, layout, checkpointed) in enumerate(kinds):
        ledger.need(1.0)
        share = Ledger(ledger.file, ledger.left / (len(kinds) - position))
        found: dict[str, Any]
        try:
            found = _update(job, backend, layout, peak[0], share, checkpointed=checkpointed)
        except (RuntimeError, RptError, AssertionError) as error:
            found = {"not_run": f"{type(error).__name__}: {str(error)[:300]}"}
        ledger.note(f"update, {backend}, {name}", found)


def _update(
    job: Job, backend: str, layout: Layout, peak: float, share: Ledger, *, checkpointed: bool
) -> dict[str, Any]:
    """The quickest micro-batch that fits, timed."""
    refused = []
    for budget in job.budgets:
        forget_peak(job.device)
        policy = job.size.policy(job.device, job.dtype)
        if checkpointed:
            policy.checkpoint_activations()
        size = policy.num_parameters  # before a back end may partition them
        opened = open_backend(
            _numerics(job, backend, layout, budget), policy, Optimiser(learning_rate=1e-6), 100
        )
        try:
            return {
                "parameters": size,
                **_timed(job, opened, policy, layout, budget, peak, share),
                "does_not_fit": refused,
            }
        except torch.OutOfMemoryError:
            refused.append(budget)
        del policy, opened
    return {"not_run": f"out of memory at {refused} tokens of a micro-batch"}


def _timed(
    job: Job, backend: TrainerBackend, policy: Policy, layout: Layout, budget: int, peak: float, share: Ledger
) -> dict[str, Any]:
    trunks, answers = [job.size.trunk(job.cuts)], job.size.answers(job.cuts)
    seconds: list[float] = []
    forwarded, flops = 0, 0.0
    for number in range(1, ROUNDS + 2):
        if seconds and share.left < statistics.median(seconds):
            break
        before, begun = policy.work.flops, time.perf_counter()
        forwarded = _learn(backend, trunks, answers, layout, budget, job.useful)
        backend.step(number)
        wait(job.device)
        seconds.append(time.perf_counter() - begun)
        flops = policy.work.flops - before
    best = min(seconds[1:] or seconds)  # the first compiles
    return {
        "seconds": round(best, 4), "rounds": len(seconds), "first_round_seconds": round(seconds[0], 3),
        "useful_tokens_per_second": round(job.useful / best, 1), "useful_tokens": job.useful,
        "forwarded_tokens_per_second": round(forwarded / best, 1), "forwarded_tokens": forwarded,
        "mfu": round(6 * policy.num_parameters * job.useful / best / (peak * 1e12), 4),
        "share_of_peak_with_attention": round(flops / best / (peak * 1e12), 4),
        "tokens_per_micro_batch": budget, "peak_gib": peak_gib(job.device),
    }  # fmt: skip


def _learn(
    backend: TrainerBackend,
    trunks: Sequence[Trunk],
    answers: Answers,
    layout: Layout,
    budget: int,
    useful: int,
) -> int:
    """Leave the gradient of the mean over all useful tokens; tokens forwarded."""
    forwarded = 0
    for parts in micro_batches(trunks, answers, budget):
        picked = [part.pick(trunks[part.trunk], answers[part.trunk]) for part in parts]
        scores = backend.score(
            [trunk for trunk, _ in picked], [ids for _, ids in picked], layout, with_document=True
        )
        assert scores.document is not None
        counts = float(parts[0].counts_document)
        loss = -scores.logprobs_N.sum() / useful + counts * scores.document.nll_M.sum() / useful
        backend.backward(loss)
        forwarded += scores.num_tokens
    return forwarded


def _numerics(job: Job, backend: str, layout: str, budget: int) -> Numerics:
    return Numerics(
        backend=backend, engine="torch", layout=layout, dtype=str(job.dtype).removeprefix("torch."),
        world_size=1, tokens_per_micro_batch=budget, torch=torch.__version__,
        device=device_name(job.device), threads=1,
    )  # fmt: skip


def zero_backends() -> tuple[str, ...]:
    """ZeRO-1 and ZeRO-3 as ``numerics.backend`` names them, where the registry has DeepSpeed."""
    return ("deepspeed-zero1", "deepspeed-zero3") if "deepspeed" in BACKENDS else ()


def best_layout(figures: dict[str, Any]) -> dict[str, Any]:
    """The best update, beside the goal and the anchor; shortfalls by name."""
    ran = {name: one for name, one in figures.items() if name.startswith("update") and "mfu" in one}
    if not ran:
        return {"shortfalls": ["no layout ran"]}
    name = max(ran, key=lambda one: ran[one]["useful_tokens_per_second"])
    tokens, mfu = ran[name]["useful_tokens_per_second"], ran[name]["mfu"]
    short = [f"{tokens} useful tokens a second < {GOAL_TOKENS}"] if tokens < GOAL_TOKENS else []
    short += [f"MFU {mfu} < {GOAL_MFU}"] if mfu < GOAL_MFU else []
    return {"best": name, "shortfalls": short, "anchor": ANCHOR}
