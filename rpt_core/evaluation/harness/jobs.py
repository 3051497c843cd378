"""One job of lm-evaluation-harness, in a process of its own environment.

Stands on no model: whoever asks what a task is loads no torch.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rpt_core.artifacts.interpreters import harness_python
from rpt_core.errors import BY_NAME, EngineError
from rpt_core.evaluation.harness.worker import ANSWER_FILE, ERROR_FILE, Ask, Describe

LOOK_SECONDS = 0.2
"""Between two looks at the harness's process."""
END_SECONDS = 10
"""Given to it to end by itself."""
TAIL_LINES = 3
ROOT = Path(__file__).resolve().parents[3]


def run_job(job: Ask | Describe, folder: Path, stopping: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Run one job in the harness's process and read its answer.

    Args:
        job: What is asked.
        folder: For the job's files and the process's words.
        stopping: Called again and again meanwhile; what it raises ends the process.

    Raises:
        RptError: what the job itself raised.
        EngineError: the process ended without an answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, log = folder / "job.json", folder / "harness.log"
    path.write_text(job.model_dump_json(), "utf-8")
    command = [str(harness_python()), "-m", "rpt_core.evaluation.harness.worker", str(path)]
    with log.open("ab") as words:
        process = subprocess.Popen(  # noqa: S603  (the command is ours)
            command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, env=_environment(folder)
        )
        try:
            while process.poll() is None:
                stopping()
                time.sleep(LOOK_SECONDS)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
    if (job.out / ERROR_FILE).is_file():
        said = json.loads((job.out / ERROR_FILE).read_text("utf-8"))
        raise BY_NAME[said["kind"]](said["message"])
    if process.returncode or not (job.out / ANSWER_FILE).is_file():
        tail = " | ".join(log.read_text("utf-8", "replace").strip().splitlines()[-TAIL_LINES:])
        raise EngineError(
            f"lm-evaluation-harness ended with exit code {process.returncode} and no answer; its last words: "
            f"{tail or 'none'}. The whole log is {log}."
        )
    answer: dict[str, Any] = json.loads((job.out / ANSWER_FILE).read_text("utf-8"))
    return answer


def _environment(folder: Path) -> dict[str, str]:
    """The process's environment: nothing from the hub, one copy of this code, no more threads than here."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return kept | {
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(folder / "datasets"),
        "HF_EVALUATE_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
