"""DeepSpeed as far as the back end asks it, over unpartitioned weights of one process.

Its float32 weights and moments are dictionaries by parameter, so a test sees what was read and written.
"""

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import torch


class Engine:
    """Calls the module; remembers gradients' losses, reductions and steps."""

    def __init__(self, model: Any, rule: Any, config: dict[str, Any]) -> None:
        self.module, self.config, self.losses, self.reduced = model, config, [], []
        self.norm, self.steps = 1.75, 0
        groups = [
            {"params": [torch.zeros(5), torch.zeros(3)], "lr": 0.0},
            {"params": [torch.zeros(2)], "lr": 0.0},
        ]
        flats = SimpleNamespace(state={}, param_groups=groups)
        self.optimizer = SimpleNamespace(
            rule=rule, optimizer=flats, param_groups=groups, overflow=False, made_room=0,
            check_grad_overflow=None, state=flats.state,
            fp32_partitioned_groups_flat=[torch.zeros(4), torch.zeros(6)],
        )  # fmt: skip
        self.optimizer._lazy_init_hp_params_optimizer_state = self._room

    def _room(self) -> None:
        self.optimizer.made_room += 1

    def __call__(self, *given: Any, **options: Any) -> Any:
        return self.module(*given, **options)

    def backward(self, loss: Any) -> None:
        self.losses.append(float(loss.detach()))
        loss.backward()

    def buffered_allreduce_fallback(self, *, elements_per_buffer: int) -> None:
        self.reduced.append(elements_per_buffer)

    def step(self) -> None:
        self.steps += 1

    def get_global_grad_norm(self) -> torch.Tensor:
        return torch.tensor(self.norm)


class DeepSpeed:
    """What the fake modules stand on."""

    def __init__(self) -> None:
        self.initialised: list[dict[str, Any]] = []
        self.external: list[tuple[Any, Any]] = []
        self.gathered: list[tuple[list[Any], int | None]] = []
        self.weights: dict[int, torch.Tensor] = {}
        self.moments: dict[tuple[int, str], torch.Tensor] = {}
        self.parts: list[tuple[str, torch.Tensor]] = []
        self.ops = {"deepspeed_shm_comm": True}

    def initialize(self, **given: Any) -> tuple[Any, ...]:
        self.initialised.append(given)
        if given["config"]["zero_optimization"]["stage"] == 3:
            for parameter in given["model"].parameters():  # one rank's part is all of it
                parameter.ds_tensor = torch.zeros(parameter.numel())
        engine = Engine(given["model"], given["optimizer"], given["config"])
        return engine, given["optimizer"], None, None

    @contextmanager
    def gather(self, parameters: list[Any], modifier_rank: int | None = None) -> Any:
        self.gathered.append((parameters, modifier_rank))
        yield

    def install(self, monkeypatch: Any) -> None:
        """Have it imported in place of the real one."""
        whole = ModuleType("deepspeed")
        whole.initialize = self.initialize  # type: ignore[attr-defined]
        register = SimpleNamespace(register_external_parameter=lambda *pair: self.external.append(pair))
        whole.zero = register  # type: ignore[attr-defined]
        modules = {
            "deepspeed": whole,
            "deepspeed.ops": SimpleNamespace(__compatible_ops__=self.ops),
            "deepspeed.runtime": ModuleType("deepspeed.runtime"),
            "deepspeed.runtime.zero": SimpleNamespace(GatheredParameters=self.gather),
            "deepspeed.utils": SimpleNamespace(
                safe_get_full_fp32_param=lambda p: self.weights[id(p)],
                safe_set_full_fp32_param=lambda p, value: self.weights.__setitem__(id(p), value.clone()),
                safe_set_local_fp32_param=lambda p, part: self.parts.append(("weight", part)),
                safe_get_full_optimizer_state=lambda p, key: self.moments[id(p), key],
                safe_set_full_optimizer_state=lambda p, value, key: self.moments.__setitem__(
                    (id(p), key), value
                ),
                safe_set_local_optimizer_state=lambda p, part, key: self.parts.append((key, part)),
            ),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
