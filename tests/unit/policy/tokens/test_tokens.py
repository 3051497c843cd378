"""Tokenizers' files, letters and bytes: every rule by itself."""

import json
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import pre_tokenizers

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec
from rpt_core.policy.tokens import check, sentencepiece, vocabulary
from rpt_core.policy.tokens.sentencepiece import Piece, read_sentencepiece
from rpt_core.policy.tokens.vocabulary import CONTROL_TEXT, MARK_TEXT, MOST_IDS, train_bpe
from tests.tiny_tokenizers import EOS, byte_level, save, sentencepiece_like

HERE = Path("tokenizer.model")


def _varint(number: int) -> bytes:
    rest, low = divmod(number, 128)
    return bytes([low]) if not rest else bytes([low | 128]) + _varint(rest)


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _piece(text: str, score: float | None = None, kind: int | None = None) -> bytes:
    body = _field(1, text.encode())
    body += b"" if score is None else _varint(2 << 3 | 5) + struct.pack("<f", score)
    body += b"" if kind is None else _varint(3 << 3) + _varint(kind)
    return _field(1, body)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 16_384, 2**32 + 5, 2**70 - 1])
def test_whole_numbers_of_any_length_are_read(number):
    data = b"\xff" + _varint(number) + b"\x07"
    assert sentencepiece._varint(data, 1, HERE) == (number, len(data) - 1)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 9, b"\xff" * 10 + b"\x01"])
def test_a_number_without_an_end_is_refused(data):
    with pytest.raises(RecipeError, match="its bytes do not parse"):
        sentencepiece._varint(data, 0, HERE)


def test_fields_of_every_kind_are_read_in_order():
    data = _varint(5 << 3) + _varint(300) + _field(17, b"abc") + _field(2, b"")
    data += _varint(3 << 3 | 1) + b"12345678" + _varint(4 << 3 | 5) + b"1234"
    assert list(sentencepiece._fields(data, HERE)) == [
        (5, 300), (17, b"abc"), (2, b""), (3, b"12345678"), (4, b"1234"),
    ]  # fmt: skip
    for broken in (data[:-1], _varint(3 << 3 | 3) + b"12345678", _varint(3 << 3 | 4)):
        with pytest.raises(RecipeError, match="its bytes do not parse"):
            list(sentencepiece._fields(broken, HERE))


def test_a_piece_that_leaves_out_its_score_and_kind_is_a_plain_one(tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(
        _piece("ab", -2.5, 3) + _field(2, b"\x0a\x01x") + _varint(1 << 3) + b"\x05" + _piece("c")
    )
    assert list(sentencepiece._pieces(path)) == [Piece("ab", -2.5, 3), Piece("c", 0.0, 1)]
    path.write_bytes(_field(1, _varint(1 << 3) + b"\x05"))
    with pytest.raises(RecipeError, match="its bytes do not parse"):
        list(sentencepiece._pieces(path))


def test_merges_come_by_score_and_then_by_id():
    pieces = [Piece("a", -9, 1), Piece("b", -9, 1), Piece("c", -9, 1), Piece("bc", -2, 1), Piece("ab", -3, 1),
              Piece("abc", -1, 1), Piece("ca", -0.5, 4), Piece("xy", -0.1, 1)]  # fmt: skip
    vocab = {piece.text: place for place, piece in enumerate(pieces)}
    assert sentencepiece._merges(pieces, vocab) == [("a", "bc"), ("ab", "c"), ("b", "c"), ("a", "b")]


BYTES = [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
WORDS = [("\u2581a", -1.0, None), ("ab", -2.0, None), ("\u2581", -3.0, 1), ("a", -4.0, 1), ("b", -5.0, 1)]
CONTROLS = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("<begin>", 0.0, 4)]


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        (None, "<s>"), ({"bos_token": "<begin>"}, "<begin>"), ({"bos_token": "<none>"}, None),
        ({"bos_token": None}, "<s>"), ({"bos_token": {"content": "<begin>"}}, "<begin>"),
        ({"add_bos_token": False}, None), ({"add_bos_token": True}, "<s>"),
    ],
)  # fmt: skip
def test_a_model_file_is_a_tokenizer_that_spells_every_text(tmp_path, settings, begins):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"".join(_piece(*one) for one in [*CONTROLS, *BYTES, *WORDS]))
    tokenizer = read_sentencepiece(path, settings)
    found = tokenizer.encode("ab a<s>")
    first = [begins] if begins else []
    assert found.tokens == [*first, "\u2581a", "b", "\u2581a", "<s>"]
    assert tokenizer.encode("\u00e9", add_special_tokens=False).tokens == ["\u2581", "<0xC3>", "<0xA9>"]
    ids = tokenizer.encode(" ab\u00e9 b", add_special_tokens=False).ids
    assert tokenizer.decode(ids) == " ab\u00e9 b"
    assert {token.content for token in tokenizer.get_added_tokens_decoder().values()} == {
        "<unk>", "<s>", "<begin>",
    }  # fmt: skip


