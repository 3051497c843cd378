"""Files from the network, once: resumed where they broke off, checked, and whole or not there at all.

A file is pulled into ``NAME.part``; what was read stays on disk through a lost connection, a kill, a
reboot, and the next call asks for the rest, if the server still has the same file. ``NAME`` appears by one
rename, after its length and its checksum agreed.
"""

import fcntl
import hashlib
import http.client
import json
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.storage.s3 import s3_files
from rpt_core.errors import SourceError
from rpt_core.retry import pause_seconds, seconds_asked

CHUNK = 1 << 20
S3_CHUNK = 16 << 20
TIMEOUT_SECONDS = 30.0
TRIES = 6
"""Attempts in a row without one new byte; every byte that arrives starts the count anew."""
WAIT_SECONDS_MAX = 60.0
AGENT = "rpt-plain-text/0.1 (research corpus builder)"
"""Wikimedia and arXiv ask clients to say what they are."""
_CHECKSUM = re.compile(r"(md5|sha1|sha256|sha512)=([0-9a-fA-F]+)")
_WIKIMEDIA = re.compile(r"([a-z_]+wiki)-(\d{8})-[^/]+$")
LASTING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may pass."""

_log = logging.getLogger("rpt.download")
Progress = Callable[[int, int], None]
"""Bytes on disk, and bytes in all (0 while unknown)."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file's bytes must hash to."""

    algorithm: str
    digest: str

    def of(self, path: Path) -> str:
        """The file's own digest, hex."""
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, self.algorithm).hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    """What the first answer said of the file: it tells whether a later one is of the same."""

    validator: str = ""
    total: int = 0


class _Passing(Exception):  # noqa: N818  (a reason to try again, seen by nobody outside)
    """A failure that another attempt may not meet."""

    def __init__(self, why: str, wait_seconds: float = 0.0) -> None:
        super().__init__(why)
        self.wait_seconds = wait_seconds


def is_remote(data: str) -> bool:
    """Whether a source is named by an address and not by a path.

    Example:
        >>> is_remote("https://x.org/dump.xml.bz2"), is_remote("C:/dump.xml")
        (True, False)
    """
    return data.startswith(("http://", "https://", "s3://"))


def parse_address(address: str) -> tuple[str, str, Checksum | None]:
    """Address without its fragment, file name, and the checksum the fragment asks for.

    Raises:
        SourceError: it names no file, or an unknown checksum.

    Example:
        >>> parse_address("https://x.org/a/b.xml.bz2#sha1=ab")
        ('https://x.org/a/b.xml.bz2', 'b.xml.bz2', Checksum(algorithm='sha1', digest='ab'))
    """
    bare, _, fragment = address.partition("#")
    try:
        split = urllib.parse.urlsplit(bare)
        if split.scheme != "s3":
            split.port, bare.encode("ascii")
    except ValueError as error:
        raise SourceError(f"{address[:200]!r} is no address that can be asked for: {error}.") from None
    name = urllib.parse.unquote(split.path).rsplit("/", 1)[-1]
    if not name or name in (".", "..") or "\0" in name or "\\" in name:
        raise SourceError(f"the address {bare!r} names no file; give the address of one file.")
    if "@" in urllib.parse.urlsplit(bare).netloc:
        raise SourceError(
            f"the address {bare!r} carries a login, which a download does not use and a record would repeat. "
            "Download the file yourself and give its path."
        )
    if not fragment:
        return bare, name, None
    match = _CHECKSUM.fullmatch(fragment)
    if not match or len(match[2]) % 2:
        raise SourceError(
            f"the address {bare!r} ends in #{fragment}, which is no checksum; write #sha256=.. or #sha1=.. ."
        )
    return bare, name, Checksum(match[1], match[2].lower())


