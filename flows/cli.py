"""The command line: ``rpt``. A recipe is chosen by name; there is no flag per field."""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.links import live_api_url
from rpt_core.errors import EXIT_TRY_AGAIN, EXIT_YOUR_INPUT, RecipeError, RptError

app = typer.Typer(
    name="rpt",
    help="Reinforcement learning on plain text: from Wikipedia, arXiv and problem sets to a scaling law.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--param",
        metavar="NAME=VALUE",
        help="data=FILE|FOLDER, model=FOLDER|hub-id, seed=N, policy.steps=N.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Spoken = Annotated[str, typer.Argument(metavar="REF", help="name, name@3, kind/1a2b3c or 1a2b3c.")]


@app.command()
def demo(
    seeds: Annotated[str, typer.Option(help="Seeds, by commas; several are compared in one report.")] = "0",
) -> None:
    """The whole journey on the built-in sample world; minutes on a laptop, no account, no network."""
    numbers = [_seed(part) for part in seeds.split(",")]
    with _prefect() as ready:
        from flows.run import run_demo

        run_demo(numbers, ready)


@app.command()
def study(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; by the study, the tiny one.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds, by commas.")] = "0,1,2",
    about: Annotated[
        str, typer.Option(help="mid-training, table-1, rewards, positions or next-segment.")
    ] = "mid-training",
    arms: Annotated[str, typer.Option(help="Some of its arms, by semicolons, the reference first.")] = "",
    param: Parameters = None,
) -> None:
    """Several trainings from one start model at equal tokens: RMT or RLPT and its parts, RPT's variants."""
    numbers = tuple(_seed(part) for part in seeds.split(","))
    with _prefect() as ready:
        from flows.run import run_study

        usual = {"mid-training": "tiny_rmt", "next-segment": "tiny_rlpt"}
        name = recipe or usual.get(about, "tiny_rpt")
        some = tuple(part.strip() for part in arms.split(";") if part.strip())
        run_study(name, numbers, some, _overrides(param), about, ready)


@app.command()
def plan(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    param: Parameters = None,
    to: Annotated[str, typer.Option(help="Stop at this stage.")] = "report",
    as_json: Json = False,
) -> None:
    """What would be reused and what built; nothing is touched."""
    from flows.run import show_plan

    show_plan(recipe, to, _overrides(param), as_json=as_json)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    param: Parameters = None,
    to: Annotated[str, typer.Option(help="Stop at this stage.")] = "report",
) -> None:
    """Make a recipe, and first whatever it stands on."""
    with _prefect() as ready:
        from flows.run import run_recipe

        run_recipe(recipe, to, _overrides(param), ready)


@app.command()
def up() -> None:
    """Prefect, MLflow and one worker per pool on this machine, until Ctrl-C."""
    from infra.stack import run_stack
    from tasks.home import home

    raise typer.Exit(run_stack(home()))


@app.command()
def doctor(as_json: Json = False) -> None:
    """What works on this machine, what is missing, and the command that mends it."""
    from flows.run import show_doctor

    raise typer.Exit(show_doctor(as_json=as_json))


@app.command("ls")
def list_artifacts(
    recipes: Annotated[bool, typer.Option("--recipes", help="The named recipes instead.")] = False,
    kind: Annotated[str, typer.Option(help="Only this kind.")] = "",
    as_json: Json = False,
) -> None:
    """Every finished artifact of the store, newest first."""
    from flows.show import list_recipes, list_store

    if recipes:
        list_recipes(as_json=as_json)
    else:
        list_store(kind, as_json=as_json)


@app.command()
def show(
    ref: Spoken,
    dropped: Annotated[str, typer.Option(help="Read the rows dropped for this reason.")] = "",
    rollouts: Annotated[bool, typer.Option("--rollouts", help="Read kept rollouts.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to read.")] = 20,
    as_json: Json = False,
) -> None:
    """One artifact: recipe, parents, row counts, results, files."""
    from flows.show import show_artifact, show_dropped, show_rollouts

    if dropped:
        show_dropped(ref, dropped, limit, as_json=as_json)
    elif rollouts:
        show_rollouts(ref, limit, as_json=as_json)
    else:
        show_artifact(ref, as_json=as_json)


@app.command()
def lineage(ref: Spoken, as_json: Json = False) -> None:
    """Everything an artifact stands on, as a tree."""
    from flows.show import show_lineage

    show_lineage(ref, as_json=as_json)


