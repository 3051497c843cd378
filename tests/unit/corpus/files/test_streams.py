import bz2
import gzip

import pytest

from rpt_core.corpus.files.streams import (
    BrokenInput,
    as_utf8,
    decode,
    decompressed,
    lines,
    open_chunks,
    read_limited,
)


def collect(chunks):
    """What came out, and the reason it ended."""
    out = b""
    try:
        for piece in chunks:
            out += piece
    except BrokenInput as broken:
        return out, broken.reason
    return out, ""


def in_pieces(data, size=7):
    return (data[i : i + size] for i in range(0, len(data), size))


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress, bytes])
def test_content_comes_back_whatever_the_packing(pack):
    data = b"some text " * 5000
    assert collect(decompressed(in_pieces(pack(data)))) == (data, "")


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_streams_one_after_another_read_as_one(pack):
    assert collect(decompressed(in_pieces(pack(b"first ") + pack(b"second")))) == (b"first second", "")


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bz2"), (gzip.compress, "gzip")])
def test_a_cut_stream_yields_what_came_before_and_says_so(pack, name):
    packed = pack(b"kept ") + pack(b"lost " * 1000)[:-20]
    out, reason = collect(decompressed(in_pieces(packed)))
    assert out.startswith(b"kept ")
    assert reason == f"truncated-{name}"


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bz2"), (gzip.compress, "gzip")])
def test_wrong_bytes_are_named(pack, name):
    packed = bytearray(pack(bytes(range(256)) * 400))
    packed[len(packed) // 2] ^= 0xFF
    packed[len(packed) // 2 + 1] ^= 0xFF
    assert collect(decompressed(in_pieces(bytes(packed))))[1] in (f"broken-{name}", f"truncated-{name}")


def test_zero_padding_after_the_last_stream_is_no_fault():
    assert collect(decompressed(iter([gzip.compress(b"text") + b"\0" * 512]))) == (b"text", "")


def test_a_bomb_is_never_held_whole():
    pieces = list(decompressed(iter([gzip.compress(b"\0" * (16 << 20))])))
    assert max(len(piece) for piece in pieces) <= 1 << 20
    assert collect([b"".join(pieces)])[0] == b"\0" * (16 << 20)


def test_a_limit_on_what_must_fit_in_memory():
    with pytest.raises(BrokenInput, match="archive-bomb"):
        read_limited(decompressed(iter([gzip.compress(b"\0" * 5_000_000)])), 1_000_000)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(BrokenInput, match="unreadable-file"):
        list(open_chunks(tmp_path / "absent"))


def test_lines_across_chunks_and_a_line_that_is_too_long():
    found = list(lines([b"a\nbb", b"b\n", b"x" * 20, b"x" * 20, b"\nlast"], 10))
    assert [line if isinstance(line, bytes) else line.reason for line in found] == [
        b"a",
        b"bbb",
        "gigantic",
        b"last",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_tell_the_encoding(encoding):
    data = "Григориански календар\n".encode(encoding)
    assert b"".join(as_utf8(in_pieces(data, 64))).decode() == "Григориански календар\n"
    assert decode(data) == "Григориански календар\n"


def test_other_bytes_are_not_guessed():
    with pytest.raises(BrokenInput, match="not-utf-8"):
        decode("grüßt".encode("latin-1"))


def test_half_a_utf_16_character_is_named():
    assert collect(as_utf8(iter(["text".encode("utf-16")[:-1]])))[1] == "not-utf-8"
