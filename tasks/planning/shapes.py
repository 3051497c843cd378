"""The model a stage holds: which one it is, its sizes, and how a placement lays it out."""

import json
from pathlib import Path

from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.planning.memory import Spread
from rpt_core.planning.published import published_shape
from rpt_core.planning.shape import Shape
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.judge import JudgeFields, JudgeRecipe
from rpt_core.recipes.supervised import BaseRecipe, ModelShape
from tasks.inputs.given_models import base_of


def model_of(recipe: Recipe) -> ModelShape | GivenModel | None:
    """The model a stage holds, as far as it is a recipe; a model that is only read counts as none."""
    if isinstance(recipe, BaseRecipe):
        return recipe.model if isinstance(recipe.model, ModelShape) else None
    if isinstance(recipe, JudgeRecipe):
        return recipe.model
    inputs = recipe.inputs()
    for role in ("start", "base", "proxy", "model"):
        if role in inputs:
            base = base_of(inputs[role])
            return base.model if base else None
    own = getattr(recipe, "model", None)
    return own if isinstance(own, GivenModel) else None


def shape_of(model: ModelShape | GivenModel) -> Shape:
    """Sizes of a model: of a recipe, of the table of published ones, or of a folder's ``config.json``.

    Raises:
        RecipeError: they are not known, and nothing is guessed.
    """
    if isinstance(model, ModelShape):
        return Shape.of_recipe(model)
    file = Path(model.name) / "config.json"
    if file.is_file():
        try:
            return Shape.of_config(json.loads(file.read_text("utf-8")), model.name)
        except ValueError:
            raise RecipeError(f"{file} is no JSON: fetch the model's own file again.") from None
    if (shape := published_shape(model.name)) is not None:
        return shape
    raise RecipeError(
        f"the sizes of {model.name} are not known: it has no folder here and no row in the table of "
        "published models. Give a local folder with its config.json (-p model=FOLDER) to have it weighed."
    )


def name_of(model: ModelShape | GivenModel | None) -> str:
    """What to call a model."""
    if isinstance(model, GivenModel):
        return model.name
    return f"{Shape.of_recipe(model).parameters / 1e6:.2f} M, trained here" if model else ""


def judge_of(recipe: Recipe) -> Shape | None:
    """Sizes of the judge a stage runs in its own process."""
    if not isinstance(recipe, JudgeFields):
        return None
    judge = recipe.judge
    if isinstance(judge, JudgeRecipe):
        return Shape.of_recipe(judge.model)
    base = base_of(judge)
    return shape_of(base.model) if base else None


def spread_of(placement: Placement) -> Spread:
    """How a placement without ``auto`` lays a stage out."""
    return Spread(
        gpu=int(placement.gpus) > 0,
        ranks=int(placement.ranks),
        zero_stage=int(placement.zero_stage) if placement.backend == "deepspeed" else 0,
        offload=placement.offload,
        tensor_parallel=placement.tensor_parallel,
        engine="vllm" if placement.engine == "vllm" else "torch",
        layout="packed" if placement.layout == "packed" else "two-pass",
        dtype="bfloat16" if placement.dtype == "bfloat16" else "float32",
        micro_batch_tokens=int(placement.tokens_per_micro_batch),
        checkpointed=placement.checkpoint_activations,
    )
