"""What a run changes about a named recipe: its data, model, seed, and any field of any stage."""

import difflib
from typing import Any

from pydantic import Field, ValidationError

from flows.recipes.schedules import carried, filter_carried
from flows.recipes.trees import rewritten, walk
from rpt_core.artifacts.recipe import SEED_MAX, Frozen, Recipe, explain
from rpt_core.errors import RecipeError


class Overrides(Frozen):
    """What a run changes about a named recipe; the Prefect form shows these beside the recipe's name."""

    data: str = ""
    """A file or folder of your own text instead of the recipe's."""
    model: str = ""
    """A Hugging Face folder or hub id instead of the recipe's model."""
    seed: int | None = Field(None, ge=0, le=SEED_MAX)
    """Of data, models and training; None for the recipe's."""
    fields: dict[str, Any] = {}
    """Any other field, by the kind of artifact it shapes: ``{"policy.steps": 20}``."""

    @classmethod
    def parse_words(cls, known: dict[str, Any], fields: dict[str, Any]) -> "Overrides":
        """From ``-p`` words.

        Raises:
            RecipeError: a value has the wrong form.
        """
        try:
            return cls(**known, fields=fields)
        except ValidationError as error:
            raise RecipeError(f"-p cannot be read: {explain(error, cls)}") from None


def overridden(recipe: Recipe, fields: dict[str, Any]) -> Recipe:
    """The journey with fields changed, and schedules that follow a number of steps.

    Args:
        recipe: Its last stage.
        fields: As of :class:`Overrides`.

    Raises:
        RecipeError: no stage writes a kind that is named, or a field does not exist or is out of range.
    """
    kinds = {found.kind for found in walk(recipe)}
    for kind, update in _by_kind(fields).items():
        if kind not in kinds:
            near = difflib.get_close_matches(kind, kinds, n=1)
            hint = f" Did you mean {near[0]}.{next(iter(update))}?" if near else ""
            raise RecipeError(
                f"-p {kind}.*: no stage writes the kind {kind!r}.{hint} There are {', '.join(sorted(kinds))}."
            )
        recipe = rewritten(recipe, kind, update, _followed)
    return recipe


def _followed(node: Recipe, update: dict[str, Any]) -> dict[str, Any]:
    """A change with what follows it: schedules of the steps, a filter of how its training asks."""
    return filter_carried(node, carried(node, update))


def _by_kind(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Dotted names as nested changes of one kind each, so that fields that must agree change together."""
    changes: dict[str, dict[str, Any]] = {}
    for dotted, value in fields.items():
        kind, *path = dotted.split(".") if "." in dotted else ["policy", dotted]
        level = changes.setdefault(kind, {})
        for name in path[:-1]:
            level = level.setdefault(name, {})
            if not isinstance(level, dict):
                raise RecipeError(
                    f"-p {dotted}: {name} is given twice, as a whole and by its fields; give one."
                )
        if isinstance(level.get(path[-1]), dict):
            raise RecipeError(f"-p {dotted}: it is given both as a whole and by its fields; give one.")
        level[path[-1]] = value
    return changes
