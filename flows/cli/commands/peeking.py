"""`rpt plan --peek`: what would become of the first rows of a text, with examples."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rich.padding import Padding
from rich.text import Text

from flows.cli.commands.show import console, print_table
from rpt_core.corpus.peek import Example, Looked
from rpt_core.corpus.reasons import REASONS
from tasks.shown.rows import FEW


def as_plain(looked: Iterable[Looked]) -> list[dict[str, Any]]:
    """For machines."""
    return [{**asdict(one), "rows": one.rows.model_dump(mode="json")} for one in looked]


def print_peek(looked: Iterable[Looked]) -> None:
    """Stage by stage: how many rows, why rows would be dropped, and some of each."""
    for one in looked:
        rows = one.rows
        part = ", of the first rows" if one.is_part else ""
        console.print(f"[bold]{one.stage}[/]{part}")
        if one.found:
            console.print(f"  {one.found}", markup=False, soft_wrap=True)
        num_dropped = rows.rows_in - rows.kept
        console.print(f"  {rows.rows_in:,} in, {rows.kept:,} kept, {num_dropped:,} dropped")
        if rows.kept < FEW * rows.rows_in:
            console.print("  warning: under half would be kept", style="bold")
        reasons = sorted(rows.dropped.items(), key=lambda pair: (-pair[1], pair[0]))
        if reasons:
            print_table(
                ["  dropped for", "rows", "which means"],
                ([f"  {name}", num, REASONS.get(name, "")] for name, num in reasons),
            )
        _print_examples("kept", one.kept)
        for name, _ in reasons:
            _print_examples(f"dropped for {name}", one.dropped.get(name, ()))
        console.print()
    console.print(
        "Nothing was built. Duplicates and leaks were looked for among these rows; a run may drop more.",
        soft_wrap=True,
    )


def _print_examples(title: str, rows: tuple[Example, ...]) -> None:
    if rows:
        console.print(f"  {title}:", markup=False)
    for row in rows:
        console.print(f"    {row.title or row.where}", style="bold", markup=False, soft_wrap=True)
        if row.text:
            console.print(Padding(Text(row.text), (0, 0, 0, 6)))
