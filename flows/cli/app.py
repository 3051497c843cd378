"""The command line: ``rpt``. A recipe is chosen by name; there is no flag per field."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from flows.cli import asking, making, reading

app = typer.Typer(
    name="rpt",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("demo", making.demo),
    ("study", making.study),
    ("plan", making.plan),
    ("run", making.run),
    ("up", making.up),
    ("doctor", making.doctor),
    ("ls", reading.list_artifacts),
    ("show", reading.show),
    ("lineage", reading.lineage),
    ("why", reading.why),
    ("cost", reading.cost),
    ("report", reading.report),
    ("watch", reading.watch),
    ("site", reading.site),
    ("track", reading.track),
    ("verify", reading.verify),
    ("copy", reading.copy_artifact),
    ("export", reading.export_model),
    ("compare", reading.compare_some),
    ("leaderboard", reading.leaderboard),
    ("try", asking.try_model),
    ("eval", asking.evaluate_model),
    ("replay", making.replay),
    ("gc", reading.gc),
)
"""Name and function of every command, in the order of the help."""


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rpt {version('rpt-plain-text')}")
        raise typer.Exit


@app.callback()
def about(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Reinforcement learning on plain text: from Wikipedia, arXiv and problem sets to a scaling law."""


for name, command in COMMANDS:
    app.command(name)(command)
