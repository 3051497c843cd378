"""Every command of the README, run as printed, in a folder of its own.

Commands are read from the README's indented blocks. Each has a class; a new line without one fails. What
needs a GPU, another environment or this very suite is parsed, and what it names is looked up.
"""

import gzip
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.main import get_command

from rpt_core.sample.world import documents

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
JOURNEY_ROWS = 60

QUICK = (
    ".venv/bin/rpt plan tiny_rpt",
    ".venv/bin/rpt plan tiny_rpt -p policy.steps=20 -p base.model.hidden_size=256",
    ".venv/bin/rpt ls --recipes",
)
"""Run by `make test`: they end in seconds, in any folder."""
REFUSED = (".venv/bin/rpt plan rpt_14b",)
"""End with exit code 2 on a machine without a GPU, in seconds."""
DEMO = ("make demo",)
"""The whole pipeline; what follows reads what it made."""
AFTER_DEMO = (
    ".venv/bin/rpt show tiny_teacher-policy --rollouts",
    ".venv/bin/rpt show tiny_teacher-corpus --dropped near-duplicate",
    ".venv/bin/rpt compare tiny_teacher-evaluation-of-policy tiny_teacher-evaluation-of-rlvr",
    ".venv/bin/rpt replay tiny_teacher-policy --step 7",
    ".venv/bin/rpt report tiny_teacher-report",
)
SERVER = "make up"
WITH_SERVER = (".venv/bin/prefect deployment run train-rpt/prod -p recipe=tiny_teacher --watch",)
OWN_TEXT = (".venv/bin/rpt run tiny_rpt -p data=my-notes",)
REAL_MODEL = "make real-model"
WITH_MODEL = ".venv/bin/rpt run tiny_rpt -p model=$HOME/.cache/rpt-models/smollm2-135m -p data=gsm8k.jsonl"
"""How the command goes on is its own; it is run as printed."""
PARSED = ("make test",)
"""Never run by a test: this suite itself."""


def printed() -> list[str]:
    """The commands of the README's blocks, without their comments, each once."""
    found = []
    for line in README.read_text().splitlines():
        command = re.match(r" {4}(?:\$ )?((?:make|\.venv/bin/\w+) .*)", line)
        if command:
            found.append(re.sub(r"\s+#.*", "", command[1]).strip())
    return list(dict.fromkeys(found))


def spoken() -> list[str]:
    """Commands of ours in the README's running text, between backquotes."""
    prose = "\n".join(line for line in README.read_text().splitlines() if not line.startswith("    "))
    return [words for words in re.findall(r"`([^`\n]+)`", prose) if re.match(r"(rpt|make) [a-z]", words)]


def class_of(command: str) -> str:
    """What becomes of a command, or nothing."""
    classes = {
        "quick": QUICK, "refused": REFUSED, "demo": DEMO, "after the demo": AFTER_DEMO,
        "server": (SERVER,), "with the server": WITH_SERVER, "own text": OWN_TEXT,
        "real model": (REAL_MODEL,), "parsed": PARSED,
    }  # fmt: skip
    if command.startswith(WITH_MODEL):
        return "with the model"
    return next((name for name, commands in classes.items() if command in commands), "")


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


def recipe_line(command: str) -> None:
    """Fail where a command names a target of make, or a command or option of rpt, that is not there."""
    words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
    if words[0] == "make":
        assert set(words[1:]) <= make_targets(), command
        return
    from flows.cli.app import app

    known = get_command(app).commands
    assert words[1] in known, command
    options = {name for option in known[words[1]].params for name in (*option.opts, *option.secondary_opts)}
    asked = {word for word in words[2:] if word.startswith("-")}
    assert asked <= options, f"{command}: {asked - options}"


@contextmanager
def folder(at: Path) -> Iterator[dict[str, str]]:
    """A copy of the repository's files in a folder of its own, and the environment to use there.

    Its ``.venv`` is this environment under another name, stamped as installed for that folder: setting one up
    is no part of these tests.
    """
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, names):
        if (REPOSITORY / name).is_file():
            (at / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, at / name)
    venv = at / ".venv"
    venv.mkdir()
    for each in Path(sys.prefix).iterdir():
        (venv / each.name).symlink_to(each)
    wanted = (
        f"{at}\n\n".encode() + (at / "pyproject.toml").read_bytes() + (at / "constraints.txt").read_bytes()
    )
    total = subprocess.run(["cksum"], input=wanted, capture_output=True, check=True).stdout.decode().strip()
    for stamp in (".installed-core", ".installed-dev"):
        (venv / stamp).unlink(missing_ok=True)
        (venv / stamp).write_text(total)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "MLFLOW_", "RPT_"))}
    yield {**env, "PYTHONPATH": str(at), "HOME": str(at / "home"), "PIP_ARGS": ""}


