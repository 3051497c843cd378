"""The loop of supervised training: its stages differ only in what one step learns from."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file

from rpt_core.artifacts.build import FLOPS, GIGA, Build
from rpt_core.errors import EngineError, ResumeError, Stopped
from rpt_core.policy.forward import Layout, branch_logprobs
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import micro_batches
from rpt_core.policy.trunk import Answers, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.optimiser import Update

Weights = Sequence[Sequence[Sequence[Sequence[float]]]]
"""Of answers' tokens: by trunk, by cut, by answer."""
STATE_FILE = "state.json"
WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True, slots=True)
class Learned:
    """What one step did, after its backward pass."""

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


def device_of(build: Build) -> torch.device:
    """Where this build's tensors go: a CUDA device, unless there is none or the placement wants none."""
    wanted = build.placement.gpus != 0 and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")


def train_supervised(
    build: Build, policy: Policy, recipe: Optimiser, steps: int, learn: Callable[[int], Learned]
) -> Trained:
    """Take ``steps`` optimiser steps; ``learn(step)`` leaves the gradient of step 1, 2, ... in the model.

    What a step learns from depends on its number alone, so a checkpoint is weights, moments and a number.

    Raises:
        EngineError: the loss is not finite; nothing is published.
        Stopped: somebody asked to stop; a checkpoint was written.
    """
    update = Update(policy.model, recipe, steps)
    step, num_tokens, flops = _resume(build, policy, update)
    last: dict[str, float] = {}
    saved = time.monotonic()
    while step < steps:
        begun, before = time.perf_counter(), policy.work.flops
        learned = learn(step + 1)
        norm = update.step(step + 1)
        _assert_finite(learned.loss, norm, step)
        step, num_tokens = step + 1, num_tokens + learned.num_tokens
        flops += policy.work.flops - before
        last = {
            "loss": learned.loss, **learned.metrics, "gradient_norm": norm, "tokens": float(num_tokens),
            FLOPS: flops / GIGA,
        }  # fmt: skip
        build.log(step, last, {"seconds": time.perf_counter() - begun})
        build.progress(step, steps, f"loss {learned.loss:.3f}")
        if build.stopping() or time.monotonic() - saved > build.placement.checkpoint_seconds:
            if step < steps:
                _save(build, policy, update, step, num_tokens, flops)
                saved = time.monotonic()
            if build.stopping():
                raise Stopped(f"stopped after step {step} of {steps}; the same command goes on from there.")
    return Trained(last, num_tokens, flops)


def learn_answers(
    policy: Policy, trunks: Sequence[Trunk], answers: Answers, weights: Weights, build: Build
) -> Learned:
    """Leave the gradient of given answers below trunks: the mean over their tokens, by weight."""
    total = sum(sum(of_answer) for of_trunk in weights for of_cut in of_trunk for of_answer in of_cut)
    nll, forwarded = 0.0, 0
    for parts in micro_batches(trunks, answers, build.numerics.tokens_per_micro_batch):
        picked = [part.pick(trunks[part.trunk], answers[part.trunk]) for part in parts]
        scores = branch_logprobs(
            policy, [t for t, _ in picked], [a for _, a in picked], cast(Layout, build.numerics.layout),
            with_document=False,
        )  # fmt: skip
        weights_N = torch.tensor(
            [w for part in parts for cut, number in part.branches for w in weights[part.trunk][cut][number]]
        ).to(scores.logprobs_N.device)
        loss = -(weights_N * scores.logprobs_N).sum() / total
        loss.backward()  # type: ignore[no-untyped-call]
        nll += float(loss.detach())
        forwarded += scores.num_tokens
    return Learned(nll, {"answer_nll_nats": nll}, forwarded)


def _assert_finite(loss: float, norm: float, step: int) -> None:
    if not (math.isfinite(loss) and math.isfinite(norm)):
        raise EngineError(
            f"the loss is {loss} (gradient norm {norm}) at step {step + 1}; the last good step was {step}. "
            "Nothing was published. Lower optimiser.learning_rate or lengthen warmup_steps."
        )


def _save(build: Build, policy: Policy, update: Update, step: int, num_tokens: int, flops: float) -> None:
    folder = build.scratch / "checkpoint"
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: p.detach().cpu().contiguous() for name, p in policy.model.named_parameters()}
    save_file(weights, folder / WEIGHTS_FILE)
    update.save(folder)
    (folder / STATE_FILE).write_text(json.dumps({"step": step, "tokens": num_tokens, "flops": flops}))
    build.save(step, folder)


def _resume(build: Build, policy: Policy, update: Update) -> tuple[int, int, float]:
    """Take up the highest checkpoint; how many steps it had taken, its tokens and operations."""
    saved = build.resume()
    if saved is None:
        return 0, 0, 0.0
    state = json.loads((Path(saved.folder) / STATE_FILE).read_text())
    if "flops" not in state:
        raise ResumeError(
            f"the checkpoint of step {state['step']} was written by a version that counted tokens, not "
            "operations: its compute is not known. Start this recipe clean."
        )
    weights = load_file(saved.folder / WEIGHTS_FILE)
    named = dict(policy.model.named_parameters())
    shapes = {name: tuple(p.shape) for name, p in named.items()}
    stored = {name: tuple(w.shape) for name, w in weights.items()}
    if shapes != stored:
        odd = sorted(n for n in shapes.keys() | stored.keys() if shapes.get(n) != stored.get(n))[0]
        raise ResumeError(
            f"the checkpoint of step {saved.step} holds {odd} as {stored.get(odd)}, this model as "
            f"{shapes.get(odd)}: it belongs to another model. Start this recipe clean."
        )
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(weights[name])
    update.load(saved.folder)
    return int(state["step"]), int(state["tokens"]), float(state["flops"])
