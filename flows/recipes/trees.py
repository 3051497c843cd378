"""Journeys as trees of recipes: to walk them, to take a stage out, to change fields wherever they stand."""

from collections.abc import Callable
from typing import Any, TypeVar, get_args

from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref
from rpt_core.errors import RecipeError

Journey = TypeVar("Journey", bound=Recipe)


def walk(recipe: Recipe) -> list[Recipe]:
    """Every recipe of a journey, inputs before what needs them, each once."""
    found: dict[str, Recipe] = {}

    def visit(node: Recipe) -> None:
        key = node.model_dump_json()
        if key not in found:
            for value in node.inputs().values():
                if isinstance(value, Recipe):
                    visit(value)
            found[key] = node

    visit(recipe)
    return list(found.values())


def stage(recipe: Recipe, name: str) -> Recipe:
    """The recipe of one stage of a journey; of several (evaluations), the last.

    Raises:
        RecipeError: the journey has no such stage.
    """
    hits = [found for found in walk(recipe) if found.stage == name]
    if not hits:
        names = ", ".join(dict.fromkeys(found.stage for found in walk(recipe)))
        raise RecipeError(f"this recipe has no stage {name!r}; it has {names}.")
    return hits[-1]


def rewritten(
    recipe: Journey,
    kind: str,
    update: dict[str, Any],
    completed: Callable[[Recipe, dict[str, Any]], dict[str, Any]] = lambda node, update: update,
) -> Journey:
    """The same journey with fields of every recipe of one kind replaced, wherever it stands.

    Args:
        recipe: The last stage.
        kind: Whose fields.
        update: Fields to replace, nested as in the recipe.
        completed: What else has to change with them in a given recipe.
    """

    def change(node: Recipe) -> Recipe:
        return type(node).parse(_merged(dict(node), completed(node, update))) if node.kind == kind else node

    changed = mapped(recipe, change)
    assert isinstance(changed, type(recipe))
    return changed


def mapped(recipe: Recipe, change: Callable[[Recipe], Recipe]) -> Recipe:
    """The same tree with every recipe changed, inputs before what needs them."""
    inputs = recipe.inputs().items()
    below = {name: mapped(value, change) for name, value in inputs if isinstance(value, Recipe)}
    return change(recipe.with_inputs(below))


def changed(recipe: Journey, update: dict[str, Any]) -> Journey:
    """One recipe with fields replaced, nested as in the recipe; what it stands on stays as it is."""
    return type(recipe).parse(_merged(dict(recipe), update))


def _merged(data: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """Fields replaced; those of a nested value one by one, unless it becomes a value of another class."""
    merged = dict(data)
    for name, value in update.items():
        current = merged.get(name)
        if (
            isinstance(value, dict)
            and isinstance(current, Frozen)
            and not isinstance(current, Artifact | Ref)
            and set(value) <= set(type(current).model_fields)
            and not _names_another(current, value)
        ):
            merged[name] = _merged(dict(current), value)
        else:
            merged[name] = value
    return merged


def _names_another(current: Frozen, value: dict[str, Any]) -> bool:
    """Whether the ``name`` is one of another class, as of another objective, whose fields start anew."""
    own = type(current).model_fields.get("name")
    names = get_args(own.annotation) if own else ()
    return bool(names) and value.get("name", names[0]) not in names
