"""A stand-in for a training process: ``python -m tests.faults.toy_train FOLDER MODE``."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from infra.runs import child
from rpt_core.errors import SourceError, StarvedError, Stopped


def _gloo_step(asked: bool) -> bool:
    """A step of all ranks; whether any was asked to stop, so that all stop at the same border."""
    from rpt_core.train.backends.ranks import init_ranks

    return any(init_ranks(int(os.environ["WORLD_SIZE"])).all_gather(asked))


def _work(folder: Path, mode: str, stopping) -> None:
    """Steps until told otherwise, leaving what each mode asks for."""
    if mode.startswith("gloo"):
        from rpt_core.train.backends.ranks import init_ranks

        init_ranks(int(os.environ["WORLD_SIZE"]))
        if mode == "gloo-fail" and child.rank() == 1:
            raise StarvedError("rank 1 found nothing")
    if mode == "family":
        for session in (False, True):
            subprocess.Popen(["sleep", "300"], start_new_session=session)
    if mode == "daemon":  # lives on after its parent unless it is swept
        subprocess.Popen(["sleep", "300"], start_new_session=True)
        return
    for step in range(4 if mode in ("done", "gloo-done") else 4000):
        stop = _gloo_step(stopping()) if mode.startswith("gloo") else stopping()
        print(f"step {step}", flush=True)
        (folder / f"step.{child.rank()}").write_text(str(step))
        if mode == "starved":
            raise StarvedError("five empty steps: 40 wrong")
        if mode == "away":
            raise SourceError("the judge is away", retryable=True)
        if mode == "bug":
            raise ZeroDivisionError("a bug of ours")
        if mode == "oom":
            os.kill(os.getpid(), 9)
        if mode == "deaf":
            re.match("(a+)+b", "a" * 64)  # holds the interpreter's lock for ever: no thread, no handler runs
        if stop:
            (folder / "saved").write_text(str(step))
            raise Stopped(f"stopped after step {step}")
        time.sleep(0.05)


def main() -> None:
    where, what = Path(sys.argv[1]), sys.argv[2]
    with child.reporting(where) as stopping:
        _work(where, what, stopping)
    if what == "lingers":
        time.sleep(300)


if __name__ == "__main__":
    main()
