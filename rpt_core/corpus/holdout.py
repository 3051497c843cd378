"""The proof that nothing held out is trained on: read what was written, count what stands in it.

Tables are known by their columns, so a folder of artifacts can be read in any layout. Rows of the held-out
side of a split are counted apart; tables before any split (of `ingest-corpus`) are shown and not judged.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rpt_core.corpus.tables import columns_found, rows_found
from rpt_core.errors import SourceError
from rpt_core.recipes.splits import split_of
from rpt_core.sample.second.audit import Tally, seen_share
from rpt_core.sample.second.questions import Question
from rpt_core.sample.world import documents

Side = Literal["training", "held out", "not split"]
TEXTS = ("text", "problem", "prompt_tail", "before")
"""Columns that tell steps, beside the conversations of ``messages``."""


@dataclass(frozen=True, slots=True)
class CountedFile:
    """One side of one file."""

    path: str
    side: Side
    tally: Tally

    @property
    def is_clean(self) -> bool:
        """Whether nothing of it is trained on that must not be."""
        return self.side != "training" or not self.tally.num_reserved


@dataclass(frozen=True, slots=True)
class HoldoutCheck:
    """All files of a folder."""

    files: tuple[CountedFile, ...]
    seen: float | None
    """Share of held-out questions of two steps and more that training documents hold too; None for none."""
    unread: Mapping[str, int]
    """By file of JSON lines, those that hold no object, or are no UTF-8: none of them is judged."""

    @property
    def is_clean(self) -> bool:
        """Whether training shows no held-out question."""
        return all(file.is_clean for file in self.files)


def check_holdout(folders: Mapping[str, Path], salt: str) -> HoldoutCheck:
    """Read every table below some folders.

    Args:
        folders: By the name shown for them.
        salt: Of the hold-out.

    Raises:
        SourceError: no file holds a sentence of the world.
        IntegrityError: a table is damaged, so what it holds cannot be counted.
    """
    unread = Counter[str]()
    files = [one for name, folder in folders.items() for one in _counted(name, folder, salt, unread)]
    if not any(file.tally.num_sentences for file in files):
        raise SourceError(
            f"{', '.join(folders)}: {len(files)} tables with text were read, and none holds a sentence of "
            "the sample world's second edition, so nothing can be said of its hold-out. Name a corpus, a "
            "training or a study made with sample.second."
        )
    asked, trained = _questions(files, "held out"), _questions(files, "training")
    return HoldoutCheck(tuple(files), seen_share(asked, trained) if asked and trained else None, unread)


def first_edition_share(seed: int, num_documents: int, held_share: float = 0.08) -> float:
    """The same share in the sample world's first edition, whose documents are held out by a hash.

    There a trace's thought holds its start and its steps, so equal thoughts are equal questions.
    """
    asked: list[tuple[str, str]] = []
    trained: set[tuple[str, str]] = set()
    for document in documents(seed, num_documents):
        hard = [(document.kind, trace.thought) for trace in document.traces if trace.num_steps > 1]
        if split_of(document.title, seed, held_share) == "eval":
            asked += hard
        else:
            trained.update(hard)
    return sum(one in trained for one in asked) / max(len(asked), 1)


def _questions(files: Sequence[CountedFile], side: Side) -> Counter[Question]:
    return sum((file.tally.questions for file in files if file.side == side), Counter[Question]())


def _counted(name: str, folder: Path, salt: str, unread: Counter[str]) -> Iterator[CountedFile]:
    for path in sorted(folder.rglob("*")):
        shown = f"{name}/{path.relative_to(folder).as_posix()}"
        rows = _rows(path, shown, unread)
        if rows is None:
            continue
        tallies: dict[Side, Tally] = {}
        for row in rows:
            is_trace = "char_offset" in row and row.get("thought")  # its text is its document's
            texts = list(_texts(row))
            if not texts and not is_trace:
                continue
            tally = tallies.setdefault(_side(row), Tally(salt))
            for text in texts:
                tally.add_text(text)
            if is_trace:
                tally.add_thought(row["kind"], row["thought"])
        yield from (CountedFile(shown, side, tally) for side, tally in sorted(tallies.items()))


def _rows(path: Path, shown: str, unread: Counter[str]) -> Iterator[Mapping[str, Any]] | None:
    """The rows of a table that holds text of ours; None for any other file."""
    if path.suffix == ".parquet" and path.name != "dropped.parquet":
        names = columns_found(path, shown)
        wanted = [
            name for name in (*TEXTS, "messages", "thought", "kind", "char_offset", "split") if name in names
        ]
        tells = {*TEXTS, "messages", "thought"} & set(wanted)
        is_outcome = "verdict" in names and "prompt_tail" not in names
        return rows_found(path, wanted, shown) if tells and not is_outcome else None
    return _json_rows(path, shown, unread) if path.suffix == ".jsonl" else None


def _json_rows(path: Path, shown: str, unread: Counter[str]) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:  # no JSON, or no UTF-8
                row = None
            if isinstance(row, dict):
                yield row
            elif line.strip():
                unread[shown] += 1


def _side(row: Mapping[str, Any]) -> Side:
    """A rollout or a lesson is training whatever its file is called; a corpus says it of every row."""
    if "split" in row:
        return "held out" if row["split"] == "eval" else "training"
    return "training" if "prompt_tail" in row or "messages" in row else "not split"


def _texts(row: Mapping[str, Any]) -> Iterator[str]:
    yield from (row[name] for name in TEXTS if isinstance(row.get(name), str))
    for message in row.get("messages") or ():
        yield str(message.get("content", ""))
