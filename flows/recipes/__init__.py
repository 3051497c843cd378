"""The named recipes, and what a run may change about one."""

from flows.recipes.named import NAMED, any_journey, journey, over_arms, over_seeds, over_tuning
from flows.recipes.overrides import Overrides

__all__ = ["NAMED", "Overrides", "any_journey", "journey", "over_arms", "over_seeds", "over_tuning"]
