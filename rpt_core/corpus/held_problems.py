"""The proof that no held-out problem is trained on: read what was written, count what stands in it.

Which problems are held out is read from the corpus's own table. Then every table below the same folders is
looked through: rows of the training side, and answers of trainings, by the document's id, by the whole
statement of a problem, and by runs of words that stand in one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from rpt_core.corpus.tables import columns_found, rows_found
from rpt_core.errors import SourceError

RUN_WORDS = 13
"""Of the papers' decontamination."""
TEXTS = ("text", "problem", "solution")
IDS = ("doc_id", "problem_id")
Side = Literal["training", "held out"]
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class CountedTable:
    """One side of one table."""

    path: str
    side: Side
    rows: int = 0
    by_id: int = 0
    """Rows of a document or a problem that is held out."""
    statements: int = 0
    """Rows whose text holds a held-out problem's whole statement."""
    runs: int = 0
    """Rows whose text shares :data:`RUN_WORDS` words in a row with one."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing of it is trained on that must not be."""
        return self.side != "training" or not (self.by_id or self.statements or self.runs)


@dataclass(frozen=True, slots=True)
class ProblemCheck:
    """All tables of some folders."""

    held_out: int
    """Problems."""
    lessons: int
    """Training problems that have traces."""
    tables: tuple[CountedTable, ...]

    @property
    def is_clean(self) -> bool:
        """Whether training shows no held-out problem."""
        return all(table.is_clean for table in self.tables)


@dataclass(slots=True)
class _Held:
    """What is held out, as it is looked for."""

    ids: set[str] = field(default_factory=set)
    statements: set[str] = field(default_factory=set)
    runs: set[tuple[str, ...]] = field(default_factory=set)

    def add(self, row: Mapping[str, Any]) -> None:
        words = _words(row["problem"])
        self.ids.add(row["problem_id"])
        self.statements.add(" ".join(words))
        self.runs.update(_runs(words))

    def count(self, row: Mapping[str, Any], table: CountedTable) -> None:
        words = [_words(str(row[name])) for name in TEXTS if row.get(name)]
        texts = [" ".join(some) for some in words]
        table.rows += 1
        table.by_id += any(row.get(name) in self.ids for name in IDS)
        table.statements += any(one in f" {text} " for text in texts for one in self._spaced)
        table.runs += any(run in self.runs for some in words for run in _runs(some))

    @property
    def _spaced(self) -> Iterator[str]:
        return (f" {one} " for one in self.statements)


def check_problems(folders: Mapping[str, Path]) -> ProblemCheck:
    """Read every table below some folders.

    Args:
        folders: By the name shown for them; a corpus is among them, or what stands on one.

    Raises:
        SourceError: no table says which problems are held out.
        IntegrityError: a table is damaged, so what it holds cannot be counted.
    """
    held = _held_out(folders)
    if not held.ids:
        raise SourceError(
            f"{', '.join(folders)}: no table of problems here holds any out, so nothing can be said of it. "
            "Name a corpus made of a problem set, or a training or a study that stands on one."
        )
    counted = [table for name, folder in folders.items() for table in _counted(name, folder, held)]
    return ProblemCheck(len(held.ids), len(_taught(folders)), tuple(counted))


def _held_out(folders: Mapping[str, Path]) -> _Held:
    held = _Held()
    for path in _tables(folders, "problems.parquet"):
        if "split" in columns_found(path, str(path)):
            for row in rows_found(path, ["problem_id", "problem", "split"], str(path)):
                if row["split"] == "eval":
                    held.add(row)
    return held


def _taught(folders: Mapping[str, Path]) -> set[str]:
    return {
        row["doc_id"]
        for path in _tables(folders, "traces.parquet")
        if {"split", "doc_id"} <= set(columns_found(path, str(path)))
        for row in rows_found(path, ["doc_id", "split"], str(path))
        if row["split"] == "train"
    }


def _tables(folders: Mapping[str, Path], name: str) -> Iterator[Path]:
    return (path for folder in folders.values() for path in sorted(folder.rglob(name)))


def _counted(name: str, folder: Path, held: _Held) -> Iterator[CountedTable]:
    for path in sorted(folder.rglob("*.parquet")):
        shown = f"{name}/{path.relative_to(folder).as_posix()}"
        columns = set(columns_found(path, shown))
        trained = "prompt_tail" in columns  # answers of a training
        if not columns & set(IDS) or not (trained or "split" in columns):
            continue
        sides: dict[Side, CountedTable] = {}
        for row in rows_found(path, sorted(columns & {*TEXTS, *IDS, "split"}), shown):
            side: Side = "training" if trained or row["split"] != "eval" else "held out"
            table = sides.setdefault(side, CountedTable(shown, side))
            if side == "training":
                held.count(row, table)
            else:
                table.rows += 1
        yield from (sides[side] for side in sorted(sides))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(islice(words, at, None) for at in range(RUN_WORDS)), strict=False)
