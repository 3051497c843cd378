"""Real tokenizers on real scripts: GPT-2, Qwen2 (bytes), Mistral (SentencePiece with byte fallback)."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpt_core.objectives.next_token.prefix import (
    first_token,
    is_first_token,
    is_prefix,
    num_whole_tokens,
    truth_of,
)
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.next_token.templates import FENCE, TEMPLATES
from rpt_core.objectives.prompts import PROBLEM_PLAIN, problem_prompt
from rpt_core.policy.codec import Codec

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "tokenizers"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"real tokenizers: {DATA} is absent (RPT_TEST_DATA)"),
]

TEXTS = {
    "english": "The quick brown fox, 1984; \tit's fine.\r\n\n  Two  spaces.",
    "chinese": "强化学习把没有标注的文本变成奖励信号。",
    "japanese": "言葉の続きを考えてから当てる。",
    "arabic": "التنبؤ بالكلمة التالية بعد التفكير",
    "emoji": "ok \U0001f469\u200d\U0001f680\U0001f3fd and \U0001f1f3\U0001f1f1!",
    "latex": r"Thus $\frac{a}{b} = \boxed{\sqrt{2}}$ and \text{so} on \\ % {",
    "markup": "</think><think><s></s><|endoftext|><|im_end|>[INST]\u2581x",
    "combining": "nai\u0308ve e\u0301 \u1e9b\u0323 ﬁ",
}


NAMES = ("gpt2", "qwen2", "mistral")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("script", TEXTS)
def test_every_script_comes_back_byte_for_byte(codecs, name: str, script: str):
    codec, text = codecs[name], TEXTS[script]
    ids = codec.encode(text)
    assert codec.to_bytes(ids) == text.encode()
    assert not set(ids) & codec.end_ids
    offsets = codec.char_offsets(ids)
    for token, offset in zip(ids, offsets, strict=True):
        assert (offset < 0) == (codec.token_bytes(token)[0] & 0xC0 == 0x80)


@pytest.mark.parametrize(
    ("name", "size", "text", "ids"),
    [
        ("gpt2", 50257, "Hello world", [15496, 995]),
        ("qwen2", 151646, "Hello world", [9707, 1879]),
        ("mistral", 32000, " Hello world", [22557, 1526]),
    ],
)
def test_ids_are_the_published_ones(codecs, name: str, size: int, text: str, ids: list[int]):
    assert len(codecs[name]) == size
    assert codecs[name].encode(text) == ids


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("script", TEXTS)
def test_every_whole_prefix_of_the_truth_earns_the_reward(codecs, name: str, script: str):
    codec, text = codecs[name], TEXTS[script]
    tokens = [codec.token_bytes(token) for token in codec.encode(text)]
    truth = truth_of(tokens)
    right = {length for length in range(len(text.encode()) + 1) if is_prefix(text.encode()[:length], truth)}
    lengths = {len(b"".join(tokens[:count])) for count in range(1, len(tokens) + 1)}
    assert right == {n for n in lengths if n == len(text.encode()) or text.encode()[n] & 0xC0 != 0x80}


@pytest.mark.parametrize("name", NAMES)
def test_the_first_token_rule(codecs, name: str):
    codec = codecs[name]
    truth = codec.encode(" parameters")[0]
    assert is_first_token(b" parameters", truth, codec)
    assert not is_first_token(b" zebra", truth, codec)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=40))
def test_any_text_comes_back(codecs, name: str, text: str):
    codec = codecs[name]
    assert codec.to_bytes(codec.encode(text)) == text.encode()


def test_chat_templates_of_a_real_family(codecs):
    codec = codecs["qwen2"]
    prompt = next_token_prompt("v6", codec)
    assert codec.decode(prompt.instruction_ids).startswith("<|im_start|>system\n")
    assert prompt.instruction_ids[0] == 151644
    assert codec.decode(prompt.suffix_ids).endswith("<|im_end|>\n<|im_start|>assistant\n<think>\n")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("template", sorted(TEMPLATES))
def test_every_template_has_its_words_around_the_text(codecs, name: str, template: str):
    codec, words = codecs[name], TEMPLATES[template]
    prompt = next_token_prompt(template, codec)
    before, after = codec.decode(prompt.instruction_ids), codec.decode(prompt.suffix_ids)
    assert words.before.strip() in before
    assert after.lstrip().startswith(words.after.strip())
    assert after.rstrip().endswith("<think>")
    if FENCE in words.before:
        assert before.endswith(FENCE)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("script", TEXTS)
def test_a_longer_right_prediction_never_earns_less(codecs, name: str, script: str):
    codec, text = codecs[name], TEXTS[script]
    truth = truth_of([codec.token_bytes(token) for token in codec.encode(text)])
    tokens = [num_whole_tokens(text.encode()[:length], truth) for length in sorted(truth.boundaries)]
    assert tokens == list(range(1, len(tokens) + 1))
    assert all(
        num_whole_tokens(text.encode()[:n], truth) == 0
        for n in range(len(text.encode()))
        if n not in truth.boundaries
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("script", TEXTS)
def test_the_first_token_of_a_guess_is_the_texts_own(codecs, name: str, script: str):
    codec, text = codecs[name], TEXTS[script]
    assert first_token(text.encode(), codec) == codec.encode(text)[0]
    assert first_token("壁".encode()[:2], codec) is None
    assert first_token(b"", codec) is None


def test_saving_a_sentencepiece_model_keeps_it(codecs, tmp_path: Path):
    codecs["mistral"].save(tmp_path)
    again = Codec.load(tmp_path)
    assert again.encode(TEXTS["japanese"]) == codecs["mistral"].encode(TEXTS["japanese"])
    shutil.rmtree(tmp_path)


def test_only_a_family_with_bos_begins_prompts_with_it(codecs):
    assert {name: codec.begin_ids for name, codec in codecs.items()} == {
        "gpt2": (),
        "qwen2": (),
        "mistral": (1,),
    }
    prompt = problem_prompt("plain", codecs["mistral"])
    assert prompt.instruction_ids[0] == 1
    assert codecs["mistral"].to_bytes(prompt.instruction_ids[1:]) == PROBLEM_PLAIN.encode()
