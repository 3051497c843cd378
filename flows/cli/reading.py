"""The commands that read the store, and those that put it in order."""

from typing import Annotated

import typer

from flows.cli.words import Json, Spoken, prefect


def list_artifacts(
    recipes: Annotated[bool, typer.Option("--recipes", help="The named recipes instead.")] = False,
    kind: Annotated[str, typer.Option(help="Only this kind.")] = "",
    as_json: Json = False,
) -> None:
    """Every finished artifact of the store, newest first."""
    from flows.cli.commands.show import list_recipes, list_store

    if recipes:
        list_recipes(as_json=as_json)
    else:
        list_store(kind, as_json=as_json)


def show(
    ref: Spoken,
    dropped: Annotated[str, typer.Option(help="Read the rows dropped for this reason.")] = "",
    rollouts: Annotated[bool, typer.Option("--rollouts", help="Read kept rollouts.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to read.")] = 20,
    as_json: Json = False,
) -> None:
    """One artifact: recipe, parents, row counts, results, files."""
    from flows.cli.commands.show import show_artifact, show_dropped, show_rollouts

    if dropped:
        show_dropped(ref, dropped, limit, as_json=as_json)
    elif rollouts:
        show_rollouts(ref, limit, as_json=as_json)
    else:
        show_artifact(ref, as_json=as_json)


def lineage(ref: Spoken, as_json: Json = False) -> None:
    """Everything an artifact stands on, as a tree."""
    from flows.cli.commands.show import show_lineage

    show_lineage(ref, as_json=as_json)


def why(ref: Spoken) -> None:
    """Why an artifact is what it is: its recipe beside the defaults, and the digests it stands on."""
    from flows.cli.commands.show import show_why

    show_why(ref)


def cost(ref: Spoken, as_json: Json = False) -> None:
    """Seconds and FLOPs of an artifact and of all it stands on, attempt by attempt."""
    from flows.cli.commands.show import show_cost

    show_cost(ref, as_json=as_json)


def report(
    ref: Spoken,
    opened: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Where the page of a report or a corpus lies."""
    from flows.cli.commands.show import show_report

    show_report(ref, opened=opened)


def watch(
    ref: Annotated[
        str, typer.Argument(metavar="[REF]", help="Also a kind that runs now; without it, what runs.")
    ] = "",
    every: Annotated[int, typer.Option(min=1, help="Seconds between two looks.")] = 5,
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
) -> None:
    """A training while it goes on: reward, lengths and the last answers, as a page that refreshes itself."""
    from flows.cli.commands.watching import watch_stage

    watch_stage(ref, every, once=once)


def site(
    folder: Annotated[
        str, typer.Argument(metavar="[FOLDER]", help="New, or a site made before; in the state folder else.")
    ] = "",
) -> None:
    """An index page of all runs and reports of the store, static: any web server or file share shows it."""
    from flows.cli.commands.sites import show_site

    show_site(folder)


def track(ref: Spoken) -> None:
    """Show an artifact, and all it stands on, in MLflow: from their own records, each once."""
    from flows.cli.commands.show import track_again

    track_again(ref)


def verify(ref: Spoken) -> None:
    """Read every byte of an artifact again and compare it with its manifest."""
    from flows.cli.commands.show import verify_artifact

    verify_artifact(ref)


def copy_artifact(
    ref: Spoken,
    store: Annotated[str, typer.Argument(metavar="STORE", help="A folder, or s3://bucket/prefix.")],
    as_json: Json = False,
) -> None:
    """Copy an artifact and everything it stands on into another store."""
    from flows.cli.commands.copies import copy_to

    copy_to(ref, store, as_json=as_json)


def export_model(
    ref: Spoken,
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="New, or empty.")],
    questions: Annotated[int, typer.Option(min=0, help="Of each split, at most; 0 for none.")] = 1000,
    as_json: Json = False,
) -> None:
    """A model for transformers and vLLM, with its card, its training's questions and their reward for TRL."""
    from flows.cli.commands.exports import export_model as export

    export(ref, folder, questions, as_json=as_json)


def compare_some(
    first: Spoken,
    others: Annotated[list[str], typer.Argument(metavar="REF...", help="What is held against it.")],
    as_json: Json = False,
) -> None:
    """Artifacts of one kind: evaluations item by item, anything else by recipe, digests and results.

    Several are each held against the first. Names joined by commas are the runs of one method, by seed: then
    seeds are the unit, and methods are paired by seed.
    """
    from flows.cli.commands.compare import compare_artifacts

    compare_artifacts(first, others, as_json=as_json)


def leaderboard(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REFS...]", help="Evaluations, models or studies; all there are without any."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Leaderboard",
    as_json: Json = False,
) -> None:
    """Evaluated checkpoints side by side: intervals, places that tests can tell apart, clean scores.

    A question is touched when the text a checkpoint was trained on shares a run of 13 words with it; every
    score stands there twice, on all questions and on those that are clean.
    """
    with prefect() as ready:
        from flows.cli.commands.leaderboard import show_leaderboard

        show_leaderboard(tuple(refs or ()), title, ready, as_json=as_json)


def gc(
    older_than_hours: Annotated[float, typer.Option(help="Spare what is younger.")] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would go.")] = False,
) -> None:
    """Remove stored content that no artifact and no unfinished build names."""
    from flows.cli.commands.show import collect_garbage

    collect_garbage(older_than_hours, remove=yes)
