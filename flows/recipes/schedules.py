"""What follows a change of a training: milestones and schedules its number of steps, a filter its words."""

from collections.abc import Callable, Iterator
from typing import Any

from rpt_core.artifacts.recipe import Recipe
from rpt_core.recipes.reinforce import SHARED_WITH_FILTER, PassRateRecipe, RlvrRecipe

Path = tuple[str, ...]


def _share(value: int, old: int, new: int) -> int:
    """The same share of the run."""
    return max(1, round(value * new / old)) if value else value


def _shrunk(value: int, old: int, new: int) -> int:
    """The same share of a shorter run; a longer one needs no longer warm-up."""
    return _share(value, old, new) if new < old else value


def _clipped(value: int, _old: int, new: int) -> int:
    """At most once in the run."""
    return min(value, new)


def _marks(value: tuple[int, ...], _old: int, new: int) -> tuple[int, ...]:
    """Those inside the run, and its last step."""
    return (*(step for step in value if step < new), new) if value else value


FOLLOWS: dict[Path, Callable[[Any, int, int], Any]] = {
    ("milestones",): _marks,
    ("evaluate_every",): _clipped,
    ("optimiser", "warmup_steps"): _shrunk,
    ("selection", "drop_equal_from_step"): _share,
    ("objective", "budget", "schedule_steps"): _share,
    ("objective", "curriculum", "schedule_steps"): _share,
}
"""Fields of a training that count in steps, and how each follows another number of them."""


def carried(node: Recipe, update: dict[str, Any]) -> dict[str, Any]:
    """The update of a training with what follows its ``steps``; a field that the update names is left to it.

    Args:
        node: The training before.
        update: Fields to change, nested as in the recipe.

    Example:
        >>> from flows.recipes import journey
        >>> from flows.recipes.trees import stage
        >>> carried(stage(journey("tiny_rpt"), "train-rpt"), {"steps": 20})
        {'steps': 20, 'milestones': (2, 4, 8, 16, 20), 'optimiser': {'warmup_steps': 2}}
    """
    old, new = getattr(node, "steps", None), update.get("steps")
    if old is None or type(new) is not int or new < 1 or new == old:
        return update
    for path, follow in FOLLOWS.items():
        value = _value(node, path)
        if value is not None and not _names(update, path) and (after := follow(value, old, new)) != value:
            update = _with(update, path, after)
    return update


def filter_carried(node: Recipe, update: dict[str, Any]) -> dict[str, Any]:
    """The update of a training with verifiable rewards and of its pass rates, which are asked for alike.

    A field in which the two agree follows; one that the update names for the pass rates is left to it.

    Args:
        node: The training before.
        update: Fields to change, nested as in the recipe.
    """
    rates = node.pass_rates if isinstance(node, RlvrRecipe) else None
    given = update.get("pass_rates", {})
    if not isinstance(rates, PassRateRecipe) or not isinstance(given, dict):
        return update
    alike = {
        name: update[name]
        for name in SHARED_WITH_FILTER
        if name in update and getattr(rates, name) == getattr(node, name)
    }
    return {**update, "pass_rates": _under(alike, given)} if alike else update


def _under(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Nested values, and over them those that were given."""
    merged = values | given
    for name, value in values.items():
        if isinstance(value, dict) and isinstance(own := given.get(name), dict):
            merged[name] = _under(value, own)
    return merged


def counts_in_steps(node: Recipe) -> Iterator[tuple[str, int]]:
    """Dotted name and value of every step that a training's schedules speak of; zeros mean none."""
    for path in FOLLOWS:
        value = _value(node, path)
        for step in value if isinstance(value, tuple) else (value,):
            if step:
                yield ".".join(path), step


def _value(node: Any, path: Path) -> Any:
    for name in path:
        node = getattr(node, name, None)
    return node


def _names(update: Any, path: Path) -> bool:
    """Whether the update itself says what stands at the path."""
    for name in path:
        if not isinstance(update, dict):
            return True  # a part of the path is replaced as a whole
        if name not in update:
            return False
        update = update[name]
    return True


def _with(update: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    first, *rest = path
    return {**update, first: _with(update.get(first, {}), tuple(rest), value) if rest else value}
