"""Local copies of artifacts: fetched once, sealed, and looked at again before every use.

    <cache>/<kind>/<fingerprint>-<contents>/        the artifact's files and its manifest.json, read-only
    <cache>/<kind>/<fingerprint>-<contents>.seal    what each file was when it was fetched

The files are copies, no links: whoever edits one, or loses a bit of it, does not touch the store. A copy
costs 0.6 s for a gigabyte that is in memory, less than the digest that is taken of it (0.9 s), and nothing
where the file system shares blocks. On use a file must have its size; one whose inode and times are those
of the seal is compared by a sample, and any other one whole.
"""

import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infra.storage.objects import Objects
from rpt_core.artifacts.digest import file_sha256
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import canonical_json
from rpt_core.errors import IntegrityError

MANIFEST_FILE = "manifest.json"
_BLOCK, _BLOCKS = 1 << 16, 8
"""A sample is this many blocks of a file, evenly spread, the first and the last among them."""


class Seal(NamedTuple):
    """A file as it was fetched and verified."""

    sha256: str
    num_bytes: int
    state: tuple[int, int, int]
    """Inode, and times of its last change in nanoseconds: no edit leaves them as they were."""
    sample: str
    """SHA-256 of the sampled blocks."""


class Cache:
    """The local copies of one store's artifacts."""

    def __init__(self, objects: Objects, root: Path) -> None:
        """Nothing is written yet."""
        self.objects = objects
        self.root = root

    def folder_of(self, manifest: Manifest) -> Path:
        """Where an artifact's copy lies, or would.

        Its name covers every byte: two stores may hold one artifact with other timings.
        """
        self.objects.key(manifest.kind, manifest.fingerprint)  # refuses what is no part of a path
        contents = hashlib.sha256(canonical_json([[each.path, each.blob] for each in manifest.files]))
        return self.root / manifest.kind / f"{manifest.fingerprint[:24]}-{contents.hexdigest()[:12]}"

    def materialise(self, manifest: Manifest) -> Path:
        """A read-only folder with the artifact's files and its ``manifest.json``.

        Raises:
            IntegrityError: the store's content, or the copy fetched earlier, was changed.
        """
        folder = self.folder_of(manifest)
        sealed = self.objects.call("read the cache", lambda: _read_seals(_seal_path(folder)))
        if folder.exists() and sealed:
            self.objects.call("read the cache", lambda: self._verify(manifest, folder, sealed))
            return folder
        if folder.exists():  # of an older version, whose files are the store's own
            self.objects.call("write the cache", lambda: shutil.rmtree(folder))
        return self._fetch(manifest, folder)

    def _fetch(self, manifest: Manifest, folder: Path) -> Path:
        """Fill a folder beside the final one, seal it, and move it into place; another process may win."""
        temporary = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
        self.objects.fetch_all(manifest.files, temporary)
        blobs = {entry.path: entry.blob for entry in manifest.files}

        def place() -> None:
            (temporary / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1))
            (temporary / MANIFEST_FILE).chmod(0o444)
            _write_seals(_seal_path(folder), _sealed(temporary, blobs))
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.exists():
                    raise

        try:
            self.objects.call("write the cache", place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return folder

    def _verify(self, manifest: Manifest, folder: Path, sealed: Mapping[str, Seal]) -> None:
        expected = {entry.path: (entry.blob, entry.num_bytes) for entry in manifest.files}
        own = sealed.get(MANIFEST_FILE)
        if own is not None:
            expected[MANIFEST_FILE] = (own.sha256, own.num_bytes)
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
        # a file browser's hidden notes are nothing a stage reads
        strays = {name for name in found - set(expected) if not name.rpartition("/")[2].startswith(".")}
        if strays:
            raise _damaged(folder / min(strays), "is none of the artifact's files", folder)
        moved = [
            name
            for name, (sha256, num_bytes) in expected.items()
            if not _is_as_sealed(folder, name, sha256, num_bytes, sealed.get(name))
        ]
        if moved:  # the folder was copied or restored, with the same bytes
            known = {name: sha256 for name, (sha256, _) in expected.items()}
            _write_seals(_seal_path(folder), _sealed(folder, known))


def _is_as_sealed(folder: Path, name: str, sha256: str, num_bytes: int, seal: Seal | None) -> bool:
    """Whether the seal still fits a file; False where its bytes are right but its times or inode are not.

    Raises:
        IntegrityError: the bytes are not the artifact's.
    """
    path = folder / name
    found = path.lstat() if os.path.lexists(path) else None
    if found is None or not stat.S_ISREG(found.st_mode):
        raise _damaged(path, "is gone" if found is None else "is no plain file any more", folder)
    if found.st_size != num_bytes:
        raise _damaged(path, f"has {found.st_size} bytes, its manifest says {num_bytes}", folder)
    if seal is not None and seal.sha256 == sha256 and seal.state == _state(found):
        if seal.sample != _sample(path, num_bytes):
            raise _damaged(path, "does not hold the bytes it held when it was fetched", folder)
        return True
    if (whole := file_sha256(path)) != sha256:
        raise _damaged(
            path, f"holds bytes with SHA-256 {whole[:12]}, its manifest says {sha256[:12]}", folder
        )
    return False


def _damaged(path: Path, what: str, folder: Path) -> IntegrityError:
    return IntegrityError(
        f"{path} {what}: the local copy was changed. Remove {folder}, and the same command fetches it again."
    )


def _seal_path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.seal")


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _sample(path: Path, num_bytes: int) -> str:
    """SHA-256 of the sampled blocks; of everything in a small file."""
    whole = hashlib.sha256()
    with path.open("rb") as stream:
        if num_bytes <= _BLOCK * _BLOCKS:
            whole.update(stream.read(num_bytes))
        else:
            for i in range(_BLOCKS):
                stream.seek(i * (num_bytes - _BLOCK) // (_BLOCKS - 1))
                whole.update(stream.read(_BLOCK))
    return whole.hexdigest()


def _sealed(folder: Path, sha256_by_name: Mapping[str, str]) -> dict[str, Seal]:
    """Seals of files whose bytes are known, and of the manifest."""
    seals = {}
    for name in (*sha256_by_name, *({MANIFEST_FILE} - set(sha256_by_name))):
        path = folder / name
        found = path.lstat()
        sha256 = sha256_by_name.get(name) or file_sha256(path)
        seals[name] = Seal(sha256, found.st_size, _state(found), _sample(path, found.st_size))
    return seals


def _read_seals(path: Path) -> dict[str, Seal]:
    """The seals of a folder; none where they cannot be read, and then all is fetched anew."""
    try:
        rows = json.loads(path.read_text())
        return {
            name: Seal(sha256, num_bytes, (inode, modified, changed), sample)
            for name, (sha256, num_bytes, (inode, modified, changed), sample) in rows.items()
        }
    except (FileNotFoundError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _write_seals(path: Path, seals: Mapping[str, Seal]) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
    temporary.write_text(json.dumps(seals))
    temporary.replace(path)
