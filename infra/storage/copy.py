"""From one store to another: an artifact with everything it stands on, every byte verified on both sides.

Nothing is ever half there: what a thing stands on comes first, blobs come before their manifest, and the
manifest is one create-only write. So a copy may be broken off anywhere and asked for again.
"""

import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from infra.storage.store import Store
from rpt_core.artifacts.build import MILESTONES_FILE
from rpt_core.artifacts.lineage import foundations
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import IntegrityError, RecipeError


@dataclass(frozen=True, slots=True)
class Copied:
    """One artifact that now stands in the target."""

    manifest: Manifest
    is_new: bool
    """False where it stood there before."""

    @property
    def num_bytes(self) -> int:
        """Size of all its files."""
        return sum(entry.num_bytes for entry in self.manifest.files)


def to_copy(manifest: Manifest, source: Store) -> list[Manifest]:
    """What has to go along: everything the artifact stands on, and the milestones of trainings among it.

    A milestone names no parent, but an evaluation over time reads it through its training.
    """
    standing = list(foundations(manifest, source.load))
    milestones = [source.load(address) for each in standing for address in _milestones(each, source)]
    known = {each.fingerprint for each in standing}
    return [each for each in milestones if each.fingerprint not in known] + standing


def _milestones(manifest: Manifest, source: Store) -> list[Artifact]:
    for entry in manifest.files:
        if entry.path == MILESTONES_FILE:
            data = source.objects.read(source.objects.blob_key(entry.blob))
            if data is None:
                raise IntegrityError(
                    f"the store {source.objects.url} lacks the content {entry.blob[:12]} of {entry.path} in "
                    f"{manifest.artifact.short}: the artifact is damaged. Remove its manifest and build it "
                    "again."
                )
            return [Artifact.model_validate(address) for address in json.loads(data).values()]
    return []


def copy(manifests: list[Manifest], source: Store, target: Store) -> Iterator[Copied]:
    """Copy in the order given, yielding each artifact once it stands in the target.

    Raises:
        RecipeError: both are one store, or the target holds other content under one of the addresses;
            nothing was written then.
        IntegrityError: bytes read do not hold what their manifest says.
    """
    if (source.objects.root, source.objects.is_local) == (target.objects.root, target.objects.is_local):
        raise RecipeError(
            f"{target.objects.url} is the store the artifact lies in already; name another folder or "
            "s3://bucket/prefix to copy it to."
        )
    _refuse_other_content(manifests, target)
    target.objects.probe()
    for manifest in manifests:
        is_new = target.manifest(manifest.kind, manifest.fingerprint) is None
        if is_new:
            _copy_files(manifest, source, target)
            target.verify(manifest)
            target.publish(manifest)
        yield Copied(manifest, is_new)


def _refuse_other_content(manifests: list[Manifest], target: Store) -> None:
    for manifest in manifests:
        there = target.manifest(manifest.kind, manifest.fingerprint)
        if there is not None and there.digest != manifest.digest:
            raise RecipeError(
                f"{manifest.artifact.short} has digest {manifest.digest[:12]} here and {there.digest[:12]} "
                f"in {target.objects.url}: it was built there too, under other numerics. A store holds one "
                "content under one address, and what stands on ours would not find it. Copy to another store."
            )


def _copy_files(manifest: Manifest, source: Store, target: Store) -> None:
    """Blobs of one artifact, through a folder of verified copies."""
    folder = source.cache / "copy" / uuid.uuid4().hex
    try:
        source.objects.fetch_all(manifest.files, folder)
        target.objects.put_folder(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
