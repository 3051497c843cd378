"""Whether this machine can hold what a recipe's stages need, told before any input is touched.

Refused is what cannot fit however few answers there are (:mod:`rpt_core.planning.held`); a plan shows beside
it what a stage takes at most.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from infra.machine import Machine, resolve_placement, this_machine
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Frozen, Recipe
from rpt_core.errors import CapacityError, RecipeError
from rpt_core.planning.held import Held
from rpt_core.planning.jobs import job_of
from rpt_core.planning.memory import FRAMEWORK_BYTES
from rpt_core.planning.shape import Shape
from rpt_core.planning.suggest import ROOM
from rpt_core.policy.loading.stored import file_shapes, num_numbers
from rpt_core.recipes.corpus import QualityRecipe
from rpt_core.recipes.given import AsksModel, GivenModel
from rpt_core.recipes.off_policy import refuse_shared
from rpt_core.recipes.reinforce import RlRecipe
from rpt_core.recipes.stages import stage_of
from rpt_core.recipes.supervised import BaseRecipe, ModelShape
from tasks.inputs.given_models import base_of
from tasks.planning.shapes import judge_of, model_of, shape_of, spread_of

Work = Literal["train", "score"]
PROCESS_BYTES = FRAMEWORK_BYTES[False]
"""What a process with torch loaded takes before it holds any model."""
CPU_PARAMETERS_MAX = 10**9
"""Without a GPU a larger model is refused although it may fit: 2 cores give about 100 GFLOP/s, and one
training step of the papers' size (256 x 8 answers) would take months."""
_SHARED: dict[bool, str] = {
    True: "several that share its states by DeepSpeed's ZeRO (--placement backend=deepspeed,zero_stage=3)",
    False: "several that hold it together by vLLM (--placement engine=vllm,tensor_parallel=N)",
}
"""What takes the place of one large GPU, by whether the model is trained."""
_COMMON_GPU_BYTES = 80 * 10**9
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
    held = held_by(recipe)
    if held is None:
        return None
    work: Work = "train" if held.trains else "score"
    return ModelNeed(stage=recipe.stage, model=model_name(recipe), num_parameters=held.parameters, work=work)


def check_need(need: ModelNeed, placement: Placement) -> None:
    """Refuse a model that this machine cannot hold, by its weights and what training keeps beside them.

    Raises:
        CapacityError: says what is missing and where it would fit.
    """
    held = Held(need.num_parameters, need.work == "train")
    check_capacity(need.stage, held, placement, model=need.model)


def check(recipe: Recipe, placement: Placement) -> None:
    """Refuse a stage whose model does not fit, or whose engine cannot draw as the recipe says.

    Raises:
        CapacityError: says what is missing and where it would fit.
    """
    held = held_by(recipe)
    count = held.parameters if held else num_parameters(recipe)
    if isinstance(recipe, RlRecipe) and recipe.off_policy_steps:
        explicit = resolve_placement(placement, count or None)
        refuse_shared(recipe, explicit.engine, on_gpu=int(explicit.gpus) > 0)
    if held is not None:
        check_capacity(recipe.stage, held, placement, model=model_name(recipe))


def held_by(recipe: Recipe) -> Held | None:
    """The model of a stage with its work; None where there is no model, or one of no known size."""
    work, count = _work(recipe), num_parameters(recipe)
    if work is None or not count:
        return None
    alone = Held(count, work == "train")
    model = model_of(recipe)
    if model is None:
        return alone
    try:
        return replace(alone, shape=shape_of(model), job=job_of(recipe, judge_of(recipe)))
    except RecipeError:  # the plan's page says which sizes are not known; the states are weighed all the same
        return alone


def demand(recipe: Recipe, placement: Placement) -> int:
    """Bytes a stage takes at least of each device it is laid over here; 0 without a model.

    Raises:
        CapacityError: the placement cannot be resolved here.
    """
    held = held_by(recipe)
    return int(held.least(spread_of(resolve_placement(placement, held.parameters))).peak) if held else 0


