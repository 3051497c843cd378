"""`rpt eval --harness`: what is refused before anything is asked, and by which sentence."""

import pytest

from flows.cli.app import app
from rpt_core.errors import CapacityError, RecipeError


def refused(*words: str, by: type[Exception] = RecipeError) -> str:
    with pytest.raises(by) as raised:
        app(["eval", *words], standalone_mode=False)
    return str(raised.value)


@pytest.mark.parametrize("words", [(), ("--on", "gsm8k", "--harness", "gsm8k")])
def test_either_benchmarks_or_tasks_of_the_harness_are_named(words):
    assert "with --on, or tasks of lm-evaluation-harness with --harness" in refused("model", *words)


@pytest.mark.parametrize(
    ("option", "value"), [("--samples", "3"), ("--temperature", "0"), ("--top-p", "0.5"), ("--mode", "plain")]
)
def test_what_a_task_says_itself_is_not_said_beside_it(option, value):
    said = refused("model", "--harness", "gsm8k", "--data", "x", option, value)
    assert said.startswith(option)
    assert "says itself how it is asked" in said


def test_tasks_are_asked_of_local_data_alone():
    assert "--data FOLDER" in refused("model", "--harness", "gsm8k")


def test_without_the_harness_environment_the_sentence_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_HARNESS_PYTHON", str(tmp_path / "none"))
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    words = (str(tmp_path / "model"), "--harness", "gsm8k", "--data", str(tmp_path))
    assert "make harness" in refused(*words, by=CapacityError)
