"""`rpt leaderboard`: evaluated checkpoints side by side, as a table here and as a page."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from flows.cli.commands.compare import interval
from flows.cli.commands.run import print_plan
from flows.cli.commands.show import console, print_json, print_table, relative
from flows.make import handed_over
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from tasks.commands.leaderboard import leaderboard_recipe
from tasks.home import open_store

ANYWHERE = Placement()
PAGE, JSON = "report.html", "report.json"


def show_leaderboard(refs: tuple[str, ...], title: str, ready: Callable[[], None], *, as_json: bool) -> None:
    """Make the leaderboard of some evaluations, or find it made, and print it.

    Args:
        refs: What is ranked; empty for everything.
        title: Of the page.
        ready: Called before the flow; returns when Prefect can be reported to.
        as_json: What the page holds, as one document.

    Raises:
        RecipeError: there is nothing to rank.
    """
    store = open_store()
    plan = handed_over(leaderboard_recipe(refs, store, title), ANYWHERE)
    if not as_json:
        print_plan(plan.lines)
    artifact = plan.lines[-1].artifact or _made(refs, title, ready)
    folder = store.materialise(artifact)
    page: dict[str, Any] = json.loads((folder / JSON).read_text())
    if as_json:
        print_json({"artifact": artifact.model_dump(), **page})
        return
    head = ["benchmark", "place", "checkpoint", "right", "95% interval", "clean", "less the first", "p"]
    print_table(head, _rows(page))
    for sentence in page.get("short", ()):
        console.print(sentence, style="dim", soft_wrap=True, markup=False)
    console.print(f"page: {relative(folder / PAGE)}", soft_wrap=True, markup=False)


def _made(refs: tuple[str, ...], title: str, ready: Callable[[], None]) -> Artifact:
    ready()
    from flows.leaderboard import leaderboard

    return leaderboard(refs, title)


def _rows(page: dict[str, Any]) -> Iterator[list[str]]:
    """A line for every checkpoint in every column, the best first."""
    for section in page["sections"]:
        for table in (block for block in section["blocks"] if isinstance(block, dict)):
            if "place" in table["head"]:
                for values in table["rows"]:
                    row = dict(zip(table["head"], values, strict=True))
                    yield [section["title"], *_line(row, values)]


def _line(row: dict[str, Any], values: list[Any]) -> list[str]:
    score, clean, (less, p_value) = row["accuracy"], row["accuracy clean"], values[-2:]
    return [
        str(row["place"]), str(row["checkpoint"]), _percent(score), interval(score, ".1f"), _percent(clean),
        f"{100 * less['value']:+.1f}" if isinstance(less, dict) else "-",
        f"{p_value:.2g}" if isinstance(p_value, float) else "-",
    ]  # fmt: skip


def _percent(estimate: Any) -> str:
    return f"{100 * estimate['value']:.1f}" if isinstance(estimate, dict) else "-"
