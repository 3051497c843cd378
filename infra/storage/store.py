"""The object store: immutable blobs, manifests created once, append-only refs. One code path over fsspec.

    blobs/sha256/<hh>/<digest>                       file contents, idempotent puts
    artifacts/<kind>/<fingerprint>/manifest.json     what it is: created once, last, create-only-if-absent
    progress/<fingerprint>/<numerics>/<step>.json    an unfinished build's checkpoints: create-only
    checkpoints/<fingerprint>/<numerics>/...         their contents (:mod:`infra.storage.progress`)
    refs/<name>/<000017>.json                        named versions, append-only

Readers look only at manifests, so a crash leaves garbage at worst, never half an artifact. No bucket
versioning and no If-Match: stores disagree about both. What all of them can do is refuse a second
creation of one key, and :meth:`infra.storage.objects.Objects.probe` makes sure that this one does.
"""

import difflib
import json
import logging
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from infra.storage.cache import Cache
from infra.storage.documents import DocumentReader, Fault, StoredDocument
from infra.storage.objects import Objects
from infra.storage.progress import Progress
from rpt_core.artifacts.digest import artifact_digest
from rpt_core.artifacts.manifest import FileEntry, Manifest
from rpt_core.artifacts.names import is_plain
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import IntegrityError, RecipeError, RptError, StoreError

_FEWEST_DIGITS = 6
_LONGEST_NAME, _LONGEST_VERSION = 200, 18
_VERSION = re.compile(r"([0-9]{6,18})\.json")
_INDEXED_BY = "00", "40", "80", "c0"
"""Who publishes a fingerprint that ends so brings the index of manifests up to date: one in 64."""
_log = logging.getLogger("rpt.store")


@dataclass(frozen=True, slots=True)
class Scan:
    """Everything finished, and everything that could not be read."""

    manifests: tuple[Manifest, ...]
    faults: tuple[Fault, ...]