@app.command()
def why(ref: Spoken) -> None:
    """Why an artifact is what it is: its recipe beside the defaults, and the digests it stands on."""
    from flows.show import show_why

    show_why(ref)


@app.command()
def cost(ref: Spoken, as_json: Json = False) -> None:
    """Seconds and FLOPs of an artifact and of all it stands on, attempt by attempt."""
    from flows.show import show_cost

    show_cost(ref, as_json=as_json)


@app.command()
def report(ref: Spoken) -> None:
    """Where a report's page lies."""
    from flows.show import show_report

    show_report(ref)


@app.command()
def track(ref: Spoken) -> None:
    """Project an artifact's metrics to MLflow again, from its own record."""
    from flows.show import track_again

    track_again(ref)


@app.command()
def verify(ref: Spoken) -> None:
    """Read every byte of an artifact again and compare it with its manifest."""
    from flows.show import verify_artifact

    verify_artifact(ref)


@app.command("copy")
def copy_artifact(
    ref: Spoken,
    store: Annotated[str, typer.Argument(metavar="STORE", help="A folder, or s3://bucket/prefix.")],
    as_json: Json = False,
) -> None:
    """Copy an artifact and everything it stands on into another store."""
    from flows.copies import copy_to

    copy_to(ref, store, as_json=as_json)


@app.command("compare")
def compare_two(first: Spoken, second: Spoken, as_json: Json = False) -> None:
    """Two artifacts of one kind: evaluations item by item, anything else by recipe, digests and results."""
    from flows.compare import compare_artifacts

    compare_artifacts(first, second, as_json=as_json)


@app.command()
def replay(
    ref: Spoken,
    step: Annotated[int, typer.Option(min=1, help="Of the training, from 1.")],
    limit: Annotated[int, typer.Option(help="Answers to show.")] = 8,
    as_json: Json = False,
) -> None:
    """Take one step of a finished training again: its questions, thoughts and verdicts, by their digest."""
    from flows.replays import replay_step

    replay_step(ref, step, limit, as_json=as_json)


@app.command()
def gc(
    older_than_hours: Annotated[float, typer.Option(help="Spare what is younger.")] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would go.")] = False,
) -> None:
    """Remove stored content that no artifact and no unfinished build names."""
    from flows.show import collect_garbage

    collect_garbage(older_than_hours, remove=yes)


def _prefect() -> AbstractContextManager[Callable[[], None]]:
    """A Prefect server for this command; Prefect itself is imported inside, when its address is known."""
    from infra.own_server import prefect_at_hand
    from tasks.home import home

    return prefect_at_hand(home())


def _seed(text: str) -> int:
    if not text.strip().isdecimal():
        raise RecipeError(f"--seeds: {text!r} is no whole number; write for example --seeds 0,1,2.")
    return int(text)


def _overrides(parameters: list[str] | None) -> Any:
    from flows.recipes import Overrides

    known: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for text in parameters or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"-p {text!r} has no '='; write -p name=value.")
        target = known if name in {"data", "model", "seed"} else fields
        target[name] = _literal(value) if name not in {"data", "model"} else value
    return Overrides.parse_words(known, fields)


def _literal(text: str) -> Any:
    """The JSON value of a text, or the text itself: ``3`` is a number, ``grpo`` a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _terminated(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def guarded(command: Callable[[], object]) -> int:
    """Run a command; an error that is ours, or of the words typed, becomes a sentence and an exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = command()
    except RptError as error:
        print(f"rpt: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rpt: stopped. The same command goes on from the last checkpoint.", file=sys.stderr)
        return EXIT_TRY_AGAIN
    except Exception as error:
        show_usage = getattr(error, "show", None)  # Typer's own errors say what was wrong with the words
        if show_usage is None:
            raise
        show_usage()
        return EXIT_YOUR_INPUT
    return code if isinstance(code, int) else 0


def prepare_prefect() -> None:
    """Keep Prefect's state in our folder, its telemetry off, and its tracebacks out of the reader's way."""
    home = Path(os.environ.get("RPT_HOME") or ".rpt").absolute()
    (home / "prefect").mkdir(parents=True, exist_ok=True)
    settings = {
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "DO_NOT_TRACK": "1",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    live_api_url()


def main() -> None:
    """Entry point of ``rpt``."""
    prepare_prefect()
    sys.exit(guarded(lambda: app(standalone_mode=False)))


if __name__ == "__main__":
    main()
