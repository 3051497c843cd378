"""A pytest plugin: which test runs which line, and how long each test takes.

Loaded with ``-p tests.mutation.trace``, in every worker of pytest-xdist too. Each process leaves
``lines.*`` (coverage's own data, one context per test) and ``seconds.*.json`` in ``MUTATION_TRACE``.
"""

import json
import os
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

FOLDER = Path(os.environ["MUTATION_TRACE"])
_seconds: dict[str, float] = defaultdict(float)
_failed: list[str] = []
_name = uuid.uuid4().hex
_coverage = Coverage(
    data_file=str(FOLDER / f"lines.{_name}"), source=["rpt_core", "infra"], config_file=False, messages=False
)


def pytest_configure(config: pytest.Config) -> None:
    _coverage.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _coverage.switch_context(item.nodeid)
    yield
    _coverage.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    _coverage.stop()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the controller hears of tests and runs none
        _coverage.save()
    told = {"seconds": _seconds, "failed": _failed}
    (FOLDER / f"seconds.{_name}.json").write_text(json.dumps(told))