class Store(Progress):
    """Artifacts, refs and progress on one object store."""

    def __init__(self, url: str, cache: Path) -> None:
        """Open a store; nothing is written before the first publish.

        Args:
            url: Folder path, ``file://`` or ``s3://`` URL.
            cache: Folder for read-only copies (:meth:`materialise`).
        """
        self.objects = Objects(url)
        self.documents = DocumentReader(self.objects)
        self.cache = cache

    # -- artifacts ----------------------------------------------------------------------------------------

    def manifest(self, kind: str, fingerprint: str) -> Manifest | None:
        """The manifest of an artifact, or None while it is not finished.

        Raises:
            IntegrityError: what lies there is no manifest, or that of another artifact.
        """
        key = self.objects.key("artifacts", kind, fingerprint, "manifest.json")
        data = self.objects.read(key)
        return None if data is None else _read_manifest(data, key, kind, fingerprint)

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
        """Every finished artifact that can be read, by kind and fingerprint."""
        return iter(self.scan().manifests)

    def scan(self) -> Scan:
        """Every finished artifact, and what lies among them that cannot be read: neither hides the other."""
        manifests, faults = [], []
        for document in self.documents.below("artifacts"):
            _, *parts = document.name.split("/")
            if len(parts) == 4 and parts[2] == "attempts":
                continue
            if len(parts) != 3 or parts[2] != "manifest.json":
                faults.append(Fault(document.name, "is no manifest; it does not belong here. Remove it."))
                continue
            try:
                manifests.append(_read_manifest(_bytes(document), document.name, parts[0], parts[1]))
            except IntegrityError as error:
                faults.append(Fault(document.name, str(error), may_name_content=True))
        return Scan(tuple(manifests), tuple(faults))

    def publish(self, manifest: Manifest, folder: Path | None = None) -> Manifest:
        """Create a manifest: the one write that makes an artifact exist. The first writer wins.

        All contents are there right before it, and young, and are looked at once more right after: garbage
        collection elsewhere may have listed one before it was renewed (:mod:`infra.storage.garbage`).

        Args:
            manifest: Its contents were put already.
            folder: Where they came from, to put again what is gone.

        Returns:
            The manifest that stands: ours, or an earlier one.

        Raises:
            IntegrityError: another writer's artifact differs where it must not: an exact one,
                or a replayable one under the same numerics key.
            StoreError: a content is gone and there is no folder to put it from.
        """
        self.objects.probe()
        key = self.objects.key("artifacts", manifest.kind, manifest.fingerprint, "manifest.json")
        self.objects.complete(manifest.files, folder)
        if self.objects.create(key, manifest.model_dump_json(indent=1).encode()):
            self.objects.complete(manifest.files, folder)
            self._index_now_and_then(manifest.fingerprint)
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

    def _index_now_and_then(self, fingerprint: str) -> None:
        """Reading all manifests writes their index; it is for speed, so that no publish fails by it."""
        if not self.objects.is_local and fingerprint.endswith(_INDEXED_BY):
            try:
                self.scan()
            except RptError as error:
                _log.info("the index of %s was not brought up to date: %s", self.objects.url, error)

    def _keep_attempt(self, manifest: Manifest) -> None:
        """A replayable artifact that lost to other numerics is kept as a recorded attempt."""
        name = manifest.numerics.key() if manifest.numerics else "exact"
        key = self.objects.key("artifacts", manifest.kind, manifest.fingerprint, "attempts", f"{name}.json")
        self.objects.create(key, manifest.model_dump_json(indent=1).encode())

    def materialise(self, artifact: Artifact) -> Path:
        """A local read-only folder with the artifact's files and its ``manifest.json``; verified."""
        return Cache(self.objects, self.cache).materialise(self.load(artifact))

    def fetch(self, files: Sequence[FileEntry], folder: Path) -> Path:
        """Copies of some files of an artifact, verified, in a folder that must not be there yet.

        Raises:
            IntegrityError: a file is missing or was changed.
        """
        return self.objects.fetch_all(tuple(files), folder)

    def verify(self, manifest: Manifest) -> None:
        """Read every byte of an artifact again, and hold the digest of the whole against its files'.

        Raises:
            IntegrityError: a file is missing or was changed, or the manifest's own digest is not theirs.
        """
        whole = artifact_digest(manifest.files)
        if whole != manifest.digest:
            raise IntegrityError(
                f"{manifest.artifact.short} has files that make the digest {whole[:12]}, its manifest says "
                f"{manifest.digest[:12]}: the manifest was changed. Remove it and build the artifact again."
            )
        for entry in manifest.files:
            self.objects.check(entry)

    # -- refs ---------------------------------------------------------------------------------------------

    def add_ref(self, name: str, artifact: Artifact) -> str:
        """Give an artifact the next named version of a name, unless it is the latest already."""
        number = self._latest_number(name)
        if number and self._version_if_readable(name, number) == artifact:
            return f"{name}@{number}"
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        body = {**artifact.model_dump(), "created": now, "writer": uuid.uuid4().hex}
        data = json.dumps(body).encode()
        number += 1
        while not self.objects.claim(self.objects.key("refs", name, f"{number:06d}.json"), data):
            number += 1
        return f"{name}@{number}"

    def refs(self) -> dict[str, dict[int, Artifact]]:
        """Every name with its versions by number; what cannot be read is left out (:meth:`scan_refs`)."""
        return self.scan_refs()[0]

    def scan_refs(self) -> tuple[dict[str, dict[int, Artifact]], tuple[Fault, ...]]:
        """Every name with its versions by number, and what lies among them that is none."""
        found: dict[str, dict[int, Artifact]] = {}
        faults = []
        for document in self.documents.below("refs"):
            _, *parts = document.name.split("/")
            version = _VERSION.fullmatch(parts[-1])
            if len(parts) != 2 or version is None or not is_plain(parts[0]):
                what = "is no version of a name; it does not belong here. Remove it."
                faults.append(Fault(document.name, what))
                continue
            try:
                found.setdefault(parts[0], {})[int(version[1])] = _read_ref(_bytes(document), document.name)
            except IntegrityError as error:
                faults.append(Fault(document.name, str(error)))
        return found, tuple(faults)

    def _version(self, name: str, number: int) -> Artifact | None:
        key = self.objects.key("refs", name, f"{number:06d}.json")
        data = self.objects.read(key)
        return None if data is None else _read_ref(data, key)

    def _version_if_readable(self, name: str, number: int) -> Artifact | None:
        """The same for who is about to add another one: a broken version is simply not the same artifact."""
        try:
            return self._version(name, number)
        except IntegrityError:
            return None

    def _latest_number(self, name: str) -> int:
        """The highest version of a name, whether or not it can be read; 0 where it has none."""
        files = self.objects.list(self.objects.key("refs", name))
        return max((int(found[1]) for file in files if (found := _VERSION.fullmatch(file))), default=0)

    def find(self, wanted: str) -> Manifest:
        """The artifact that a person names: ``name``, ``name@3``, ``name@latest``, ``kind/ab12`` or ``ab12``.

        Raises:
            RecipeError: nothing, or more than one thing, goes by that name.
            IntegrityError: what goes by it cannot be read.
        """
        name, _, version = wanted.partition("@")
        artifact: Artifact | None = None
        if is_plain(name) and len(name) < _LONGEST_NAME:
            if version in {"", "latest"}:
                number = self._latest_number(name)
                artifact = self._version(name, number) if number else None
            elif version.isascii() and version.isdecimal() and len(version) <= _LONGEST_VERSION:
                artifact = self._version(name, int(version))
        if artifact is not None:
            return self.load(artifact)
        return self._find_by_fingerprint(wanted)

    def _find_by_fingerprint(self, wanted: str) -> Manifest:
        kind, _, start = wanted.rpartition("/")
        hits = [
            (found_kind, fingerprint)
            for found_kind in self.objects.list(self.objects.key("artifacts"))
            if kind in {"", found_kind} and is_plain(found_kind)
            for fingerprint in self.objects.list(self.objects.key("artifacts", found_kind))
            if len(start) >= _FEWEST_DIGITS and fingerprint.startswith(start) and is_plain(fingerprint)
        ]
        if len(hits) > 1:
            named = ", ".join(f"{k}/{f[:12]}" for k, f in hits[:4])
            raise RecipeError(
                f"{wanted!r} names {len(hits)} artifacts ({named}); write more digits or the kind."
            )
        manifest = self.manifest(*hits[0]) if hits else None
        if manifest is None:
            near = difflib.get_close_matches(wanted.partition("@")[0], self._names_like(wanted), cutoff=0.4)
            hint = f" Near: {', '.join(near)}." if near else " `rpt ls` lists what is there."
            raise RecipeError(f"no artifact or ref is called {wanted!r} in {self.objects.url}.{hint}")
        return manifest

    def _names_like(self, wanted: str) -> list[str]:
        """What could have been meant: ``kind/ab12`` of every artifact for a word with a slash, else refs."""
        if "/" not in wanted:
            return self.objects.list(self.objects.key("refs"))
        kinds = self.objects.list(self.objects.key("artifacts"))
        return [f"{k}/{f[:12]}" for k in kinds for f in self.objects.list(self.objects.key("artifacts", k))]


def _bytes(document: StoredDocument) -> bytes:
    if document.problem:
        raise IntegrityError(f"{document.name} cannot be read: {document.problem}")
    return document.data


def _read_manifest(data: bytes, key: str, kind: str, fingerprint: str) -> Manifest:
    """A manifest that is what its address says.

    Raises:
        IntegrityError: it is not.
    """
    manifest = Manifest.parse(data, key)
    if (manifest.kind, manifest.fingerprint) != (kind, fingerprint):
        raise IntegrityError(
            f"{key} is the manifest of {manifest.artifact.short}, not of {kind}/{fingerprint[:12]}: it was "
            "moved or changed. Remove it and build the artifact again."
        )
    return manifest


def _read_ref(data: bytes, key: str) -> Artifact:
    """The address a named version stands for.

    Raises:
        IntegrityError: the bytes are no such record.
    """
    try:
        body = json.loads(data)
        return Artifact(kind=body["kind"], fingerprint=body["fingerprint"], digest=body["digest"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise IntegrityError(
            f"{key} is no version of a name ({len(data)} bytes, kind, fingerprint and digest are wanted). "
            "Remove it, and give the artifact its name again."
        ) from None
