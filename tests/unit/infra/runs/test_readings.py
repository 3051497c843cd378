"""What a step takes of the machine: this process and its children, since the reading before."""

import json
import subprocess
import sys
import time

import pytest

from infra.runs.readings import Readings
from infra.storage.store import Store
from rpt_core.artifacts.build import SYSTEM, TIMINGS_FILE
from tests.unit.infra.runs.test_attempt import attempt

BURN = """
import time
while time.process_time() < 0.6:
    pass
print("burnt", flush=True)
input()
"""


def idle() -> Readings:
    """Readings that begin when nothing works here any more: earlier tests may still load libraries."""
    readings, give_up = Readings(), time.monotonic() + 60
    time.sleep(0.3)
    while readings.read()[f"{SYSTEM}cpu_cores_used"] > 0.2:
        assert time.monotonic() < give_up
        time.sleep(0.3)
    return readings


def test_a_busy_process_and_its_children_are_counted_and_a_sleeping_one_is_not():
    readings = idle()
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        begun = time.monotonic()
        child.stdout.readline()
        busy = readings.read()
        took = time.monotonic() - begun
        assert busy[f"{SYSTEM}cpu_cores_used"] * took >= 0.5
        time.sleep(0.3)
        assert readings.read()[f"{SYSTEM}cpu_cores_used"] < 0.5
        child.communicate("\n")


def test_memory_is_this_process_and_percentages_are_the_machines():
    before = Readings().read()
    held = bytearray(200_000_000)
    held[::4096] = b"x" * len(held[::4096])
    after = Readings().read()
    grown = after[f"{SYSTEM}process_memory_megabytes"] - before[f"{SYSTEM}process_memory_megabytes"]
    assert 150 < grown < 300
    for name in ("cpu_utilization_percentage", "system_memory_usage_percentage"):
        assert 0 <= after[f"{SYSTEM}{name}"] <= 100


@pytest.mark.parametrize("timings", [None, {"seconds": 2.0}])
def test_every_step_of_a_stage_has_its_readings_once(tmp_path, timings):
    build = attempt(Store(str(tmp_path / "store"), tmp_path / "cache"), tmp_path / "one")
    for step in (1, 2):
        build.log(step, {"loss": 1.0}, timings)
    rows = [json.loads(line) for line in (build.out / TIMINGS_FILE).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    for row in rows:
        assert row.get("seconds") == (timings or {}).get("seconds")
        assert row[f"{SYSTEM}process_memory_megabytes"] > 10
