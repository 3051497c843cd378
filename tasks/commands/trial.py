"""A model opened in this process and asked one thing, in the words it learnt to answer to."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter, ValidationError

from infra.machine import numerics_of, resolve_placement
from infra.storage.store import Store
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.lineage import ancestors
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import explain
from rpt_core.errors import RecipeError
from rpt_core.planning.held import Held
from rpt_core.policy.loading.stored import file_shapes, num_numbers
from rpt_core.recipes.objectives import NextTokenSettings, RlvrObjective, RptObjective, TextObjective
from tasks.inputs.models import TRAINED_TO_THINK, FoundModel
from tasks.planning.capacity import check_capacity

if TYPE_CHECKING:
    from rpt_core.evaluation.trial import Request, Said
    from rpt_core.policy.trunk import Trunk

_OBJECTIVE: TypeAdapter[Any] = TypeAdapter(TextObjective)


def trained_words(found: FoundModel, store: Store) -> tuple[NextTokenSettings, RlvrObjective | None]:
    """In which words a model learnt to answer, about text and to problems.

    ``auto`` where nothing says so; for problems None where the model never learnt to think here.
    """
    learnt = False
    next_token: NextTokenSettings | None = None
    problem: RlvrObjective | None = None
    for manifest in _line(found, store):
        learnt = learnt or manifest.kind in TRAINED_TO_THINK
        next_token = next_token or _next_token(manifest)
        if problem is None and manifest.kind == "rlvr":
            problem = RlvrObjective.model_validate(manifest.recipe["objective"])
    if problem is None and learnt:
        problem = RlvrObjective(prompt="auto")
    return next_token or RptObjective(prompt="auto"), problem


def _line(found: FoundModel, store: Store) -> Iterator[Manifest]:
    """The model's manifest, and those of what it stands on."""
    if found.manifest is not None:
        yield found.manifest
        for _, _, manifest in ancestors(found.manifest, store.load):
            yield manifest


def _next_token(manifest: Manifest) -> NextTokenSettings | None:
    if manifest.kind == "cold-start":
        return RptObjective(prompt=manifest.recipe["prompt"])
    if manifest.kind != "policy":
        return None
    try:
        settings = _OBJECTIVE.validate_python(manifest.recipe["objective"])
    except ValidationError as error:
        raise RecipeError(
            f"the objective of {manifest.artifact.short} cannot be read ({explain(error)}), so the words it "
            "learnt to answer to are not known. Ask it by the version that made it."
        ) from None
    return settings if isinstance(settings, NextTokenSettings) else None


def try_model(
    found: FoundModel, folder: Path, request: "Request", placement: Placement, store: Store
) -> tuple["Trunk", list["Said"]]:
    """Open a model here and put a text to it, in the words it learnt to answer to.

    Args:
        found: Which it is.
        folder: With its files.
        request: What it is asked.
        placement: Where and how it runs.
        store: With what it was made of.

    Raises:
        RecipeError: it cannot be loaded, or the text does not fit.
        CapacityError: it does not fit this machine, or the placement does not.
    """
    import torch

    from rpt_core.evaluation.trial import answers
    from rpt_core.policy.device import device_of
    from rpt_core.policy.engines.registry import open_engine
    from rpt_core.policy.engines.serving import serving
    from rpt_core.policy.load import Precision, load_policy

    size = float(sum(num_numbers(file_shapes(path)) for path in folder.glob("*.safetensors")))
    if size:
        check_capacity("try", Held(size, trains=False), placement, model=f"the model {found.name}")
    explicit = resolve_placement(placement, size or None, many_ranks=False)
    numerics = numerics_of(placement, size or None, many_ranks=False)
    if request.form != "plain":
        next_token, problem = trained_words(found, store)
        request = replace(request, next_token=next_token, problem=problem)
    torch.set_num_threads(numerics.threads)
    with tempfile.TemporaryDirectory(prefix="rpt-try-") as scratch:
        build = LocalBuild({}, Path(scratch) / "out", Path(scratch) / "scratch", explicit, numerics)
        policy = load_policy(folder, cast(Precision, numerics.dtype), device_of(build))
        with serving(build):
            engine = open_engine(numerics.engine, policy, folder)
            try:
                return answers(policy, engine, request)
            finally:
                engine.close()
