"""Blobs of an object store by their content: put once, renewed, and read verified."""

import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from infra.storage.keys import Keys
from infra.storage.local_files import copy_bytes, make_folder
from rpt_core.artifacts.digest import file_sha256, logical_digest
from rpt_core.artifacts.manifest import FileEntry
from rpt_core.artifacts.names import checked_path, is_sha256
from rpt_core.errors import IntegrityError, StoreError

RENEW_AFTER_SECONDS = 600.0
"""On S3, a blob that is put again and older than this gets a new time; in a folder, every one."""
_PARALLEL_BLOBS = 8
_CHUNK = 16 << 20
COPY_BYTES_MAX = 5 * 10**9
"""S3 copies an object onto itself up to this size."""


class Objects(Keys):
    """A store's keys, and the contents it keeps by their SHA-256."""

    def blob_key(self, sha256: str) -> str:
        """Where content with this digest lies.

        Raises:
            IntegrityError: the text is no SHA-256.
        """
        if not is_sha256(sha256):
            raise IntegrityError(f"{sha256[:80]!r} is no SHA-256 in hex, so it names no content.")
        return self.key("blobs", "sha256", sha256[:2], sha256)

    def put_file(self, path: Path, name: str, *, volatile: bool = False) -> FileEntry:
        """Store one file's content; returns its entry. Putting the same content twice costs one look-up.

        Raises:
            IntegrityError: the name cannot be one of an artifact's files.
        """
        try:
            checked_path(name)
        except ValueError as error:
            raise IntegrityError(
                f"{error}. The stage that wrote {str(path)!r} must name it otherwise."
            ) from None
        sha256, num_bytes = file_sha256(path), path.stat().st_size
        if not self.renew(sha256, num_bytes):
            self.call("put a file", lambda: self._put_blob(path, self.blob_key(sha256)))
        digest = sha256 if volatile else logical_digest(path)
        return FileEntry(path=name, blob=sha256, num_bytes=num_bytes, digest=digest, volatile=volatile)

    def renew(self, sha256: str, num_bytes: int) -> bool:
        """Whether a blob is there, whole, and young enough to be safe from garbage collection for a while.

        Garbage collection spares what is young. So whoever is about to name a blob that was there before
        makes it young first; one that cannot be is put again.
        """
        key = self.blob_key(sha256)
        found = self.look(key)
        if found is None or found.num_bytes != num_bytes:
            return False
        if not self.is_local and time.time() - found.modified < RENEW_AFTER_SECONDS:
            return True
        try:
            if self.is_local:
                os.utime(key)
            elif num_bytes > COPY_BYTES_MAX:
                return False
            else:
                self.copy_there(key, key)
        except (OSError, StoreError):  # gone just now, another user's, or a server that cannot: put it again
            return False
        return True

    def copy_there(self, source: str, target: str) -> None:
        """Let S3 copy a key, or write it anew where both are one; no byte of it comes here."""
        (bucket, from_name, _), (_, name, _) = self.fs.split_path(source), self.fs.split_path(target)
        self.call(
            "copy a file",
            lambda: self.fs.call_s3(
                "copy_object",
                Bucket=bucket,
                Key=name,
                CopySource={"Bucket": bucket, "Key": from_name},
                MetadataDirective="REPLACE",
            ),
        )

    def _put_blob(self, path: Path, key: str) -> None:
        if not self.is_local:  # put_file completes a multi-part upload only when every part arrived
            self.fs.put_file(str(path), key)
            return
        make_folder(Path(key).parent)
        temporary = Path(f"{key}.{uuid.uuid4().hex}.tmp")
        try:
            copy_bytes(path, temporary, path.stat().st_size)
            temporary.chmod(0o444)
            temporary.replace(key)
        finally:
            temporary.unlink(missing_ok=True)

    def put_folder(self, folder: Path, volatile: frozenset[str] = frozenset()) -> tuple[FileEntry, ...]:
        """Store every file below a folder, by relative path, in parallel."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())

        def put(path: Path) -> FileEntry:
            name = path.relative_to(folder).as_posix()
            return self.put_file(path, name, volatile=path.name in volatile)

        with ThreadPoolExecutor(_PARALLEL_BLOBS) as pool:
            return tuple(pool.map(put, paths))

    def missing(self, files: Iterable[FileEntry]) -> list[FileEntry]:
        """The files whose content is not there, whole and young (:meth:`renew`)."""
        entries = list(files)
        with ThreadPoolExecutor(_PARALLEL_BLOBS) as pool:
            there = pool.map(lambda entry: self.renew(entry.blob, entry.num_bytes), entries)
            return [entry for entry, is_there in zip(entries, there, strict=True) if not is_there]

    def complete(self, files: Iterable[FileEntry], folder: Path | None) -> None:
        """Make sure that every content is there, and young; put again what garbage collection took.

        Raises:
            StoreError: a content is gone, and there is no folder to put it from.
        """
        for entry in self.missing(files):
            if folder is None:
                raise StoreError(
                    f"the content {entry.blob[:12]} of {entry.path} is not in {self.url} any more: "
                    "garbage collection ran meanwhile. Run the same command again.",
                    retryable=True,
                )
            self.put_file(folder / entry.path, entry.path, volatile=entry.volatile)

    def check(self, entry: FileEntry) -> None:
        """Read a blob through, keeping nothing.

        Raises:
            IntegrityError: it is missing, or holds other bytes.
        """
        key = self.blob_key(entry.blob)
        found = self.look(key)
        if found is None:
            raise self._absent(entry)
        if found.num_bytes != entry.num_bytes:
            raise self._changed(entry, f"{found.num_bytes} bytes", f"{entry.num_bytes}")
        whole = hashlib.sha256()
        try:
            for start in range(0, entry.num_bytes, _CHUNK):
                end = min(start + _CHUNK, entry.num_bytes)
                whole.update(self.call("read a file", partial(self.fs.cat_file, key, start=start, end=end)))
        except FileNotFoundError:
            raise self._absent(entry) from None
        self._compare(entry, whole.hexdigest())

    def fetch(self, entry: FileEntry, target: Path) -> None:
        """Put a verified copy of a blob at ``target``, read-only.

        Never a link: a browser that followed a symbolic one would see a blob's name, without ``.html``, and
        show a page's source; and who edits the copy must not edit the store.

        Raises:
            IntegrityError: the blob is missing, is no plain file, or holds other bytes.
        """
        key = self.blob_key(entry.blob)
        found = self.look(key)
        if found is None:
            raise self._absent(entry)
        if found.num_bytes != entry.num_bytes:  # seen before a byte is read, however many there are
            raise self._changed(entry, f"{found.num_bytes} bytes", f"{entry.num_bytes}")

        def copy() -> str:
            make_folder(target.parent)
            if self.is_local:
                copy_bytes(Path(key), target, entry.num_bytes)
            else:
                self._get_there(key, target)
            return file_sha256(target)

        try:
            sha256 = self.call("fetch a file", copy)
        except FileNotFoundError:
            raise self._absent(entry) from None
        if sha256 != entry.blob:
            target.unlink()
        self._compare(entry, sha256)
        target.chmod(0o444)

    def _get_there(self, key: str, target: Path) -> None:
        """Read a blob into a file; once more where a reply promised more bytes than there are.

        The client asks for the rest of such a reply, and the server says that there is none.
        """
        try:
            self.fs.get_file(key, str(target))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self.fs.get_file(key, str(target))

    def _compare(self, entry: FileEntry, sha256: str) -> None:
        if sha256 != entry.blob:
            raise self._changed(entry, f"bytes with SHA-256 {sha256[:12]}", entry.blob[:12])

    def _absent(self, entry: FileEntry) -> IntegrityError:
        return IntegrityError(
            f"the store {self.url} lacks the content {entry.blob[:12]} of {entry.path} (no plain file lies "
            f"at {self.blob_key(entry.blob)}): the artifact is damaged. Remove its manifest and build it "
            "again."
        )

    def _changed(self, entry: FileEntry, found: str, wanted: str) -> IntegrityError:
        return IntegrityError(
            f"{entry.path} holds {found}, its manifest says {wanted}: the stored content was changed. Remove "
            f"{self.blob_key(entry.blob)} and the artifact's manifest, and build it again."
        )

    def fetch_all(self, files: tuple[FileEntry, ...], folder: Path) -> Path:
        """Fill a folder that must not be there yet, as far as it goes; nothing stays of one that failed.

        Raises:
            IntegrityError: a file is missing or was changed.
        """
        try:
            self.call("make a folder", lambda: folder.mkdir(parents=True))
            with ThreadPoolExecutor(_PARALLEL_BLOBS) as pool:
                list(pool.map(lambda entry: self.fetch(entry, folder / checked_path(entry.path)), files))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return folder
