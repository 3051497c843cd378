"""Manifests and refs, read many at a time: small JSON files that never change once created.

A folder is read file by file. On S3 every read is a request, and five thousand take minutes, so what has
been read is kept in the store once more, all in one object:

    index/<digest>.json.gz      {"artifacts/corpus/ab12.../manifest.json": [etag, text], ...}

The index is a copy and never the truth: a listing says what is there (a thousand keys a request), an entry
counts only while its mark is that of the listed object and its text has that MD5, and whatever the index
lacks is read itself, many at once. It is written when enough has been read without it.
"""

import gzip
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.storage.keys import Keys, Stored
from rpt_core.errors import RptError, StoreError

INDEX = "index"
INDEX_AFTER = 64
"""So many documents read one by one, and the index is written anew."""
_BYTES_MAX = 64 << 20
"""More is no manifest."""
_AT_ONCE = 64
_log = logging.getLogger("rpt.store")


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One file found below a prefix."""

    name: str
    """Its key below the root, such as ``refs/math/000001.json``."""
    data: bytes
    problem: str = ""
    """Why there are no bytes, where there are none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing in the store that is not what it should be; it stops nothing else."""

    key: str
    """Below the store's root."""
    what: str
    may_name_content: bool = False
    """Whether it is the manifest, or the checkpoint, of something, so that contents may hang on it."""


class DocumentReader:
    """Reads all documents below a prefix."""

    def __init__(self, keys: Keys) -> None:
        """Nothing is read yet."""
        self.keys = keys

    def below(self, prefix: str) -> Iterator[StoredDocument]:
        """Every file below ``artifacts`` or ``refs``, by name.

        Raises:
            StoreError: the store cannot be reached.
        """
        listed = {self._name(each): each for each in self.keys.walk(self.keys.key(prefix))}
        read = self._read_here if self.keys.is_local else self._read_there
        return read(listed)

    def _name(self, stored: Stored) -> str:
        return stored.key.removeprefix(self.keys.root).lstrip("/")

    def _read_here(self, listed: Mapping[str, Stored]) -> Iterator[StoredDocument]:
        for name, stored in listed.items():
            try:
                data = self.keys.read(stored.key) if stored.num_bytes <= _BYTES_MAX else None
            except RptError as error:
                yield StoredDocument(name, b"", str(error))
                continue
            if data is not None:
                yield StoredDocument(name, data)
            elif stored.num_bytes > _BYTES_MAX:
                yield StoredDocument(name, b"", _too_large(stored))

    def _read_there(self, listed: Mapping[str, Stored]) -> Iterator[StoredDocument]:
        index = self._index()
        known = {name: text for name, stored in listed.items() if (text := _current(index, name, stored))}
        wanted = {
            name: stored
            for name, stored in listed.items()
            if name not in known and stored.num_bytes <= _BYTES_MAX and not set("*?[") & set(name)
        }
        read = self._many(wanted)
        fresh = {name: text for name, text in _texts(read).items() if _is_marked(text, listed[name])}
        if len(fresh) >= INDEX_AFTER:
            self._write_index(index, listed, {**known, **fresh})
        for name, stored in listed.items():
            found = known.get(name) or read.get(name)
            if isinstance(found, str):
                yield StoredDocument(name, found.encode())
            elif isinstance(found, bytes):
                yield StoredDocument(name, found)
            elif isinstance(found, Exception):
                if not isinstance(found, FileNotFoundError):  # else: gone since it was listed
                    yield StoredDocument(name, b"", " ".join(str(found).split()))
            elif name not in wanted:
                yield StoredDocument(name, b"", _too_large(stored))

    def _many(self, wanted: Mapping[str, Stored]) -> dict[str, bytes | Exception]:
        """Bytes, or what went wrong with this one alone.

        Raises:
            StoreError: something went wrong that has nothing to do with this one.
        """
        if not wanted:
            return {}
        by_key = {stored.key: name for name, stored in wanted.items()}

        def read() -> dict[str, bytes | Exception]:
            found: dict[str, bytes | Exception] = self.keys.fs.cat(
                list(by_key), on_error="return", batch_size=_AT_ONCE, max_concurrency=1
            )
            for each in found.values():
                if isinstance(each, Exception) and not isinstance(each, FileNotFoundError | PermissionError):
                    raise each
            return found

        return {by_key[key]: data for key, data in self.keys.call("read its manifests", read).items()}

    # -- the index ----------------------------------------------------------------------------------------

    def _index(self) -> dict[str, tuple[str, str]]:
        """All entries of all indexes there are: mostly one, two while somebody writes a new one."""
        found: dict[str, tuple[str, str]] = {}
        for name in self.keys.list(self.keys.key(INDEX)):
            data = self.keys.read(self.keys.key(INDEX, name))
            try:
                rows = json.loads(gzip.decompress(data or b""))
                found.update({key: (str(etag), str(text)) for key, (etag, text) in rows.items()})
            except (OSError, EOFError, ValueError, AttributeError, TypeError, RecursionError):
                _log.info("the index %s of %s cannot be read and is passed over", name, self.keys.url)
        return found

    def _write_index(
        self, old: Mapping[str, tuple[str, str]], listed: Mapping[str, Stored], texts: Mapping[str, str]
    ) -> None:
        """Keep what was read; a store that does not let us loses speed alone, so that is only logged."""
        prefix = next(iter(listed)).partition("/")[0] + "/"
        rows = {name: entry for name, entry in old.items() if not name.startswith(prefix)}
        rows |= {name: (listed[name].etag, text) for name, text in texts.items()}
        data = gzip.compress(json.dumps(rows).encode(), compresslevel=6, mtime=0)
        name = f"{hashlib.sha256(data).hexdigest()}.json.gz"
        try:
            older = [each for each in self.keys.list(self.keys.key(INDEX)) if each != name]
            self.keys.create(self.keys.key(INDEX, name), data)
            for each in older:
                self.keys.remove(self.keys.key(INDEX, each))
        except (StoreError, FileNotFoundError) as error:
            _log.info("the index of %s was not written: %s", self.keys.url, error)


def _texts(read: Mapping[str, bytes | Exception]) -> dict[str, str]:
    """What can stand in an index: UTF-8."""
    texts = {}
    for name, data in read.items():
        try:
            texts[name] = data.decode() if isinstance(data, bytes) else ""
        except UnicodeDecodeError:
            continue
    return {name: text for name, text in texts.items() if text}


def _current(index: Mapping[str, tuple[str, str]], name: str, stored: Stored) -> str:
    """The indexed text of a document, if it is that of the object listed now; else nothing."""
    etag, text = index.get(name, ("", ""))
    return text if etag == stored.etag and _is_marked(text, stored) else ""


def _is_marked(text: str, stored: Stored) -> bool:
    """Whether an object's mark is the MD5 of a text; what is encrypted by a key of its own has another."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() == stored.etag.strip('"')


def _too_large(stored: Stored) -> str:
    return f"has {stored.num_bytes} bytes, which no document has"
