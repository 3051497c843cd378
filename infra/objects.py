"""Keys and bytes of an object store over fsspec: exclusive creation, blobs by content, verified reads.

All stores can refuse a second creation of one key; on that alone everything else stands
(:class:`infra.store.Store`). ``file://`` and ``s3://`` take one code path but for the two primitives
that cannot be the same: creating a key whole, and putting a blob without a half-written moment.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from rpt_core.artifacts.digest import file_sha256, logical_digest
from rpt_core.artifacts.manifest import FileEntry
from rpt_core.errors import IntegrityError, RptError, StoreError

T = TypeVar("T")
_PARALLEL_BLOBS = 8


class Objects:
    """The primitives of one store, named by a URL: a folder, ``file://...`` or ``s3://bucket/prefix``."""

    def __init__(self, url: str) -> None:
        """Open; nothing is written yet.

        Args:
            url: Folder path, ``file://`` or ``s3://`` URL. S3 endpoint and keys come from the usual
                ``AWS_*`` variables.

        Raises:
            StoreError: the URL's protocol is not known.
        """
        import fsspec

        self.url = url
        options: dict[str, Any] = {}
        if url.startswith("s3://"):
            options = {"use_listings_cache": False, "skip_instance_cache": True, "default_fill_cache": False}
        try:
            self.fs, root = fsspec.core.url_to_fs(url, **options)
        except (ValueError, ImportError) as error:
            raise StoreError(
                f"the store {url!r} cannot be opened: {error}. Use a folder or s3://bucket/prefix."
            ) from None
        self.root = root.rstrip("/")
        self.is_local = "file" in self.fs.protocol
        self._probed = False

    # -- keys ---------------------------------------------------------------------------------------------

    def key(self, *parts: str) -> str:
        """Full key of path parts below the root."""
        return "/".join((self.root, *parts))

    def blob_key(self, sha256: str) -> str:
        """Where content with this digest lies."""
        return self.key("blobs", "sha256", sha256[:2], sha256)

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Run one store operation; turn what can go wrong into a StoreError that names the remedy."""
        try:
            return function()
        except (FileExistsError, RptError):
            raise
        except PermissionError as error:
            raise StoreError(f"the store {self.url} refuses to {what}: {error}. Check its keys.") from None
        except FileNotFoundError as error:
            if not self.is_local and "bucket" in str(error).lower():
                raise StoreError(
                    f"the store {self.url} has no such bucket, so it cannot {what}. "
                    "Create it, or mend RPT_STORE."
                ) from None
            raise
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise
            raise StoreError(
                f"the store {self.url} could not {what}: {error}. Try again when it can be reached.",
                retryable=not self.is_local,
            ) from error
        except Exception as error:
            if type(error).__module__.split(".")[0] in {"botocore", "aiobotocore", "aiohttp"}:
                raise StoreError(
                    f"the store {self.url} cannot be reached to {what}: {error}. Try again when it can.",
                    retryable=True,
                ) from error
            raise

    def create(self, key: str, data: bytes) -> bool:
        """Create a key whole, or learn that it is taken. Locally: a hard link, which cannot overwrite."""
        if self.is_local:
            Path(key).parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(f"{key}.{uuid.uuid4().hex}.tmp")
            temporary.write_bytes(data)
            try:
                os.link(temporary, key)
            except FileExistsError:
                return False
            finally:
                temporary.unlink()
            return True
        try:
            self.call("create a key", lambda: self.fs.pipe_file(key, data, mode="create"))
        except FileExistsError:
            return False
        except OSError as error:  # some servers answer a taken key with EINVAL
            if error.errno == errno.EINVAL and self.exists(key):
                return False
            raise
        return True

    def exists(self, key: str) -> bool:
        """Whether a key is there."""
        return bool(self.call("look up a key", lambda: self.fs.exists(key)))

    def read(self, key: str) -> bytes | None:
        """All bytes of a key, or None where it is absent."""
        try:
            data: bytes = self.call("read a key", lambda: self.fs.cat_file(key))
        except FileNotFoundError:
            return None
        return data

    def list(self, key: str) -> list[str]:
        """Names directly below a key, sorted."""
        try:
            found = self.call("list keys", lambda: self.fs.ls(key, detail=False, refresh=True))
        except FileNotFoundError:
            return []
        except TypeError:  # the local file system knows no refresh
            found = self.fs.ls(key, detail=False)
        names = (path.rstrip("/").rsplit("/", 1)[-1] for path in found)
        return sorted(name for name in names if not name.endswith(".tmp"))

    # -- the probe ----------------------------------------------------------------------------------------

    def probe(self) -> None:
        """Create one key twice; refuse a store that lets the second overwrite the first.

        Raises:
            StoreError: the store overwrites, so two builders could destroy each other's work.
        """
        if self._probed:
            return
        key = self.key("probe", uuid.uuid4().hex)
        first = self.create(key, b"1")
        second = self.create(key, b"2")
        content = self.read(key)
        self.call("remove the probe", lambda: self.fs.rm_file(key))
        if not first or second or content != b"1":
            raise StoreError(
                f"the store {self.url} overwrote a key that was to be created only once; publishing to it "
                "could destroy finished work. Turn bucket versioning off or use another store."
            )
        self._probed = True

    # -- blobs --------------------------------------------------------------------------------------------

    def put_file(self, path: Path, name: str, *, volatile: bool = False) -> FileEntry:
        """Store one file's content; returns its entry. Putting the same content twice costs one look-up."""
        sha256 = file_sha256(path)
        key = self.blob_key(sha256)
        if not self.exists(key):
            self._put_blob(path, key)
        return FileEntry(
            path=name,
            blob=sha256,
            num_bytes=path.stat().st_size,
            digest=sha256 if volatile else logical_digest(path),
            volatile=volatile,
        )

    def _put_blob(self, path: Path, key: str) -> None:
        if self.is_local:
            Path(key).parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(f"{key}.{uuid.uuid4().hex}.tmp")
            shutil.copyfile(path, temporary)
            temporary.chmod(0o444)
            temporary.replace(key)
        else:  # put_file completes a multi-part upload only when every part arrived
            self.call("upload a file", lambda: self.fs.put_file(str(path), key))

    def put_folder(self, folder: Path, volatile: frozenset[str] = frozenset()) -> tuple[FileEntry, ...]:
        """Store every file below a folder, by relative path, in parallel."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())

        def put(path: Path) -> FileEntry:
            name = path.relative_to(folder).as_posix()
            return self.put_file(path, name, volatile=path.name in volatile)

        with ThreadPoolExecutor(_PARALLEL_BLOBS) as pool:
            return tuple(pool.map(put, paths))

    def _fetch(self, entry: FileEntry, target: Path) -> None:
        """Put a verified copy of a blob at ``target``.

        Locally that is a hard link where the file system has them: a browser that followed a symbolic link
        would see a blob's name, without ``.html``, and show a page's source.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        key = self.blob_key(entry.blob)
        if self.is_local:
            source = Path(key)
            if source.exists():
                _link(source, target)
        else:
            try:
                self.call("download a file", lambda: self.fs.get_file(key, str(target)))
            except FileNotFoundError:
                target.unlink(missing_ok=True)
        if not target.exists():
            raise IntegrityError(
                f"the store {self.url} lacks the content {entry.blob[:12]} of {entry.path}: the artifact is "
                "damaged. Remove its manifest and build it again."
            )
        found = file_sha256(target)
        if found != entry.blob:
            target.unlink()
            raise IntegrityError(
                f"{entry.path} holds bytes with SHA-256 {found[:12]}, its manifest says {entry.blob[:12]}: "
                "the stored content was changed. Remove the artifact's manifest and build it again."
            )

    def fetch_all(self, files: tuple[FileEntry, ...], folder: Path) -> Path:
        """Fill a new folder whole, then move it into place; another process may win, with equal content."""
        if folder.exists():
            return folder
        temporary = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.tmp")
        temporary.mkdir(parents=True)
        with ThreadPoolExecutor(_PARALLEL_BLOBS) as pool:
            list(pool.map(lambda entry: self._fetch(entry, temporary / entry.path), files))
        try:
            temporary.rename(folder)
        except OSError:
            shutil.rmtree(temporary)
            if not folder.exists():
                raise
        return folder

    def remove(self, key: str, *, recursive: bool = False) -> None:
        """Remove one key, or all below it."""
        self.call(
            "remove a key", lambda: self.fs.rm(key, recursive=True) if recursive else self.fs.rm_file(key)
        )


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)
