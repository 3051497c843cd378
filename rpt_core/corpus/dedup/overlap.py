"""Rows that one corpus holds out and another one trains on, told by content.

Recipes that split the same documents otherwise are refused in the plan (:mod:`rpt_core.recipes.splits`);
whether corpora of different documents share rows is known only when both are made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from rpt_core.artifacts.build import Build
from rpt_core.corpus.dedup.sketch import text_hashes
from rpt_core.corpus.tables import read_rows
from rpt_core.errors import RecipeError
from rpt_core.recipes.splits import EVALUATED, TRAINED

_TABLES = {"documents": ("doc_id", "text", "title"), "problems": ("problem_id", "problem", "problem")}
"""Table -> its id, its text, and what to call a row by."""
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Shared:
    """What two corpora share against the rules."""

    num_held_out: dict[str, int]
    """Table -> rows held out by the one."""
    num_shared: dict[str, int]
    """Table -> of these, rows that the other trains on."""
    example: str
    """One of them."""


def shared_rows(evaluated: Path, trained: Path) -> Shared:
    """Documents and problems held out in one corpus that the other trains on: equal in id or in text.

    Of a held-out row 32 bytes stay in memory. Rephrased or reformatted rows stay unfound.

    Args:
        evaluated: Folder of the corpus that is evaluated on.
        trained: Folder of a corpus that was trained on.
    """
    num_held_out, num_shared, example = {}, {}, ""
    for table in _TABLES:
        held_out = [(row_id, content) for row_id, content, _ in _rows(evaluated, table, "eval")]
        known = {key for pair in held_out for key in pair}
        training = _rows(trained, table, "train") if known else ()
        met = {content: name for row_id, content, name in training if row_id in known or content in known}
        num_held_out[table], num_shared[table] = len(held_out), len(met)
        example = example or next(iter(met.values()), "")
    return Shared(num_held_out, num_shared, example)


def _rows(folder: Path, table: str, split: str) -> Iterator[tuple[bytes, bytes, str]]:
    """Keys by id and by text of the rows of one side, and what to call them."""
    row_id, text, name = _TABLES[table]
    path = folder / f"{table}.parquet"
    if not path.exists():
        return
    for row in read_rows(path, [*dict.fromkeys((row_id, text, name)), "split"]):
        if row["split"] == split:
            yield row[row_id].encode(), text_hashes([row[text]]).tobytes(), row[name]


def check_held_out(build: Build) -> None:
    """Refuse to evaluate a model on what it was trained on.

    Reads the inputs ``corpus`` and ``problem_corpus`` (if any), and every input named ``trained.*``.

    Raises:
        RecipeError: rows held out in the one are training rows of another.
    """
    evaluated = [build.inputs[name] for name in EVALUATED if name in build.inputs]
    trained = [name for name in build.inputs if name.startswith(TRAINED)]
    for corpus, name in product(evaluated, trained):
        folder = build.inputs[name]
        if folder == corpus:
            continue  # its own held-out rows
        found = shared_rows(corpus, folder)
        if any(found.num_shared.values()):
            told = " and ".join(
                f"{num} of {found.num_held_out[table]} {table}"
                for table, num in found.num_shared.items()
                if num
            )
            raise RecipeError(
                f"the splits overlap: {told} held out in the corpus evaluated on are training rows of "
                f"corpus/{name.removeprefix(TRAINED)}, on which the model stands (for example "
                f"{found.example[:_SHOWN_CHARS]!r}). A model knows what it has read: evaluate "
                "on the corpus it was trained with, or make one corpus of all documents and train on that."
            )
