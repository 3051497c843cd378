"""What a proof has found so far, on disk after every figure: a part that is killed keeps what it had."""

import gc
import json
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "pydantic",
    "pyarrow",
    "deepspeed",
    "triton",
    "pytest",
)
TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "B200": 2250.0}
"""Dense bfloat16 operations a second that makers state, by a word of the device's name."""


class OutOfTime(Exception):
    """The part has used up its share."""


@dataclass
class Ledger:
    """One part's figures, and how long it may go on."""

    file: Path
    seconds: float
    """The part's share."""
    begun: float = field(default_factory=time.monotonic)
    figures: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, value: Any) -> None:
        """Keep a figure."""
        self.figures[name] = value
        self._write("stopped", "it was ended at its share of the time")

    def end(self, status: str, reason: str = "") -> None:
        """Say how the part ended: ``done``, ``stopped``, ``failed`` or ``not run``."""
        self._write(status, reason)

    @property
    def left(self) -> float:
        """Seconds of the share that are left."""
        return self.seconds - (time.monotonic() - self.begun)

    def need(self, seconds: float) -> None:
        """Stop here where what comes next takes longer than is left.

        Raises:
            OutOfTime: it does.
        """
        if seconds > self.left:
            raise OutOfTime(f"the next figure takes about {seconds:.0f} s and {self.left:.0f} s were left")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note a block's seconds."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.note(name, round(time.monotonic() - begun, 3))

    def _write(self, status: str, reason: str) -> None:
        spent = round(time.monotonic() - self.begun, 1)
        told = {"status": status, "reason": reason, "seconds": spent, "share": self.seconds}
        self.file.write_text(json.dumps({**told, "figures": self.figures}, indent=1) + "\n")


def device_name(device: str) -> str:
    """The device as its driver calls it."""
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU {platform.machine()}"


def about(device: str) -> dict[str, Any]:
    """The machine and its software."""
    memory = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else None
    return {
        "device": device_name(device), "device_bytes": memory, "threads": torch.get_num_threads(),
        "python": platform.python_version(), "cuda": torch.version.cuda,
        "versions": {name: _version(name) for name in PACKAGES},
    }  # fmt: skip


def _version(name: str) -> str:
    if find_spec(name) is None:
        return "absent"
    try:
        return version(name)
    except PackageNotFoundError:
        return "carried"


def peak_tflops(device: str) -> tuple[float, str]:
    """Operations a second that shares are taken of, in 1e12, and where the number is from."""
    stated = [value for word, value in TFLOPS.items() if device == "cuda" and word in device_name(device)]
    return (stated[0], "stated by its maker") if stated else (measured_tflops(device), "measured")


def measured_tflops(device: str) -> float:
    """What a large product of matrices reaches."""
    size, dtype = (8192, torch.bfloat16) if device == "cuda" else (512, torch.float32)
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(5):
        wait(device)
        begun = time.perf_counter()
        matrix @ matrix
        wait(device)
        best = min(best, time.perf_counter() - begun)
    return 2 * size**3 / best / 1e12


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def forget_peak(device: str) -> None:
    """Begin to count the device's memory anew."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gib(device: str) -> float | None:
    """Most memory the device's allocator held since; None on a CPU, which has no such counter."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None
