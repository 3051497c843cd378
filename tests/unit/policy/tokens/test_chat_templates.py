"""Chat templates: the same prompt on every day, and one sentence for what cannot be rendered."""

import json
from pathlib import Path

import pytest

from rpt_core.errors import RecipeError
from rpt_core.objectives.prompts import problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.policy.foreign_code import refuse_foreign_code
from rpt_core.policy.tokens.chat import PROMPT_DAY, render
from tests.tiny_tokenizers import byte_level, save

TURN = [{"role": "user", "content": "2 plus 2"}]
SHOWS = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.mark.parametrize("form", ["%d %b %Y", "%Y-%m-%d", "%A, %H:%M:%S"])
def test_a_date_in_the_template_is_the_same_on_every_day(tmp_path: Path, form: str):
    template = f"Today is {{{{ strftime_now('{form}') }}}}. {SHOWS}"
    codec = Codec.load(save(byte_level(), tmp_path, template=template))
    words = codec.decode(problem_prompt("plain", codec).instruction_ids)
    assert words.startswith(f"Today is {PROMPT_DAY.strftime(form)}. Solve")
    assert PROMPT_DAY.strftime("%d %b %Y") == "26 Jul 2024"


def test_a_fallback_of_llama_3_is_the_same_day(tmp_path: Path):
    known = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2024{% endif %}"
    assert render(known, TURN, {}) == "26 Jul 2024"


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('only system turns') }}", "only system turns"),
        ("{% if messages[0].role != 'system' %}{{ raise_exception('x') }}{% endif %}" + SHOWS, "x"),
        ("{% for m in messages %}{{ m.content }", "expected"),
        ("{{ nothing.at.all }}", "undefined"),
        (SHOWS + "{{ ['a', 'b'] | random }}", "random"),
        (SHOWS + "{{ lipsum() }}", "not callable"),
        (SHOWS + "{{ 1 / 0 }}", "division"),
    ],
)
def test_a_template_that_raises_is_refused_in_one_sentence(tmp_path: Path, template: str, reason: str):
    with pytest.raises(RecipeError, match="chat template cannot write") as caught:
        Codec.load(save(byte_level(), tmp_path, template=template))
    assert reason in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("template", "reason"), [("hello", "leaves out"), (SHOWS + SHOWS, "2 times"), (SHOWS * 3, "3 times")]
)
def test_a_template_shows_the_message_exactly_once(tmp_path: Path, template: str, reason: str):
    codec = Codec.load(save(byte_level(), tmp_path, template=template))
    with pytest.raises(RecipeError, match=reason):
        problem_prompt("plain", codec)


def test_of_several_templates_the_default_is_taken(tmp_path: Path):
    named = [{"name": "tools", "template": "T"}, {"name": "default", "template": f"D {SHOWS}"}]
    codec = Codec.load(save(byte_level(), tmp_path, chat_template=named))
    assert codec.chat_template == f"D {SHOWS}"
    (tmp_path / "chat_template.jinja").write_text(f"J {SHOWS}")
    assert Codec.load(tmp_path).chat_template == f"J {SHOWS}"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["code.Foreign", None]}}),
        ("config.json", {"model_type": "llama", "auto_map": {"AutoModelForCausalLM": "code.Foreign"}}),
        ("config.json", {"model_type": "made-up", "auto_map": {"AutoConfig": "code.Foreign"}}),
        ("config.json", {"text_config": {"auto_map": {"AutoModel": "code.Foreign"}}}),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "code.Foreign"}}),
    ],
)
def test_code_that_comes_with_a_model_is_refused_by_name(tmp_path: Path, monkeypatch, name, content):
    folder = save(byte_level(), tmp_path)
    path = folder / name
    given = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**given, **content}))
    (folder / "code.py").write_text("raise SystemExit('foreign code ran')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on standard input"))
    with pytest.raises(RecipeError, match="auto_map") as caught:
        Codec.load(folder)
    assert name in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_without_code_of_its_own_passes(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "auto_map": None}))
    refuse_foreign_code(tmp_path)
