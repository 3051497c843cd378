"""A pytest plugin: which test runs which line, and how long each test takes.

Loaded with ``-p tests.mutation.trace``, in every worker of pytest-xdist too. Each process leaves
``lines.*`` (coverage's own data, one context per test and per shared fixture) and ``seconds.*.json`` in
``MUTATION_TRACE``. What a module's fixture runs belongs to every test that uses it, not to the one that
happened to come first.
"""

import json
import os
import uuid
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

FIXTURE = "fixture "
FOLDER = Path(os.environ["MUTATION_TRACE"])
_seconds: dict[str, float] = defaultdict(float)
_failed: list[str] = []
_uses: dict[str, list[str]] = defaultdict(list)
"""The tests of every shared fixture."""
_context = [""]
_name = uuid.uuid4().hex
_coverage = Coverage(
    data_file=str(FOLDER / f"lines.{_name}"), source=["rpt_core", "infra"], config_file=False, messages=False
)


def pytest_configure(config: pytest.Config) -> None:
    _coverage.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    about = getattr(item, "_fixtureinfo", None)
    for fixtures in about.name2fixturedefs.values() if about else ():
        if fixtures[-1].scope != "function":
            _uses[_key(fixtures[-1])].append(item.nodeid)
    _enter(item.nodeid)
    yield
    _leave()


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
    if fixturedef.scope == "function":
        yield
        return
    _enter(_key(fixturedef))
    yield
    _leave()


def _key(fixture: pytest.FixtureDef[Any]) -> str:
    return f"{FIXTURE}{fixture.baseid}::{fixture.argname}"


def _enter(context: str) -> None:
    _context.append(context)
    _coverage.switch_context(context)


def _leave() -> None:
    _context.pop()
    _coverage.switch_context(_context[-1])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _seconds[report.nodeid] += report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    _coverage.stop()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the controller hears of tests and runs none
        _coverage.save()
    told = {"seconds": _seconds, "failed": _failed, "uses": _uses}
    (FOLDER / f"seconds.{_name}.json").write_text(json.dumps(told))