def download(
    address: str,
    folder: Path,
    wait_seconds: float = 1.0,
    progress: Progress | None = None,
    name: str = "",
) -> Path:
    """The file at an address, in ``folder``; one that lies there already is not asked for again.

    Args:
        address: ``https://``, ``http://`` or ``s3://`` (requester pays), with ``#sha256=..``, ``#sha1=..`` or
            ``#md5=..`` if its checksum is known. Wikimedia's published sums are looked up unasked.
        folder: Gets the file under the last part of its address.
        wait_seconds: Before the second attempt; doubled before every further one.
        progress: Told after every piece.
        name: What the file is called here, instead of the last part of its address.

    Raises:
        SourceError: it is not there, is another file than its checksum says, does not fit on the disk,
            or (``retryable``) could not be reached often enough.
    """
    bare, last, expected = parse_address(address)
    name = name or last
    folder.mkdir(parents=True, exist_ok=True)
    target, part = folder / name, folder / f"{name}.part"
    with _alone(folder / f".{name}.lock"):
        if target.exists() and (expected is None or _checked(target, expected)):
            return target
        expected = expected or _published(bare, name)
        _pull_all(bare, part, wait_seconds, progress)
        if expected and (found := expected.of(part)) != expected.digest:
            part.unlink()
            _state(part).unlink(missing_ok=True)
            raise SourceError(
                f"{bare} came with {expected.algorithm} {found}, but {expected.digest} was expected. "
                "It was thrown away: ask again, or see whether the file was replaced by a newer one."
            )
        os.replace(part, target)
        _state(part).unlink(missing_ok=True)
        if expected:
            _state(target).write_text(json.dumps({**asdict(expected), "num_bytes": target.stat().st_size}))
    return target


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time pulls one file."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _state(path: Path) -> Path:
    return path.with_name(f".{path.name}.json")


def _checked(target: Path, expected: Checksum) -> bool:
    """Whether a finished file has the checksum; remembered, so that a dump is hashed once."""
    record = _state(target)
    wanted = {**asdict(expected), "num_bytes": target.stat().st_size}
    if record.exists() and json.loads(record.read_text()) == wanted:
        return True
    if expected.of(target) != expected.digest:
        return False
    record.write_text(json.dumps(wanted))
    return True


def _published(bare: str, name: str) -> Checksum | None:
    """The SHA-1 that Wikimedia lists beside a dump; None for other files and where the list is absent."""
    match = _WIKIMEDIA.search(name)
    if not match or not bare.startswith("http"):
        return None
    sums = f"{bare[: -len(name)]}{match[1]}-{match[2]}-sha1sums.txt"
    try:
        with opened(sums) as answer:
            text = answer.read(1 << 20).decode("ascii", "replace")
    except (OSError, http.client.HTTPException):
        return None
    found = re.search(rf"^([0-9a-f]{{40}})\s+\*?{re.escape(name)}\s*$", text, re.MULTILINE)
    return Checksum("sha1", found[1]) if found else None


def opened(url: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """A server's answer, with our name in the question.

    Raises:
        HTTPError: it refuses; the error holds no connection any more.
        OSError: it cannot be reached.
    """
    request = urllib.request.Request(  # noqa: S310  (http and https alone come here)
        url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **(headers or {})}
    )
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()  # its status and headers stay readable
        raise
    return answer


