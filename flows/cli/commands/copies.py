"""`rpt copy`: an artifact and all it stands on, into another store."""

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from flows.cli.commands.show import console, print_json, print_table, size
from infra.local.state import made_state_folder
from infra.storage.copy import Copied, copy, to_copy
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from tasks.home import open_store


def copy_to(ref: str, url: str, *, as_json: bool) -> None:
    """Copy, then say what stands in the target now and under which name."""
    source, target = open_store(), Store(url, made_state_folder() / "cache")
    manifest = source.find(ref)
    copied = _with_a_bar(to_copy(manifest, source), source, target)
    name = ref.partition("@")[0]
    spoken = target.add_ref(name, manifest.artifact) if name in source.refs() else manifest.artifact.short
    if as_json:
        print_json({"store": url, "ref": spoken, "artifacts": [_plain(each) for each in copied]})
        return
    print_table(
        ["artifact", "size", "in the target"],
        ([each.manifest.artifact.short, size(each.num_bytes), _state(each)] for each in copied),
    )
    new = sum(each.is_new for each in copied)
    console.print(f"{url} holds {spoken} with all it stands on: {new} of {len(copied)} artifacts are new.")


def _with_a_bar(manifests: list[Manifest], source: Store, target: Store) -> list[Copied]:
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        total = sum(entry.num_bytes for manifest in manifests for entry in manifest.files)
        task = bar.add_task("copying", total=total)
        copied = []
        for each in copy(manifests, source, target):
            copied.append(each)
            bar.update(task, advance=each.num_bytes, description=each.manifest.artifact.short)
    return copied


def _state(copied: Copied) -> str:
    return "copied" if copied.is_new else "was there"


def _plain(copied: Copied) -> dict[str, Any]:
    return {**copied.manifest.artifact.model_dump(), "num_bytes": copied.num_bytes, "is_new": copied.is_new}
