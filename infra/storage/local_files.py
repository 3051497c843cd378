"""Files of this machine: copies that share no writable byte, and reads that end."""

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20
_BY_HAND = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})
"""Between two file systems, or on one that cannot."""


def copy_bytes(source: Path, target: Path, num_bytes: int) -> None:
    """Copy the first bytes of a file, as shared blocks where the file system can (Btrfs, XFS).

    Never a hard link: who wrote to the one name would write to the other, and root is not held by modes.
    """
    with source.open("rb") as reader, target.open("wb") as writer:
        left = num_bytes
        if hasattr(os, "copy_file_range"):
            left = _copied_by_kernel(reader.fileno(), writer.fileno(), num_bytes)
        if left:
            done = num_bytes - left
            reader.seek(done)
            writer.seek(done)
            while left and (chunk := reader.read(min(left, _CHUNK))):
                writer.write(chunk)
                left -= len(chunk)


def _copied_by_kernel(source: int, target: int, num_bytes: int) -> int:
    """Copy within the kernel; returns how many bytes are left for a copy by hand."""
    left = num_bytes
    try:
        while left and (num := os.copy_file_range(source, target, left)):
            left -= num
    except OSError as error:
        if error.errno in _BY_HAND:
            return left
        raise
    return left


def walk_files(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder, sorted; nothing where there is no folder."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names))


def make_folder(folder: Path) -> None:
    """Make a folder with all above it; one that is there already is fine.

    Raises:
        NotADirectoryError: a file stands in its place.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, "a file stands where a folder should", str(folder)) from error


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it, beside others who put or remove there; what they put meanwhile stays."""

    def tell(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for root, _, names in os.walk(folder, topdown=False, onerror=tell):
        for name in names:
            (Path(root) / name).unlink(missing_ok=True)
        try:
            os.rmdir(root)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise


def last_touched(path: Path) -> float:
    """The youngest time of a file, or of a folder and all in it; now, where it is gone."""
    try:
        return max((each.lstat().st_mtime for each in (path, *walk_files(path))), default=0.0)
    except FileNotFoundError:
        return time.time()
