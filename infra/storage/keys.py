"""Keys of an object store over fsspec: exclusive creation, looks, reads and listings.

All stores can refuse a second creation of one key; on that alone everything else stands
(:class:`infra.storage.store.Store`). ``file://`` and ``s3://`` take one code path but for what cannot be the
same: creating a key whole, and listing.
"""

import errno
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from infra.storage.errors import DISK_FULL, local_error, remote_error
from infra.storage.local_files import make_folder, remove_tree, walk_files
from infra.storage.s3 import s3_files
from rpt_core.addresses import holds_password
from rpt_core.artifacts.names import is_plain
from rpt_core.errors import IntegrityError, RptError, StoreError

T = TypeVar("T")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(/?)")

_S3_CLIENT = {
    "connect_timeout": 12,
    "read_timeout": 12,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}
"""Seconds without a byte from S3, and how often the client itself tries."""
_S3_TRIES = 2
"""How often s3fs tries what the client gave up; so a server that hangs is named after some 50 seconds."""
_AT_ONCE = 1000
"""Keys that S3 removes in one request."""


class Stored(NamedTuple):
    """One key as a listing shows it."""

    key: str
    num_bytes: int
    modified: float
    """Seconds since 1970, by the store's clock."""
    etag: str = ""
    """S3's mark of the content; empty in a folder."""


