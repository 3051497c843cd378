"""How the other machines of a training get to work where nothing starts programs on all of them at once.

Under Slurm ``srun`` does. Pods of Kubernetes, or machines with nothing but a shared folder, follow instead:
one leads, the others wait for what it starts, and run the same command beside it.

    RPT_NODES_START="python -m infra.runs.follow lead"      # on the machine that runs `rpt run ...`
    python -m infra.runs.follow                             # on each of the others, until the leader's end

They meet in ``nodes/`` of the state folder (``RPT_HOME``), which all of them see. The leader writes there
what it runs, with the variables of a stage's process and no others: credentials come from each machine's own
environment. It takes the note away when its part has ended, and each follower then ends its own. A folder is
of one job: give another job another state folder, or let it come after.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from infra.runs.lifeline import MARKS

FOLDER, NOTE, END = "nodes", "command.json", "ended"
TICK_SECONDS = 0.5
GRACE_SECONDS = 30.0
"""How long a follower's part may take to end by itself when the leader's has."""
CARRIED = (
    "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "TOKENIZERS_PARALLELISM", "PYTHONSAFEPATH",
    "PYTHONUNBUFFERED", "PYTHONFAULTHANDLER", "HF_HUB_OFFLINE", *MARKS,
)  # fmt: skip
"""What :func:`infra.runs.launch.training_env` sets, and the marks of the run; GPUs are each machine's own."""


def lead(folder: Path, command: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a command here, and let those who follow run it too.

    Args:
        folder: ``nodes/`` of the state folder.
        command: The same for every machine: torchrun finds out which of them it is on.
        environment: Of this process.

    Returns:
        The command's exit code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note, part = folder / NOTE, folder / f"{NOTE}.part"
    carried = {name: environment[name] for name in CARRIED if name in environment}
    part.write_text(json.dumps({"command": list(command), "environment": carried, "begun": time.time_ns()}))
    part.replace(note)
    process = subprocess.Popen(command)  # noqa: S603  (a stage's own torchrun)
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {each: signal.signal(each, lambda number, _: process.send_signal(number)) for each in numbers}
    try:
        return process.wait()
    finally:
        note.unlink(missing_ok=True)
        for each, handler in before.items():
            signal.signal(each, handler)


def follow(folder: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Run whatever the leader runs, one thing after another, until it says that no more comes.

    How a part ends here is not told: the leader's ranks hear of it, and the leader says it in one sentence.
    """
    done = 0
    while not (folder / END).exists():
        note = _read(folder / NOTE)
        if note is None or note["begun"] <= done:
            time.sleep(TICK_SECONDS)
            continue
        done = note["begun"]
        process = subprocess.Popen(  # noqa: S603  (written by the leader of the same job)
            note["command"], env={**environment, **note["environment"]}, start_new_session=True
        )
        _until_ended(process, folder, done)


def _read(note: Path) -> dict[str, Any] | None:
    with suppress(FileNotFoundError):
        found: dict[str, Any] = json.loads(note.read_text())
        return found
    return None


def _until_ended(process: "subprocess.Popen[bytes]", folder: Path, begun: int) -> None:
    """Wait for a part; when the leader's is over and this one does not end, end its process group."""
    alone_since = None
    while process.poll() is None:
        note = _read(folder / NOTE)
        if note is not None and note["begun"] == begun:
            alone_since = None
        elif alone_since is None:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > GRACE_SECONDS:
            break
        time.sleep(TICK_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def end(folder: Path) -> None:
    """Let every follower go: no more comes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / END).write_text("")


def main() -> None:
    """``lead COMMAND...``, ``end``, or nothing to follow."""
    folder = Path(os.environ.get("RPT_HOME") or ".rpt").absolute() / FOLDER
    words = sys.argv[1:]
    if words[:1] == ["lead"]:
        raise SystemExit(lead(folder, words[1:]))
    if words == ["end"]:
        end(folder)
        return
    follow(folder)


if __name__ == "__main__":
    main()
