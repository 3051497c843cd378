"""One script that proves the project on a GPU, in ten minutes on one card of 80 GB.

    python -m tests.gpu.proof                       # everything; writes proof.json
    python -m tests.gpu.proof --parts speed world   # some of it
    python -m tests.gpu.proof --toy                 # the whole on a CPU, at a toy size

Four parts, each in a process of its own that is ended at its share of the time: ``checks`` (a GPU gives what
a CPU gives), ``speed`` (rollouts and updates of a 0.6 B shape), ``zero`` (the same updates through
DeepSpeed's stages) and ``world`` (a hundred steps of RPT). It needs torch, transformers, pydantic, psutil and
pyarrow; ``make gpu-bundle`` carries the last three.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from tests.gpu.ledger import Ledger, OutOfTime, about

ROOT = Path(__file__).parents[2]
SHARES = {"checks": 0.14, "speed": 0.38, "zero": 0.2, "world": 0.28}
"""Of the time, by part."""
GRACE = 15.0
"""Seconds beyond its share after which a part is killed: it ends by itself between two figures."""
PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE"}
"""As every stage runs: spinning threads on a shared CPU cost a factor of 100 (measured)."""
End = tuple[str, str]
"""How a part ended, and why."""


def checks(ledger: Ledger, device: str, *, toy: bool) -> End:
    """Tests marked ``gpu``: by pytest where it is, by themselves elsewhere."""
    if find_spec("pytest") and device == "cuda":
        return _by_pytest(ledger)
    from tests.gpu.checks import CHECKS

    ledger.note("run_by", "itself")
    failed = []
    for name, check in CHECKS.items():
        ledger.need(1.0)
        try:
            ledger.note(name, check(device))
        except Exception as error:  # every check is told of; the part fails below
            failed.append(name)
            ledger.note(name, f"FAILED: {type(error).__name__}: {str(error)[:300]}")
    return ("failed", f"unequal: {', '.join(failed)}") if failed else ("done", "")


def _by_pytest(ledger: Ledger) -> End:
    import pytest

    class Notes:
        """Tells the ledger of every test."""

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when == "call" or report.outcome != "passed":
                ledger.note(report.nodeid.split("::")[-1], report.outcome + report.longreprtext[-300:])

    ledger.note("run_by", f"pytest {pytest.__version__}")
    alone = ["--noconftest", "-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    code = pytest.main(["-q", "-m", "gpu", *alone, str(ROOT / "tests/gpu/test_checks.py")], plugins=[Notes()])
    return ("done", "") if code == 0 else ("failed", f"pytest ended with {int(code)}")


def speed(ledger: Ledger, device: str, *, toy: bool) -> End:
    """Rollouts and updates of one document with many cuts."""
    from tests.gpu.speed import best_layout, job_of, rollouts, updates

    job = job_of(device, toy=toy)
    rollouts(ledger, job)
    try:
        updates(ledger, job)
    finally:
        ledger.note("beside_the_goal", best_layout(ledger.figures))
    return "done", ""


def zero(ledger: Ledger, device: str, *, toy: bool) -> End:
    """The same updates through DeepSpeed, ZeRO-1 and ZeRO-3."""
    from tests.gpu.speed import job_of, updates, zero_backends

    names = zero_backends()
    if find_spec("deepspeed") is None:
        return "not run", "DeepSpeed is not installed"
    if not names:
        return "not run", "the registry of back ends has no DeepSpeed"
    job = job_of(device, toy=toy)
    for position, name in enumerate(names):
        share = Ledger(ledger.file, ledger.left / (len(names) - position), figures=ledger.figures)
        updates(share, job, name)
    ran = [one for name, one in ledger.figures.items() if name.startswith("update") and "mfu" in one]
    return ("done", "") if ran else ("failed", "no layout ran under any of them")


def world(ledger: Ledger, device: str, *, toy: bool) -> End:
    """A hundred steps of RPT on the sample world."""
    missing = [name for name in ("pyarrow", "psutil") if find_spec(name) is None]
    if missing:
        return "not run", f"{' and '.join(missing)} not installed and not carried"
    from tests.gpu.world import part

    with tempfile.TemporaryDirectory() as folder:
        return part(ledger, Path(folder), device, toy=toy)


PARTS: dict[str, Callable[..., End]] = {"checks": checks, "speed": speed, "zero": zero, "world": world}


def run_part(name: str, file: Path, seconds: float, device: str, *, toy: bool) -> None:
    """Carry a part out in this process."""
    ledger = Ledger(file, seconds)
    try:
        ledger.end(*PARTS[name](ledger, device, toy=toy))
    except OutOfTime as over:
        ledger.end("stopped", str(over))
    except Exception as error:
        ledger.end("failed", f"{type(error).__name__}: {str(error)[:500]}")
        raise


def started(name: str, file: Path, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    """Carry a part out in a process of its own; what it left."""
    command = [sys.executable, "-m", "tests.gpu.proof", "--part", name, "--part-file", str(file)]
    command += ["--seconds", str(seconds), "--device", options.device, *(["--toy"] if options.toy else [])]
    reason = ""
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=PASSIVE | os.environ, timeout=seconds + GRACE, check=False
        )
        code = done.returncode
        reason = f"its process ended with {code}" if code else ""
    except subprocess.TimeoutExpired:
        reason = f"it was killed {GRACE:.0f} s after its share of {seconds:.0f} s"
    if not file.is_file():
        return {"status": "failed", "reason": reason or "it left nothing", "figures": {}}
    found: dict[str, Any] = json.loads(file.read_text())
    if reason and found["status"] in ("done", "stopped"):
        found |= {"status": "stopped", "reason": reason}
    return found


def prove(options: argparse.Namespace) -> dict[str, Any]:
    """All parts that were asked for."""
    begun, parts = time.monotonic(), {}
    whole = sum(SHARES[name] for name in options.parts)
    told: dict[str, Any] = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"), "toy": options.toy, **about(options.device)
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        for name in options.parts:
            share = options.seconds * SHARES[name] / whole
            print(f"{name}: at most {share:.0f} s", flush=True)
            parts[name] = started(name, Path(folder) / f"{name}.json", share, options)
            print(f"{name}: {parts[name]['status']} {parts[name]['reason']}", flush=True)
            told |= {"seconds": round(time.monotonic() - begun, 1), "parts": parts}
            options.out.write_text(json.dumps(told, indent=1) + "\n")
    return told


def main() -> None:
    """Run what the command line names; 1 where a part failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=540.0, help="for all parts together")
    parser.add_argument("--parts", nargs="*", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--out", type=Path, default=Path("proof.json"))
    parser.add_argument("--toy", action="store_true", help="a toy size; on a CPU unless --device says else")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--part-file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.device = options.device or ("cpu" if options.toy else "cuda")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --toy runs the whole on a CPU at a toy size")
    if options.part:
        run_part(options.part, options.part_file, options.seconds, options.device, toy=options.toy)
        return
    parts = prove(options)["parts"]
    sys.exit(int(any(part["status"] == "failed" for part in parts.values())))


if __name__ == "__main__":
    main()
