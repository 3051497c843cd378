"""The object store: immutable blobs, manifests created once, append-only refs. One code path over fsspec.

    blobs/sha256/<hh>/<digest>                       file contents, idempotent puts
    artifacts/<kind>/<fingerprint>/manifest.json     what it is: created once, last, create-only-if-absent
    progress/<fingerprint>/<numerics>/<step>.json    an unfinished build's checkpoints: create-only
    refs/<name>/<000017>.json                        spoken versions, append-only

Readers look only at manifests, so a crash leaves garbage at worst, never half an artifact. No bucket
versioning and no If-Match: stores disagree about both. What all of them can do is refuse a second
creation of one key, and :meth:`infra.objects.Objects.probe` makes sure that this one does.
"""

import difflib
import json
import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.objects import Objects
from rpt_core.artifacts.manifest import FileEntry, Manifest
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import IntegrityError, RecipeError, StoreError

_FEWEST_DIGITS = 6


class Store:
    """Artifacts, refs and progress on one object store."""

    def __init__(self, url: str, cache: Path) -> None:
        """Open a store; nothing is written before the first publish.

        Args:
            url: Folder path, ``file://`` or ``s3://`` URL.
            cache: Folder for read-only copies (:meth:`materialise`).
        """
        self.objects = Objects(url)
        self.cache = cache

    # -- artifacts ----------------------------------------------------------------------------------------

    def manifest(self, kind: str, fingerprint: str) -> Manifest | None:
        """The manifest of an artifact, or None while it is not finished."""
        data = self.objects.read(self.objects.key("artifacts", kind, fingerprint, "manifest.json"))
        return None if data is None else Manifest.model_validate_json(data)

    def load(self, artifact: Artifact) -> Manifest:
        """The manifest of an address.

        Raises:
            IntegrityError: it is not in this store, or stands for other content.
        """
        manifest = self.manifest(artifact.kind, artifact.fingerprint)
        if manifest is None or manifest.digest != artifact.digest:
            state = "is not there" if manifest is None else f"has digest {manifest.digest[:12]}"
            raise IntegrityError(
                f"{artifact.short} with digest {artifact.digest[:12]} is wanted, "
                f"but in {self.objects.url} it {state}. "
                "Was it made in another store (RPT_STORE)?"
            )
        return manifest

    def manifests(self) -> Iterator[Manifest]:
        """Every finished artifact, by kind and fingerprint."""
        for kind in self.objects.list(self.objects.key("artifacts")):
            for fingerprint in self.objects.list(self.objects.key("artifacts", kind)):
                manifest = self.manifest(kind, fingerprint)
                if manifest is not None:
                    yield manifest

    def publish(self, manifest: Manifest) -> Manifest:
        """Create a manifest: the one write that makes an artifact exist. The first writer wins.

        Returns:
            The manifest that stands: ours, or an earlier one.

        Raises:
            IntegrityError: another writer's artifact differs where it must not (design 3.2): an exact one,
                or a replayable one under the same numerics key.
        """
        self.objects.probe()
        key = self.objects.key("artifacts", manifest.kind, manifest.fingerprint, "manifest.json")
        if self.objects.create(key, manifest.model_dump_json(indent=1).encode()):
            return manifest
        winner = self.manifest(manifest.kind, manifest.fingerprint)
        if winner is None:
            raise StoreError(
                f"the store {self.objects.url} refuses {key} yet does not hold it.", retryable=True
            )
        same_numerics = winner.numerics == manifest.numerics
        if winner.digest != manifest.digest:
            if same_numerics:
                raise IntegrityError(
                    f"{manifest.artifact.short} was built twice under the same numerics with different "
                    f"content ({winner.digest[:12]} first, {manifest.digest[:12]} now): the stage is not "
                    "deterministic. The first stays; report this."
                )
            self._keep_attempt(manifest)
        return winner

    def _keep_attempt(self, manifest: Manifest) -> None:
        """A replayable artifact that lost to other numerics is kept as a recorded attempt."""
        name = manifest.numerics.key() if manifest.numerics else "exact"
        key = self.objects.key("artifacts", manifest.kind, manifest.fingerprint, "attempts", f"{name}.json")
        self.objects.create(key, manifest.model_dump_json(indent=1).encode())

    def materialise(self, artifact: Artifact) -> Path:
        """A local read-only folder with the artifact's files and its ``manifest.json``; verified."""
        manifest = self.load(artifact)
        folder = self.cache / artifact.kind / f"{artifact.fingerprint[:24]}-{artifact.digest[:12]}"
        if not folder.exists():
            self.objects.fetch_all(manifest.files, folder)
            (folder / "manifest.json").write_text(manifest.model_dump_json(indent=1))
        return folder

    def verify(self, manifest: Manifest) -> None:
        """Read every byte of an artifact again.

        Raises:
            IntegrityError: a file is missing or was changed.
        """
        folder = self.cache / "verify" / uuid.uuid4().hex
        try:
            self.objects.fetch_all(manifest.files, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # -- refs ---------------------------------------------------------------------------------------------

    def add_ref(self, name: str, artifact: Artifact) -> str:
        """Give an artifact the next spoken version of a name, unless it is the latest already."""
        latest = self._latest(name)
        if latest is not None and latest[1] == artifact:
            return f"{name}@{latest[0]}"
        number = 1 if latest is None else latest[0] + 1
        body = {**artifact.model_dump(), "created": datetime.now(UTC).isoformat(timespec="seconds")}
        while not self.objects.create(
            self.objects.key("refs", name, f"{number:06d}.json"), json.dumps(body).encode()
        ):
            number += 1
        return f"{name}@{number}"

    def refs(self) -> dict[str, list[Artifact]]:
        """Every name with its versions, oldest first."""
        found: dict[str, list[Artifact]] = {}
        for name in self.objects.list(self.objects.key("refs")):
            versions = (
                self._version(name, file) for file in self.objects.list(self.objects.key("refs", name))
            )
            found[name] = [artifact for artifact in versions if artifact is not None]
        return found

    def _version(self, name: str, file: str) -> Artifact | None:
        data = self.objects.read(self.objects.key("refs", name, file))
        if data is None:
            return None
        body = json.loads(data)
        return Artifact(kind=body["kind"], fingerprint=body["fingerprint"], digest=body["digest"])

    def _latest(self, name: str) -> tuple[int, Artifact] | None:
        files = self.objects.list(self.objects.key("refs", name))
        if not files:
            return None
        artifact = self._version(name, files[-1])
        return None if artifact is None else (int(files[-1].removesuffix(".json")), artifact)

    def find(self, spoken: str) -> Manifest:
        """The artifact that a person names: ``name``, ``name@3``, ``name@latest``, ``kind/ab12`` or ``ab12``.

        Raises:
            RecipeError: nothing, or more than one thing, goes by that name.
        """
        name, _, version = spoken.partition("@")
        artifact: Artifact | None = None
        if version in {"", "latest"}:
            latest = self._latest(name) if "/" not in name else None
            artifact = latest[1] if latest else None
        elif version.isdecimal():
            artifact = self._version(name, f"{int(version):06d}.json")
        if artifact is not None:
            return self.load(artifact)
        return self._find_by_fingerprint(spoken)

    def _find_by_fingerprint(self, spoken: str) -> Manifest:
        kind, _, start = spoken.rpartition("/")
        hits = [
            (found_kind, fingerprint)
            for found_kind in self.objects.list(self.objects.key("artifacts"))
            if kind in {"", found_kind}
            for fingerprint in self.objects.list(self.objects.key("artifacts", found_kind))
            if len(start) >= _FEWEST_DIGITS and fingerprint.startswith(start)
        ]
        if len(hits) > 1:
            named = ", ".join(f"{k}/{f[:12]}" for k, f in hits[:4])
            raise RecipeError(
                f"{spoken!r} names {len(hits)} artifacts ({named}); write more digits or the kind."
            )
        manifest = self.manifest(*hits[0]) if hits else None
        if manifest is None:
            near = difflib.get_close_matches(
                spoken.partition("@")[0], self.objects.list(self.objects.key("refs")), cutoff=0.4
            )
            hint = f" Near: {', '.join(near)}." if near else " `rpt ls` lists what is there."
            raise RecipeError(f"no artifact or ref is called {spoken!r} in {self.objects.url}.{hint}")
        return manifest

    # -- progress of unfinished builds ----------------------------------------------------------------------

    def save_progress(
        self, fingerprint: str, numerics: str, step: int, folder: Path, note: dict[str, Any]
    ) -> None:
        """Keep a checkpoint of an unfinished build; a step saved before stays as it was."""
        files = self.objects.put_folder(folder)
        body = {"step": step, "note": note, "files": [entry.model_dump() for entry in files]}
        self.objects.create(
            self.objects.key("progress", fingerprint, numerics, f"{step:09d}.json"), json.dumps(body).encode()
        )

    def progress_steps(self, fingerprint: str, numerics: str) -> list[int]:
        """Steps with a checkpoint, ascending."""
        names = self.objects.list(self.objects.key("progress", fingerprint, numerics))
        return [int(name.removesuffix(".json")) for name in names]

    def load_progress(self, fingerprint: str, numerics: str, step: int, folder: Path) -> dict[str, Any]:
        """Fill ``folder`` with *copies* of a checkpoint's files; returns its note.

        Raises:
            IntegrityError: it is gone or does not verify.
        """
        data = self.objects.read(self.objects.key("progress", fingerprint, numerics, f"{step:09d}.json"))
        if data is None:
            raise IntegrityError(f"checkpoint {step} of {fingerprint[:12]} is gone from {self.objects.url}.")
        body = json.loads(data)
        files = tuple(FileEntry.model_validate(entry) for entry in body["files"])
        self.objects.fetch_all(files, folder)
        note: dict[str, Any] = body["note"]
        return note

    def forget_progress(self, fingerprint: str, numerics: str, keep: int) -> None:
        """Forget all checkpoints of a build but the last ``keep`` (blobs fall to garbage collection).

        Contents are not removed here: an earlier milestone, or another build, may hold the same.
        """
        for step in self.progress_steps(fingerprint, numerics)[:-keep]:
            key = self.objects.key("progress", fingerprint, numerics, f"{step:09d}.json")
            if self.objects.exists(key):
                self.objects.remove(key)

    def drop_progress(self, fingerprint: str) -> None:
        """Forget the checkpoints of a finished build (their blobs fall to garbage collection)."""
        key = self.objects.key("progress", fingerprint)
        if self.objects.exists(key):
            self.objects.remove(key, recursive=True)

    # -- garbage ------------------------------------------------------------------------------------------

    def garbage(self, older_than_seconds: float) -> list[tuple[str, int]]:
        """Blobs no manifest and no progress names, older than an age: (key, bytes)."""
        used = {entry.blob for manifest in self.manifests() for entry in manifest.files}
        used |= set(self._progress_blobs())
        horizon = time.time() - older_than_seconds
        found = []
        for prefix in self.objects.list(self.objects.key("blobs", "sha256")):
            for info in self.objects.fs.ls(self.objects.key("blobs", "sha256", prefix), detail=True):
                name = info["name"].rsplit("/", 1)[-1]
                if name not in used and _modified(info) < horizon:
                    found.append((info["name"], int(info["size"])))
        return found

    def _progress_blobs(self) -> Iterator[str]:
        for fingerprint in self.objects.list(self.objects.key("progress")):
            for numerics in self.objects.list(self.objects.key("progress", fingerprint)):
                for step in self.objects.list(self.objects.key("progress", fingerprint, numerics)):
                    data = self.objects.read(self.objects.key("progress", fingerprint, numerics, step))
                    yield from (entry["blob"] for entry in json.loads(data or b'{"files": []}')["files"])


def _modified(info: dict[str, Any]) -> float:
    stamp = info.get("mtime") or info.get("LastModified")
    return stamp.timestamp() if isinstance(stamp, datetime) else float(stamp or 0)
