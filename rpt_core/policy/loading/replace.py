"""Other weights for a model that is loaded already: for an engine that follows, for a run that is resumed."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from rpt_core.policy.model import Policy

Shapes = dict[str, tuple[int, ...]]


def stored_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a Hugging Face folder's safetensors files, by parameter name."""
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def misfit(policy: Policy, stored: dict[str, Tensor]) -> str:
    """How stored weights differ in names or shapes from a model's parameters; empty where they fit."""
    return difference(shapes_of(policy), {name: tuple(tensor.shape) for name, tensor in stored.items()})


def shapes_of(policy: Policy) -> Shapes:
    """Every parameter's shape by its name."""
    return {name: tuple(parameter.shape) for name, parameter in policy.model.named_parameters()}


def difference(ours: Shapes, theirs: Shapes) -> str:
    """How stored parameters differ from those of the model here; empty where they do not."""
    odd = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    if not odd:
        return ""
    first = f"{odd[0]} is {theirs.get(odd[0], 'missing')} there and {ours.get(odd[0], 'unknown')} here"
    return f"{first}, and {len(odd) - 1} other names differ" if len(odd) > 1 else first


@torch.no_grad()
def replace_weights(policy: Policy, stored: dict[str, Tensor]) -> None:
    """Copy stored weights into a model they fit, in place."""
    for name, parameter in policy.model.named_parameters():
        parameter.copy_(stored[name])
