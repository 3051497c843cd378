"""The update rule: AdamW, or Muon on the hidden matrices with AdamW beside it, and its schedule.

Muon decides whether a model of a million parameters learns in a minute;
it is defined for 2-D hidden weights only, so embeddings, heads and norms always go to AdamW.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from rpt_core.errors import ResumeError
from rpt_core.recipes.supervised import Optimiser as OptimiserRecipe
from rpt_core.train.backends.muon import Muon

STATE_FILE = "optimiser.safetensors"


class Update:
    """Takes optimiser steps on a model by the recipe's rule and schedule."""

    def __init__(self, model: nn.Module, recipe: OptimiserRecipe, total_steps: int) -> None:
        """Split the model's parameters between the rules.

        Args:
            model: Parameters that require a gradient are trained.
            recipe: The rule, its rates and its schedule.
            total_steps: Length of the schedule.
        """
        self.recipe, self.total_steps = recipe, total_steps
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        hidden = _hidden_matrices(model) if recipe.name == "muon" else set()
        inner = [p for name, p in self.named.items() if name in hidden]
        outer = [p for name, p in self.named.items() if name not in hidden]
        self.rules: list[torch.optim.Optimizer] = []
        if inner:
            self.rules.append(
                Muon(inner, recipe.learning_rate, recipe.muon_momentum, recipe.muon_weight_decay)
            )
        if outer:
            self.rules.append(
                torch.optim.AdamW(
                    outer, lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay
                )
            )

    def step(self, step: int) -> float:
        """Clip the gradient, take optimiser step ``step`` (1-based) and clear the gradient.

        Returns:
            Norm of the whole gradient before clipping; not finite when the gradient is not, and then the
            parameters are left as they were.
        """
        norm = float(nn.utils.clip_grad_norm_(self.named.values(), self.recipe.grad_clip))
        if math.isfinite(norm):
            rate = learning_rate(self.recipe, step, self.total_steps)
            for rule in self.rules:
                for group in rule.param_groups:
                    group["lr"] = rate
                rule.step()
        self.zero_grad()
        return norm

    def zero_grad(self) -> None:
        """Forget gradients."""
        for parameter in self.named.values():
            parameter.grad = None

    def save(self, folder: Path) -> None:
        """Write every moment as safetensors, by parameter name; nothing is pickled."""
        tensors: dict[str, Tensor] = {}
        counts: dict[str, float] = {}
        for name, state in self._states():
            for key, value in state.items():
                if isinstance(value, Tensor) and value.dim():
                    tensors[f"{name}/{key}"] = value.contiguous().cpu()
                else:
                    counts[f"{name}/{key}"] = float(value)
        write_moments(folder, self.recipe, tensors, counts)

    def load(self, folder: Path) -> None:
        """Take up the moments written by :meth:`save`.

        Raises:
            ResumeError: they were written by another rule, or for other parameters.
        """
        found, counts = read_moments(folder, self.recipe)
        self._adopt({**found, **{key: torch.tensor(value) for key, value in counts.items()}})

    def _states(self) -> list[tuple[str, dict[str, Tensor | float]]]:
        names = {id(p): name for name, p in self.named.items()}
        return [(names[id(p)], state) for rule in self.rules for p, state in rule.state.items()]

    def _adopt(self, values: Mapping[str, Tensor]) -> None:
        owners = {id(p): rule for rule in self.rules for group in rule.param_groups for p in group["params"]}
        for key, value in values.items():
            name, _, entry = key.rpartition("/")
            parameter = self.named.get(name)
            if parameter is None or (value.dim() and value.shape != parameter.shape):
                raise ResumeError(foreign_moments(name, value))
            place = value.to(parameter.device) if value.dim() else value
            owners[id(parameter)].state[parameter][entry] = place


def write_moments(
    folder: Path, recipe: OptimiserRecipe, tensors: dict[str, Tensor], counts: dict[str, float]
) -> None:
    """Write moments in the one format of every back end.

    Args:
        folder: Of the checkpoint.
        recipe: Its rule is noted beside them.
        tensors: On the CPU, by ``<parameter>/<moment>``.
        counts: Numbers of the optimiser's state, such as ``<parameter>/step``, by the same names.
    """
    save_file(tensors, folder / STATE_FILE, {"counts": json.dumps(counts), "rule": recipe.name})


def read_moments(folder: Path, recipe: OptimiserRecipe) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The tensors and counts given to :func:`write_moments`, whichever back end wrote them.

    Raises:
        ResumeError: they were written by another rule.
    """
    with safe_open(folder / STATE_FILE, framework="pt") as stored:
        about: Mapping[str, str] = stored.metadata()
        if about["rule"] != recipe.name:
            raise ResumeError(
                f"the checkpoint was written by {about['rule']}, this run updates by {recipe.name}: "
                "its moments mean nothing here. Start this recipe clean."
            )
        found = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118  (no mapping)
    return found, json.loads(about["counts"])


def foreign_moments(name: str, value: Tensor) -> str:
    """Why a moment cannot be taken up."""
    return (
        f"the checkpoint holds moments of {name!r} with shape {tuple(value.shape)}, which this model has "
        "not: it belongs to another model. Start this recipe clean."
    )


def learning_rate(recipe: OptimiserRecipe, step: int, total_steps: int) -> float:
    """The rate of 1-based step ``step``: a linear warm-up, then the schedule down to its final share.

    Example:
        >>> linear = OptimiserRecipe(learning_rate=1.0, warmup_steps=2, schedule="linear", final_share=0.5)
        >>> [round(learning_rate(linear, step, 6), 3) for step in range(1, 7)]
        [0.5, 1.0, 0.875, 0.75, 0.625, 0.5]
    """
    if step < recipe.warmup_steps:
        return recipe.learning_rate * step / recipe.warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    start = max(recipe.warmup_steps, 1)
    done = min((step - start) / max(total_steps - start, 1), 1.0)
    left = 1 - done if recipe.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
    return recipe.learning_rate * (recipe.final_share + (1 - recipe.final_share) * left)


def _hidden_matrices(model: nn.Module) -> set[str]:
    """Names of 2-D weights between the embedding and the head."""
    ends = {
        id(parameter)
        for end in (model.get_input_embeddings(), model.get_output_embeddings())  # type: ignore[operator]
        for parameter in end.parameters()
    }
    return {name for name, p in model.named_parameters() if p.dim() == 2 and id(p) not in ends}
