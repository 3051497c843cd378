"""Checkpoints of unfinished builds: each has contents of its own, which go when later ones replace it.

    progress/<fingerprint>/<numerics>/<step>.json                    its record: create-only, put last
    checkpoints/<fingerprint>/<numerics>/<step>-<save>/<digest>      its contents; every save is another one

Only a record makes a checkpoint. No other thing names these contents, so they go at once, and the record
after them. A file that the checkpoint before held already is neither read nor sent again: it is linked in a
folder, and copied by the server on S3. Records of versions before this one name contents in ``blobs``; those
may be an artifact's too, and are left to garbage collection.

**A kill between any two steps** leaves a save without a record, or a part of a replaced one; the next save
takes it away. Removing needs no lock, though two machines may build one thing. While a step has a record, no
other save of it can get one, so those go. A save whose step has none may be about to get it, so it goes once
nobody put anything for ten minutes. And whoever got a record looks again, and puts what is gone.
"""

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from infra.storage.documents import StoredDocument
from infra.storage.local_files import last_touched, make_folder
from infra.storage.objects import COPY_BYTES_MAX, Objects
from rpt_core.artifacts.manifest import FileEntry
from rpt_core.artifacts.names import is_sha256
from rpt_core.errors import IntegrityError, RptError, StoreError

RECORDS, CONTENTS = "progress", "checkpoints"
QUIET_SECONDS = 600.0
"""Nobody put anything into a save for so long: who began it is dead."""
_STEP = re.compile(r"([0-9]{6,18})\.json")
_SAVE = re.compile(r"([0-9]{6,18})-[0-9a-f]{32}")
_PUT_TRIES = 3
_log = logging.getLogger("rpt.store")


class Record(NamedTuple):
    """What the record of a checkpoint says."""

    files: tuple[FileEntry, ...]
    save: str
    """The folder of its contents; empty where they are in ``blobs``."""
    note: dict[str, Any]


def read_record(document: StoredDocument) -> Record:
    """A checkpoint's record.

    Raises:
        IntegrityError: it cannot be read.
    """
    try:
        body = json.loads(document.data)
        files = tuple(FileEntry.model_validate(row) for row in body["files"])
        save, note = body.get("save", ""), body.get("note", {})
        if not isinstance(note, dict) or not (save == "" or _SAVE.fullmatch(save)):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = document.problem or f"{type(error).__name__}, {len(document.data)} bytes"
        raise IntegrityError(
            f"{document.name} is no record of a checkpoint ({why}). Remove it: the build resumes from an "
            "earlier one."
        ) from None
    return Record(files, save, note)


class SavedContents(Objects):
    """The contents of one checkpoint: named by their SHA-256, and by its record alone."""

    def __init__(self, objects: Objects, place: tuple[str, ...], before: Mapping[str, str]) -> None:
        """Nothing is written yet.

        Args:
            objects: The store, whose connection this one takes.
            place: Key of their folder, in parts.
            before: Keys at which content lies already, by SHA-256.
        """
        vars(self).update(vars(objects))
        self.place = place
        self.before = before

    def blob_key(self, sha256: str) -> str:
        """Where content with this digest lies.

        Raises:
            IntegrityError: the text is no SHA-256.
        """
        if not is_sha256(sha256):
            raise IntegrityError(f"{sha256[:80]!r} is no SHA-256 in hex, so it names no content.")
        return self.key(*self.place, sha256)

    def _put_blob(self, path: Path, key: str) -> None:
        """Take a content over, or put it; again where another builder removed the folder meanwhile."""
        if self._take_over(key, path.stat().st_size):
            return
        for left in reversed(range(_PUT_TRIES)):
            try:
                super()._put_blob(path, key)
            except FileNotFoundError:
                if not left or not path.exists():
                    raise
            else:
                return

    def _take_over(self, key: str, num_bytes: int) -> bool:
        """Whether the content lay somewhere already, and lies here now, too."""
        source = self.before.get(key.rpartition("/")[2])
        found = self.look(source) if source else None
        if found is None or found.num_bytes != num_bytes:
            return False
        try:
            if self.is_local:
                make_folder(Path(key).parent)
                os.link(found.key, key)
                os.utime(key)
            elif num_bytes > COPY_BYTES_MAX:
                return False
            else:
                self.copy_there(found.key, key)
        except (OSError, StoreError) as error:  # gone just now, or a disk or server that cannot: put it
            _log.info("%s is put, and not taken over: %s", key, error)
            return False
        return True

    def _absent(self, entry: FileEntry) -> IntegrityError:
        return IntegrityError(
            f"the checkpoint lacks the content {entry.blob[:12]} of {entry.path} (no plain file lies at "
            f"{self.blob_key(entry.blob)}): a later one replaced it, or it is damaged."
        )

    def _changed(self, entry: FileEntry, found: str, wanted: str) -> IntegrityError:
        return IntegrityError(
            f"{entry.path} holds {found}, the checkpoint's record says {wanted}: the content at "
            f"{self.blob_key(entry.blob)} was changed."
        )


