"""Read a SentencePiece BPE model (``tokenizer.model``) without the SentencePiece library.

Llama- and Mistral-style folders sometimes hold nothing else. The file is a protocol buffer whose field 1
repeats the pieces: text, score, kind. SentencePiece merges the neighbouring pair whose union has the
highest score; an ordinary BPE does the same when its merges are ranked by that score.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

from rpt_core.errors import RecipeError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6
SPACE = "\u2581"
"""What stands for a space inside a piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the vocabulary; its place in the file is its id."""

    text: str
    score: float
    kind: int


def read_sentencepiece(path: Path, settings: Mapping[str, Any] | None = None) -> Tokenizer:
    """Build a fast tokenizer from a SentencePiece BPE model with byte fallback.

    Args:
        path: The ``tokenizer.model``.
        settings: What ``tokenizer_config.json`` says. Texts begin with ``bos_token`` (``<s>`` where it names
            none) unless it has ``add_bos_token: false``: Llama's, Mistral's and Gemma's tokenizers do so by
            default, and the model file does not say.

    Raises:
        RecipeError: the file is no SentencePiece model, or one without byte pieces (it could not
            spell every text).
    """
    pieces = list(_pieces(path))
    if sum(piece.kind == BYTE for piece in pieces) != 256:
        raise RecipeError(
            f"{path} holds {len(pieces)} pieces, but not the 256 byte pieces: it is no SentencePiece BPE "
            "model with byte fallback, and some texts could not be spelled. Give a folder with a "
            "tokenizer.json."
        )
    vocab = {piece.text: i for i, piece in enumerate(pieces)}
    unknown = next((piece.text for piece in pieces if piece.kind == UNKNOWN), None)
    tokenizer = Tokenizer(
        models.BPE(vocab, _merges(pieces, vocab), unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    controls = [piece.text for piece in pieces if piece.kind in (UNKNOWN, CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in controls])
    if bos := _bos(vocab, settings or {}):
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[bos, "$A"], special_tokens=[(bos, vocab[bos])]
        )
    return tokenizer


def _bos(vocab: Mapping[str, int], settings: Mapping[str, Any]) -> str | None:
    """The token that begins a text, where one does."""
    named = settings.get("bos_token") or "<s>"
    text = named["content"] if isinstance(named, dict) else str(named)
    return text if settings.get("add_bos_token", True) and text in vocab else None


def _merges(pieces: list[Piece], vocab: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to put a piece together from two others, best union first."""
    ranked = []
    for piece in pieces:
        if piece.kind != NORMAL:
            continue
        for cut in range(1, len(piece.text)):
            left, right = vocab.get(piece.text[:cut]), vocab.get(piece.text[cut:])
            if left is not None and right is not None:
                ranked.append((-piece.score, left, right))
    return [(pieces[left].text, pieces[right].text) for _, left, right in sorted(ranked)]


def _pieces(path: Path) -> Iterator[Piece]:
    for number, body in _fields(path.read_bytes(), path):
        if number == 1 and isinstance(body, bytes):
            fields = dict(_fields(body, path))
            text, score, kind = fields.get(1, b""), fields.get(2, b"\0\0\0\0"), fields.get(3, NORMAL)
            if not (isinstance(text, bytes) and isinstance(score, bytes) and isinstance(kind, int)):
                raise _broken(path)
            yield Piece(text.decode(), struct.unpack("<f", score)[0], kind)


def _fields(data: bytes, path: Path) -> Iterator[tuple[int, int | bytes]]:
    """The fields of one protocol-buffer message: number, and an integer or raw bytes."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at, path)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at, path)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at, path)
        else:
            size = {1: 8, 5: 4}.get(wire, -1)
        if size < 0 or at + size > len(data):
            raise _broken(path)
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int, path: Path) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
    raise _broken(path)


def _broken(path: Path) -> RecipeError:
    return RecipeError(f"{path} is not a SentencePiece model: its bytes do not parse. Fetch the file again.")
