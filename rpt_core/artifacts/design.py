"""The design of a recipe: its fingerprint as if the content of every input were the input's own design.

Two machines know it before anything is made, and with nothing in a store: equal designs ask for equal things.
"""

from collections.abc import Mapping

from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.errors import RecipeError


def designed(recipe: Recipe, below: Mapping[str, str]) -> str:
    """The design of a recipe, given those of its inputs by place; hex."""
    given = recipe.inputs()
    known = {
        place: Artifact(kind=getattr(given[place], "kind", "any"), fingerprint=design, digest=design)
        for place, design in below.items()
    }
    return recipe.with_inputs(known).fingerprint()


def design_of(recipe: Recipe) -> str:
    """The design of a whole tree of recipes; hex. A finished artifact in it counts by its content.

    Raises:
        RecipeError: an input is named by its place in a store, which says nothing elsewhere.
    """
    known: dict[str, str] = {}

    def of(value: Recipe | Artifact | Ref) -> str:
        if isinstance(value, Artifact):
            return value.digest
        if isinstance(value, Ref):
            raise RecipeError(
                f"the input {value.ref!r} is a name in one machine's store, so what is made of it cannot be "
                "known elsewhere. Write the input out as a recipe."
            )
        key = value.model_dump_json()
        if key not in known:
            known[key] = designed(value, {place: of(one) for place, one in value.inputs().items()})
        return known[key]

    return of(recipe)
