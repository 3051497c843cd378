"""How large a recipe's model is, and whether this machine can hold it: asked before anything is touched."""

from pathlib import Path

from infra.capacity import Work, check_capacity, needed_bytes
from infra.machine import resolve_placement
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Frozen, Recipe
from rpt_core.policy.loading.stored import file_shapes, num_numbers
from rpt_core.recipes.corpus import QualityRecipe
from rpt_core.recipes.given import AsksModel, GivenModel
from rpt_core.recipes.off_policy import refuse_shared
from rpt_core.recipes.reinforce import RlRecipe
from rpt_core.recipes.stages import stage_of
from rpt_core.recipes.supervised import BaseRecipe, ModelShape
from tasks.given_models import base_of

_MODEL_INPUTS = ("start", "base", "proxy", "model")
"""Inputs that are models, by the role they have in a stage."""


class ModelNeed(Frozen):
    """What one stage's model asks of a machine, in numbers."""

    stage: str
    model: str
    """What to call it in a message."""
    num_parameters: float
    work: Work


def need_of(recipe: Recipe) -> ModelNeed | None:
    """What a stage whose inputs are still recipes asks of its machine; None where no size is known."""
    work, count = _work(recipe), num_parameters(recipe)
    if work is None or not count:
        return None
    return ModelNeed(stage=recipe.stage, model=model_name(recipe), num_parameters=count, work=work)


def check_need(need: ModelNeed, placement: Placement) -> None:
    """Refuse a model that this machine cannot hold.

    Raises:
        CapacityError: says what is missing and where it would fit.
    """
    check_capacity(need.stage, need.num_parameters, need.work, placement, model=need.model)


def check(recipe: Recipe, placement: Placement) -> None:
    """Refuse a stage whose model does not fit, or whose engine cannot draw as the recipe says.

    Raises:
        CapacityError: says what is missing and where it would fit.
    """
    need = need_of(recipe)
    if isinstance(recipe, RlRecipe) and recipe.off_policy_steps:
        explicit = resolve_placement(placement, need.num_parameters if need else None)
        refuse_shared(recipe, explicit.engine, on_gpu=int(explicit.gpus) > 0)
    if need:
        check_need(need, placement)


def demand(recipe: Recipe) -> int:
    """Bytes a stage needs for its model on a GPU, to tell which stage of a journey needs most."""
    work, count = _work(recipe), num_parameters(recipe)
    return needed_bytes(count, work, "bfloat16") if work and count else 0


def _work(recipe: Recipe) -> Work | None:
    """What a stage does with its model; a given base model is only read."""
    given = isinstance(recipe, BaseRecipe) and isinstance(recipe.model, GivenModel)
    return "score" if given else stage_of(recipe).work


def model_name(recipe: Recipe) -> str:
    """What to call the model a stage holds: its role there, and its own name where it was given."""
    for role in _MODEL_INPUTS:
        value = recipe.inputs().get(role)
        if isinstance(value, Recipe):
            base = base_of(value)
            own = f" {base.model.name}" if base and isinstance(base.model, GivenModel) else ""
            return f"its {role} model{own}"
    own_model = getattr(recipe, "model", None)
    return f"the model {own_model.name}" if isinstance(own_model, GivenModel) else "a model"


def num_parameters(recipe: Recipe) -> float:
    """Parameters of the model a stage holds; 0 where there is none, or not known before it is loaded."""
    if isinstance(recipe, BaseRecipe):
        return (
            _shape_size(recipe.model) if isinstance(recipe.model, ModelShape) else _given_size(recipe.model)
        )
    if isinstance(recipe, QualityRecipe | AsksModel) and isinstance(recipe.model, GivenModel):
        return _given_size(recipe.model)
    inputs = recipe.inputs()
    for name in _MODEL_INPUTS:
        value = inputs.get(name)
        if isinstance(value, Recipe):
            return num_parameters(value)
    return 0.0


def _shape_size(shape: ModelShape) -> float:
    """Weights of a Qwen3-shaped decoder: embeddings, attention with its norms, gated feed-forward."""
    attention = shape.hidden_size * shape.head_dim * (2 * shape.num_heads + 2 * shape.num_kv_heads)
    layer = attention + 3 * shape.hidden_size * shape.intermediate_size
    layer += 2 * shape.hidden_size + 2 * shape.head_dim
    embeddings = shape.vocab_size * shape.hidden_size * (1 if shape.tie_embeddings else 2)
    return float(embeddings + shape.num_layers * layer + shape.hidden_size)


def _given_size(model: GivenModel) -> float:
    """The declared size, or what the safetensors headers of a local folder add up to.

    Raises:
        RecipeError: a file of the folder is truncated or damaged.
    """
    if model.num_parameters or not Path(model.name).is_dir():
        return model.num_parameters
    files = Path(model.name).glob("*.safetensors")
    return float(sum(num_numbers(file_shapes(path)) for path in files))
