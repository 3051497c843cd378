"""Where the seconds of a step went, and one row of timings for all ranks."""

from types import SimpleNamespace

import psutil
import pytest

from rpt_core.train import clock as module
from rpt_core.train.clock import PHASES, Clock, slowest


@pytest.fixture
def now(monkeypatch) -> list[float]:
    """The time, as the clock sees it."""
    at = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: at[0]))
    return at


def test_every_second_of_a_step_is_a_phases_or_idle(now):
    clock = Clock()
    for name, seconds, between in (("rollout", 3.0, 0.5), ("update", 7.0, 1.25), ("rollout", 2.0, 0.25)):
        with clock.phase(name):
            now[0] += seconds
        now[0] += between
    read = clock.read(num_tokens=70)
    assert {name: read[f"seconds/{name}"] for name in PHASES} == {
        "rollout": 5.0, "reward": 0.0, "select": 0.0, "update": 7.0, "sync": 0.0, "eval": 0.0,
    }  # fmt: skip
    assert (read["seconds"], read["seconds/idle"], read["tokens_per_second"]) == (14.0, 2.0, 5.0)
    assert read["rss_bytes"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.5)
    assert "device_bytes" not in read


def test_a_phase_that_fails_counts_too_and_one_of_another_name_is_a_mistake(now):
    clock = Clock()

    def fail() -> None:
        with clock.phase("reward"):
            now[0] += 4.0
            raise ValueError("away")

    with pytest.raises(ValueError, match="away"):
        fail()
    assert clock.read(1)["seconds/reward"] == 4.0
    with pytest.raises(KeyError), clock.phase("lunch"):
        pass


def test_the_most_memory_of_a_device_is_told_once(now, monkeypatch):
    resets = []
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        max_memory_allocated=lambda: 12345,
        reset_peak_memory_stats=lambda: resets.append(1),
    )
    monkeypatch.setattr(module, "torch", SimpleNamespace(cuda=cuda))
    clock = Clock()
    now[0] += 1.0
    assert clock.read(1)["device_bytes"] == 12345.0
    assert resets == [1]


def test_ranks_wait_for_the_slowest_and_their_memory_adds_up():
    ranks = [
        {
            "seconds": 3.0,
            "seconds/update": 1.0,
            "tokens_per_second": 50.0,
            "rss_bytes": 4.0,
            "device_bytes": 6,
        },
        {
            "seconds": 2.0,
            "seconds/update": 5.0,
            "tokens_per_second": 30.0,
            "rss_bytes": 7.0,
            "device_bytes": 5,
        },
        {
            "seconds": 1.0,
            "seconds/update": 4.0,
            "tokens_per_second": 90.0,
            "rss_bytes": 9.0,
            "device_bytes": 3,
        },
    ]
    assert slowest(ranks) == {
        "seconds": 3.0, "seconds/update": 5.0, "tokens_per_second": 30.0, "rss_bytes": 20.0,
        "device_bytes": 14.0,
    }  # fmt: skip