def run(
    command: str, at: Path, env: dict[str, str], seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """A command by a shell, as a reader types it."""
    return subprocess.run(
        command, shell=True, cwd=at, env=env, capture_output=True, text=True, timeout=seconds, check=False
    )


def done(command: str, at: Path, env: dict[str, str], seconds: float = 300) -> str:
    """Run it; it must succeed."""
    result = run(command, at, env, seconds)
    assert result.returncode == 0, f"{command}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    return result.stdout


@pytest.mark.parametrize("command", printed())
def test_every_printed_command_has_a_class_and_names_what_is_there(command: str):
    assert class_of(command), f"{command!r} stands in the README and no test runs it: give it a class here"
    if "prefect" not in command:
        recipe_line(command)


def test_no_class_holds_what_the_readme_lost():
    classified = {*QUICK, *REFUSED, *DEMO, *AFTER_DEMO, SERVER, *WITH_SERVER, *OWN_TEXT, REAL_MODEL, *PARSED}
    assert classified <= set(printed())
    assert any(command.startswith(WITH_MODEL) for command in printed())


@pytest.mark.parametrize("command", spoken())
def test_commands_in_the_text_name_what_is_there(command: str):
    recipe_line(command)


def test_files_and_pages_that_the_readme_names_are_there():
    targets = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert targets
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []


def test_the_readme_is_short_and_works_by_line_20():
    lines = README.read_text().splitlines()
    assert len(lines) < 200
    assert any(line.strip().startswith("make demo") for line in lines[:20])


@pytest.mark.slow
def test_quick_commands_run_as_printed(tmp_path: Path):
    with folder(tmp_path) as env:
        for command in QUICK:
            said = done(command, tmp_path, env)
            assert "report" in said or "tiny_rpt" in said
        for command in REFUSED:
            result = run(command, tmp_path, env)
            assert result.returncode == 2
            assert "Traceback" not in result.stderr
            assert "Missing: a GPU" in result.stderr
        assert (tmp_path / ".rpt").is_dir()  # state lies in the folder it was typed in


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_the_demo_and_what_follows_it(tmp_path: Path):
    """`make demo`, every command that reads what it made, the server and a run through it, and own text."""
    with folder(tmp_path) as env:
        for command in DEMO:
            assert "is done" in done(command, tmp_path, env, 3600)
        for command in AFTER_DEMO:
            assert done(command, tmp_path, env, 600).strip(), command
        with served(tmp_path, env):
            for command in WITH_SERVER:
                assert "Completed" in done(command, tmp_path, env, 1200)
        assert not (tmp_path / ".env").exists() or "PREFECT_API_URL" not in (tmp_path / ".env").read_text()


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_own_text_to_its_report(tmp_path: Path):
    """One text of 60 short articles."""
    with folder(tmp_path) as env:
        notes = tmp_path / "my-notes"
        notes.mkdir()
        for number, document in enumerate(documents(3, 60)):
            (notes / f"article-{number}.txt").write_text(document.text, encoding="utf-8")
        for command in OWN_TEXT:
            assert "is done" in done(command, tmp_path, env, 5000)


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.timeout(7200)
def test_a_real_model_to_its_report(tmp_path: Path):
    """`make real-model`, then the journey with it, both as printed; minutes of one core."""
    data = Path(os.environ.get("RPT_TEST_DATA", REPOSITORY.parent / "shared" / "data")).absolute()
    if not data.is_dir():
        pytest.skip(f"real problems: {data} is absent (RPT_TEST_DATA)")
    with folder(tmp_path) as env:
        assert "proven by" in done(REAL_MODEL, tmp_path, {**env, "RPT_TEST_DATA": str(data)}, 1200)
        with gzip.open(data / "gsm8k" / "train.jsonl.gz", "rt", encoding="utf-8") as rows:
            text = "".join(line for _, line in zip(range(JOURNEY_ROWS), rows, strict=False))
        (tmp_path / "gsm8k.jsonl").write_text(text, encoding="utf-8")
        (command,) = (each for each in printed() if each.startswith(WITH_MODEL))
        said = done(command, tmp_path, env, 6000)
        assert re.search(r"report/\w+ is done", said)
        assert next((tmp_path / ".rpt").rglob("report.html"))


@contextmanager
def served(at: Path, env: dict[str, str]) -> Iterator[None]:
    """`make up` while the block lasts; it must end cleanly by Ctrl-C."""
    log = (at / "up.log").open("w")
    server = subprocess.Popen(
        SERVER, shell=True, cwd=at, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        give_up = time.monotonic() + 300
        while not ((at / ".env").exists() and "Ctrl-C" in (at / "up.log").read_text()):
            assert server.poll() is None, (at / "up.log").read_text()[-2000:]
            assert time.monotonic() < give_up, "not up within five minutes"
            time.sleep(1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(120)
        log.close()
