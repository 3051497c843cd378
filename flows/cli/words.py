"""The options that several commands share, and what becomes of their words."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer

from infra.local.state import made_state_folder
from rpt_core.errors import RecipeError

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--param",
        metavar="NAME=VALUE",
        help="data=FILE|FOLDER, model=FOLDER|hub-id, seed=N, policy.steps=N.",
    ),
]
Placed = Annotated[
    str,
    typer.Option(
        "--placement",
        metavar="NAME=VALUE,...",
        help="gpus=1,engine=torch,dtype=bfloat16 ...; what is left out is taken from the machine.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Spoken = Annotated[str, typer.Argument(metavar="REF", help="name, name@3, kind/1a2b3c or 1a2b3c.")]


def prefect() -> AbstractContextManager[Callable[[], None]]:
    """A Prefect server for this command; Prefect itself is imported inside, when its address is known."""
    from infra.local.own_server import prefect_at_hand

    return prefect_at_hand(made_state_folder())


def seeds_of(text: str) -> tuple[int, ...]:
    """What ``--seeds`` names: numbers by commas, or from one to another.

    Raises:
        RecipeError: a part is neither, or a seed is named twice.

    Example:
        >>> seeds_of("0, 1,2"), seeds_of("100-103,9")
        ((0, 1, 2), (100, 101, 102, 103, 9))
    """
    found = [number for part in text.split(",") for number in _numbers(part.strip())]
    if len(set(found)) < len(found):
        raise RecipeError(f"--seeds: {text!r} names a seed twice; each is one run.")
    return tuple(found)


def _numbers(part: str) -> range:
    first, dash, last = (one.strip() for one in part.partition("-"))
    ends = (first, last) if dash else (first, first)
    if not all(end.isdecimal() for end in ends):
        raise RecipeError(
            f"--seeds: {part!r} is no whole number; write for example --seeds 0,1,2 or --seeds 100-107."
        )
    if int(ends[0]) > int(ends[1]):
        raise RecipeError(f"--seeds: {part!r} goes backwards; write {ends[1]}-{ends[0]}.")
    return range(int(ends[0]), int(ends[1]) + 1)


def overrides(parameters: list[str] | None) -> Any:
    """The ``flows.recipes.Overrides`` that the words of ``-p`` ask for."""
    from flows.cli.parameters import parse
    from flows.recipes import Overrides

    return Overrides.parse_words(*parse(parameters or []))


def placement_of(text: str) -> Any:
    """The ``Placement`` that ``--placement`` names."""
    from flows.cli.placements import parse_placement

    return parse_placement(text)
