"""The back end of DeepSpeed: ZeRO stages 0 to 3, one process a rank, behind the same door as torch's.

The whole scoring is one module (:class:`rpt_core.policy.scorer.Scorer`) that is called as ``engine(...)`` and
in no other way: at stage 3 its parameters are whole only inside of that call. Who reads parameters past it
(rollouts, looks, references) reads ``policy``, which stage 3 never partitions: the engine trains a copy,
and :meth:`DeepSpeedBackend.whole` brings the policy up to it.

DeepSpeed averages gradients over ranks and the trainer's losses are shares of one sum, so the loss is
multiplied by the number of ranks.
"""

import copy
import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rpt_core.artifacts.zero import Zero
from rpt_core.deferred import without
from rpt_core.errors import EngineError, RecipeError
from rpt_core.policy.forward import BranchScores, DocumentScores, Layout
from rpt_core.policy.load import save_policy
from rpt_core.policy.model import Policy
from rpt_core.policy.scorer import Scorer, score_branches, score_documents
from rpt_core.policy.trunk import Answers, Trunk
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.backend import T
from rpt_core.train.backends.deepspeed_config import BUCKET_ELEMENTS, configuration
from rpt_core.train.backends.deepspeed_shards import Shards
from rpt_core.train.backends.optimiser import (
    STATE_FILE,
    Update,
    learning_rate,
    read_moments,
    write_moments,
)
from rpt_core.train.backends.ranks import Ranks, adopt_weights, file_digest, init_ranks


class DeepSpeedBackend:
    """Trains a policy under ZeRO, on as many ranks as the process group has."""

    collective_scoring = True
    """Scoring gathers parameters at stage 3, backward passes reduce at stages 2 and 3: all ranks must make as
    many of both."""

    def __init__(self, policy: Policy, recipe: Optimiser, total_steps: int, ranks: Ranks, zero: Zero) -> None:
        """Hand a policy to DeepSpeed; its parameters are float32 here.

        Args:
            policy: Its parameters that require a gradient are trained. Where the products are taken in
                bfloat16, stages 1 to 3 keep them in bfloat16 and their float32 masters in the partitions.
            recipe: The update rule, its rates and its schedule.
            total_steps: Length of the schedule.
            ranks: This rank's place; a process group is there, even for one.
            zero: What is partitioned.

        Raises:
            RecipeError: the rule needs whole matrices, which stages 1 to 3 cut up.
        """
        _refuse_muon(recipe, zero)
        self.policy, self.zero, self.recipe, self.total_steps = policy, zero, recipe, total_steps
        self.ranks, self.rank, self.world_size = ranks, ranks.rank, ranks.world_size
        self.bfloat16 = zero.stage > 0 and policy.compute_dtype == torch.bfloat16
        partitions = zero.stage == 3
        trained = _twin(policy) if partitions else policy
        masters = _on_cpu(policy) if self.bfloat16 else {}
        shapes = {name: parameter.shape for name, parameter in policy.model.named_parameters()}
        if partitions and self.bfloat16:
            for parameter in policy.model.parameters():
                parameter.data = parameter.data.bfloat16()
        self.update = Update(trained.model, recipe, total_steps)
        self.scorer = Scorer(trained)
        if partitions:
            _refuse_calls_from_outside(self.scorer)
        self.engine = self._initialised()
        self.shards = Shards(self.engine, self.update.named, shapes, partitions)
        if masters:  # DeepSpeed takes them from the parameters after it has rounded those
            self.shards.assign(masters)
        self._policy_is_current = True

    def _initialised(self) -> Any:
        deepspeed = imported(self.policy.device)
        config = configuration(self.zero, self.recipe.grad_clip, self.world_size, bfloat16=self.bfloat16)
        rule = self.update.rules[0]
        if self.zero.stage == 3:
            deepspeed.zero.register_external_parameter(self.scorer, self.scorer.head)
        engine, *_ = deepspeed.initialize(
            model=self.scorer, optimizer=rule, config=config, dist_init_required=False
        )
        if self.zero.stage and not self.bfloat16:
            engine.optimizer.check_grad_overflow = True  # stages 1 and 2 look for it in half precision only
        return engine

    def score(
        self,
        trunks: Sequence[Trunk],
        answers: Answers,
        layout: Layout = "two-pass",
        temperature: float = 1.0,
        *,
        with_document: bool = True,
        as_drawn: bool = False,
    ) -> BranchScores:
        """Score answers, and documents from the same pass, with gradient."""
        return score_branches(
            self.engine, trunks, answers, layout, temperature, with_document=with_document, as_drawn=as_drawn
        )

    def score_documents(self, trunks: Sequence[Trunk]) -> DocumentScores:
        """Score documents alone, with gradient."""
        return score_documents(self.engine, trunks)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of a loss to the sum over ranks."""
        self.engine.backward(loss * self.world_size)

    def step(self, number: int) -> float:
        """Reduce, clip, update, forget the gradient; its norm."""
        self._policy_is_current = self.zero.stage < 3
        if self.zero.stage == 0:
            self.engine.buffered_allreduce_fallback(elements_per_buffer=BUCKET_ELEMENTS)
            return self.update.step(number)
        rate = learning_rate(self.recipe, number, self.total_steps)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = rate
        self.engine.step()
        return math.inf if self.engine.optimizer.overflow else float(self.engine.get_global_grad_norm())

    def all_gather(self, value: T) -> list[T]:
        """The value of every rank."""
        return self.ranks.all_gather(value)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Bring the policy up to the weights that were stepped; at stages 0 to 2 they are the same ones."""
        if not self._policy_is_current:
            own = dict(self.policy.model.named_parameters())
            with torch.no_grad():
                for name, weight in self.shards.weights():
                    own[name].copy_(weight)
            self._policy_is_current = True
        yield

    def export(self, folder: Path) -> None:
        """Write an ordinary Hugging Face folder of the float32 weights."""
        if self.zero.stage == 0 or (self.zero.stage < 3 and not self.bfloat16):
            if self.rank == 0:
                save_policy(self.policy, folder)
            return
        weights = {}
        for name, weight in self.shards.weights():
            if self.rank == 0:
                weights[name] = weight.cpu()
        if self.rank == 0:
            save_policy(_with_weights(self.policy, weights), folder)

    def adopt(self, folder: Path) -> None:
        """Take the weights of such a folder.

        Raises:
            ResumeError: they are another model's.
            EngineError: ranks read different ones.
        """
        stored = adopt_weights(self.policy, folder, self.ranks)
        if self.zero.stage:
            self.shards.assign(stored)
        self._policy_is_current = True

    def save(self, folder: Path) -> None:
        """Write the moments, in the same format as every back end."""
        if self.zero.stage == 0:
            if self.rank == 0:
                self.update.save(folder)
            return
        tensors, counts = self.shards.moments(keep=self.rank == 0)
        if self.rank == 0:
            write_moments(folder, self.recipe, tensors, counts)

    def load(self, folder: Path) -> None:
        """Take up the moments, whichever back end and however many ranks wrote them.

        Raises:
            ResumeError: they were written by another rule, or for other parameters.
            EngineError: ranks read different ones.
        """
        self.ranks.refuse_unequal(file_digest(folder / STATE_FILE), "moments")
        if self.zero.stage == 0:
            self.update.load(folder)
        else:
            self.shards.assign_moments(*read_moments(folder, self.recipe))