def test_a_model_that_lacks_a_byte_is_refused(tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"".join(_piece(*one) for one in [*CONTROLS, *BYTES[1:], *WORDS]))
    with pytest.raises(RecipeError, match=r"holds 263 pieces, but not the 256 byte pieces"):
        read_sentencepiece(path)


@pytest.mark.parametrize(
    ("content", "is_control"),
    [("<|x|>", True), ("[INST]", True), ("\\boxed{", True), ("<a", False), ("a>", False), ("  ", False),
     ("", False), ("(a)", False), ("[a)", False), ("{a}", False), ("<", False), ("]", False)],
)  # fmt: skip
def test_words_that_look_like_control(content, is_control):
    assert vocabulary._looks_like_control(content) is is_control


def test_the_letters_for_bytes_are_gpt2s():
    letters = vocabulary._byte_letters()
    assert sorted(letters.values()) == list(range(256))
    assert letters.keys() == set(pre_tokenizers.ByteLevel.alphabet())
    some = {"!": 33, "~": 126, "\u00a1": 161, "\u00ac": 172, "\u00ae": 174, "\u00ff": 255, "\u0100": 0}
    some |= {"\u010a": 10, "\u0120": 32, "\u0121": 127, "\u0143": 173}
    assert {letter: letters[letter] for letter in some} == some


@pytest.mark.parametrize(
    ("text", "table", "spelled"),
    [
        ("<0x0A>", {}, b"\n"), ("<0xFF>", {}, b"\xff"), ("<0x0a>", {}, b"<0x0a>"),
        ("a<0x0A>", {}, b"a<0x0A>"),
        ("\u2581a\u2581", {}, b" a "), ("ba", {"a": 7, "b": 9}, b"\x09\x07"),
        ("bac", {"a": 7, "b": 9}, b"bac"),
    ],
)  # fmt: skip
def test_bytes_of_a_piece(text, table, spelled):
    assert vocabulary._spelled(text, table) == spelled


