"""The loop of supervised training: its stages differ only in what one step learns from."""

import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from rpt_core.artifacts.build import FLOPS, GIGA, Build
from rpt_core.errors import EngineError, ResumeError, Stopped
from rpt_core.policy.forward import Layout
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import Part, has_branches, micro_batches, smallest
from rpt_core.policy.trunk import Answers, Trunk
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.backends.ranks import refuse_apart
from rpt_core.train.backends.shares import in_step, own_share

Weights = Sequence[Sequence[Sequence[Sequence[float]]]]
"""Of answers' tokens: by trunk, by cut, by answer."""
STATE_FILE = "state.json"
MODEL_FOLDER = "model"


@dataclass(frozen=True, slots=True)
class Learned:
    """What one step did, after its backward pass; of one rank, or of all of them."""

    loss: float
    metrics: dict[str, float]
    num_tokens: int
    """Tokens that went through the model."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What the whole training did."""

    last: dict[str, float]
    """Metrics of the last step."""
    num_tokens: int
    flops: float
    """Operations of all attempts."""


def train_supervised(
    build: Build, policy: Policy, backend: TrainerBackend, steps: int, learn: Callable[[int], Learned],
    max_gflops: float = 0.0,
) -> Trained:  # fmt: skip
    """Take ``steps`` optimiser steps; ``learn(step)`` leaves this rank's gradient of step 1, 2, ...

    It ends sooner after the step that reaches ``max_gflops`` (1e9 operations), where that is above 0.

    What a step learns from depends on its number alone, so a checkpoint is weights, moments and a number.

    Raises:
        EngineError: the loss is not finite; nothing is published.
        Stopped: somebody asked to stop; a checkpoint was written.
    """
    step, num_tokens, flops = _resume(build, backend)
    last: dict[str, float] = {}
    saved = time.monotonic()
    while step < steps and not (max_gflops and flops / GIGA >= max_gflops):
        begun, before = time.perf_counter(), policy.work.flops
        learned = _merged(backend.all_gather(learn(step + 1)))
        norm = backend.step(step + 1)
        _assert_finite(learned.loss, norm, step)
        step, num_tokens = step + 1, num_tokens + learned.num_tokens
        flops += sum(backend.all_gather(policy.work.flops - before))
        last = {
            "loss": learned.loss, **learned.metrics, "gradient_norm": norm, "tokens": float(num_tokens),
            FLOPS: flops / GIGA,
        }  # fmt: skip
        build.log(step, last, {"seconds": time.perf_counter() - begun})
        build.progress(step, steps, f"loss {learned.loss:.3f}")
        stopping = any(backend.all_gather(build.stopping()))
        due = backend.all_gather(time.monotonic() - saved > build.placement.checkpoint_seconds)[0]
        if stopping or due:
            if step < steps:
                _save(build, backend, step, num_tokens, flops)
                saved = time.monotonic()
            if stopping:
                raise Stopped(f"stopped after step {step} of {steps}; rerun to resume from there.")
    return Trained(last, num_tokens, flops)


def learn_answers(
    backend: TrainerBackend, trunks: Sequence[Trunk], answers: Answers, weights: Weights, build: Build
) -> Learned:
    """Leave the gradient of given answers below trunks: the mean over their tokens, by weight.

    The mean is over the whole batch that is given; this rank learns from its share of it.
    """
    total = sum(sum(of_answer) for of_trunk in weights for of_cut in of_trunk for of_answer in of_cut)
    nll, forwarded = 0.0, 0
    for parts, counts in shared_batches(trunks, answers, build.numerics.tokens_per_micro_batch, backend):
        picked = [part.pick(trunks[part.trunk], answers[part.trunk]) for part in parts]
        scores = backend.score(
            [t for t, _ in picked], [a for _, a in picked], cast(Layout, build.numerics.layout),
            with_document=False,
        )  # fmt: skip
        weights_N = torch.tensor(
            [w for part in parts for cut, number in part.branches for w in weights[part.trunk][cut][number]]
        ).to(scores.logprobs_N.device)
        loss = -(weights_N * scores.logprobs_N).sum() / total * float(counts)
        backend.backward(loss)
        nll += float(loss.detach())
        forwarded += scores.num_tokens
    return Learned(nll, {"answer_nll_nats": nll}, forwarded)


def shared_batches(
    trunks: Sequence[Trunk], answers: Answers, budget: int, backend: TrainerBackend
) -> Iterator[tuple[list[Part], bool]]:
    """This rank's micro-batches of a batch, balanced by tokens, each with whether it counts."""
    sizes = [
        trunk.num_tokens + sum(len(ids) for at in of_trunk for ids in at)
        for trunk, of_trunk in zip(trunks, answers, strict=True)
    ]
    own = micro_batches(trunks, answers, budget, own_share(sizes, backend))

    def filler(kind: int) -> list[Part]:
        return [smallest(trunks, answers, branches=kind == 1, counts_document=True)]

    return in_step(own, lambda parts: int(has_branches(parts)), filler, backend)


def _assert_finite(loss: float, norm: float, step: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise EngineError(
            f"the loss is {loss} (gradient norm {norm}) at step {step + 1}; the last good step was {step}. "
            "Nothing was published. Lower optimiser.learning_rate or lengthen warmup_steps."
        )


def _merged(ranks: Sequence[Learned]) -> Learned:
    """What all ranks did together: each one's figures are its share of a mean."""
    metrics = {name: sum(one.metrics[name] for one in ranks) for name in ranks[0].metrics}
    return Learned(sum(one.loss for one in ranks), metrics, sum(one.num_tokens for one in ranks))


def _save(build: Build, backend: TrainerBackend, step: int, num_tokens: int, flops: float) -> None:
    folder = build.scratch / "checkpoint"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    backend.export(folder / MODEL_FOLDER)
    backend.save(folder)
    (folder / STATE_FILE).write_text(json.dumps({"step": step, "tokens": num_tokens, "flops": flops}))
    build.save(step, folder)


def _resume(build: Build, backend: TrainerBackend) -> tuple[int, int, float]:
    """Take up the highest checkpoint; how many steps it had taken, its tokens and operations."""
    saved = build.resume()
    refuse_apart(backend.all_gather(saved.step if saved else 0))
    if saved is None:
        return 0, 0, 0.0
    state = json.loads((Path(saved.folder) / STATE_FILE).read_text())
    if "flops" not in state or not (saved.folder / MODEL_FOLDER).is_dir():
        raise ResumeError(
            f"the checkpoint of step {state['step']} was written by an earlier version, which kept no "
            "count of operations or no model folder: it cannot be gone on from. Start this recipe clean."
        )
    backend.adopt(saved.folder / MODEL_FOLDER)
    backend.load(saved.folder)
    return int(state["step"]), int(state["tokens"]), float(state["flops"])
