"""The options that several commands share, and what becomes of their words."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer

from infra.local.state import made_state_folder

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


def overrides(parameters: list[str] | None) -> Any:
    """The ``flows.recipes.Overrides`` that the words of ``-p`` ask for."""
    from flows.cli.parameters import parse
    from flows.recipes import Overrides

    return Overrides.parse_words(*parse(parameters or []))


def placement_of(text: str) -> Any:
    """The ``Placement`` that ``--placement`` names."""
    from flows.cli.placements import parse_placement

    return parse_placement(text)
