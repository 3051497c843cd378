"""What a stage's process takes of the machine, read at each step it logs.

The readings stand among the step's timings: outside the artifact's digest, cut back with the metrics when an
attempt resumes, and shown again from the artifact alone.
"""

import sys
import time

import psutil

from rpt_core.artifacts.build import SYSTEM

_MEGA = 1e6


class Readings:
    """Reads this process and its children; the first reading is of the time since this was made."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._since, self._busy = time.perf_counter(), self._cpu_seconds()
        psutil.cpu_percent()  # later calls say what was used since this one

    def read(self) -> dict[str, float]:
        """Cores in use since the last reading, memory now, and the whole machine's, in percent.

        Under names that begin with :data:`rpt_core.artifacts.build.SYSTEM`. Of GPUs, where torch uses one in
        this process: memory it holds, and the device's load where the driver's Python package is there.
        """
        now, busy = time.perf_counter(), self._cpu_seconds()
        cores = (busy - self._busy) / max(now - self._since, 1e-3)
        self._since, self._busy = now, busy
        found = {
            "cpu_cores_used": max(cores, 0.0),  # a child's seconds go with it
            "cpu_utilization_percentage": psutil.cpu_percent(),
            "process_memory_megabytes": self._process.memory_info().rss / _MEGA,
            "system_memory_usage_percentage": psutil.virtual_memory().percent,
            **_gpus(),
        }
        return {f"{SYSTEM}{name}": round(float(value), 3) for name, value in found.items()}

    def _cpu_seconds(self) -> float:
        total = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.Error:  # it ended meanwhile
                continue
            total += times.user + times.system
        return total


def _gpus() -> dict[str, float]:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return {}
    found: dict[str, float] = {}
    for number in range(torch.cuda.device_count()):
        found[f"gpu_{number}_memory_megabytes"] = torch.cuda.memory_reserved(number) / _MEGA
        try:
            found[f"gpu_{number}_utilization_percentage"] = torch.cuda.utilization(number)
        except (ModuleNotFoundError, RuntimeError):  # no package of the driver's, or it does not tell
            continue
    return found
