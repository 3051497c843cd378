"""The command line: a clear sentence and the right exit code, never a traceback."""

import json
import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from flows.cli.app import app
from flows.cli.commands import show
from flows.cli.commands.show import dropped_rows
from flows.cli.guard import guarded
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.corpus.tables import DROPPED
from tasks.shown.views import own_pages
from tests.unit.infra.storage.test_store import publish, write


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
        (["plan", "tiny_rpt", "-p", "policy.stepz=3"], 2, "did you mean policy.steps?"),
        (["plan", "tiny_rpt", "-p", "seed=x"], 2, "valid integer"),
        (["plan", "tiny_rpt", "-p", "seed"], 2, "has no '='"),
        (["plan", "tiny_rpt", "-p", "data=/does/not/exist"], 2, "does not exist"),
        (["plan", "tiny_rpt", "-p", "data="], 2, "leave -p data out for the recipe's own"),
        (["run", "tiny_rpt", "-p", "model=  "], 2, "leave -p model out for the recipe's own"),
        (["plan", "tiny_rpt", "-p", "model=/does/not/exist"], 2, "neither a folder here nor a hub id"),
        (["plan", "tiny_real"], 2, "needs real files"),
        (["plan", "tiny_rpt", "--frob"], 2, "No such option"),
        (["frob"], 2, "No such command"),
        (["show", "nothing-here"], 2, "no artifact or ref"),
        (["show", "math", "--dropped", "x"], 1, "has no file 'dropped.parquet'"),
        (["demo", "--seeds", "one"], 2, "is no whole number"),
        (["demo", "--seeds", "0,-1"], 2, "'-1' is no whole number"),
        (["demo", "--seeds", "3-1"], 2, "'3-1' goes backwards; write 1-3"),
        (["demo", "--seeds", "0-2,1"], 2, "'0-2,1' names a seed twice"),
        (["plan", "rpt_14b"], 2, "no GPU"),
        (["plan", "tiny_rpt", "--placement", "engine_replicas=2"], 2, "draws in the stage's own process"),
        (
            ["plan", "tiny_rpt", "--placement", "ranks=0"],
            2,
            "ranks=0: input should be greater than or equal to 1",
        ),
        (["plan", "tiny_rpt", "--placement", "engine=sglang"], 2, "it is one of auto, torch, torch-copy"),
        (["run", "tiny_rpt", "--placement", "cards=1"], 2, "'cards=1' sets no field of a placement"),
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


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch) -> Path:
    """A corpus that dropped three rows, one of which would like to be mark-up."""
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    rows = [
        {
            "source": "text",
            "title": f"Title {n} [/bold]",
            "reason": "too-short",
            "preview": f"[red]{n}[/] [/x]",
        }
        for n in range(2)
    ]
    rows.append({"source": "text", "reason": "exact-duplicate", "native_id": "7", "preview": "same"})
    folder = tmp_path / "corpus"
    folder.mkdir()
    table = pa.Table.from_pylist(rows, schema=DROPPED)
    pq.write_table(table, folder / "dropped.parquet", row_group_size=1)
    counts = RowCounts(rows_in=4, kept=1, dropped={"exact-duplicate": 1, "too-short": 2})
    store = Store(str(tmp_path / "home" / "store"), tmp_path / "home" / "cache")
    store.add_ref("books", publish(store, folder, Outcome(rows=counts)).artifact)
    return folder / "dropped.parquet"


def test_dropped_rows_are_read_as_they_are(dropped, capsys):
    app(["show", "books", "--dropped", "too-short", "--limit", "1"], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "Title 0 [/bold]" in shown
    assert "[red]0[/] [/x]" in shown
    assert "Title 1" not in shown
    assert "1 of 2 rows dropped for too-short: fewer words than the recipe asks for." in shown
    app(["show", "books", "--dropped", "exact-duplicate", "--json"], standalone_mode=False)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["native_id"], row["preview"]) == ("7", "same")
    assert guarded(lambda: app(["show", "books", "--dropped", "language"], standalone_mode=False)) == 2
    assert "exact-duplicate 1, too-short 2" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("limit", "titles"), [(1, [0]), (2, [0, 1]), (9, [0, 1])])
def test_dropped_rows_are_read_as_far_as_they_are_wanted(dropped, limit, titles):
    rows = dropped_rows(dropped, "too-short", limit)
    assert [row["title"] for row in rows] == [f"Title {number} [/bold]" for number in titles]


def test_an_artifact_brings_its_own_page(tmp_path: Path):
    store = Store(str(tmp_path / "store"), tmp_path / "cache")
    folder = write(tmp_path / "a", x="hello")
    assert own_pages(publish(store, folder), store) == []
    (folder / "page.md").write_text("# What it is\n")
    with_page = publish(store, folder, fingerprint="b" * 64)
    assert own_pages(with_page, store) == ["# What it is\n"]


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


def test_a_recipe_too_large_for_this_machine_is_previewed(home: Path, monkeypatch, capsys):
    """The papers' numbers can be read anywhere; then it says which stage, which model and what is missing."""
    monkeypatch.setenv("RPT_HOME", str(home))
    assert guarded(lambda: app(["plan", "rpt_14b"], standalone_mode=False)) == 2
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert [line for line in lines if line[:1] == ["train-rpt"]]
    assert "1200 x 256 x 8 answers of 8192 tokens" in " ".join(said.out.split())
    told = " ".join(said.err.split())
    assert re.search(r"(train-rpt|finetune-rlvr) trains its start model deepseek-ai/\S+-14B of 14\.8 B", told)
    assert "Missing: a GPU" in told
    assert guarded(lambda: app(["plan", "rpt_14b", "--json"], standalone_mode=False)) == 2
    rows = json.loads(capsys.readouterr().out)  # what it would need, for machines too
    assert {row["action"] for row in rows} == {None}
    assert next(row for row in rows if row["stage"] == "train-rpt")["estimate"]["layout"]["ranks"] > 1


def test_a_table_in_a_pipe_has_a_line_for_each_row_and_no_word_is_broken(monkeypatch):
    out = StringIO()
    monkeypatch.setattr(show, "console", Console(file=out, highlight=False, width=80))
    cells = ["corpus/3636f2f3969f/traces.parquet" * 4, "held", "of three words and more " * 6]
    show.print_table(["file", "side", "what"], [cells, ["a", "b", "c"]])
    head, first, second = out.getvalue().splitlines()
    assert first.split() == " ".join(cells).split()
    assert (head.split(), second.split()) == (["file", "side", "what"], ["a", "b", "c"])
    assert head.index("what") == first.index("of three") == second.index("c")
