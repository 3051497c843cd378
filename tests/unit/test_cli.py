"""The command line: a clear sentence and the right exit code, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli import app, guarded
from infra.store import Store
from tests.unit.test_store import publish, write


def rpt(home: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.cli", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "RPT_HOME": str(home), **env},
        timeout=120,
        check=False,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state folder with one artifact, spoken of as ``math@1``."""
    store = Store(str(tmp_path / "home" / "store"), tmp_path / "home" / "cache")
    manifest = publish(store, write(tmp_path / "a", x="hello"))
    store.add_ref("math", manifest.artifact)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["plan", "tiny-rpt"], 2, "Did you mean 'tiny_rpt'"),
        (["plan", "tiny_rpt", "-p", "policy.stepz=3"], 2, "stepz: extra inputs are not permitted"),
        (["plan", "tiny_rpt", "-p", "seed=x"], 2, "valid integer"),
        (["plan", "tiny_rpt", "-p", "seed"], 2, "has no '='"),
        (["plan", "tiny_rpt", "-p", "data=/does/not/exist"], 2, "does not exist"),
        (["plan", "tiny_rpt", "-p", "model=/does/not/exist"], 2, "neither a folder here nor a hub id"),
        (["plan", "tiny_real"], 2, "needs real files"),
        (["plan", "tiny_rpt", "--frob"], 2, "No such option"),
        (["frob"], 2, "No such command"),
        (["show", "nothing-here"], 2, "no artifact or ref"),
        (["show", "math", "--dropped", "x"], 1, "has no file 'dropped.parquet'"),
        (["demo", "--seeds", "one"], 2, "is no whole number"),
        (["plan", "rpt_14b"], 2, "no GPU"),
    ],
)
def test_wrong_words_end_in_a_sentence(home: Path, words, code, says, monkeypatch, capsys):
    monkeypatch.setenv("RPT_HOME", str(home))
    assert guarded(lambda: app(words, standalone_mode=False)) == code
    assert says in " ".join(capsys.readouterr().err.split())


def test_an_unreachable_store_asks_to_try_again(home: Path):
    done = rpt(
        home,
        "ls",
        RPT_STORE="s3://anything/x",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="b",
        AWS_MAX_ATTEMPTS="1",
    )
    assert done.returncode == 75
    assert "Traceback" not in done.stderr


def test_what_is_there_is_listed_and_shown(home: Path):
    (row,) = json.loads(rpt(home, "ls", "--json").stdout)
    assert row["kind"] == "corpus"
    assert row["refs"] == ["math@1"]
    assert {"kind", "fingerprint", "refs", "created"} <= row.keys()
    shown = json.loads(rpt(home, "show", "math@1", "--json").stdout)
    assert shown["outcome"]["rows"]["rows_in"] == 0
    assert "files hold what their manifest says" in rpt(home, "verify", "math").stdout
    assert "corpus/ffffffffffff" in rpt(home, "lineage", "math").stdout


def test_a_plan_touches_nothing(home: Path):
    before = sorted(home.rglob("*"))
    lines = json.loads(rpt(home, "plan", "tiny_rpt", "--json").stdout)
    assert [line["action"] for line in lines] == ["build"] + ["build after its inputs"] * 11
    assert [path for path in sorted(home.rglob("*")) if "prefect" not in path.parts] == before