class Progress:
    """The checkpoints of a store's unfinished builds; a build is a fingerprint under one numerics key."""

    objects: Objects

    def save_progress(
        self, fingerprint: str, numerics: str, step: int, folder: Path, note: dict[str, Any]
    ) -> None:
        """Keep a checkpoint of an unfinished build; a step saved before stays as it was while it is whole."""
        is_whole = self._is_whole(fingerprint, numerics, step)
        if is_whole:
            return
        save = f"{step:09d}-{uuid.uuid4().hex}"
        contents = self._contents(fingerprint, numerics, save, self._latest(fingerprint, numerics))
        try:
            files = contents.put_folder(folder)
        except BaseException:
            self._discard(contents)
            raise
        if is_whole is False:
            self._remove_record(fingerprint, numerics, step)
        body = {"step": step, "note": note, "save": save, "files": [entry.model_dump() for entry in files]}
        if self.objects.claim(self._record_key(fingerprint, numerics, step), json.dumps(body).encode()):
            contents.complete(files, folder)
        else:
            self._discard(contents)

    def progress_steps(self, fingerprint: str, numerics: str) -> list[int]:
        """Steps with a checkpoint, ascending."""
        names = self.objects.list(self.objects.key(RECORDS, fingerprint, numerics))
        return sorted(int(found[1]) for name in names if (found := _STEP.fullmatch(name)))

    def load_progress(self, fingerprint: str, numerics: str, step: int, folder: Path) -> dict[str, Any]:
        """Fill ``folder`` with *copies* of a checkpoint's files; returns its note.

        Raises:
            IntegrityError: it does not verify, or is gone. A later one may have replaced it meanwhile, so
                who wants the latest lists again.
        """
        record = self._record(fingerprint, numerics, step)
        if record is None:
            raise IntegrityError(f"checkpoint {step} of {fingerprint[:12]} is gone from {self.objects.url}.")
        self._contents_of(fingerprint, numerics, record).fetch_all(record.files, folder)
        return record.note

    def progress_file(self, fingerprint: str, numerics: str, path: str) -> bytes | None:
        """One file of the latest checkpoint; None without one, or where it has no such file."""
        seen = -1
        while (step := max(self.progress_steps(fingerprint, numerics), default=-1)) > seen:
            seen = step
            record = self._record(fingerprint, numerics, step)
            if record is None:  # replaced since it was listed
                continue
            entry = next((each for each in record.files if each.path == path), None)
            if entry is None:
                return None
            contents = self._contents_of(fingerprint, numerics, record)
            data = self.objects.read(contents.blob_key(entry.blob))
            if data is not None:
                return data
        return None

    def forget_progress(self, fingerprint: str, numerics: str, keep: int) -> None:
        """Remove all checkpoints of a build but the last ``keep``, and what killed saves of it left."""
        saves = self._saves(fingerprint, numerics)  # listed before the records: who gets one later is spared
        steps = self.progress_steps(fingerprint, numerics)
        for step in steps[:-keep]:
            for save in saves.pop(step, ()):
                self.objects.remove_all(self._saves_key(fingerprint, numerics, save))
            self._remove_record(fingerprint, numerics, step)
        for step, found in saves.items():
            for save in self._left(fingerprint, numerics, step, found, recorded=step in steps):
                self.objects.remove_all(self._saves_key(fingerprint, numerics, save))

    def drop_progress(self, fingerprint: str) -> None:
        """Remove the checkpoints of a finished build, under all numerics."""
        self.objects.remove_all(self.objects.key(CONTENTS, fingerprint))
        self.objects.remove_all(self.objects.key(RECORDS, fingerprint))

    # -- one checkpoint -----------------------------------------------------------------------------------

    def _record_key(self, fingerprint: str, numerics: str, step: int) -> str:
        return self.objects.key(RECORDS, fingerprint, numerics, f"{step:09d}.json")

    def _record(self, fingerprint: str, numerics: str, step: int) -> Record | None:
        """The record of a step; None where it has none.

        Raises:
            IntegrityError: it cannot be read.
        """
        key = self._record_key(fingerprint, numerics, step)
        data = self.objects.read(key)
        return None if data is None else read_record(StoredDocument(key, data))

    def _remove_record(self, fingerprint: str, numerics: str, step: int) -> None:
        with suppress(FileNotFoundError):  # another builder of the same removed it
            self.objects.remove(self._record_key(fingerprint, numerics, step))

    def _is_whole(self, fingerprint: str, numerics: str, step: int) -> bool | None:
        """Whether a step's checkpoint has a record that can be read, and all contents; None without one."""
        try:
            record = self._record(fingerprint, numerics, step)
            if record is None:
                return None
            return not self._contents_of(fingerprint, numerics, record).missing(record.files)
        except IntegrityError as error:
            _log.info("checkpoint %d of %s is damaged: %s", step, fingerprint[:12], error)
            return False

    def _contents(
        self, fingerprint: str, numerics: str, save: str, before: Mapping[str, str]
    ) -> SavedContents:
        return SavedContents(self.objects, (CONTENTS, fingerprint, numerics, save), before)

    def _contents_of(self, fingerprint: str, numerics: str, record: Record) -> Objects:
        """Where a checkpoint's contents are; those of a record before this version are artifacts', too."""
        if not record.save:
            return self.objects
        return self._contents(fingerprint, numerics, record.save, {})

    def _latest(self, fingerprint: str, numerics: str) -> dict[str, str]:
        """Key by SHA-256 of what the latest checkpoint holds; nothing where there is none to be read."""
        step = max(self.progress_steps(fingerprint, numerics), default=None)
        try:
            record = None if step is None else self._record(fingerprint, numerics, step)
        except IntegrityError as error:
            _log.info("nothing is taken over from checkpoint %s: %s", step, error)
            return {}
        if record is None:
            return {}
        contents = self._contents_of(fingerprint, numerics, record)
        return {entry.blob: contents.blob_key(entry.blob) for entry in record.files if is_sha256(entry.blob)}

    def _discard(self, contents: SavedContents) -> None:
        """Remove a save that has no record and will get none; one that cannot be is left to a later save."""
        try:
            self.objects.remove_all(self.objects.key(*contents.place))
        except RptError as error:
            _log.info("a save without a record stays for now: %s", error)

    # -- all saves of a build -----------------------------------------------------------------------------

    def _saves_key(self, fingerprint: str, numerics: str, *save: str) -> str:
        return self.objects.key(CONTENTS, fingerprint, numerics, *save)

    def _saves(self, fingerprint: str, numerics: str) -> dict[int, list[str]]:
        """Every save of a build by its step: with a record, replaced, half written or about to get one."""
        top = self._saves_key(fingerprint, numerics)
        if self.objects.is_local:  # with those that hold but a half-written file
            names = set(self.objects.list(top))
        else:  # a server may list folders that hold nothing any more
            names = {each.key[len(top) + 1 :].partition("/")[0] for each in self.objects.walk(top)}
        found: dict[int, list[str]] = {}
        for name in sorted(names):
            if matched := _SAVE.fullmatch(name):
                found.setdefault(int(matched[1]), []).append(name)
        return found

    def _left(
        self, fingerprint: str, numerics: str, step: int, saves: list[str], *, recorded: bool
    ) -> list[str]:
        """Those of a step's saves that will never have a record."""
        if not recorded:
            return [each for each in saves if self._is_quiet(self._saves_key(fingerprint, numerics, each))]
        if len(saves) == 1:  # mostly its own
            return []
        try:
            record = self._record(fingerprint, numerics, step)
        except IntegrityError:  # it may name any of them; they go with it
            return []
        return [each for each in saves if record is not None and each != record.save]

    def _is_quiet(self, key: str) -> bool:
        if self.objects.is_local:
            youngest = last_touched(Path(key))
        else:
            youngest = max((each.modified for each in self.objects.walk(key)), default=0.0)
        return time.time() - youngest > QUIET_SECONDS
