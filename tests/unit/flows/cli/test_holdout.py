"""`rpt study --check-holdout`: what it prints of written files, and when it ends with 1."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.commands import holdout
from rpt_core.sample.second.holdout import row_of
from rpt_core.sample.second.kinds import KINDS
from rpt_core.sample.second.questions import Sentence, sentences

SEEN = next(one for one in sentences(KINDS["clock"], 2) if row_of(one) == "seen")
HELD = Sentence("clock", ("1 on", "1 on"))


def told(sentence: Sentence) -> str:
    return f"The old clock shows 3. The hand moves {', '.join(sentence.phrases)}. It now shows"


def written(folder: Path, trained: list[Sentence], held: list[Sentence]) -> Path:
    sides = [(one, "train") for one in trained] + [(one, "eval") for one in held]
    rows = [{"text": told(one), "split": side} for one, side in sides]
    pq.write_table(pa.Table.from_pylist(rows), folder / "documents.parquet")
    return folder


@pytest.fixture(autouse=True)
def few_documents(monkeypatch):
    monkeypatch.setattr(holdout, "FIRST_EDITION_DOCUMENTS", 60)


def test_clean_files_are_counted_side_by_side(tmp_path):
    ran = CliRunner().invoke(
        app, ["study", "--check-holdout", str(written(tmp_path, [SEEN] * 3, [HELD, SEEN]))]
    )
    assert ran.exit_code == 0, ran.output
    words = " ".join(ran.output.split())
    assert "Held out and found in training: 0 of 3 sentences (salt 'study-1')." in words
    assert "stand in training, start and all: 50.0%" in words


def test_json_says_the_same(tmp_path, capsys):
    holdout.show_holdout(str(written(tmp_path, [SEEN] * 3, [HELD, SEEN])), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["is_clean"], found["seen_share"]) == (True, 0.5)
    assert 0 <= found["seen_share_first_edition"] <= 1
    assert {row["side"]: (row["sentences"], row["held"], row["held_pairs"]) for row in found["files"]} == {
        "training": (3, 0, 0), "held out": (2, 1, 1),
    }  # fmt: skip
    assert found["held_by_kind_and_steps"] == {"clock-2": 1}
    assert found["held_of_all"] == {"clock": {"2": [9, 36], "3": [64, 216], "4": [522, 1296]}}


def test_a_held_sentence_in_training_ends_with_one(tmp_path, capsys):
    with pytest.raises(typer.Exit) as ended:
        holdout.show_holdout(str(written(tmp_path, [SEEN, HELD], [HELD])))
    assert ended.value.exit_code == 1
    assert "Held out and found in training: 1 of 2 sentences" in " ".join(capsys.readouterr().out.split())