def check_capacity(
    stage: str,
    held: Held,
    placement: Placement,
    machine: Machine | None = None,
    model: str = "a model",
) -> None:
    """Refuse a model that this machine cannot hold, or not in a lifetime.

    An explicit ``gpus=0`` insists on the CPU: then only the memory counts.

    Args:
        stage: Name of the stage, for the message.
        held: Its model and its work.
        placement: Where it is asked to run.
        machine: This machine when left out.
        model: What to call it, for the message.

    Raises:
        CapacityError: what is missing, and what to do.
    """
    machine = machine or this_machine()
    explicit = resolve_placement(placement, held.parameters, machine)
    spread = spread_of(explicit)
    found = held.least(spread)
    if spread.gpu:  # weighed by rank, each on a GPU of its own
        first = machine.usable_gpus[0]
        needed, room, too_slow = found.peak, int(first.memory_bytes * ROOM), False
        have = f"1 x {first.name} with {_gigabytes(room)} to use"
        missing = f"{_gigabytes(needed - room)} of GPU memory"
    else:
        needed = found.peak + found.host_bytes
        room = int(machine.memory_bytes * ROOM) // (int(explicit.ranks) // machine.nodes)
        have = (
            f"{_describe_gpus(machine)} ({machine.cores} cores, {_gigabytes(machine.memory_bytes)} of memory)"
        )
        missing = "a GPU"
        too_slow = placement.gpus == "auto" and held.parameters > CPU_PARAMETERS_MAX
    if needed > room or too_slow:
        raise CapacityError(_refusal(stage, model, held, needed, have, missing))


def _describe_gpus(machine: Machine) -> str:
    if machine.gpus:
        return f"{machine.gpus[0].name}, which the installed CPU build of torch {machine.torch} cannot use"
    return "no GPU"


def _refusal(stage: str, model: str, held: Held, needed: float, have: str, missing: str) -> str:
    verb = "trains" if held.trains else "runs"
    gpu_needed = held.on_one_gpu()
    single = f"one GPU with at least {_gigabytes(gpu_needed / ROOM)}"
    fits = gpu_needed <= _COMMON_GPU_BYTES * ROOM
    only = (
        "" if fits else f", or {_SHARED[held.trains]} (rpt plan RECIPE --machine 8xH100-80GB says how many)"
    )
    return (
        f"{stage} {verb} {model} of {_parameters(held.parameters)} parameters and needs about "
        f"{_gigabytes(needed)} for it; this machine has {have}. Missing: {missing}. Run it on a "
        f"gpu-pool worker with {single}{only}, or take a recipe that fits here: -p recipe=tiny_rpt (rpt run "
        "tiny_rpt)."
    )


def _gigabytes(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:,.0f} GB" if num_bytes >= 1e10 else f"{num_bytes / 1e9:.1f} GB"


def _parameters(count: float) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.1f} M"


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
        model = recipe.model
        return (
            float(Shape.of_recipe(model).parameters) if isinstance(model, ModelShape) else _given_size(model)
        )
    if isinstance(recipe, QualityRecipe | AsksModel) and isinstance(recipe.model, GivenModel):
        return _given_size(recipe.model)
    inputs = recipe.inputs()
    for name in _MODEL_INPUTS:
        value = inputs.get(name)
        if isinstance(value, Recipe):
            return num_parameters(value)
    return 0.0


def _given_size(model: GivenModel) -> float:
    """The declared size, or what the safetensors headers of a local folder add up to.

    Raises:
        RecipeError: a file of the folder is truncated or damaged.
    """
    if model.num_parameters or not Path(model.name).is_dir():
        return model.num_parameters
    files = Path(model.name).glob("*.safetensors")
    return float(sum(num_numbers(file_shapes(path)) for path in files))
