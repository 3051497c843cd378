"""Seconds by phase of one step."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psutil
import torch

PHASES = ("rollout", "reward", "select", "update", "sync", "eval")


class Clock:
    """Measures one step; whatever no phase accounts for is ``idle``."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()
        self._seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the block's seconds to a phase."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] += time.perf_counter() - begun

    def read(self, num_tokens: int) -> dict[str, float]:
        """Seconds by phase, tokens per second over the whole step, and the memory of process and device.

        Args:
            num_tokens: Tokens forwarded in the step.
        """
        total = time.perf_counter() - self._begun
        phases = {f"seconds/{name}": seconds for name, seconds in self._seconds.items()}
        return {
            "seconds": total,
            **phases,
            "seconds/idle": total - sum(self._seconds.values()),
            "tokens_per_second": num_tokens / total,
            "rss_bytes": float(psutil.Process().memory_info().rss),
            **_device_bytes(),
        }


def slowest(ranks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The timings of all ranks as one row: everybody waits for the slowest, and memory adds up."""
    both: dict[str, Callable[[Iterable[float]], float]] = {
        "tokens_per_second": min,
        "rss_bytes": sum,
        "device_bytes": sum,
    }
    return {name: float(both.get(name, max)(one[name] for one in ranks)) for name in ranks[0]}


def _device_bytes() -> dict[str, float]:
    """Most memory of the accelerator that tensors took since the last look; nothing without one."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return {}
    most = float(torch.cuda.max_memory_allocated())
    torch.cuda.reset_peak_memory_stats()
    return {"device_bytes": most}