def opened(policy: Policy, recipe: Optimiser, total_steps: int, ranks: Ranks, zero: Zero) -> DeepSpeedBackend:
    """The back end, with the process group that DeepSpeed asks for even where there is one process."""
    ranks = init_ranks(ranks.world_size, on_gpu=policy.device.type == "cuda", always=True)
    return DeepSpeedBackend(policy, recipe, total_steps, ranks, zero)


def imported(device: torch.device) -> Any:
    """DeepSpeed, told not to compile, not to look for another device, and to keep its log to warnings."""
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    os.environ.setdefault("LOCAL_RANK", "0")  # asserted to be there, and torchrun alone sets it
    # torch 2.13 renames both collectives, and DeepSpeed 0.19 calls them thousands of times by the old names
    renamed = r".*(reduce_scatter|all_gather_into)_tensor. is deprecated"
    warnings.filterwarnings("ignore", renamed, FutureWarning)
    with without("mlflow"):  # its autotuner would import it, and is never called
        import deepspeed
    from deepspeed.ops import __compatible_ops__

    # Else the first engine on a CPU builds an operation for inference in 73 CPU-seconds, with a compiler.
    __compatible_ops__["deepspeed_shm_comm"] = False
    logging.getLogger("DeepSpeed").setLevel(logging.WARNING)
    return deepspeed


def _refuse_muon(recipe: Optimiser, zero: Zero) -> None:
    if recipe.name == "muon" and zero.stage > 0:
        raise RecipeError(
            f"the recipe updates by muon, whose rule needs whole matrices, and {zero.name} cuts them into "
            "flat pieces over the ranks. Set zero_stage=0 or backend=torch, or optimiser.name=adamw."
        )


def _refuse_calls_from_outside(scorer: Scorer) -> None:
    """Have a partitioned model refuse to run but inside of the scorer's forward.

    Outside of it, DeepSpeed 0.19 gives gradients that are wrong and no error (measured: norm 0.55 for 1.53).
    """
    depth = [0]

    def enter(*_: Any) -> None:
        depth[0] += 1

    def leave(*_: Any) -> None:
        depth[0] -= 1

    def check(*_: Any) -> None:
        if not depth[0]:
            raise EngineError(
                "a model whose parameters ZeRO-3 has partitioned was called outside of the engine, where its "
                "gradients would be wrong without an error. Score through the back end; to draw answers, "
                "read the policy inside of whole()."
            )

    scorer.register_forward_pre_hook(enter)
    scorer.register_forward_hook(leave, always_call=True)
    for model in (scorer.model, scorer.model.base_model, scorer.model.get_output_embeddings()):
        model.register_forward_pre_hook(check)


def _twin(policy: Policy) -> Policy:
    """The same policy over a copy of its module, which may be partitioned."""
    twin = replace(policy, model=copy.deepcopy(policy.model))
    # Sizes are read now, while parameters are whole; operations of both go to one account.
    for name in ("work", "unknown_ids", "num_parameters", "learned_positions"):
        vars(twin)[name] = getattr(policy, name)
    return twin


def _on_cpu(policy: Policy) -> dict[str, Tensor]:
    return {name: p.detach().to("cpu", copy=True) for name, p in policy.model.named_parameters()}


def _with_weights(policy: Policy, weights: Mapping[str, Tensor]) -> Policy:
    """A policy of its own on the CPU, to be written: the module at hand may be partitioned, or rounded."""
    with torch.device("meta"):
        model = type(policy.model)(copy.deepcopy(policy.config))
    model.load_state_dict(dict(weights), strict=False, assign=True)
    model.tie_weights()
    model.generation_config = policy.model.generation_config
    return replace(policy, model=model)
