"""A graph for a CPU: a step's operations, written down as torch carries them out, and repeated without its
Python.

What a CUDA graph would get wrong, this gets wrong too: a number that Python worked out is the recorded one
for ever, and a tensor that was replaced is still the old one.
"""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rpt_core.policy.engines.graphs import Calls, Unit


class _Writer(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.lines.append((func, args, kwargs or {}, out))
        return out


class Tape(Calls):
    """Records by carrying the step out once; its effect is that of the first replay, which does nothing."""

    def record(self, unit: Unit) -> Unit:
        with _Writer() as writer:
            unit()
        pending = iter([True])

        def replay() -> None:
            if not next(pending, False):
                for line in writer.lines:
                    _repeat(*line)

        return replay


def _repeat(func: Any, args: Any, kwargs: Any, out: Any) -> None:
    """Once more, into the memory of the first time. A view of it still is one."""
    again = func(*args, **kwargs)
    for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
        if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
            old.copy_(new)
