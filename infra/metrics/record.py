"""A build's record of steps, placed in time and computing: what each step becomes in MLflow.

A metric stands there twice, over steps and, as ``<name>_by_gflops``, over the operations spent. What was
measured of the machine meanwhile stands there once, over steps: seconds and rates under ``time/``, memory
and load under ``system/``, which MLflow's page shows apart.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.metrics.views import plain_name
from rpt_core.artifacts.build import FLOPS, METRICS_FILE, SECONDS, SYSTEM, TIMINGS_FILE

BY_GFLOPS = "_by_gflops"
"""Ends the name of a metric over computing. Its step is in whole units of 1e9 operations: MLflow's step is an
integer, and 1e21 operations are none it can hold."""
TIME = "time/"
_BYTES, _MEGA = "_bytes", 1e6


@dataclass(frozen=True, slots=True)
class Point:
    """One value as MLflow keeps it."""

    name: str
    value: float
    milliseconds: int
    step: int


@dataclass(frozen=True, slots=True)
class Line:
    """One step of the record, with where it lies in time and computing."""

    step: int
    milliseconds: int
    gflops: int | None
    values: Mapping[str, float]
    timings: Mapping[str, float]

    def points(self) -> Iterator[Point]:
        """The line's metrics on both axes."""
        for name, value in self.values.items():
            yield Point(plain_name(name), value, self.milliseconds, self.step)
            if self.gflops is not None and name != FLOPS:
                yield Point(plain_name(f"{name}{BY_GFLOPS}"), value, self.milliseconds, self.gflops)

    def readings(self) -> Iterator[Point]:
        """What was measured of the machine; other values when the step is taken again."""
        for name, value in self.timings.items():
            shown, unit = _reading(name)
            yield Point(plain_name(shown), value / unit, self.milliseconds, self.step)


def _reading(name: str) -> tuple[str, float]:
    """Name in MLflow, and what it is divided by.

    Example:
        >>> _reading("seconds/rollout"), _reading("rss_bytes"), _reading("system/cpu_cores")
        (('time/seconds/rollout', 1.0), ('system/rss_megabytes', 1000000.0), ('system/cpu_cores', 1.0))
    """
    if name.endswith(_BYTES):
        return f"{SYSTEM}{name.removesuffix(_BYTES)}_megabytes", _MEGA
    return (name if name.startswith(SYSTEM) else f"{TIME}{name}"), 1.0


def whole_lines(path: Path) -> list[bytes]:
    """Lines of a file that may be growing; a last one without its end is left for later."""
    if not path.is_file():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def read_record(folder: Path, *, growing: bool) -> list[bytes]:
    """The lines of a build's metrics, as far as their timings are there too.

    A step's timings are written right after its metrics. While a build runs, a line whose timings are still
    to come is left for later: it would be shown at another time than it has in the end, and without them.
    """
    lines = whole_lines(folder / METRICS_FILE)
    timed = [json.loads(line)["step"] for line in whole_lines(folder / TIMINGS_FILE)]
    if growing and timed:
        while lines and json.loads(lines[-1])["step"] > max(timed):
            lines.pop()
    return lines


def placed(folder: Path, record: Sequence[bytes], start: int) -> list[Line]:
    """Place each line in time: the start, in milliseconds, plus the known seconds of every step up to it."""
    timings: dict[int, dict[str, float]] = {}
    for row in map(json.loads, whole_lines(folder / TIMINGS_FILE)):
        known = timings.setdefault(row.pop("step"), {})
        known.update({**row, SECONDS: known.get(SECONDS, 0.0) + row[SECONDS]} if SECONDS in row else row)
    lines, elapsed, previous = [], 0.0, None
    for row in map(json.loads, record):
        step = int(row.pop("step"))
        measured = timings.get(step, {}) if step != previous else {}
        if step != previous:
            elapsed += measured.get(SECONDS, 0.0) or 0.001
            previous = step
        lines.append(Line(step, start + int(elapsed * 1000), _gflops(row), row, measured))
    return lines


def _gflops(row: Mapping[str, Any]) -> int | None:
    gflops = row.get(FLOPS)
    return None if gflops is None else int(gflops)
