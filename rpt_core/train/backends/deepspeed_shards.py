"""Weights and moments that DeepSpeed has partitioned, by parameter name: whole ones out, whole ones in.

One parameter is gathered at a time, so nobody ever holds more than the largest one beside what is asked for.
Every function is collective: all ranks call it in the same order.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rpt_core.errors import ResumeError
from rpt_core.train.backends.optimiser import foreign_moments

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps by parameter; its count of steps is one number for all."""


@dataclass(frozen=True)
class Shards:
    """What an engine of stage 1, 2 or 3 holds of the trained parameters, in float32."""

    engine: Any
    named: Mapping[str, nn.Parameter]
    shapes: Mapping[str, torch.Size]
    """Of the whole parameters."""
    partitions_weights: bool
    """Stage 3."""

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter, whole: the float32 one that the optimiser steps."""
        from deepspeed.utils import safe_get_full_fp32_param

        for name, parameter in self.named.items():
            yield name, safe_get_full_fp32_param(parameter)

    @torch.no_grad()
    def assign(self, values: Mapping[str, Tensor]) -> None:
        """Make whole parameters those of the optimiser and, in their own type, those of the module."""
        from deepspeed.runtime.zero import GatheredParameters
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_local_fp32_param

        for name, parameter in self.named.items():
            value = values[name].to(parameter.device, torch.float32)
            if self.partitions_weights:
                with GatheredParameters([parameter], modifier_rank=0):
                    parameter.copy_(value)
                safe_set_local_fp32_param(parameter, self._own_part(parameter, value))
            else:
                parameter.copy_(value)
                safe_set_full_fp32_param(parameter, value)

    def moments(self, *, keep: bool) -> tuple[dict[str, Tensor], dict[str, float]]:
        """AdamW's moments, whole and on the CPU, and its counts; empty before the first step.

        Args:
            keep: Whether this rank wants them; the others take part only.
        """
        from deepspeed.utils import safe_get_full_optimizer_state

        state = self.engine.optimizer.optimizer.state
        if not any(state.values()):
            return {}, {}
        steps = float(next(filter(None, state.values()))["step"])
        tensors = {}
        for name, parameter in self.named.items():
            for key in MOMENTS:
                whole = safe_get_full_optimizer_state(parameter, key)
                if keep:
                    tensors[f"{name}/{key}"] = whole.cpu().contiguous()
        return tensors, {f"{name}/step": steps for name in self.named}

    @torch.no_grad()
    def assign_moments(self, tensors: Mapping[str, Tensor], counts: Mapping[str, float]) -> None:
        """Take up whole moments, whoever wrote them.

        Raises:
            ResumeError: they are of other parameters, or of parameters that were not stepped together.
        """
        if not tensors:
            return
        for key, value in tensors.items():
            name, _, moment = key.rpartition("/")
            if moment not in MOMENTS or value.shape != self.shapes.get(name):
                raise ResumeError(foreign_moments(name, value))
        self._make_room(_one_count(counts))
        from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

        for name, parameter in self.named.items():
            for key in MOMENTS:
                value = tensors[f"{name}/{key}"].to(parameter.device, torch.float32)
                if self.partitions_weights:
                    part = self._own_part(parameter, value)
                    safe_set_local_optimizer_state(parameter, part, key)
                else:
                    safe_set_full_optimizer_state(parameter, value, key)

    def _make_room(self, steps: float) -> None:
        """Moments of zeros, as after ``steps`` steps: DeepSpeed makes them in the first one only."""
        outer = self.engine.optimizer
        if self.partitions_weights:
            flats = outer.fp32_partitioned_groups_flat
        else:
            flats = [flat for group in outer.optimizer.param_groups for flat in group["params"]]
        for flat in flats:
            outer.optimizer.state[flat] = {
                "step": torch.tensor(steps),
                **{key: torch.zeros_like(flat) for key in MOMENTS},
            }
        if not self.partitions_weights:
            outer._lazy_init_hp_params_optimizer_state()

    @staticmethod
    def _own_part(parameter: nn.Parameter, value: Tensor) -> Tensor:
        """This rank's part of a whole value; DeepSpeed's own way fails where the size is no multiple."""
        size, rank = parameter.ds_tensor.numel(), torch.distributed.get_rank()  # type: ignore[attr-defined]
        flat = nn.functional.pad(value.flatten(), (0, size * torch.distributed.get_world_size()))
        return flat.narrow(0, size * rank, size)


def _one_count(counts: Mapping[str, float]) -> float:
    steps = {value for key, value in counts.items() if key.endswith("/step")}
    if len(steps) != 1:
        raise ResumeError(
            f"the checkpoint counts {sorted(steps)} steps for different parameters, and DeepSpeed keeps one "
            "count for all: its moments cannot be taken up. Resume with backend=torch, or start clean."
        )
    return steps.pop()
