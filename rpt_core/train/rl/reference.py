"""The reference that rewards stand on: the start model frozen, or a moving average of the policy.

``phi <- decay * phi + (1 - decay) * theta`` after every step (or every few), ``phi = theta`` before the first
(RLP, section on the EMA baseline). It is state of the training: every checkpoint and every published state
has it.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from rpt_core.policy.model import Policy
from rpt_core.train.rl.state import Trainer

REFERENCE_FILE = "reference.safetensors"


@torch.no_grad()
def follow(trainer: Trainer, step: int) -> None:
    """Move the reference after a (1-based) step, where it follows the policy."""
    decay, every = trainer.objective.needs.reference_decay, trainer.objective.needs.reference_every
    if trainer.average is None or decay is None or decay == 1 or step % every:
        return
    with trainer.backend.whole():
        own = dict(trainer.policy.model.named_parameters())
        for name, parameter in trainer.average.model.named_parameters():
            parameter.lerp_(own[name].to(parameter), 1 - decay)


def save_reference(trainer: Trainer, folder: Path) -> None:
    """Keep a reference that moves; the start model needs no copy."""
    if trainer.average is not None and trainer.objective.needs.reference_decay != 1:
        save_file(_parameters(trainer.average), folder / REFERENCE_FILE)


@torch.no_grad()
def restore_reference(trainer: Trainer, folder: Path) -> None:
    """Go on from :func:`save_reference`."""
    if trainer.average is not None and trainer.objective.needs.reference_decay != 1:
        stored = load_file(folder / REFERENCE_FILE)
        for name, parameter in trainer.average.model.named_parameters():
            parameter.copy_(stored[name])


def _parameters(policy: Policy) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in policy.model.named_parameters()}