def test_parts_of_nested_pipelines():
    inner = {"type": "Sequence", "normalizers": [{"type": "Prepend"}, {"type": "NFC"}]}
    node = {"type": "Sequence", "normalizers": [inner, {"type": "Lowercase"}, {"type": "Prepend"}]}
    assert [part["type"] for part in vocabulary._parts(node)] == ["Prepend", "NFC", "Lowercase", "Prepend"]
    assert vocabulary._parts(None) == []
    assert vocabulary._without_prepend(node) == {
        "type": "Sequence",
        "normalizers": [{"type": "Sequence", "normalizers": [{"type": "NFC"}]}, {"type": "Lowercase"}],
    }
    assert vocabulary._without_prepend({"type": "Prepend"}) is None
    assert vocabulary._without_prepend(None) is None
    assert vocabulary._without_prepend({"type": "NFC"}) == {"type": "NFC"}
    pre = {"type": "Sequence", "pretokenizers": [
        {"type": "Split"}, {"type": "ByteLevel", "add_prefix_space": True},
        {"type": "Metaspace", "prepend_scheme": "first"},
    ]}  # fmt: skip
    assert vocabulary._has_metaspace(pre)
    assert not vocabulary._has_metaspace({"type": "ByteLevel"})
    vocabulary._forbid_prefix_space(pre)
    assert pre["pretokenizers"] == [
        {"type": "Split"}, {"type": "ByteLevel", "add_prefix_space": False},
        {"type": "Metaspace", "prepend_scheme": "never"},
    ]  # fmt: skip
    byte, none = {"type": "ByteLevel"}, {"type": "Fuse"}
    for pair, spells in (((byte, None), False), ((None, byte), False), ((none, none), True)):
        state = dict(zip(("pre_tokenizer", "decoder"), pair, strict=True))
        assert vocabulary._spells_with_spaces(state) is spells


def test_single_bytes_have_ids_in_sentencepieces_vocabularies_alone():
    tokenizer = sentencepiece_like("never")
    ids = vocabulary.byte_ids(tokenizer)
    assert ids == {byte: tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in range(256)}
    assert vocabulary.byte_ids(byte_level()) is None
    state = json.loads(tokenizer.to_str())
    del state["model"]["vocab"]["<0x07>"]
    assert vocabulary.byte_ids(type(tokenizer).from_str(json.dumps(state))) is None


def test_a_trained_vocabulary_begins_with_its_controls_and_merges_what_comes_twice():
    names, marks = list(CONTROL_TEXT.values()), list(MARK_TEXT.values())
    plain, marked = train_bpe(["qx qx zv"], 400), train_bpe(["qx qx zv"], 400, marks=True)
    assert [plain.token_to_id(name) for name in names] == list(range(8))
    assert [marked.token_to_id(name) for name in [*names, *marks]] == list(range(11))
    assert [plain.token_to_id(name) for name in marks] == [None] * 3
    assert plain.token_to_id("qx") is not None
    assert plain.token_to_id("zv") is None
    assert len(plain.encode("<|end|>").ids) == 1
    assert train_bpe(["qx qx zv zv"], 265).get_vocab_size() == 265
    assert train_bpe(["one two"], 265).encode("no first blank").tokens[0] == "n"


def test_every_id_of_a_folder_is_looked_at(tmp_path):
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {"a": 3, "b": "x"}}, "added_tokens": [{"id": 5}, 7, {"content": "c"}]})
    )
    (tmp_path / "vocab.json").write_text('{"a": 11}')
    (tmp_path / "added_tokens.json").write_text('{"b": 13}')
    (tmp_path / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"17": {}, "x": {}}}')
    assert sorted(vocabulary._ids_in_files(tmp_path)) == [3, 5, 11, 13, 17]
    (tmp_path / "tokenizer.json").write_text('{"model": [], "added_tokens": 5}')
    (tmp_path / "tokenizer_config.json").write_text('{"added_tokens_decoder": ["17"]}')
    assert sorted(vocabulary._ids_in_files(tmp_path)) == [11, 13]


def test_an_id_of_sixteen_million_is_one_too_many(tmp_path, monkeypatch):
    own = byte_level()
    monkeypatch.setattr(vocabulary, "_own_tokenizer", lambda _: own)
    own.enable_truncation(3)
    own.enable_padding(length=9)
    (tmp_path / "merges.txt").touch()
    (tmp_path / "vocab.json").write_text(json.dumps({"a": MOST_IDS - 1}))
    read = vocabulary.read_tokenizer(tmp_path)
    assert (read.truncation, read.padding) == (None, None)
    (tmp_path / "vocab.json").write_text(json.dumps({"a": MOST_IDS}))
    with pytest.raises(RecipeError, match=f"gives a token the id {MOST_IDS}, and no vocabulary is larger"):
        vocabulary.read_tokenizer(tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(RecipeError, match="no tokenizer to read"):
        vocabulary.read_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("left", "right", "length"),
    [([1, 2, 3], [1, 2, 4], 2), ([1, 2], [1, 2, 3], 2), ([1, 2, 3], [1, 2], 2), ([3], [4], 0), ([], [1], 0)],
)
def test_the_common_beginning(left, right, length):
    assert check._shared(left, right) == length


