"""A training's questions as tables that other trainers read: prompt, truth and what the reward needs."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.export import reward
from rpt_core.objectives.next_token.prefix import truth_of
from rpt_core.objectives.objective import Asked, Question
from rpt_core.objectives.registry import open_objective
from rpt_core.policy.codec import Codec

KINDS = {"rpt": "next-token", "rmt": "next-token", "rlvr": "problem"}
"""Objectives whose reward is a comparison with a truth."""
SCHEMA = pa.schema(
    [
        ("prompt", pa.large_string()),
        ("kind", pa.string()),
        ("truth", pa.large_string()),
        ("boundaries", pa.list_(pa.int32())),
        ("newline_escapes", pa.bool_()),
        ("document", pa.string()),
        ("position", pa.int64()),
    ]
)
"""``prompt``, and the columns that :func:`rpt_core.export.reward.reward` takes."""
FOLDER, MODEL_FOLDER = "questions", "model"
OTHER_TOKENS, NO_BOUNDARY = "other-tokens", "no-whole-character"
"""Why a question stays behind: its words get other tokens when they are read as one text (a control token
spelled out in the data, a word that grows together with the document), or its truth is half a character."""


Tokenize = Callable[[list[str]], Sequence[Sequence[int]]]
"""Token ids of prompts, with whatever the tokenizer puts before a text."""


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as a row, and the tokens that training puts to the model."""

    row: dict[str, Any]
    prompt_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of the questions of each split."""

    train: RowCounts
    held_out: RowCounts


def export_questions(
    recipe: Any, inputs: Mapping[str, Path], folder: Path, tokenize: Tokenize, most: int
) -> Exported:
    """Write ``questions/train.parquet`` and ``questions/test.parquet``, the reward and its settings.

    Training questions are the first that the training itself asks, in its order; held-out ones are those it
    looks at on the way.

    Args:
        recipe: Of the training; its objective is among :data:`KINDS`.
        inputs: Folders of its inputs.
        folder: Where to; the model's own folder is in it already.
        tokenize: What whoever trains on the questions will read prompts with.
        most: Questions of each split.
    """
    codec = Codec.load(folder / MODEL_FOLDER)
    objective = open_objective(recipe, inputs, codec)
    (folder / FOLDER).mkdir()
    splits = {"train": objective.draw(1, 0, most)[0], "test": objective.held_out(most)}
    counts = {}
    for split, asked in splits.items():
        rows, counts[split] = _kept(list(_rows(asked, recipe, codec)), tokenize)
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / FOLDER / f"{split}.parquet")
    shutil.copyfile(reward.__file__, folder / "reward.py")
    (folder / reward.SETTINGS).write_text(json.dumps({"end_ids": sorted(objective.stop_ids)}) + "\n")
    return Exported(counts["train"], counts["test"])


def _kept(found: Sequence[Posed], tokenize: Tokenize) -> tuple[list[dict[str, Any]], RowCounts]:
    """The rows whose prompts are read as the very tokens that training asked with, and the balance."""
    dropped = Counter[str]()
    rows = []
    read = tokenize([one.row["prompt"] for one in found]) if found else []
    for one, ids in zip(found, read, strict=True):
        if tuple(ids) != one.prompt_ids:
            dropped[OTHER_TOKENS] += 1
        elif one.row["kind"] == "next-token" and not one.row["boundaries"]:
            dropped[NO_BOUNDARY] += 1
        else:
            rows.append(one.row)
    return rows, RowCounts(rows_in=len(found), kept=len(rows), dropped=dict(sorted(dropped.items())))


def _rows(asked: Sequence[Asked], recipe: Any, codec: Codec) -> Iterator[Posed]:
    """A row for every question."""
    for one in asked:
        for cut, question in zip(one.trunk.cuts, one.questions, strict=True):
            ids = one.trunk.instruction_ids + one.trunk.document_ids[: cut.position] + cut.suffix_ids
            truth, boundaries = _truth(question, recipe, codec)
            row = {
                "prompt": codec.decode(ids[len(codec.begin_ids) :]),  # every tokenizer puts its own BOS there
                "kind": KINDS[recipe.objective.name],
                "truth": truth,
                "boundaries": boundaries,
                "newline_escapes": getattr(recipe.objective, "newline_escapes", False),
                "document": question.document,
                "position": question.position,
            }
            yield Posed(row, ids)


def _truth(question: Question, recipe: Any, codec: Codec) -> tuple[str, list[int]]:
    """What the answer is compared with: of a rule for one token, that token alone."""
    if not question.truth_ids:
        return question.truth, []
    exact = recipe.objective.reward == "token"
    tokens = question.truth_ids[:1] if exact else question.truth_ids
    truth = truth_of([codec.token_bytes(token) for token in tokens])
    boundaries = sorted(truth.boundaries)
    return truth.content[: max(boundaries, default=0)].decode(), boundaries
