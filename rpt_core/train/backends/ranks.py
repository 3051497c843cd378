"""The ranks of a training: the process group, made and ended here, and what they tell each other through it.

torchrun starts one process a rank and says in its environment which is which. Tensors on a GPU travel by
NCCL, everything else by gloo. Every collective has a deadline: a rank that is gone or stuck ends the others
with an error, and no training waits for ever.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rpt_core.errors import CapacityError, EngineError, LostRankError, ResumeError, brief
from rpt_core.policy.loading.replace import misfit, replace_weights, stored_weights
from rpt_core.policy.model import Policy

T = TypeVar("T")
SECONDS_VARIABLE = "RPT_COLLECTIVE_SECONDS"
SECONDS = 1800.0
"""Deadline of one collective where the variable is not set: others wait in one while rank 0 stores a
checkpoint, so it is no measure of a step."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among a training's, and the collectives of all of them."""

    rank: int = 0
    world_size: int = 1

    def all_gather(self, value: T) -> list[T]:
        """The value of every rank, in their order, on every rank; tensors in it lie on the CPU.

        Raises:
            LostRankError: another rank ended, or did not come here in time.
        """
        if self.world_size == 1:
            return [value]
        found: list[T] = [value] * self.world_size
        with self._reached("all_gather"):
            dist.all_gather_object(found, value)
        return found

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by the sum of all ranks', by one all-reduce of a flat buffer.

        A parameter without a gradient on any rank keeps none, so that no rule decays or moves it.

        Raises:
            LostRankError: another rank ended, or did not come here in time.
        """
        if self.world_size == 1:
            return
        there = torch.tensor([float(p.grad is not None) for p in parameters])  # (parameters,)
        own = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([there.to(own[0]), *(grad.reshape(-1) for grad in own)])
        with self._reached("all_reduce"):
            dist.all_reduce(flat)
        counts, *sums = torch.split(flat, [len(parameters), *(p.numel() for p in parameters)])
        for parameter, count, total in zip(parameters, counts.tolist(), sums, strict=True):
            parameter.grad = total.view_as(parameter) if count else None

    def refuse_unequal(self, digest: str, what: str) -> None:
        """Refuse to train where ranks hold different things.

        Args:
            digest: Of what this rank holds.
            what: Its name in a sentence, such as ``weights``.

        Raises:
            EngineError: names the first rank that differs from rank 0, and both digests.
        """
        digests = self.all_gather(digest)
        for rank, other in enumerate(digests):
            if other != digests[0]:
                raise EngineError(
                    f"rank {rank} holds other {what} than rank 0 (SHA-256 {other[:12]} there, "
                    f"{digests[0][:12]} on rank 0): their gradients would be of different models. Both read "
                    "the same artifacts, so look at the caches and the versions of torch of their machines."
                )

    @contextmanager
    def _reached(self, name: str) -> Iterator[None]:
        """Tell apart a lost rank from an error of our own."""
        try:
            yield
        except RuntimeError as error:  # gloo and NCCL have no class of their own for it
            raise LostRankError(
                f"rank {self.rank} lost touch with the other {self.world_size - 1} in {name} "
                f"({brief(error)}). Another rank ended, or did not come there within its deadline "
                f"({SECONDS_VARIABLE}={_seconds():g}); rerun to resume from the last checkpoint."
            ) from error


ALONE = Ranks()


def init_ranks(world_size: int, *, on_gpu: bool = False, always: bool = False) -> Ranks:
    """This process's place among ``world_size`` ranks; the process group is made at the first call.

    Args:
        world_size: As many as the stage runs on (``numerics.world_size``).
        on_gpu: Each rank has the CUDA device of its local rank.
        always: One process gets a process group as well, for a back end that cannot do without.

    Raises:
        CapacityError: this process was started as one of another number.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != world_size:
        raise CapacityError(
            f"the placement asks for {world_size} training processes, and this one was started as one of "
            f"{started}: they would train apart. Start it with torchrun --nproc-per-node={world_size}, or "
            f"set ranks={started}."
        )
    if world_size == 1 and not always:
        return ALONE
    ranks = Ranks(int(os.environ.get("RANK", "0")), world_size)
    if not dist.is_initialized():
        if on_gpu:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        with ranks._reached("rendezvous"):
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if on_gpu else "gloo",
                rank=ranks.rank,
                world_size=world_size,
                store=dist.HashStore() if world_size == 1 else None,  # type: ignore[attr-defined]
                timeout=timedelta(seconds=_seconds()),
            )
    return ranks


def end_ranks() -> None:
    """Leave the process group, where there is one. A rank that failed just ends: the others hear of it."""
    if dist.is_initialized():
        dist.destroy_process_group()


def refuse_apart(places: Sequence[int]) -> None:
    """Refuse to resume where ranks found different checkpoints.

    Args:
        places: By rank, the step (or whatever counts) it resumes from.

    Raises:
        ResumeError: they differ.
    """
    if len(set(places)) > 1:
        raise ResumeError(
            f"ranks resume from different places ({', '.join(map(str, places))}, by rank): some could not "
            "read the last checkpoint. Look at the log for the one passed over; all need the same store."
        )


def weights_digest(policy: Policy) -> str:
    """SHA-256 over names and bytes of all parameters, hex."""
    whole = hashlib.sha256()
    for name, parameter in policy.model.named_parameters():
        whole.update(name.encode())
        whole.update(parameter.detach().reshape(-1).cpu().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def adopt_weights(policy: Policy, folder: Path, ranks: Ranks) -> dict[str, Tensor]:
    """Take the weights of a Hugging Face folder into a model, on every rank the same; what the folder holds.

    Raises:
        ResumeError: they are another model's.
        EngineError: ranks read different ones.
    """
    stored = stored_weights(folder)
    if wrong := misfit(policy, stored):
        raise ResumeError(
            f"the checkpoint in {folder} belongs to another model: {wrong}. Start this recipe clean."
        )
    replace_weights(policy, stored)
    if ranks.world_size > 1:
        ranks.refuse_unequal(weights_digest(policy), "weights")
    return stored


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _seconds() -> float:
    return float(os.environ.get(SECONDS_VARIABLE, SECONDS))
