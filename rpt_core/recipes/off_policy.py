"""Which engines can draw a step's answers during the update before it."""

from rpt_core.errors import CapacityError
from rpt_core.recipes.reinforce import RlRecipe


def refuse_shared(recipe: RlRecipe, engine: str, *, on_gpu: bool) -> None:
    """Refuse answers drawn ahead by an engine that cannot draw while the policy is updated.

    Args:
        recipe: Says whether answers are drawn ahead.
        engine: By the name a placement gives it.
        on_gpu: Whether the stage uses one.

    Raises:
        CapacityError: the engine shares the trainer's weights, or its GPU's queue of work.
    """
    if not recipe.off_policy_steps:
        return
    why = {
        "torch": "draws with the very weights that learning changes",
        "torch-copy": "draws in the stage's process, on the GPU's one queue of work" if on_gpu else "",
    }.get(engine, "")
    if why:
        remedy = "vllm" if on_gpu else "vllm or torch-copy"
        raise CapacityError(
            f"{recipe.stage} with off_policy_steps={recipe.off_policy_steps} draws answers while it learns "
            f"from those before, and engine={engine} {why}: the two cannot go on side by side. Take "
            f"placement.engine={remedy}, or off_policy_steps=0."
        )
