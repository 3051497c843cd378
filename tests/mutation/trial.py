"""One mutant in a copy of the tree, tried by its tests in a fresh process.

Loading torch and the other libraries takes seconds, running the tests of a line usually less: a parent
process loads the libraries once, and every mutant is a fork of it that has loaded nothing of ours.
"""

import contextlib
import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.mutation.draw import Drawn

OURS = ("rpt_core", "infra", "tasks", "flows", "tests")
LIBRARIES = (
    "torch", "transformers", "tokenizers", "safetensors.torch", "numpy", "scipy.stats", "scipy.optimize",
    "pyarrow", "pyarrow.parquet", "pyarrow.compute", "pydantic", "fsspec", "httpx", "statsmodels.api",
    "lxml.etree",
    "pytest",
)  # fmt: skip
"""Loaded once by the parent; none of them starts threads by being loaded."""
GRACE_SECONDS = 30.0
QUIETLY = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Plugins among the loaded libraries are not rewritten for asserts, which matters to nobody here."""
LOG = "mutation.log"
SHARED_MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 << 30
"""A mutant that asks for more fails, and takes no memory from the other process's."""
SLOWER = 3.0
"""A mutant may take this many times its tests' CPU seconds, and the grace, before it counts as hanging."""
WAITS = 4.0
"""Wall seconds for one CPU second: what sleeps for ever uses none."""

Result = Literal["killed", "hangs", "survived", "not run"]


@dataclass(frozen=True, slots=True)
class Tried:
    """How a mutant ended."""

    drawn: Drawn
    result: Result
    num_tests: int
    seconds: float

    @property
    def is_killed(self) -> bool:
        """Whether a test failed, or never ended, under the fault."""
        return self.result in {"killed", "hangs"}


def copy_of(root: Path, folder: Path) -> Path:
    """A copy of the tracked and new files of the tree, with its modules compiled."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (root / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)
    subprocess.run([sys.executable, "-m", "compileall", "-q", *OURS], cwd=folder, check=True)
    return folder


def load_libraries() -> None:
    """Load what every test needs and none of our code."""
    for name in LIBRARIES:
        importlib.import_module(name)
    loaded = [name for name in sys.modules if name.split(".")[0] in OURS and not name.startswith("tests")]
    assert not loaded, f"the parent has loaded {loaded}: its forks would not see the mutant"


def try_one(tree: Path, drawn: Drawn, tests: Sequence[str], expected_seconds: float) -> Tried:
    """Put one fault into ``tree``, run ``tests`` until one fails, and take the fault out again."""
    started = time.monotonic()
    if not tests:
        return Tried(drawn, "not run", 0, 0.0)
    with _fault(tree / drawn.mutant.path, drawn.text):
        result = _in_a_fork(tree, tests, SLOWER * expected_seconds + GRACE_SECONDS)
    return Tried(drawn, result, len(tests), time.monotonic() - started)


@contextmanager
def _fault(path: Path, text: str) -> Iterator[None]:
    original, times = path.read_bytes(), path.stat()
    path.write_text(text)
    try:
        yield
    finally:
        path.write_bytes(original)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # its compiled form is valid again


def assert_clean(tree: Path, tests: Sequence[str]) -> None:
    """Run tests without any fault: were they to fail here, every mutant would count as killed."""
    result = _in_a_fork(tree, tests, 10 * GRACE_SECONDS)
    if result != "survived":
        words = (tree / LOG).read_text(errors="replace")[-3000:]
        raise RuntimeError(f"tests that pass in the tree are '{result}' in a fork of its copy:\n{words}")


def _in_a_fork(tree: Path, tests: Sequence[str], limit_seconds: float) -> Result:
    child = os.fork()
    try:
        return _awaited(child, tree, tests, limit_seconds)
    finally:
        for name in SHARED_MEMORY.glob(f"sem.loky-{child}-*"):  # a fork ends without clean-up of libraries
            name.unlink(missing_ok=True)


def _awaited(child: int, tree: Path, tests: Sequence[str], limit_seconds: float) -> Result:
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit_seconds), int(limit_seconds) + 5))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
        _run_tests(tree, tests)
    give_up = time.monotonic() + WAITS * limit_seconds
    while time.monotonic() < give_up:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _end_group(child)
            code = os.waitstatus_to_exitcode(status)
            return (
                "survived"
                if code == 0
                else "hangs"
                if code in {-signal.SIGXCPU, -signal.SIGKILL}
                else "killed"
            )
        time.sleep(0.02)
    _end_group(child)
    os.waitpid(child, 0)
    return "hangs"


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _run_tests(tree: Path, tests: Sequence[str]) -> None:
    """The forked child: never returns."""
    code = 70
    try:
        os.setsid()
        os.chdir(tree)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(tree / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(log, stream)
        for name in [name for name in sys.modules if name.split(".")[0] in OURS]:
            del sys.modules[name]
        sys.path[:] = [str(tree), *(p for p in sys.path if p not in {"", os.getcwd(), str(tree)})]
        os.environ["PYTHONPATH"] = str(tree)
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        import pytest

        options = [*QUIETLY, "-x", "-q", "--no-header", "-p", "no:cacheprovider", "--timeout=0"]
        code = int(pytest.main([*options, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
