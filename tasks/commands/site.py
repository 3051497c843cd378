"""The site of a store: an index, and beside it every page that its artifacts brought along."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.storage.store import Store
from rpt_core.addresses import without_password
from rpt_core.artifacts.manifest import Manifest
from rpt_core.errors import RecipeError
from rpt_core.overview.site import KEPT, PAGES, Listed, folder_of, read_said, write_site

INDEX = "index.html"
MARK = ".rpt-site"
"""In a folder that holds a site of ours, which is written anew."""


def make_site(folder: Path, store: Store) -> tuple[Path, int]:
    """Write the site; a page that is there already is left as it is.

    Args:
        folder: New, empty, or a site that was made before.
        store: Whose artifacts are listed.

    Returns:
        The index, and how many artifacts it lists.

    Raises:
        RecipeError: the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise RecipeError(f"{folder} holds something that is no site of ours. Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    names: dict[str, list[str]] = {}
    for name, versions in store.refs().items():
        for number, artifact in versions.items():
            names.setdefault(artifact.fingerprint, []).append(f"{name}@{number}")
    manifests = sorted(store.scan().manifests, key=lambda one: one.created, reverse=True)
    listed = [_listed(one, names.get(one.fingerprint, ()), folder, store) for one in manifests]
    write_site(listed, folder / INDEX, without_password(store.objects.url))
    return folder / INDEX, len(listed)


def _listed(manifest: Manifest, names: Sequence[str], folder: Path, store: Store) -> Listed:
    """One artifact, its pages copied beside the index."""
    paths = {entry.path: entry for entry in manifest.files}
    page = next((name for name in PAGES if name in paths), "")
    if not page:
        return Listed(manifest, names)
    own = folder_of(manifest)
    _copy(store, {name: paths[name].blob for name in KEPT if name in paths}, folder / own)
    picture = f"{own}/report.png" if "report.png" in paths else ""
    said = read_said(folder / own) if page == PAGES[0] else {}  # a corpus has numbers of that name, too
    return Listed(manifest, names, f"{own}/{page}", said, picture)


def _copy(store: Store, blobs: Mapping[str, str], target: Path) -> None:
    """The files, all or none: a site that was stopped midway is completed by the next call."""
    if target.exists():
        return
    half = target.with_name(f"{target.name}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for name, blob in blobs.items():
        content = store.objects.read(store.objects.blob_key(blob))
        if content is not None:  # collected meanwhile
            (half / name).write_bytes(content)
    half.rename(target)
