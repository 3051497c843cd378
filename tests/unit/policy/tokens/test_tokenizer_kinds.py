"""Tokenizers of foreign kinds: the ids of the folder's own tokenizer, or a refusal with both."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer

from rpt_core.errors import RecipeError
from rpt_core.objectives.next_segment.prompts import segment_prompt
from rpt_core.objectives.next_token.prompts import next_token_prompt
from rpt_core.objectives.prompts import PROBLEM_PLAIN, problem_prompt
from rpt_core.policy.codec import Codec
from rpt_core.policy.tokens.sentencepiece import read_sentencepiece
from rpt_core.policy.tokens.vocabulary import continuing_copy
from tests.tiny_tokenizers import (
    BOS,
    CHATML,
    EOS,
    MISTRAL,
    TEXT,
    Prefix,
    begins_with_bos,
    byte_level,
    save,
    sentencepiece_like,
    with_added,
)

DOCUMENT = "2 plus 2"
SCHEMES: tuple[Prefix, ...] = ("prepend", "first", "always", "never")


def theirs(folder: Path):
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def clip(tokenizer: Tokenizer) -> None:
    tokenizer.enable_truncation(8)


def clip_left(tokenizer: Tokenizer) -> None:
    tokenizer.enable_truncation(3, direction="left")


def pad(tokenizer: Tokenizer) -> None:
    tokenizer.enable_padding(length=64, pad_id=1, pad_token=EOS)


def pad_left(tokenizer: Tokenizer) -> None:
    tokenizer.enable_padding(length=16, direction="left", pad_to_multiple_of=8)


@pytest.mark.parametrize("limit", [clip, clip_left, pad, pad_left])
@pytest.mark.parametrize("template", [None, CHATML])
def test_truncation_and_padding_saved_with_a_tokenizer_never_act(tmp_path: Path, limit, template):
    clean = Codec.load(save(byte_level(), tmp_path / "clean", template=template))
    limited = byte_level()
    limit(limited)
    codec = Codec.load(save(limited, tmp_path / "limited", template=template))
    assert problem_prompt("plain", codec) == problem_prompt("plain", clean)
    assert PROBLEM_PLAIN.encode() in codec.to_bytes(problem_prompt("plain", codec).instruction_ids)
    assert codec.to_bytes(problem_prompt("plain", codec).suffix_ids).endswith(b"<think>\n")
    assert codec.encode_all(TEXT) == clean.encode_all(TEXT)


@pytest.mark.parametrize("ends_with_eos", [False, True])
@pytest.mark.parametrize("tokenizer", [byte_level, lambda: sentencepiece_like("never")])
def test_every_prompt_begins_with_bos_where_the_tokenizer_gives_it(tmp_path: Path, tokenizer, ends_with_eos):
    folder = save(begins_with_bos(tokenizer(), ends_with_eos=ends_with_eos), tmp_path)
    codec, bos = Codec.load(folder), tokenizer().token_to_id(BOS)
    assert codec.begin_ids == (bos,)
    prompt = problem_prompt("plain", codec)
    own = theirs(folder)(PROBLEM_PLAIN)["input_ids"]
    assert list(prompt.instruction_ids) == (own[:-1] if ends_with_eos else own)
    for ids in (
        next_token_prompt("v6", codec).instruction_ids,
        segment_prompt("auto", codec).instruction_ids,
    ):
        assert (ids[0], ids.count(bos)) == (bos, 1)
    assert bos not in prompt.suffix_ids


@pytest.mark.parametrize("template", [MISTRAL, CHATML], ids=["writes BOS", "writes none"])
def test_bos_stands_once_with_a_chat_template(tmp_path: Path, template: str):
    codec = Codec.load(save(begins_with_bos(byte_level()), tmp_path, template=template))
    ids = problem_prompt("plain", codec).instruction_ids
    assert ids[:1] == codec.begin_ids
    assert ids.count(codec.begin_ids[0]) == 1


def test_no_bos_where_the_tokenizer_gives_none(tmp_path: Path):
    codec = Codec.load(save(byte_level(), tmp_path))
    assert codec.begin_ids == ()
    assert codec.to_bytes(problem_prompt("plain", codec).instruction_ids) == PROBLEM_PLAIN.encode()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    "template", [MISTRAL, CHATML, "{% for m in messages %}Q: {{ m.content }} A:{% endfor %}"]
)
@pytest.mark.parametrize("with_bos", [False, True])
def test_a_template_in_pieces_has_the_ids_of_one_piece(tmp_path: Path, scheme, template, with_bos):
    tokenizer = sentencepiece_like(scheme)
    folder = save(begins_with_bos(tokenizer) if with_bos else tokenizer, tmp_path, template=template)
    codec = Codec.load(folder)
    prompt = problem_prompt("plain", codec)
    pieces = [*prompt.instruction_ids, *codec.encode(DOCUMENT), *prompt.suffix_ids]
    message = [{"role": "user", "content": f"{PROBLEM_PLAIN}{DOCUMENT}"}]
    own = theirs(folder)
    text = own.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    whole = own(f"{text}<think>\n", add_special_tokens=False)["input_ids"]
    bos = codec.begin_ids if template != MISTRAL else ()
    assert pieces == [*bos, *whole]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_of_ours_get_no_blank_before_them(tmp_path: Path, scheme):
    codec = Codec.load(save(sentencepiece_like(scheme), tmp_path))
    for words in ("Hello", " Hello", "\n\n### Answer\n", "", "[/INST]"):
        assert codec.to_bytes(codec.encode_template(words)) == words.encode()
    prompt = problem_prompt("plain", codec)
    assert codec.to_bytes(prompt.instruction_ids) == PROBLEM_PLAIN.encode()


def test_a_prefix_space_of_gpt2s_kind_is_no_part_of_a_suffix(tmp_path: Path):
    codec = Codec.load(save(byte_level(prefix_space=True), tmp_path, template=CHATML))
    assert codec.to_bytes(codec.encode_template("Hello")) == b"Hello"
    assert codec.to_bytes(codec.encode("Hello")) == b"Hello"


@pytest.mark.parametrize("flags", [{"rstrip": True}, {"lstrip": True}, {"lstrip": True, "rstrip": True}])
def test_control_tokens_that_take_the_blanks_beside_them(tmp_path: Path, flags):
    tokenizer = with_added(byte_level(), "<|im_end|>", **flags)
    folder = save(with_added(tokenizer, "<|im_start|>", **flags), tmp_path, template=CHATML)
    codec, own = Codec.load(folder), theirs(folder)
    text = "<|im_start|>user\n2 plus 2<|im_end|> \n<|im_start|>assistant\nso"
    assert codec.encode_template(text) == own(text, add_special_tokens=False)["input_ids"]
    assert codec.to_bytes(codec.encode("a <|im_end|> b")) == b"a <|im_end|> b"


def test_a_class_that_reads_the_file_its_own_way_is_followed(tmp_path: Path):
    """Llama's class puts a blank before a text whatever ``tokenizer.json`` says."""
    folder = save(
        sentencepiece_like("never"), tmp_path, template=MISTRAL, tokenizer_class="LlamaTokenizerFast"
    )
    codec, own = Codec.load(folder), theirs(folder)
    assert own("Solve", add_special_tokens=False)["input_ids"] == codec.encode(" Solve")
    prompt = problem_prompt("plain", codec)
    text = own.apply_chat_template(
        [{"role": "user", "content": f"{PROBLEM_PLAIN}{DOCUMENT}"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    whole = own(f"{text}<think>\n", add_special_tokens=False)["input_ids"]
    assert [*prompt.instruction_ids, *codec.encode(DOCUMENT), *prompt.suffix_ids] == whole


def test_tidying_of_decoded_text_changes_nothing(tmp_path: Path):
    codec = Codec.load(save(byte_level(), tmp_path, clean_up_tokenization_spaces=True))
    assert codec.decode(codec.encode("well , n't . yes ?")) == "well , n't . yes ?"


@pytest.mark.parametrize(
    "normalizer", [normalizers.Lowercase(), normalizers.Replace("12", "13"), normalizers.Replace("\n", " ")]
)
def test_a_normaliser_that_changes_texts_is_refused_with_both_ids(tmp_path: Path, normalizer):
    tokenizer = byte_level()
    tokenizer.normalizer = normalizer
    ours = Codec.load(save(byte_level(), tmp_path / "without")).encode("Hello")
    with pytest.raises(RecipeError, match="changes texts before it encodes them") as caught:
        Codec.load(save(tokenizer, tmp_path / "with"))
    assert caught.value.exit_code == 2
    assert len(ours) > 0


def test_a_normaliser_of_composed_characters_is_no_part_of_data(tmp_path: Path):
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.NFC()
    codec = Codec.load(save(tokenizer, tmp_path))
    assert codec.to_bytes(codec.encode("nai\u0308ve")) == "nai\u0308ve".encode()


def test_words_that_do_not_come_back_are_refused(tmp_path: Path):
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.NFC()
    codec = Codec.load(save(tokenizer, tmp_path))
    with pytest.raises(RecipeError, match="does not give back a prompt"):
        codec.encode_template("nai\u0308ve")


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=120,
        special_tokens=["<unk>", BOS, EOS],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def test_a_tokenizer_that_cannot_spell_every_text_is_refused(tmp_path: Path):
    with pytest.raises(RecipeError, match="does not give back what it is given"):
        Codec.load(save(unigram(), tmp_path))


def cut_to_a_third(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text[: len(text) // 3])


def empty(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("")


def of_an_unknown_kind(folder: Path) -> None:
    state = json.loads((folder / "tokenizer.json").read_text())
    state["model"]["type"] = "Telepathy"
    (folder / "tokenizer.json").write_text(json.dumps(state))


def without_a_model(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0"}')


def with_a_huge_id(folder: Path) -> None:
    state = json.loads((folder / "tokenizer.json").read_text())
    state["added_tokens"].append({**state["added_tokens"][0], "content": "<far>", "id": 2_000_000_000})
    state["model"]["vocab"]["<far>"] = 2_000_000_000
    (folder / "tokenizer.json").write_text(json.dumps(state))


def with_a_huge_added_id(folder: Path) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    decoder = {"2000000000": {"content": "<far>", "special": True}}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "added_tokens_decoder": decoder}))


def broken_settings(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"eos_token": ')


def settings_of_another_type(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('["</s>"]')


def deep_settings(folder: Path) -> None:
    (folder / "generation_config.json").write_text("[" * 100_000 + "]" * 100_000)


@pytest.mark.parametrize(
    "damage",
    [
        cut_to_a_third, empty, of_an_unknown_kind, without_a_model, with_a_huge_id, with_a_huge_added_id,
        broken_settings, settings_of_another_type, deep_settings,
    ],
)  # fmt: skip
def test_a_broken_tokenizer_is_refused_in_one_sentence(tmp_path: Path, damage):
    folder = save(byte_level(), tmp_path)
    damage(folder)
    with pytest.raises(RecipeError) as caught:
        Codec.load(folder)
    assert caught.value.exit_code == 2
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_tokenizers_config_wins_over_the_map_of_special_tokens(tmp_path: Path):
    folder = save(byte_level(), tmp_path)
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": BOS, "pad_token": "<|im_end|>"}))
    codec = Codec.load(folder)
    own = byte_level()
    assert codec.end_ids == {own.token_to_id(EOS)}
    assert codec.pad_id == own.token_to_id("<|im_end|>")  # which the first does not name


def test_the_tokenizers_own_end_ends_answers_beside_the_listed_ones(tmp_path: Path):
    folder = save(byte_level(), tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [3]}))
    assert Codec.load(folder).end_ids == {3, byte_level().token_to_id(EOS)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_letter_for_a_blank_is_spelled_by_its_bytes(tmp_path: Path, scheme):
    tokenizer = sentencepiece_like(scheme)
    codec = Codec.load(save(tokenizer, tmp_path))
    pieces = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in "\u2581".encode()]
    assert codec.encode("\u2581") == pieces
    for text in ("a\u2581b", "\u2581\u2581 \u2581", "a \u2581"):
        assert codec.to_bytes(codec.encode(text)) == text.encode()
        assert codec.encode_all([text, "plain"]) == [codec.encode(text), codec.encode("plain")]


def sentencepiece_file(path: Path) -> Path:
    """A ``tokenizer.model`` of 256 bytes, three controls and a few pieces."""

    def varint(number: int) -> bytes:
        return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)

    def piece(text: str, kind: int, score: float) -> bytes:
        import struct

        spelled = text.encode()
        body = (
            b"\x0a"
            + varint(len(spelled))
            + spelled
            + b"\x15"
            + struct.pack("<f", score)
            + b"\x18"
            + varint(kind)
        )
        return b"\x0a" + varint(len(body)) + body

    pieces = [("<unk>", 2, 0.0), (BOS, 3, 0.0), (EOS, 3, 0.0)]
    pieces += [(f"<0x{byte:02X}>", 6, 0.0) for byte in range(256)]
    pieces += [(text, 1, -float(i)) for i, text in enumerate(["\u2581a", "ab", "\u2581", "a", "b", "2", "+"])]
    path.write_bytes(b"".join(piece(*one) for one in pieces))
    return path


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        ({}, True),
        ({"add_bos_token": True}, True),
        ({"add_bos_token": False}, False),
        ({"bos_token": {"content": BOS, "lstrip": False}}, True),
    ],
)
def test_a_sentencepiece_file_alone_begins_texts_with_bos(tmp_path: Path, settings, begins):
    sentencepiece_file(tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": EOS, **settings}))
    codec = Codec.load(tmp_path)
    assert codec.begin_ids == ((1,) if begins else ())
    codec.save(tmp_path / "again")
    again = Codec.load(tmp_path / "again")
    assert (again.begin_ids, again.fingerprint()) == (codec.begin_ids, codec.fingerprint())
    assert read_sentencepiece(tmp_path / "tokenizer.model").encode("a").tokens == [BOS, "\u2581a"]


def test_a_saved_tokenizer_begins_texts_as_before(tmp_path: Path):
    folder = save(begins_with_bos(byte_level()), tmp_path / "first", template=CHATML)
    codec = Codec.load(folder)
    codec.save(tmp_path / "second")
    again = Codec.load(tmp_path / "second")
    assert again.begin_ids == codec.begin_ids
    assert problem_prompt("plain", again) == problem_prompt("plain", codec)
    shutil.rmtree(tmp_path / "second")


def test_a_begin_of_sequence_is_no_blank_before_the_first_word():
    assert continuing_copy(begins_with_bos(byte_level())) is None
    assert continuing_copy(byte_level()) is None
    assert continuing_copy(byte_level(prefix_space=True)) is not None


def test_a_trained_tokenizer_says_how_it_is_read(tmp_path: Path):
    codec = Codec.train([TEXT * 20], 300, tmp_path, 77)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False, "model_max_length": 77,
    }  # fmt: skip
    own = AutoTokenizer.from_pretrained(tmp_path)
    assert own.decode(codec.encode("a , b .")) == "a , b ."
