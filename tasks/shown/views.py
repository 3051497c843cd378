"""What Prefect shows of a stage: a progress bar while it runs, a page when it is done; never the record."""

import logging
import time
from collections.abc import Callable
from typing import Any

from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.context import TaskRunContext
from prefect.utilities.urls import url_for

from infra.storage.store import Store
from rpt_core.artifacts.build import PAGE_FILE
from rpt_core.artifacts.manifest import Manifest

_EVERY_SECONDS = 5.0
_PAGES = (PAGE_FILE, "report.md")
"""Files that are pages about their artifact."""
_logger = logging.getLogger("rpt.views")


def best_effort(what: str, call: Callable[[], Any]) -> Any:
    """Call Prefect; an outage there is one warning, since finished work must not be lost to a view."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  (whatever a remote view raises, the work goes on)
        _logger.warning("Prefect did not take the %s: %s", what, error)
        return None


def prefect_tags() -> dict[str, str]:
    """The flow run this happens in, and its page, as MLflow tags; empty outside Prefect."""
    context = TaskRunContext.get()
    if context is None or context.task_run.flow_run_id is None:
        return {}
    number = context.task_run.flow_run_id
    page = url_for("flow-run", obj_id=number)
    return {"prefect.flow_run_id": str(number), **({"prefect.url": page} if page else {})}


class ProgressView:
    """A Prefect progress artifact, updated every few seconds, 100 at the end; nothing outside a task run."""

    def __init__(self, title: str) -> None:
        """Prepare a view of the stage called ``title``."""
        self.title = title
        self.artifact_id: Any = None
        self.told = time.monotonic()

    def tell(self, done: float, total: float) -> None:
        """Show ``done`` of ``total``."""
        now = time.monotonic()
        if TaskRunContext.get() is None or total <= 0 or now - self.told < _EVERY_SECONDS:
            return
        self.told = now
        percent = 100 * min(done / total, 1.0)
        if self.artifact_id is None:
            self.artifact_id = best_effort(
                "progress", lambda: create_progress_artifact(progress=percent, description=self.title)
            )
        else:
            best_effort("progress", lambda: update_progress_artifact(self.artifact_id, progress=percent))

    def finish(self) -> None:
        """Show that all of it is done."""
        if self.artifact_id is not None:
            best_effort("progress", lambda: update_progress_artifact(self.artifact_id, progress=100.0))


def show_finished(manifest: Manifest, store: Store, shown: str = "") -> None:
    """A page about a finished artifact, under a key that groups its versions by kind, and a link to MLflow.

    Args:
        manifest: Of the artifact.
        store: Where it is.
        shown: Address of its run in MLflow; empty where no server shows it.
    """
    if TaskRunContext.get() is not None:
        if shown:
            best_effort(
                "link",
                lambda: create_link_artifact(
                    shown, link_text="metrics in MLflow", key=f"{manifest.kind}-mlflow",
                    description=manifest.artifact.short,
                ),
            )  # fmt: skip

        def create() -> None:
            text = "\n\n".join([page(manifest), *own_pages(manifest, store)])
            create_markdown_artifact(text, key=manifest.kind, description=manifest.artifact.short)

        best_effort("page", create)


def own_pages(manifest: Manifest, store: Store) -> list[str]:
    """What an artifact says of itself in Markdown: a corpus its card, a report its text."""
    blobs = [entry.blob for entry in manifest.files if entry.path in _PAGES]
    found = (store.objects.read(store.objects.blob_key(blob)) for blob in blobs)
    return [text.decode() for text in found if text is not None]


def page(manifest: Manifest) -> str:
    """Markdown: results, row balance, inputs, cost."""
    lines = [f"## {manifest.artifact.short}", ""]
    if manifest.outcome.summary:
        lines += _table(["result", "value"], [[k, _plain(v)] for k, v in manifest.outcome.summary.items()])
    rows = manifest.outcome.rows
    if rows.rows_in:
        balance = [
            ["in", rows.rows_in],
            ["kept", rows.kept],
            *([f"dropped: {k}", v] for k, v in rows.dropped.items()),
        ]
        lines += _table(["rows", "count"], balance)
    if manifest.parents:
        lines += _table(
            ["input", "artifact"], [[name, parent.short] for name, parent in manifest.parents.items()]
        )
    seconds = sum(attempt.seconds for attempt in manifest.attempts)
    lines.append(
        f"{seconds:.1f} s in {len(manifest.attempts)} attempts, {manifest.outcome.flops:.3g} FLOPs. "
    )
    lines.append(f"`rpt show {manifest.artifact.short}`")
    return "\n".join(lines)


def _table(columns: list[str], rows: list[list[Any]]) -> list[str]:
    head = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return [*head, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
