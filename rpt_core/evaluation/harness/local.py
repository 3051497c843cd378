"""Data of the harness's tasks out of local files: rows by split, under the columns its definitions read.

A folder ``gsm8k`` or ``openai__gsm8k`` stands for the data set ``openai/gsm8k``. Its files may have any form
that is read elsewhere; a file's path says which split it is and, where a task names a configuration
(``anatomy`` of ``cais/mmlu``), which of them.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.errors import SourceError
from rpt_core.evaluation.benchmarks.packs.files import folder_of, rows_in, squeezed
from rpt_core.evaluation.benchmarks.packs.item import LETTERS, Refusal
from rpt_core.evaluation.benchmarks.packs.knowledge.mmlu import Mmlu
from rpt_core.recipes.harness_evaluation import HarnessTask

HELD_FOR_EXAMPLES = 64
"""Rows of a training file that give examples where it is all there is; the others are asked."""
TRAINING = "train"
WHOLE = frozenset({"", "main", "default", "all"})
"""Configurations that mean every row of a folder which tells none apart."""
ALSO = {"validation": ("val", "valid")}
"""What a split is also called in the names of files."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LocalSplits:
    """The rows of one task's data."""

    rows: Mapping[str, list[Row]]
    """By split."""
    is_training_file: bool
    """Whether the items that are asked are training data, which a model may have read."""
    refused: Mapping[str, int]
    """Rows of the asked split that could not be read, by reason."""


def data_folder(data: Path, dataset: str) -> Path | None:
    """The folder below ``data`` that holds a data set of the hub.

    Raises:
        SourceError: ``data`` is no folder.
    """
    return folder_of(data, (dataset.replace("/", "__"), dataset.rpartition("/")[2]))


def local_splits(folder: Path, task: HarnessTask) -> LocalSplits:
    """What a task reads, out of a data set's folder.

    Raises:
        SourceError: the folder has no row of what is asked, or no split for the examples.
    """
    header = Mmlu.csv_header if task.dataset in SHAPES else ()
    mine = _of_configuration(rows_in(folder, header), task, folder)
    shape = SHAPES.get(task.dataset, dict)
    rows, refused = dict[str, list[Row]](), Counter[str]()
    for name, record in mine:
        split = split_of(name, task.splits)
        if split is None:
            continue
        try:
            rows.setdefault(split, []).append(shape(_readable(record)))
        except (BrokenInput, Refusal) as broken:
            refused[broken.reason] += split == task.asked
    alone = task.asked not in rows and task.examples in rows
    if alone:
        every = rows[task.examples]
        rows |= {task.examples: every[:HELD_FOR_EXAMPLES], task.asked: every[HELD_FOR_EXAMPLES:]}
    missing = [one for one in {task.asked, task.examples} if one and not rows.get(one)]
    if missing:
        raise SourceError(
            f"{folder} has no row of the split {' and '.join(sorted(missing))} of {task.dataset}"
            f"{f' ({task.config})' if task.config else ''}, which {task.name} reads; it has "
            f"{', '.join(rows) or 'none'}. Put the published files there, each named after its split."
        )
    seen = alone or task.asked == TRAINING
    return LocalSplits(rows, seen, {reason: num for reason, num in refused.items() if num})


def _readable(record: Row | BrokenInput) -> Row:
    if isinstance(record, BrokenInput):
        raise record
    return record


def _of_configuration(
    rows: Iterable[Any], task: HarnessTask, folder: Path
) -> list[tuple[str, Row | BrokenInput]]:
    """The rows of the configuration a task names; of a folder that tells none apart, all."""
    every = [(row.name, row.record) for row in rows]
    wanted = squeezed(task.config)
    named = [(name, record) for name, record in every if wanted and wanted in _configurations(name, record)]
    if named or task.config in WHOLE:
        return named or every
    raise SourceError(
        f"{folder} has no row of the configuration {task.config} of {task.dataset}, which {task.name} reads. "
        "Put its files into a folder of that name, or name them after it."
    )


def _configurations(name: str, record: Row | BrokenInput) -> set[str]:
    path = PurePosixPath(name)
    stem = path.name.partition(".")[0]
    bare = re.sub(r"[_-](train|test|dev|val|validation)$", "", stem)
    said = {*path.parts[:-1], stem, bare}
    if not isinstance(record, BrokenInput) and isinstance(record.get("subject"), str):
        said.add(record["subject"])
    return {squeezed(one) for one in said}


def split_of(name: str, splits: Iterable[str]) -> str | None:
    """Which of some splits a file is, by the words of its path.

    Example:
        >>> split_of("all/test-00000-of-00001.parquet", ("test", "dev"))
        'test'
        >>> split_of("mmlu_val.csv", ("test", "validation")), split_of("rules.csv", ("test",))
        ('validation', None)
        >>> split_of("mnli/validation_matched.jsonl", ("validation", "validation_matched"))
        'validation_matched'
    """
    words = _words(name)
    for end in range(len(words), 0, -1):  # the file's own name says more than its folders'
        for split in sorted(splits, key=len, reverse=True):
            said = (_words(one) for one in (split, *ALSO.get(split, ())))
            if any(words[:end][-len(one) :] == one for one in said):
                return split
    return None


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def _mmlu_row(record: Row) -> Row:
    """As ``cais/mmlu`` has it: choices as a list, the answer as a place.

    Raises:
        Refusal: it is no question with a right choice.
    """
    choices, answer = Mmlu().choices_of(record), str(record.get("answer", "")).strip()
    places = {
        **{str(at): at for at in range(len(choices))},
        **dict(zip(LETTERS, range(len(choices)), strict=False)),
    }
    if "question" not in record or answer not in places:
        raise Refusal("missing-column")
    return {"question": record["question"], "choices": choices, "answer": places[answer]}


SHAPES: dict[str, Callable[[Row], Row]] = {"cais/mmlu": _mmlu_row}
"""Data sets whose files are also carried in other columns than the hub's."""


def write_splits(splits: LocalSplits, folder: Path) -> dict[str, str]:
    """One file of JSON lines a split; gives back their paths by split."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = dict[str, str]()
    for split, rows in splits.rows.items():
        path = folder / f"{split}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        paths[split] = str(path)
    return paths
