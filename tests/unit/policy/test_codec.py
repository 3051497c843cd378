"""Text to ids and back, byte for byte; control tokens only by name."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec
from rpt_core.policy.tokens.check import PROBES
from rpt_core.policy.tokens.sentencepiece import read_sentencepiece
from rpt_core.policy.tokens.vocabulary import CONTROL_TEXT

TEXT = "The old clock shows 3. A naïve 数学 text, an emoji \U0001f680, and \\boxed{ 7}. " * 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("codec")
    Codec.train([TEXT], 340, folder)
    return folder


@pytest.fixture(scope="module")
def codec(folder: Path) -> Codec:
    return Codec.load(folder)


@pytest.mark.parametrize("probe", [*PROBES, "", " ", "\n", "a\u0000b", "\u2581"])
def test_round_trip(codec: Codec, probe: str):
    assert codec.to_bytes(codec.encode(probe)) == probe.encode()


def test_control_words_in_data_are_plain_text(codec: Codec):
    for name, text in CONTROL_TEXT.items():
        (control,) = codec.control(name)
        assert control not in codec.encode(f"see {text} here")
        assert codec.token_bytes(control) == text.encode()
        assert codec.encode_template(text) == [control]


def test_where_tokens_begin(codec: Codec):
    text = "a\u6570b \U0001f680."
    ids = codec.encode(text)
    offsets = codec.char_offsets(ids)
    for token, offset in zip(ids, offsets, strict=True):
        first = codec.token_bytes(token)[0]
        assert (offset < 0) == (first & 0xC0 == 0x80)
        if offset >= 0:
            assert codec.token_bytes(token).startswith(text[offset].encode()[:1])
    assert codec.byte_starts(ids)[-1] == len(text.encode())


def test_the_same_text_trains_the_same_tokenizer(folder: Path, tmp_path: Path, codec: Codec):
    again = Codec.train([TEXT], 340, tmp_path)
    assert again.fingerprint() == codec.fingerprint()
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_saving_changes_nothing(codec: Codec, folder: Path, tmp_path: Path):
    codec.save(tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }


def test_transformers_reads_the_same_tokenizer(codec: Codec, folder: Path):
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(folder)
    assert theirs("The old clock, 数学.\n\n x")["input_ids"] == codec.encode("The old clock, 数学.\n\n x")
    assert theirs.eos_token_id == codec.end_id
    assert theirs.pad_token_id == codec.pad_id


def test_an_end_token_may_have_several_ids(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 1]}))
    assert Codec.load(tmp_path).end_ids == {0, 1}


def refusal(folder: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        Codec.load(folder)
    return str(caught.value)


def test_an_empty_tokenizer_is_refused_by_name(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    empty = Tokenizer(models.BPE())
    empty.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    empty.add_special_tokens(["<|end|>"])
    empty.save(str(tmp_path / "tokenizer.json"))
    assert "became 0 tokens" in refusal(tmp_path)


def test_a_lossy_tokenizer_is_refused_by_name(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "the": 1, "<|end|>": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    assert "does not give back" in refusal(tmp_path)


def test_a_folder_without_tokenizer_or_end_is_refused_by_name(folder: Path, tmp_path: Path):
    assert "no tokenizer to read" in refusal(tmp_path)
    shutil.copy(folder / "tokenizer.json", tmp_path)
    assert "no token that ends an answer" in refusal(tmp_path)


def test_a_broken_sentencepiece_file_is_refused_by_name(tmp_path: Path):
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\xff\xff\xff")
    with pytest.raises(RecipeError, match="do not parse"):
        read_sentencepiece(tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer.model").write_bytes(b"\x0a\x03\x0a\x01a")
    with pytest.raises(RecipeError, match="256 byte pieces"):
        read_sentencepiece(tmp_path / "tokenizer.model")


def test_prefix_space_and_normalisation_are_switched_off(folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    state = json.loads((tmp_path / "tokenizer.json").read_text())
    state["normalizer"] = {"type": "NFKC"}
    state["pre_tokenizer"]["add_prefix_space"] = True
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    codec = Codec.load(tmp_path)
    for text in ("word", "ﬁ nai\u0308ve", " word"):
        assert codec.to_bytes(codec.encode(text)) == text.encode()
