"""MLflow's model registry: one registered model a name of the store, one version a trained artifact.

A version points at a logged model of the training's run, which holds the store's address and no bytes.
Aliases: ``newest``, made last (MLflow keeps the word *latest* to itself), and ``best``, the most accurate in
an evaluation that is shown (:data:`ACCURACIES`).
"""

import json
from typing import TYPE_CHECKING, Any

from infra.metrics.views import RECIPE_TAG, ROLE_TAG, View
from rpt_core.artifacts.recipe import Artifact

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

SOURCE = "rpt-store:/"
"""Begins the address of a version's content: an artifact of the store."""
NEWEST, BEST = "newest", "best"
TRAINED, EVALUATED = "train", "eval"
"""Groups whose builds make models, and whose builds judge them."""
ACCURACIES = ("result/reasoning_hard", "result/judged_accuracy")
"""What the best model is the best in, by the form of its evaluation: next tokens of the hard tier after a
thought, or segments by a judge's word."""
FINAL = "final"
EXTERNAL = {"mlflow.model.isExternal": "true"}
"""The model's bytes stay in the store; MLflow keeps its address."""
_FINGERPRINT, _STARTED, _ACCURACY = "rpt.fingerprint", "rpt.started", "rpt.accuracy"


def show_registered(client: "MlflowClient", run: "Run", view: View) -> None:
    """Register what a training made, or what an evaluation found of it; what is there already stays one."""
    recipe, role = view.tags.get(RECIPE_TAG, ""), view.tags.get(ROLE_TAG, "")
    if view.group == TRAINED and recipe:
        _register(client, run, view, f"{recipe}-{role}")
    elif view.group == EVALUATED and (found := _accuracy(view)) is not None:
        _judge(client, *found)


def logged_model(
    client: "MlflowClient", run: "Run", name: str, model: Artifact, params: dict[str, str]
) -> str:
    """Id of a run's logged model of that name, made where it is not there."""
    known = client.search_logged_models(
        [run.info.experiment_id], filter_string=f"name = '{name}' AND source_run_id = '{run.info.run_id}'"
    )
    if known:
        return str(known[0].model_id)
    made = client.create_logged_model(
        run.info.experiment_id,
        name=name,
        source_run_id=run.info.run_id,
        tags={**EXTERNAL, "rpt.ref": model.short, "rpt.digest": model.digest},
        params=params,
    )
    client.finalize_logged_model(made.model_id, "READY")
    return str(made.model_id)


def _register(client: "MlflowClient", run: "Run", view: View, name: str) -> None:
    artifact = Artifact(kind=view.kind, fingerprint=view.fingerprint, digest=view.digest)
    model = logged_model(client, run, FINAL, artifact, {})
    if not _versions(client, _FINGERPRINT, view.fingerprint, name):
        if not client.search_registered_models(f"name = '{name}'"):
            told = f"`{name}` in the store; `rpt ls --kind {view.kind}` lists its versions there."
            client.create_registered_model(name, description=told)
        tags = {_FINGERPRINT: view.fingerprint, "rpt.ref": artifact.short, _STARTED: view.started}
        client.create_model_version(
            name,
            f"{SOURCE}{artifact.short}",
            run.info.run_id,
            tags=tags,
            model_id=model,
            description=view.name,
        )
    _point(client, name, NEWEST, _STARTED)


def _accuracy(view: View) -> tuple[str, float] | None:
    """Fingerprint of the model that an evaluation judged, and its accuracy."""
    model: Any = view.recipe.get("model")
    accuracy = next((view.results[name] for name in ACCURACIES if name in view.results), None)
    if accuracy is None or not isinstance(model, dict) or "fingerprint" not in model:
        return None
    return str(model["fingerprint"]), accuracy


def _judge(client: "MlflowClient", fingerprint: str, accuracy: float) -> None:
    for version in _versions(client, _FINGERPRINT, fingerprint):
        if accuracy > float(version.tags.get(_ACCURACY, "-1")):
            client.set_model_version_tag(version.name, version.version, _ACCURACY, repr(accuracy))
        _point(client, version.name, BEST, _ACCURACY)


def _point(client: "MlflowClient", name: str, alias: str, tag: str) -> None:
    """Set an alias to the version with the largest value of a tag."""
    told = [
        (json.loads(value) if tag == _ACCURACY else value, version.version)
        for version in client.search_model_versions(f"name = '{name}'")
        if (value := version.tags.get(tag))
    ]
    largest = str(max(told)[1])
    if client.get_registered_model(name).aliases.get(alias) != largest:
        client.set_registered_model_alias(name, alias, largest)


def _versions(client: "MlflowClient", tag: str, value: str, name: str = "") -> "list[ModelVersion]":
    wanted = f"tags.`{tag}` = '{value}'" + (f" AND name = '{name}'" if name else "")
    return list(client.search_model_versions(wanted))
