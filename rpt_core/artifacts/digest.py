"""Logical digests: the identity of content, not of the bytes a library happened to write.

Parquet bytes depend on the writer's version and row groups, JSON on spaces, safetensors on the order of
its header. So a file's *logical* digest covers Arrow column content, tensors and canonical JSON; any other
file is its bytes. An artifact's digest covers the paths and logical digests of its files.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rpt_core.artifacts.manifest import FileEntry
from rpt_core.artifacts.recipe import canonical_json

_CHUNK = 1 << 20


def stable_id(*parts: str) -> str:
    """BLAKE2b-128 over the parts, hex; parts are separated, so ("ab", "c") and ("a", "bc") differ.

    Example:
        >>> stable_id("wikipedia", "12", "3") == stable_id("wikipedia", "1", "23")
        False
    """
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(joined, digest_size=16).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hex, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_digest(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over files in the order given, each by its path below ``root`` and its bytes; hex."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def logical_digest(path: Path) -> str:
    """Digest of what a file says, by its suffix; hex.

    Args:
        path: ``.parquet``, ``.safetensors``, ``.json`` and ``.jsonl`` are read; others count as bytes.
    """
    reader = _READERS.get(path.suffix)
    return file_sha256(path) if reader is None else reader(path)


def artifact_digest(files: Iterable[FileEntry]) -> str:
    """Digest of an artifact: its non-volatile files by path and logical digest; hex."""
    rows = sorted((entry.path, entry.digest) for entry in files if not entry.volatile)
    return hashlib.sha256(canonical_json(rows)).hexdigest()


def _json_digest(path: Path) -> str:
    return hashlib.sha256(canonical_json(json.loads(path.read_text("utf-8")))).hexdigest()


def _jsonl_digest(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            whole.update(canonical_json(json.loads(line)) + b"\n")
    return whole.hexdigest()


def _safetensors_digest(path: Path) -> str:
    """Name, dtype, shape and bytes of every tensor, by name; free-text metadata is not content."""
    with path.open("rb") as stream:
        header_size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(header_size))
        header.pop("__metadata__", None)
        whole = hashlib.sha256()
        for name in sorted(header):
            entry = header[name]
            start, end = entry["data_offsets"]
            whole.update(canonical_json([name, entry["dtype"], entry["shape"]]))
            stream.seek(8 + header_size + start)
            for offset in range(start, end, _CHUNK):
                whole.update(stream.read(min(_CHUNK, end - offset)))
    return whole.hexdigest()


def _parquet_digest(path: Path) -> str:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    streams = {name: _Column() for name in schema.names}
    for batch in file.iter_batches(batch_size=4096):
        for name in schema.names:
            streams[name].update(batch.column(name))
    rows = [[name, _type_name(schema.field(name).type), streams[name].hexdigest()] for name in schema.names]
    return hashlib.sha256(canonical_json([file.metadata.num_rows, rows])).hexdigest()


def _type_name(kind: Any) -> str:
    """The type with encodings that carry no content (dictionary, large offsets) taken off."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _type_name(kind.value_type)
    return str(kind).replace("large_", "").replace("dictionary", "")


class _Column:
    """Hashes a column as streams (validity, lengths, data ...), so that batches do not show."""

    def __init__(self) -> None:
        self.streams: dict[str, Any] = {}

    def update(self, array: Any, prefix: str = "") -> None:
        """Feed one Arrow array; nested types feed their children under a longer prefix."""
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = array.type
        if pa.types.is_dictionary(kind):
            return self.update(array.dictionary_decode(), prefix)
        self._feed(prefix + "valid", pc.is_valid(array).cast(pa.uint8()).to_numpy(zero_copy_only=False))
        if pa.types.is_struct(kind):
            for i in range(kind.num_fields):
                self.update(pc.struct_field(array, i), f"{prefix}{kind.field(i).name}.")
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            self._feed(prefix + "lengths", _filled(pc.list_value_length(array)).cast(pa.int64()).to_numpy())
            self.update(array.flatten(), prefix + "[].")
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_binary(kind):
            binary = array.cast(pa.large_binary())
            self._feed(prefix + "lengths", _filled(pc.binary_length(binary)).cast(pa.int64()).to_numpy())
            self._feed(prefix + "data", b"".join(binary.drop_null().to_pylist()))
        elif pa.types.is_boolean(kind):
            self._feed(prefix + "data", _filled(array, False).cast(pa.uint8()).to_numpy())
        elif pa.types.is_null(kind):
            return None
        else:
            self._feed(prefix + "data", array.drop_null().to_numpy(zero_copy_only=False))
        return None

    def _feed(self, name: str, data: Any) -> None:
        self.streams.setdefault(name, hashlib.sha256()).update(data)

    def hexdigest(self) -> str:
        """Digest over all streams by name."""
        return hashlib.sha256(
            canonical_json({name: stream.hexdigest() for name, stream in self.streams.items()})
        ).hexdigest()


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    )


def _filled(array: Any, value: Any = 0) -> Any:
    import pyarrow.compute as pc

    return pc.fill_null(array, value)


_READERS: dict[str, Callable[[Path], str]] = {
    ".json": _json_digest,
    ".jsonl": _jsonl_digest,
    ".safetensors": _safetensors_digest,
    ".parquet": _parquet_digest,
}
