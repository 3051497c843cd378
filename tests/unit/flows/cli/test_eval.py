"""`rpt eval` on wrong words: a sentence and exit 2, before anything is made."""

import json
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from tests.tiny_tokenizers import byte_level, save


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RPT_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("gsm8k", "holiday-pictures", "supergpqa"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data" / "gsm8k" / "test.jsonl").write_text(json.dumps({"question": "P", "answer": "2"}))
    (tmp_path / "data" / "supergpqa" / "notes.yaml").write_text("x: 1")
    (tmp_path / "other" / "x").mkdir(parents=True)
    save(byte_level(), tmp_path / "tiny", template=None)
    (tmp_path / "tiny" / "config.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tiny", "--on", "gsm9k"], "no benchmark is called 'gsm9k'; there are mmlu, mmlu_pro"),
        (["tiny", "--on", "gsm9k"], "Did you mean gsm8k?"),
        (["tiny", "--on", ""], "--on names no benchmark"),
        (["tiny", "--on", "all"], "name it with --data FOLDER"),
        (["tiny", "--on", "all", "--data", "other"], "no folder in it is named as a benchmark"),
        (["tiny", "--on", "gsm8k,math500", "--data", "data"], "holds no folder for math500"),
        (["tiny", "--on", "gsm8k", "--data", "absent"], "there is no such folder"),
        (["nothing-here", "--on", "gsm8k", "--data", "data"], "no artifact or ref is called 'nothing-here'"),
        (["tiny", "--on", "gsm8k", "--data", "data", "--mode", "guess"], "mode"),
        (["tiny", "--on", "gsm8k", "--data", "data", "--prompt", "guess"], "prompt"),
        (["tiny", "--on", "gsm8k", "--data", "data", "--prompt", "chat"], "its tokenizer has none"),
        (["tiny", "--on", "gsm8k", "--data", "data", "-n", "0"], "'--samples' / '-n'"),
        (
            ["tiny", "--on", "gsm8k", "--data", "data", "--placement", "cards=1"],
            "sets no field of a placement",
        ),
        (["tiny"], "--on"),
        (
            ["tiny", "--on", "supergpqa", "--data", "data"],
            "holds no item of supergpqa (0 rows, none refused)",
        ),
        (
            ["tiny", "--on", "gsm8k", "--data", "data", "--mode", "likelihood"],
            "is not asked in the mode likelihood",
        ),
    ],
)
def test_wrong_words_end_in_a_sentence(place, words, says, capsys):
    assert guarded(lambda: app(["eval", *words], standalone_mode=False)) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (place / "home" / "store" / "artifacts").exists()