def test_long_rows_of_ids_are_cut():
    assert check._some(list(range(24))) == str(list(range(24)))
    assert check._some(list(range(25))) == f"{list(range(24))} ... (25 in all)"


def test_blanks_may_differ_only_where_the_tokenizer_is_loose():
    codec = SimpleNamespace(to_bytes=bytes)
    assert check.words_come_back(codec, "a b", list(b"a b"), loosely=False) == list(b"a b")
    assert check.words_come_back(codec, "a b", list(b" ab\n"), loosely=True) == list(b" ab\n")
    for ids, loosely in ((b" ab", False), (b"ac", True)):
        with pytest.raises(RecipeError, match="does not give back a prompt: 'a b' became"):
            check.words_come_back(codec, "a b", list(ids), loosely=loosely)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
    return Codec.load(save(byte_level(), tmp_path_factory.mktemp("codec"), pad_token="<|im_end|>"))


def test_what_a_codec_says_of_its_ids(codec):
    own = byte_level()
    last = len(codec) - 1
    assert len(codec) == own.get_vocab_size()
    assert codec.token_bytes(-1) == codec.token_bytes(last + 1) == b""
    assert codec.token_bytes(0) == b"<s>"
    assert codec.token_bytes(last) != b""
    assert codec.end_id == own.token_to_id(EOS)
    assert codec.pad_id == own.token_to_id("<|im_end|>")
    assert codec.control("end") == (codec.end_id,)
    assert codec.to_bytes(codec.control("think")) == b"<think>"  # spelled out: it has no such token
    assert codec.to_bytes(codec.control("mask")) == b"<|mask|>"
    assert not codec.is_compact
    assert codec.special_names() == {"bos_token": "<s>", "eos_token": EOS, "pad_token": "<|im_end|>"}
    assert codec._first_control([9, 0, 9]) == 1
    assert codec._first_control([9, 9]) == 2


def test_places_of_tokens_in_bytes_and_in_letters(codec):
    text = "a\u00e9\u6570b"
    letters = {byte: letter for letter, byte in vocabulary._byte_letters().items()}
    ids = [codec._whole.token_to_id(letters[byte]) for byte in text.encode()]
    assert codec.decode(ids) == text
    assert codec.byte_starts(ids).tolist() == list(range(8))
    assert codec.char_offsets(ids).tolist() == [0, 1, -1, 2, -1, -1, 3]
    assert codec.char_offsets([]).tolist() == []
    assert codec.decode(ids[:2]) == "a\ufffd"


def test_a_trained_codec_has_its_controls_as_tokens(tmp_path):
    trained = Codec.train(["one two " * 9], 300, tmp_path, marks=True)
    assert trained.is_compact
    assert [trained.control(name) for name in CONTROL_TEXT] == [(number,) for number in range(8)]
    assert [trained.control(name) for name in MARK_TEXT] == [(8,), (9,), (10,)]
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["model_max_length"] == 512


def test_without_a_named_end_the_lowest_listed_one_is_taken(tmp_path):
    folder = save(byte_level(), tmp_path, eos_token=None)
    (folder / "generation_config.json").write_text('{"eos_token_id": [5, 3, -1, "x", null]}')
    codec = Codec.load(folder)
    assert codec.end_ids == {3, 5}
    assert (codec.end_id, codec.pad_id) == (3, 3)
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
    assert Codec.load(folder).end_ids == {0}
