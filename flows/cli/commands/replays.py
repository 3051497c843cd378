"""`rpt replay`: a step of a finished training again, with every thought and verdict."""

from typing import Any

from rich.console import Console

from flows.cli.commands.show import console, print_json, print_rollout
from tasks.commands.replay import other_numerics, replay
from tasks.home import open_store


def replay_step(ref: str, step: int, limit: int, *, as_json: bool) -> None:
    """Take the step again, say that its digest is the recorded one, and show its answers."""
    store = open_store()
    manifest = store.find(ref)
    for name, (there, here) in other_numerics(manifest).items():
        Console(stderr=True).print(
            f"{name} was {there} in the training and is {here} here: the answers may come out otherwise."
        )
    summary, rows = replay(manifest, step, store)
    if as_json:
        print_json({**summary, "answers": rows})
        return
    for row in rows[:limit]:
        print_rollout(row)
    counts = ", ".join(f"{value} {name}" for name, value in _verdicts(summary).items() if value)
    begun = summary["from_step"]
    console.print(
        f"step {step} of {manifest.artifact.short} came out as it was recorded, digest "
        f"{summary['digest'][:12]}, replayed from {f'step {begun}' if begun else 'the start'}: "
        f"{summary['groups']} groups, {summary['groups_kept']} kept; answers {counts}."
    )
    if len(rows) > limit:
        console.print(f"{limit} of {len(rows)} answers are shown; --limit shows more, --json all.")


def _verdicts(summary: dict[str, Any]) -> dict[str, int]:
    return {
        name.removeprefix("answers "): value for name, value in summary.items() if name.startswith("answers ")
    }
