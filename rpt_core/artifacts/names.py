"""Names that an artifact may give its files: what lies in a store must not reach outside it.

A manifest may come from anywhere, and its file names become paths of this machine. So a name is relative,
stays below the artifact's folder on every system, and no two names of an artifact can mean one file.
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

RESERVED = frozenset({"manifest.json"})
"""Written beside the files wherever an artifact is materialised."""
_DRIVE = re.compile(r"[A-Za-z]:")
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_PART, _LONGEST = 255, 1024


def checked_path(name: str) -> str:
    r"""A file's name within its artifact, unchanged.

    Raises:
        ValueError: it is absolute, climbs out, names a drive, or cannot be a file's name on some system.

    Example:
        >>> checked_path("model/config.json")
        'model/config.json'
        >>> checked_path("../x")
        Traceback (most recent call last):
        ...
        ValueError: the file name '../x' has a part '..', so it would leave the artifact's folder
    """
    problem = _problem(name)
    if problem:
        raise ValueError(f"the file name {name[:80]!r} {problem}, so it would leave the artifact's folder")
    return name


def _problem(name: str) -> str:
    parts = name.split("/")
    odd = next((part for part in parts if part in ("", ".", "..")), None)
    if name.startswith("/"):
        return "is absolute"
    if odd is not None:
        return f"has a part {odd!r}"
    if "\\" in name or _DRIVE.match(name):
        return "holds a backslash or begins with a drive"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "holds a control character or half a character"
    if max(len(part.encode()) for part in parts) > _LONGEST_PART or len(name.encode()) > _LONGEST:
        return "is longer than file systems allow"
    return "is that of the manifest itself" if name.casefold() in RESERVED else ""


def check_distinct(names: Iterable[str]) -> None:
    """Refuse names that are one file somewhere: twins, also but for case, and a file that is a folder too.

    Raises:
        ValueError: names the two.

    Example:
        >>> check_distinct(["a/b", "a/c"])
        >>> check_distinct(["Read.me", "read.ME"])
        Traceback (most recent call last):
        ...
        ValueError: the file names 'Read.me' and 'read.ME' are one file on some systems
    """
    files: dict[str, str] = {}
    for name in names:
        folded = _folded(name)
        if folded in files:
            raise ValueError(f"the file names {files[folded]!r} and {name!r} are one file on some systems")
        files[folded] = name
    for name in files.values():
        for folder in PurePosixPath(name).parents:
            if (twin := files.get(_folded(str(folder)))) is not None:
                raise ValueError(f"{twin!r} is named as a file and, by {name!r}, as a folder")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def is_plain(part: str) -> bool:
    """Whether a kind, a fingerprint or a spoken name can be one part of a key: no separator, no first dot."""
    return _PLAIN.fullmatch(part) is not None


def is_sha256(text: str) -> bool:
    """Whether a text can be the name of a blob."""
    return _SHA256.fullmatch(text) is not None