class Keys:
    """The primitives of one store, named by a URL: a folder, ``file://...`` or ``s3://bucket/prefix``."""

    def __init__(self, url: str) -> None:
        """Open; nothing is written yet.

        Args:
            url: Folder path, ``file://`` or ``s3://`` URL. S3 endpoint and keys come from the usual
                ``AWS_*`` variables.

        Raises:
            StoreError: the URL is of another kind, names no bucket, or carries a password.
        """
        _check_url(url)
        import fsspec

        self.url = url
        self.fs: Any
        try:
            if url.startswith("s3://"):
                self.fs = s3_files(default_fill_cache=False, config_kwargs=_S3_CLIENT)
                root = str(self.fs._strip_protocol(url))
            else:
                self.fs, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise StoreError(
                f"the store {url!r} cannot be opened: {error}. Use a folder or s3://bucket/prefix."
            ) from None
        self.root = root.rstrip("/")
        self.is_local = "file" in self.fs.protocol
        if not self.is_local:
            self.fs.retries = _S3_TRIES
        self._probed = False

    def key(self, *parts: str) -> str:
        """Full key of path parts below the root.

        Raises:
            IntegrityError: a part would lead elsewhere; kinds and fingerprints may come from a manifest.
        """
        odd = next((part for part in parts if not is_plain(part)), None)
        if odd is not None:
            raise IntegrityError(
                f"{odd[:80]!r} cannot be part of a key in {self.url}: only letters, digits and . _ + - can. "
                "Whatever names it was damaged, or was not written by this project."
            )
        return "/".join((self.root, *parts))

    def call(self, what: str, function: Callable[[], T]) -> T:
        """Run one store operation; turn what can go wrong into a StoreError that names the remedy.

        ``FileExistsError`` and ``FileNotFoundError`` are answers, not failures, and pass.
        """
        try:
            return function()
        except (FileExistsError, RptError):
            raise
        except FileNotFoundError as error:
            told = None if self.is_local else remote_error(error, what, self.url)
            if told is None:
                raise
            raise told from None
        except OSError as error:
            if self.is_local or error.errno in DISK_FULL:
                raise local_error(error, what, self.root if self.is_local else "the cache") from error
            raise (remote_error(error, what, self.url) or error) from error
        except Exception as error:
            told = None if self.is_local else remote_error(error, what, self.url)
            if told is None:
                raise
            raise told from error

    def create(self, key: str, data: bytes) -> bool:
        """Create a key whole, or learn that it is taken. Locally: a hard link, which cannot overwrite."""
        try:
            self.call("create a key", lambda: self._create_here(key, data) if self.is_local
                      else self._create_there(key, data))  # fmt: skip
        except FileExistsError:
            return False
        return True

    def _create_here(self, key: str, data: bytes) -> None:
        make_folder(Path(key).parent)
        temporary = Path(f"{key}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(data)
            try:
                os.link(temporary, key)
            except FileExistsError:
                raise
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                raise StoreError(
                    f"the file system of {self.root} has no hard links, which creating a key only once "
                    "needs. Set RPT_STORE to a folder on another disk."
                ) from None
        finally:
            temporary.unlink(missing_ok=True)

    def _create_there(self, key: str, data: bytes) -> None:
        try:
            self.fs.pipe_file(key, data, mode="create")
        except OSError as error:  # some servers answer a taken key with EINVAL
            if error.errno == errno.EINVAL and self.exists(key):
                raise FileExistsError(key) from None
            raise

    def claim(self, key: str, data: bytes) -> bool:
        """Create a key with bytes that nobody else would write, or learn that another has it.

        A store may have kept the key and lost its acknowledgement; the client's second try then finds the
        first. Bytes that are found there and are ours mean that it was kept.
        """
        return self.create(key, data) or self.read(key) == data

    def exists(self, key: str) -> bool:
        """Whether a key is there, or a key below it."""
        return bool(self.call("look up a key", lambda: self.fs.exists(key)))

    def look(self, key: str) -> Stored | None:
        """What one key holds; None where it is absent, or no plain file."""
        if self.is_local:
            return self.call("look up a key", lambda: regular_file(Path(key)))
        bucket, name, _ = self.fs.split_path(key)
        try:
            head = self.call("look up a key", lambda: self.fs.call_s3("head_object", Bucket=bucket, Key=name))
        except FileNotFoundError:
            return None
        if "LastModified" not in head:
            raise self._no_s3("a look at a key")
        return Stored(key, int(head["ContentLength"]), head["LastModified"].timestamp(), head.get("ETag", ""))

    def read(self, key: str) -> bytes | None:
        """All bytes of a key, or None where it is absent.

        Raises:
            IntegrityError: it is a device, a pipe or a folder.
        """
        if self.is_local:
            return self.call("read a key", lambda: self._read_here(Path(key)))
        try:
            data: bytes = self.call("read a key", lambda: self.fs.cat_file(key, max_concurrency=1))
        except FileNotFoundError:
            return None
        return data

    def _read_here(self, path: Path) -> bytes | None:
        if regular_file(path) is None:
            if os.path.lexists(path):
                raise IntegrityError(f"{path} is no plain file, so it is not read. Remove it.")
            return None
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def list(self, key: str) -> list[str]:
        """Names directly below a key, sorted."""
        if self.is_local:
            if not Path(key).is_dir():
                return []
            names = self.call("list keys", lambda: os.listdir(key))
        else:
            names = self.call("list keys", lambda: [_last(each) for each in self._listed_there(key, "/")])
        return sorted({name for name in names if name and not name.endswith(".tmp")})

    def walk(self, key: str) -> tuple[Stored, ...]:
        """Every key below one, sorted; on S3 a thousand keys a request. Half-written files are left out."""
        if self.is_local:
            return self.call("list keys", lambda: tuple(_stored(Path(key))))
        found = self.call("list keys", lambda: [each for each in self._listed_there(key) if _last(each)])
        return tuple(sorted(each for each in found if isinstance(each, Stored)))

    def _listed_there(self, key: str, delimiter: str = "") -> Iterator["Stored | str"]:
        """What S3 lists below a key: objects, and with a delimiter the folders between.

        Asked for here and not through the file system's own listing, which shows an emptied folder as a
        thing in itself where the server keeps one, and takes a page of another kind for an empty listing.
        A folder's own mark, an object whose name ends in a slash, has no name below the key.

        Raises:
            StoreError: the answer is no listing.
        """
        bucket, prefix, _ = self.fs.split_path(f"{key}/")
        more: dict[str, str] = {"Delimiter": delimiter} if delimiter else {}
        while True:
            page = self.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
            if "IsTruncated" not in page:
                raise self._no_s3("a listing")
            for each in page.get("Contents", ()):
                modified = each["LastModified"].timestamp()
                name = f"{bucket}/{each['Key']}"
                yield Stored(name, int(each["Size"]), modified, each.get("ETag", ""))
            yield from (f"{bucket}/{each['Prefix']}"[:-1] for each in page.get("CommonPrefixes", ()))
            if not page["IsTruncated"]:
                return
            more["ContinuationToken"] = page["NextContinuationToken"]

    def _no_s3(self, asked: str) -> StoreError:
        return StoreError(
            f"the store {self.url} answered {asked} with something else, as a login page of a network does. "
            "Try again when it can be reached.",
            retryable=True,
        )

    def remove(self, key: str) -> None:
        """Remove one key."""
        self.call("remove a key", lambda: self.fs.rm_file(key))

    def remove_all(self, key: str) -> None:
        """Remove all below a key, whatever of it is gone already; what is put meanwhile may stay."""
        if self.is_local:
            self.call("remove keys", lambda: remove_tree(Path(key)))
            return
        names = tuple(self.fs.split_path(each.key)[1] for each in self.walk(key))
        for start in range(0, len(names), _AT_ONCE):
            self.call("remove keys", partial(self._remove_there, key, names[start : start + _AT_ONCE]))

    def _remove_there(self, key: str, names: tuple[str, ...]) -> None:
        """One request for up to a thousand keys; its answer tells of those that stay.

        Raises:
            StoreError: one stays.
        """
        wanted = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        answer = self.fs.call_s3("delete_objects", Bucket=self.fs.split_path(key)[0], Delete=wanted)
        for error in answer.get("Errors", ()):
            raise StoreError(
                f"the store {self.url} does not remove {error.get('Key')}: {error.get('Code')} "
                f"{error.get('Message', '')}. Its login needs the right to delete; else try again later.",
                retryable=error.get("Code") != "AccessDenied",
            )

    def probe(self) -> None:
        """Create one key twice; refuse a store that lets the second overwrite the first.

        Raises:
            StoreError: the store overwrites, so two builders could destroy each other's work.
        """
        if self._probed:
            return
        key = self.key("probe", uuid.uuid4().hex)
        ours, other = uuid.uuid4().bytes, uuid.uuid4().bytes
        first = self.claim(key, ours)
        second = self.create(key, other)
        content = self.read(key)
        if content is not None:
            self.remove(key)
        if not first or second or content != ours:
            raise StoreError(
                f"the store {self.url} overwrote a key that was to be created only once; publishing to it "
                "could destroy finished work. Turn bucket versioning off or use another store."
            )
        self._probed = True


def _last(listed: Stored | str) -> str:
    """The name of what was listed, in its folder; empty for a folder's own mark."""
    return (listed.key if isinstance(listed, Stored) else listed).rpartition("/")[2]


def regular_file(path: Path) -> Stored | None:
    """A file as a key, through symbolic links; None for whatever else lies there, or nothing."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stored(str(path), found.st_size, found.st_mtime) if stat.S_ISREG(found.st_mode) else None


def _stored(folder: Path) -> Iterator[Stored]:
    for path in walk_files(folder):
        if path.suffix != ".tmp":
            try:
                found = path.lstat()
            except FileNotFoundError:  # removed since it was listed
                continue
            yield Stored(str(path), found.st_size, found.st_mtime)


def _check_url(url: str) -> None:
    """Refuse at once what could be no store of ours, with what could."""
    from fsspec.registry import known_implementations

    use = "Use a folder or s3://bucket/prefix (RPT_STORE)"
    if holds_password(url):
        raise StoreError(
            f"the store {url!r} cannot be opened: its address carries a login, which every record would "
            f"repeat. {use}, and give S3's keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found and (found[2] or found[1].lower() in known_implementations) else ""
    if scheme not in ("", "file", "s3"):
        raise StoreError(f"the store {url!r} cannot be opened: {scheme}: is no kind of store here. {use}.")
    if scheme == "s3" and not re.match(r"s3://[^/]", url):
        raise StoreError(f"the store {url!r} cannot be opened: it names no bucket. {use}.")
    if "\0" in url or (scheme == "file" and not re.match(r"file:///.", url)):
        raise StoreError(f"the store {url!r} cannot be opened: it names no folder. {use}.")
