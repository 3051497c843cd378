"""Garbage: stored content that no artifact and no unfinished build names, and what dead processes left."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from infra.storage.documents import Fault
from infra.storage.keys import Stored
from infra.storage.local_files import last_touched, walk_files
from infra.storage.progress import CONTENTS, RECORDS, read_record
from infra.storage.store import Store
from infra.storage.uploads import take_back
from rpt_core.artifacts.names import is_sha256
from rpt_core.errors import IntegrityError

_OWN_PARTS = 4
"""Parts of a key that name a checkpoint's own content: fingerprint, numerics, save and digest."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """What could go, and what keeps it from going."""

    contents: tuple[Stored, ...]
    horizon: float
    """Only what was last put before this moment, by the store's clock."""
    faults: tuple[Fault, ...]
    """What could not be read, whatever it is."""

    @property
    def num_bytes(self) -> int:
        """Size of all of it."""
        return sum(each.num_bytes for each in self.contents)

    @property
    def holds(self) -> tuple[Fault, ...]:
        """Files that may name any content, since they cannot be read: nothing is removed beside one."""
        return tuple(fault for fault in self.faults if fault.may_name_content)


def survey(store: Store, older_than_seconds: float) -> Garbage:
    """Contents that nothing names and that were put, or last renewed, longer ago than an age.

    The order matters. Contents are listed first, so that one put later is not among them; checkpoints are
    read before manifests, since a build that ends meanwhile publishes before it forgets its checkpoints.
    Checkpoints of what is finished, left by a builder that was killed right then, go with their records.
    """
    horizon = time.time() - older_than_seconds
    walk, key = store.objects.walk, store.objects.key
    shared, saved, records = walk(key("blobs", "sha256")), walk(key(CONTENTS)), walk(key(RECORDS))
    named = list(_named_by_progress(store))
    scan = store.scan()
    finished = {manifest.fingerprint for manifest in scan.manifests}
    needed = [each for each in named if each.fingerprint not in finished]
    used = {entry.blob for manifest in scan.manifests for entry in manifest.files}
    used |= {name for each in needed for name in each.contents}
    found = (
        *(each for each in shared if _content(each) not in used),
        *(each for each in saved if _content(each, _OWN_PARTS) not in used),
    )
    contents = tuple(each for each in found if is_sha256(_content(each)))
    done = tuple(each for each in records if each.key.split("/")[-3] in finished)
    faults = (each.fault for each in needed if each.fault is not None)
    return Garbage(
        tuple(each for each in (*contents, *done) if each.modified < horizon),
        horizon,
        (*faults, *scan.faults),
    )


class _Named(NamedTuple):
    """What the record of one checkpoint names."""

    fingerprint: str
    contents: frozenset[str]
    """Digests of those in ``blobs``; of its own, the last parts of their keys."""
    fault: Fault | None = None


def _named_by_progress(store: Store) -> Iterator[_Named]:
    for document in store.documents.below(RECORDS):
        _, fingerprint, *parts = document.name.split("/")
        try:
            files, save, _ = read_record(document)
        except IntegrityError as error:
            yield _Named(fingerprint, frozenset(), Fault(document.name, str(error), may_name_content=True))
            continue
        own = (fingerprint, *parts[:-1], save) if save else ()
        yield _Named(fingerprint, frozenset("/".join((*own, entry.blob)) for entry in files))


def _content(stored: Stored, parts: int = 1) -> str:
    return "/".join(stored.key.split("/")[-parts:])


def remove(store: Store, garbage: Garbage) -> list[Stored]:
    """Remove what a survey found, but for what was renewed since; returns what went.

    A publisher renews every content it is about to name (:meth:`infra.storage.objects.Objects.renew`), looks
    again right before its manifest, and right after. So each one's age is asked again just before it goes.

    Raises:
        IntegrityError: something that may name any of it cannot be read.
    """
    if garbage.holds:
        raise IntegrityError(
            f"nothing was removed: {len(garbage.holds)} files that may name any content cannot be read "
            f"({garbage.holds[0].key} ...). Restore or remove them first; each is named above."
        )
    gone = []
    for each in garbage.contents:
        now = store.objects.look(each.key)
        if now is not None and now.modified < garbage.horizon:
            store.objects.remove(each.key)
            gone.append(each)
    return gone


def sweep(store: Store, home: Path, older_than_seconds: float) -> int:
    """Remove what processes that were killed left, here and on S3; returns how many things went.

    Uploads in parts that were never completed (:mod:`infra.storage.uploads`), half-written files of a store
    in a folder and empty folders of its checkpoints, half-filled copies in the cache, locks nobody waits for,
    and empty scratch folders. All are younger than the age while somebody works on them.
    """
    horizon = time.time() - older_than_seconds
    num = take_back(store.objects, horizon)
    for path in _leftovers(store, home):
        if last_touched(path) < horizon:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            num += 1
    return num


def _leftovers(store: Store, home: Path) -> Iterator[Path]:
    if store.objects.is_local:
        yield from (path for path in walk_files(Path(store.objects.root)) if path.suffix == ".tmp")
        yield from _below(Path(store.objects.root) / "probe")
        for prefix in (CONTENTS, RECORDS):
            folders = os.walk(Path(store.objects.root) / prefix, topdown=False)
            yield from (Path(folder) for folder, *_ in folders if not os.listdir(folder))
    for kind in _below(store.cache):
        if kind.name in ("verify", "copy"):
            yield from _below(kind)
        else:
            yield from (path for path in _below(kind) if path.suffix == ".tmp")
            yield from (seal for seal in kind.glob("*.seal") if not seal.with_suffix("").exists())
    yield from (lock for lock in _below(home / "locks") if not _is_held(lock))
    scratch = (folder for folder in _below(home / "scratch") if folder.is_dir())
    yield from (folder for folder in scratch if not any(folder.iterdir()))


def _is_held(lock: Path) -> bool:
    """Whether a builder that is alive holds a lock."""
    try:
        with lock.open() as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _below(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
