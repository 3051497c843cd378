"""`rpt study --check-holdout`: read what was written, and count the held-out questions in what trains."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from flows.cli.commands.show import console, print_json, print_table
from rpt_core.artifacts.lineage import foundations
from rpt_core.corpus.held_problems import RUN_WORDS, check_problems
from rpt_core.corpus.holdout import CountedFile, HoldoutCheck, check_holdout, first_edition_share
from rpt_core.recipes.world import SALT
from rpt_core.sample.second.audit import universe
from tasks.home import open_store

FIRST_EDITION_DOCUMENTS = 4000


def show_holdout(where: str, salt: str = SALT, *, as_json: bool = False) -> None:
    """Print the count of every file; exit 1 where training shows what is held out.

    Args:
        where: A folder, or the name of an artifact, which is read with all it stands on.
        salt: Of the hold-out.
        as_json: For machines.
    """
    check = check_holdout(_folders(where), salt)
    first = first_edition_share(0, FIRST_EDITION_DOCUMENTS)
    if as_json:
        print_json(plain(check, salt, first))
    else:
        _print(check, salt, first)
    if not check.is_clean:
        raise typer.Exit(1)


def show_problem_holdout(where: str, *, as_json: bool = False) -> None:
    """The same of held-out problems, for a corpus made of a problem set; exit 1 where training shows one.

    Args:
        where: A folder, or the name of an artifact, which is read with all it stands on.
        as_json: For machines.
    """
    check = check_problems(_folders(where))
    if as_json:
        print_json({"is_clean": check.is_clean, **asdict(check)})
    else:
        head = [
            "file",
            "side",
            "rows",
            "of a held-out problem",
            "hold a statement",
            f"share {RUN_WORDS} words",
        ]
        print_table(head, ([str(value) for value in asdict(table).values()] for table in check.tables))
        found = sum(max(t.by_id, t.statements, t.runs) for t in check.tables if t.side == "training")
        console.print(
            f"\n{check.held_out} problems are held out, {check.lessons} training problems have traces. Held "
            f"out and found in training: {found} rows."
        )
    if not check.is_clean:
        raise typer.Exit(1)


def plain(check: HoldoutCheck, salt: str, first: float) -> dict[str, Any]:
    """The check as one JSON object."""
    return {
        "is_clean": check.is_clean,
        "salt": salt,
        "files": [_row(file) for file in check.files],
        "unread_lines": dict(check.unread),
        "seen_share": check.seen,
        "seen_share_first_edition": first,
        "held_by_kind_and_steps": {f"{kind}-{num}": n for (kind, num), n in sorted(_held(check).items())},
        "held_of_all": {kind: universe(kind, salt) for kind in sorted({kind for kind, _ in _held(check)})},
    }


def _folders(where: str) -> dict[str, Path]:
    if Path(where).is_dir():
        return {where: Path(where)}
    store = open_store()
    manifests = foundations(store.find(where), store.load)
    return {one.artifact.short: store.materialise(one.artifact) for one in manifests}


def _row(file: CountedFile) -> dict[str, Any]:
    tally = file.tally
    return {
        "file": file.path, "side": file.side, "texts": tally.num_texts, "without": tally.num_silent,
        "sentences": tally.num_sentences,
        "two_steps_and_more": tally.num_sentences - tally.by_row["one step"],
        "held": tally.num_held, "held_pairs": tally.num_pairs, "tuning": tally.by_row["tuning"],
        "too_long": tally.num_long,
    }  # fmt: skip


def _held(check: HoldoutCheck) -> Counter[tuple[str, int]]:
    files = (file.tally.held for file in check.files if file.side == "held out")
    return sum(files, Counter[tuple[str, int]]())


def _print(check: HoldoutCheck, salt: str, first: float) -> None:
    rows = [_row(file) for file in check.files]
    head = [
        "file",
        "side",
        "texts",
        "none found",
        "sentences",
        "2+ steps",
        "held",
        "held pairs",
        "tuning",
        "5+",
    ]
    print_table(head, ([str(value) for value in row.values()] for row in rows))
    held = _held(check)
    if kinds := sorted({kind for kind, _ in held}):
        console.print(
            "\nHeld sentences in held-out text, by steps; and those there are of all (2, 3, 4 steps):"
        )
        print_table(
            ["kind", *(f"{num} steps" for num in range(2, 7)), "held of all"],
            (
                [
                    kind,
                    *(str(held[kind, num]) for num in range(2, 7)),
                    ", ".join(f"{some} of {all_}" for some, all_ in universe(kind, salt).values()),
                ]
                for kind in kinds
            ),
        )
    for path, lines in check.unread.items():
        console.print(f"\n{path}: {lines} lines hold no JSON object; they were not judged.", markup=False)
    reserved = sum(file.tally.num_reserved for file in check.files if file.side == "training")
    read = sum(file.tally.num_sentences for file in check.files if file.side == "training")
    console.print(f"\nHeld out and found in training: {reserved} of {read} sentences (salt {salt!r}).")
    if check.seen is not None:
        console.print(
            "Held-out questions of two steps and more that stand in training, start and all: "
            f"{check.seen:.1%}; in the first edition, {FIRST_EDITION_DOCUMENTS} documents, {first:.1%}."
        )