def _pull_all(bare: str, part: Path, wait_seconds: float, progress: Progress | None) -> None:
    """Pull until the file is whole, waiting longer after every attempt that brought nothing."""
    pull = _pull_s3 if bare.startswith("s3://") else _pull
    failures = 0
    while True:
        before = _size(part)
        try:
            pull(bare, part, progress)
        except _Passing as failure:
            failures = 0 if _size(part) > before else failures + 1
            if failures >= TRIES:
                raise SourceError(
                    f"{bare} could not be read in {TRIES} attempts: {failure}. {_size(part)} bytes are kept; "
                    "ask again when it can be reached.",
                    retryable=True,
                ) from None
            attempt = max(failures - 1, 0)
            pause = pause_seconds(attempt, wait_seconds, WAIT_SECONDS_MAX, failure.wait_seconds)
            if failures:
                _log.warning(
                    "%s could not be read (%s); attempt %d of %d follows in %.0f s.",
                    *(bare, failure, failures + 1, TRIES, pause),
                )
            time.sleep(pause)
        else:
            return


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pull(bare: str, part: Path, progress: Progress | None) -> None:
    """One attempt over HTTP: the rest of the file if it is still the same, else all of it.

    Raises:
        _Passing: it broke off, or the server is busy; what was read is in ``part``.
        SourceError: it will not come.
    """
    known, start = _remembered(part), _size(part)
    headers = {}
    if start and known.validator:
        headers = {"Range": f"bytes={start}-", "If-Range": known.validator}
    try:
        with opened(bare, headers) as answer:
            _take(bare, part, answer, start if headers else 0, progress)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if known.total and start == known.total:
                return
            part.unlink()
            raise _Passing("the kept part is longer than the file") from None
        if error.code in LASTING:
            raise _Passing(f"HTTP {error.code}", seconds_asked(error.headers.get("Retry-After"))) from None
        raise SourceError(f"{bare} answered HTTP {error.code} {error.reason}; check the address.") from None
    except urllib.error.URLError as error:
        raise _Passing(str(error.reason)) from None
    except (http.client.InvalidURL, ValueError) as error:  # before OSError: some of it is both
        raise SourceError(f"{bare!r} is no address that can be asked for: {error}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(f"{type(error).__name__} {error}") from None


def _remembered(part: Path) -> _Known:
    record = _state(part)
    return _Known(**json.loads(record.read_text())) if record.exists() else _Known()


def _take(
    bare: str, part: Path, answer: http.client.HTTPResponse, start: int, progress: Progress | None
) -> None:
    resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
    if resumed and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
        raise _Passing(f"asked for bytes from {start}, got {answer.headers.get('Content-Range')}")
    if not resumed:
        start = 0
    left = int(answer.headers.get("Content-Length") or 0)
    total = start + left if left else 0
    _fits(bare, part, left)
    strong = answer.headers.get("ETag") or ""
    validator = answer.headers.get("Last-Modified") or "" if strong.startswith("W/") or not strong else strong
    _state(part).write_text(json.dumps(asdict(_Known(validator, total))))
    have = start
    with part.open("ab" if resumed else "wb") as stream:
        while piece := answer.read(CHUNK):
            stream.write(piece)
            have += len(piece)
            if progress:
                progress(have, total)
    if total and have != total:
        raise _Passing(f"it ended after {have} of {total} bytes")


def _fits(bare: str, part: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if num_bytes > free:
        raise SourceError(
            f"{bare} needs {num_bytes} more bytes, but {part.parent} has {free} free. "
            "Free some, or set RPT_HOME."
        )


def _pull_s3(bare: str, part: Path, progress: Progress | None) -> None:
    """One attempt over S3; the requester pays, as arXiv's bulk files ask.

    Raises:
        _Passing: it broke off.
        SourceError: there is no such object, or no right to it.
    """
    try:
        files = s3_files(requester_pays=True)
        info = files.info(bare)
        known = _Known(str(info.get("ETag", "")), int(info["size"]))
        if _remembered(part) != known:
            part.unlink(missing_ok=True)
            _state(part).write_text(json.dumps(asdict(known)))
        _fits(bare, part, known.total - _size(part))
        with part.open("ab") as stream:
            while (have := stream.tell()) < known.total:
                stream.write(files.cat_file(bare, start=have, end=min(have + S3_CHUNK, known.total)))
                stream.flush()
                if progress:
                    progress(stream.tell(), known.total)
    except SourceError:
        raise
    except (FileNotFoundError, PermissionError) as error:
        raise SourceError(f"{bare} cannot be read: {error}. Check the address and the AWS_* keys.") from None
    except Exception as error:
        if type(error).__module__.split(".")[0] in {"botocore", "aiobotocore", "aiohttp"} or isinstance(
            error, OSError
        ):
            raise _Passing(f"{type(error).__name__} {error}") from None
        raise
