"""Rows of JSON: lines, or the items of one array; one row in memory at a time, and none of too many values.

Sixty megabytes of ``{},`` are a line like any other until they become objects, of twenty times the size. So
the values of a long row are counted before it is parsed.
"""

import codecs
import json
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from rpt_core.corpus.files.streams import CHUNK, BrokenInput, lines

LINE_BYTES_MAX = 32 << 20
"""Longest JSON line, in bytes, or item, in characters."""
TOKENS_MAX = 1 << 20
"""Strings, commas and opening brackets of one row."""
DEPTH_MAX = 900
"""Brackets open at once; Python's parser gives up at about a thousand."""
Record = dict[str, Any]

_BLANK_LINES = re.compile(rb"\n(?:[ \t\r]*+\n)++")
_STRING = r'"(?:[^"\\]++|\\.)*+"'
_TOKEN = re.compile(_STRING + r"?|[,\[{]", re.DOTALL)
"""A string without its end is one, too: tried from each of its quotes it would take quadratic time."""


def json_lines(chunks: Iterable[bytes], limit: int = LINE_BYTES_MAX) -> Iterator[Record | BrokenInput]:
    r"""One object per line; empty lines are skipped, bad ones come as :class:`BrokenInput`.

    Example:
        >>> [type(row).__name__ for row in json_lines([b'{"a": 1}\n{"a": NaN}\n'])]
        ['dict', 'dict']
    """
    for line in lines(map(_without_blank_lines, chunks), limit):
        if isinstance(line, BrokenInput):
            yield line
        elif line.strip():
            yield _line(line)


def _without_blank_lines(chunk: bytes) -> bytes:
    """The same lines; of a chunk that is little but line ends, without the empty ones."""
    return _BLANK_LINES.sub(b"\n", chunk) if 8 * chunk.count(b"\n") > len(chunk) else chunk


def _line(line: bytes) -> Record | BrokenInput:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return BrokenInput("not-utf-8", f"{error}: {line[:80]!r}")
    return parse(text)


def parse(text: str) -> Record | BrokenInput:
    """The object a text is."""
    if _is_crowded(text):
        return _crowded(text)
    try:
        return _object(_DECODER.decode(text))
    except (ValueError, RecursionError) as error:
        return BrokenInput("bad-json", f"{error}: {text[:80]}")


def _is_crowded(text: str) -> bool:
    """Whether a row has too many values; a short one cannot."""
    return len(text) > TOKENS_MAX and next(islice(_TOKEN.finditer(text), TOKENS_MAX, None), None) is not None


def _crowded(text: str) -> BrokenInput:
    return BrokenInput("too-much-work", f"a row of more than {TOKENS_MAX} values: {text[:80]}")


def _object(value: Any) -> Record | BrokenInput:
    if not isinstance(value, dict):
        return BrokenInput("bad-json", f"an object was expected, not {repr(value)[:80]}")
    return value


def _no_twins(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError(f"a key stands twice among {[key for key, _ in pairs][:10]}")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_no_twins)


def json_array(chunks: Iterable[bytes], limit: int = LINE_BYTES_MAX) -> Iterator[Record | BrokenInput]:
    """The objects of one JSON array, without holding the array; every character is read a few times at most.

    An item that is not JSON, or longer than ``limit``, ends the reading: where the next one starts cannot be
    known. One of too many values costs itself alone.
    """
    pieces = _decoded(_in_chunks(chunks))
    held, opened = "", False
    try:
        for piece in pieces:
            held += piece
            if not opened:
                held, opened = held.lstrip().removeprefix("["), True
            while True:
                position, ended = yield from _items(held, limit)
                if ended:
                    return
                held = held[position:]
                if len(held) < CHUNK:
                    break
                row, held = _long_item(held, pieces, limit)
                yield row
    except BrokenInput as broken:
        yield broken
        return
    yield BrokenInput("bad-json", f"the array ends inside an item or without its bracket: {held[:80]}")


_BETWEEN_ITEMS = re.compile(r"[\s,]*+")


def _items(held: str, limit: int) -> Generator[Record | BrokenInput, None, tuple[int, bool]]:
    """Yield the whole items of ``held``; return where the rest starts, and whether the array ended."""
    position = 0
    while True:
        position = _BETWEEN_ITEMS.match(held, position).end()  # type: ignore[union-attr]
        if position == len(held):
            return position, False
        if held[position] == "]":
            return position, True
        try:
            value, end = _DECODER.raw_decode(held, position)
        except json.JSONDecodeError:
            return position, False
        except (ValueError, RecursionError) as error:
            raise BrokenInput("bad-json", f"{error}: {held[position : position + 80]}") from None
        if end - position > limit:
            raise BrokenInput(
                "gigantic", f"an item of more than {limit} characters: {held[position : position + 80]}"
            )
        if end - position > TOKENS_MAX and _is_crowded(
            held[position:end]
        ):  # of a piece it is whole in, so that it could be parsed before
            yield _crowded(held[position : position + 80])
        else:
            yield _object(value)
        position = end


def _long_item(held: str, pieces: Iterator[str], limit: int) -> tuple[Record | BrokenInput, str]:
    """The item that ``held`` begins with and later pieces go on with, and what follows it.

    Raises:
        Broken: it is no object, longer than the limit, or the text ends in it.
    """
    shown, parts, length, scan = held[:80], list[str](), 0, _Scan()
    if not held.startswith(("{", "[")):
        raise BrokenInput("bad-json", f"an object was expected: {shown}")
    for piece in chain((held,), pieces):
        end = scan.end(piece)
        parts.append(piece if end is None else piece[:end])
        length += len(parts[-1])
        if length > limit:
            raise BrokenInput("gigantic", f"an item of more than {limit} characters: {shown}")
        if end is not None:
            text = "".join(parts)
            parts.clear()
            return parse(text), piece[end:]
    raise BrokenInput("bad-json", f"the array ends inside an item: {shown}")


_FLAT = rf'(?:[^"\[\]{{}}]++|{_STRING})*+'
_SAME_DEPTH = re.compile(rf'(?:[^"\[\]{{}}]++|{_STRING}|\{{{_FLAT}\}}|\[{_FLAT}\])*+', re.DOTALL)
"""Text after which as many brackets are open as before it."""
_IN_STRING = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)


@dataclass(slots=True)
class _Scan:
    """Looks for the end of an item that comes in pieces."""

    depth: int = 0
    in_string: bool = False
    escaped: bool = False
    """Whether the last piece ended in a backslash."""

    def end(self, piece: str) -> int | None:
        """Where in this piece the item ends; None when it goes on.

        Raises:
            Broken: too many brackets are open.
        """
        place = int(self.escaped)
        self.escaped = False
        while place < len(piece):
            pattern = _IN_STRING if self.in_string else _SAME_DEPTH
            if self.depth:
                place = pattern.match(piece, place).end()  # type: ignore[union-attr]
            mark = piece[place : place + 1]
            place += 1
            if self.in_string:
                self.in_string, self.escaped = mark != '"', mark == "\\"
            elif mark == '"':
                self.in_string = True
            elif mark:
                self.depth += 1 if mark in "[{" else -1
                if not self.depth:
                    return place
                if self.depth > DEPTH_MAX:
                    raise BrokenInput("bad-json", f"more than {DEPTH_MAX} brackets are open at once")
        return None


def _in_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are not small: what goes over two of them is read twice at most."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= CHUNK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk)
    except UnicodeDecodeError as error:
        raise BrokenInput("not-utf-8", str(error)) from None
