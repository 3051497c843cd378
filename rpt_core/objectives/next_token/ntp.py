"""NTP: continual next-token training on the same documents, the control that RMT's authors left out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rpt_core.errors import RecipeError
from rpt_core.objectives.next_token.question import Rpt
from rpt_core.objectives.objective import Asked
from rpt_core.policy.codec import Codec
from rpt_core.recipes.reinforce import PolicyRecipe


class Ntp(Rpt):
    """The documents RPT would ask about, without a question: their own loss is all there is."""

    name = "ntp"

    def draw(self, step: int, cursor: int, num_prompts: int) -> tuple[list[Asked], int]:
        """The documents of the next ``num_prompts`` places, none of which is asked about."""
        asked, cursor = super().draw(step, cursor, num_prompts)
        return [Asked(replace(one.trunk, cuts=()), ()) for one in asked], cursor


def open_objective(recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> Ntp:
    """The control of a training recipe, over the folders of its inputs.

    Raises:
        RecipeError: the documents' loss has no weight, so there is nothing to learn from.
        StarvedError: no position of the training documents is eligible.
    """
    if not recipe.ntp_weight:
        raise RecipeError(
            "objective ntp asks nothing and ntp_weight is 0, so there is no loss at all. Give ntp_weight a "
            "value above 0; 1 is ordinary next-token training."
        )
    return Ntp(recipe, inputs, codec)
