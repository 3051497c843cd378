"""Which form fits a model, and what a prompt looks like in it."""

from pathlib import Path

import pytest

from rpt_core.errors import RecipeError
from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.pack import Form, Message
from rpt_core.evaluation.benchmarks.suite.prompts import Prompter, usual_form
from rpt_core.policy.codec import Codec
from tests.tiny_tokenizers import CHATML, byte_level, save, with_added
from tests.unit.evaluation.folders import texts

ITEM = Item("one", "2 plus 2?", "4")
WORDS = Message("Solve it.\n\n", ITEM.question)
OPENS = CHATML.replace("assistant\n", "assistant\n<think>\n")


def codec_of(folder: Path, template: str | None, *, thinks: bool = False) -> Codec:
    tokenizer = byte_level()
    if thinks:
        tokenizer = with_added(tokenizer, "<think>")
    return Codec.load(save(tokenizer, folder, template=template))


def prompt(codec: Codec, form: Form) -> tuple[str, bool]:
    asked = Prompter(codec, "gsm8k", form)(ITEM, WORDS)
    return codec.decode(asked.ids), asked.in_thought


def test_the_form_follows_the_tokenizer(tmp_path):
    assert usual_form(Codec.train(texts(20), 280, tmp_path / "ours")) == "think"
    assert usual_form(codec_of(tmp_path / "thinks", CHATML, thinks=True)) == "think"
    assert usual_form(codec_of(tmp_path / "chat", CHATML)) == "chat"
    assert usual_form(codec_of(tmp_path / "base", None)) == "plain"


def test_each_form_puts_the_same_words_in_its_own_way(tmp_path):
    codec = codec_of(tmp_path / "chat", CHATML)
    user = "<|im_start|>user\nSolve it.\n\n2 plus 2?<|im_end|>\n<|im_start|>assistant\n"
    assert prompt(codec, "chat") == (user, False)
    assert prompt(codec, "think") == (f"{user}<think>\n", True)
    assert prompt(codec, "plain") == ("Solve it.\n\n2 plus 2?\n\n### Answer\n", False)


def test_a_template_that_opens_a_thought_has_it_end_first(tmp_path):
    text, in_thought = prompt(codec_of(tmp_path / "opens", OPENS), "chat")
    assert text.endswith("assistant\n<think>\n")
    assert in_thought


def test_solved_examples_are_plain_text_in_any_form(tmp_path):
    codec = codec_of(tmp_path / "chat", CHATML)
    raw = Message("", "Q: 2 plus 2?\nA:", raw=True, stops=("Q:",))
    assert len({Prompter(codec, "gsm8k", form)(ITEM, raw).ids for form in ("think", "chat", "plain")}) == 1


def test_a_chat_form_needs_a_template(tmp_path):
    with pytest.raises(RecipeError, match=r"this model has none\. Ask it with --prompt plain"):
        prompt(codec_of(tmp_path / "base", None), "chat")
