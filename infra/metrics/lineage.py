"""What one MLflow run stands on and what it made: datasets by digest, models in the store, rollouts to read.

Everything is set or found by name, so that showing a build twice adds nothing.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.metrics.registry import logged_model
from rpt_core.artifacts.build import MILESTONES_FILE
from rpt_core.artifacts.recipe import Artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROLLOUTS_FILE, ROLLOUTS_SHOWN, ROLLOUTS_TABLE = "rollouts.parquet", 20, "rollouts.json"
_DIGEST_CHARACTERS = 36
"""MLflow's column for the digest of a dataset holds no more."""
_TABLES_TAG = "mlflow.loggedArtifacts"
"""Lists the artifacts that MLflow's page opens as tables."""


def show_lineage(client: "MlflowClient", run: "Run", recipe: Mapping[str, Any], folder: Path) -> None:
    """Add a finished build's inputs, milestones and last rollouts to its run.

    Args:
        client: Of the tracking server or database.
        run: The build's run.
        recipe: Resolved recipe, JSON form.
        folder: The artifact's files.
    """
    _show_datasets(client, run, dict(inputs_of(recipe)))
    _show_models(client, run, folder / MILESTONES_FILE)
    _show_rollouts(client, run, folder / ROLLOUTS_FILE)


def inputs_of(value: Any, path: str = "") -> Iterator[tuple[str, Artifact]]:
    """The artifacts a resolved recipe names, by the dotted path of their field.

    Example:
        >>> corpus = {"kind": "corpus", "fingerprint": "ab" * 32, "digest": "cd" * 32}
        >>> [(name, found.short) for name, found in inputs_of({"steps": 3, "on": {"corpus": corpus}})]
        [('on.corpus', 'corpus/abababababab')]
    """
    if isinstance(value, Mapping):
        if set(value) == set(Artifact.model_fields):
            yield path, Artifact.model_validate(value)
            return
        for name, item in value.items():
            yield from inputs_of(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from inputs_of(item, f"{path}.{number}" if path else str(number))


def _show_datasets(client: "MlflowClient", run: "Run", inputs: Mapping[str, Artifact]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    used = [
        DatasetInput(
            Dataset(
                name=found.short,
                digest=found.digest[:_DIGEST_CHARACTERS],
                source_type="rpt-store",
                source=json.dumps({"uri": found.short, "digest": found.digest}),
            ),
            [InputTag("mlflow.data.context", name)],
        )
        for name, found in inputs.items()
    ]
    if used:
        client.log_inputs(run.info.run_id, used)


def _show_models(client: "MlflowClient", run: "Run", published: Path) -> None:
    """One logged model a milestone, called ``step-<n>``."""
    if not published.is_file():
        return
    for step, address in json.loads(published.read_text()).items():
        logged_model(client, run, f"step-{step}", Artifact.model_validate(address), {"step": str(step)})


def _show_rollouts(client: "MlflowClient", run: "Run", rollouts: Path) -> None:
    """The last rollouts as a table; written whole, since MLflow's own call would append to an earlier one."""
    if not rollouts.is_file():
        return
    import pyarrow.parquet as pq

    table = pq.read_table(rollouts)
    rows = table.slice(max(table.num_rows - ROLLOUTS_SHOWN, 0)).to_pylist()
    columns = table.column_names
    shown = {"columns": columns, "data": [[row[name] for name in columns] for row in rows]}
    client.log_text(run.info.run_id, json.dumps(shown, default=str), ROLLOUTS_TABLE)
    client.set_tag(run.info.run_id, _TABLES_TAG, json.dumps([{"path": ROLLOUTS_TABLE, "type": "table"}]))
