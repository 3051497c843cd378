"""What the clean tree's tests run: the tests of every line, and their seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coverage import CoverageData

FAST = "not slow and not faults and not long and not gpu and not s3 and not realdata"
"""The tests mutants are tried by: those of `make check`."""
CONSTANTS = "tests/golden/test_constants.py::test_constants_and_defaults_are_what_they_were"
CONTRACT = "tests/golden/test_recipe_contract.py::test_fields_have_the_defaults_and_bounds_they_had"
"""Both read what stands in a file once it is loaded, and run none of its lines."""
TESTS = ("tests/unit", "tests/property", "tests/golden", "rpt_core", "infra")


@dataclass(frozen=True, slots=True)
class Known:
    """Tests by line and seconds by test, measured on the clean tree."""

    lines: dict[str, dict[int, list[str]]]
    """File, line, names of tests."""
    seconds: dict[str, float]
    """Set-up, run and tear-down of a test, in seconds, measured under coverage."""

    def tests(self, path: str, line: int, most_seconds: float) -> list[str]:
        """The tests that run a line, the shortest first, as many as fit into ``most_seconds``.

        A line that runs when its file is loaded (a default, a constant) belongs to no test: it is tried first
        by the records of constants and of recipes' fields, then by every test that runs anything of the file.
        """
        of_file = self.lines.get(path, {})
        names, records = set(of_file.get(line, ())), self._records(path)
        if not names:
            names = {name for tests in of_file.values() for name in tests} | records
        if not names:
            names = self._of_importers(path)
        chosen, total = [], 0.0
        for name in sorted(names, key=lambda name: (name not in records, self.seconds.get(name, 0.0), name)):
            total += self.seconds.get(name, 0.0)
            if chosen and total > most_seconds:
                break
            chosen.append(name)
        return chosen

    def _of_importers(self, path: str) -> set[str]:
        """Tests of files that name a module none of whose lines a test runs (a protocol, a table)."""
        module = path.removesuffix(".py").replace("/", ".")
        by_file: dict[str, set[str]] = {}
        for name in self.seconds:
            by_file.setdefault(name.partition("::")[0], set()).add(name)
        root = Path(__file__).resolve().parents[2]
        files = (file for file in by_file if (root / file).is_file() and module in (root / file).read_text())
        return {name for file in files for name in by_file[file]}

    def _records(self, path: str) -> set[str]:
        read = f"{CONSTANTS}[{path.removesuffix('.py').replace('/', '.')}]"
        fields = [name for name in self.seconds if name.startswith(CONTRACT) and "recipe" in path]
        return {read, *fields} & self.seconds.keys()


def measure(root: Path, folder: Path, processes: int = 2) -> Known:
    """Run the fast tests once under coverage; what was measured on the same tree is read again.

    Raises:
        SystemExit: a test fails on the clean tree, so that nothing could be said about mutants.
    """
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        command = [
            sys.executable, "-m", "pytest", "-q", "-n", str(processes), "--dist", "loadfile", "-m", FAST,
            "-p", "tests.mutation.trace", "--durations=0", "--timeout=900", *TESTS,
        ]  # fmt: skip
        env = {**os.environ, "MUTATION_TRACE": str(folder), "PYTHONPATH": str(root)}
        subprocess.run(command, cwd=root, env=env, check=False, stdout=(folder / "log.txt").open("w"))
        _assert_green(root, folder)
        (folder / "done").touch()
    return _read(root, folder)


def _assert_green(root: Path, folder: Path) -> None:
    """A test that fails under coverage alone (it measures its seconds) is left out; any other ends all."""
    failed = sorted({name for told in _told(folder) for name in told["failed"]})
    again = [sys.executable, "-m", "pytest", "-q", *failed]
    if not list(folder.glob("lines.*")) or (
        failed and subprocess.run(again, cwd=root, check=False).returncode
    ):
        raise SystemExit(
            f"{len(failed)} tests fail on the clean tree, so nothing can be said about mutants: "
            f"{', '.join(failed[:5])}. See {folder / 'log.txt'}."
        )
    if failed:
        print(f"not used, for they fail under coverage alone: {', '.join(failed)}")


def _told(folder: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("seconds.*.json")]


def _read(root: Path, folder: Path) -> Known:
    seconds: dict[str, float] = {}
    unusable = {name for told in _told(folder) for name in told["failed"]}
    for told in _told(folder):  # the controller of pytest-xdist hears of every worker's tests, too
        seconds.update(told["seconds"])
    uses: dict[str, list[str]] = {}
    for told in _told(folder):
        for fixture, tests in told["uses"].items():
            uses.setdefault(fixture, []).extend(tests)
    lines: dict[str, dict[int, list[str]]] = {}
    for path in folder.glob("lines.*"):
        data = CoverageData(str(path))
        data.read()
        for file in data.measured_files():
            of_file = lines.setdefault(Path(file).relative_to(root).as_posix(), {})
            for line, contexts in data.contexts_by_lineno(file).items():
                names = {name for context in contexts if context for name in uses.get(context, [context])}
                of_file[line] = sorted({*of_file.get(line, []), *(names - unusable)})
    return Known(lines, seconds)
