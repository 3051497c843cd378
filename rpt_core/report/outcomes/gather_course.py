"""What an evaluation's table says of a training's checkpoints, for a study that keeps it."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import FINAL, PLAIN, REASONING
from rpt_core.evaluation.kept.course import Course, Point, votes
from rpt_core.evaluation.scores import rows_of


def gather_course(
    items: pa.Table, ids: Sequence[str], parameters: int, last: tuple[int, float] = (0, 0.0)
) -> Course:
    """Every checkpoint at the questions of the final model; that alone where no checkpoint was asked.

    Args:
        items: The evaluation's table.
        ids: Of the questions, in order.
        parameters: Numbers of the model.
        last: Steps of the training and its operations (1e9), for a final model that is the only point.

    Raises:
        RecipeError: a checkpoint was asked other questions.
    """
    columns = zip(*(items[name].to_pylist() for name in ("checkpoint", "step", "gflops")), strict=True)
    listed = sorted({row for row in columns if row[0] != FINAL}, key=lambda row: row[1])
    points = [_point(items, name, step, gflops, ids) for name, step, gflops in listed or [(FINAL, *last)]]
    final = rows_of(items, REASONING, FINAL)
    places = dict(zip(final["item_id"].to_pylist(), final["position"].to_pylist(), strict=True))
    return Course(parameters, np.array([int(places[name]) for name in ids], np.int64), tuple(points))


def _point(items: pa.Table, name: str, step: int, gflops: float, ids: Sequence[str]) -> Point:
    plain, drawn = (_rows(rows_of(items, mode, name), ids, name) for mode in (PLAIN, REASONING))
    right_IS = None if drawn is None else _right(drawn[0])[drawn[1]]
    return Point(
        step=step,
        gflops=gflops,
        plain_I=None if plain is None else _right(plain[0])[plain[1][:, 0]],
        right_IS=right_IS,
        voted_IS=None if drawn is None or right_IS is None else _voted(*drawn, right_IS),
        answer_tokens_I=None if drawn is None else _tokens(*drawn),
    )


def _rows(table: pa.Table, ids: Sequence[str], name: str) -> tuple[pa.Table, NDArray[np.int64]] | None:
    """The rows of each question in the order they were drawn, shape ``(I, S)``; None where none were asked.

    Raises:
        RecipeError: they are of other questions, or not equally many of each.
    """
    if not len(table):
        return None
    found, index = np.unique(np.array(table["item_id"], dtype=str), return_inverse=True)
    counts = np.bincount(index)
    if found.tolist() != list(ids) or counts.min() != counts.max():
        raise RecipeError(
            f"the checkpoint {name} was asked {len(found)} questions and the final model {len(ids)}, not the "
            "same ones equally often. Evaluate again."
        )
    return table, np.lexsort((np.array(table["sample"]), index)).reshape(len(ids), -1)


def _right(table: pa.Table) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.array(table["verdict"]) == "correct"
    return found


def _voted(table: pa.Table, rows_IS: NDArray[np.int64], right_IS: NDArray[np.bool_]) -> NDArray[np.bool_]:
    said = [text.strip() for text in table["prediction"].to_pylist()]
    by_question = zip(rows_IS.tolist(), right_IS.tolist(), strict=True)
    return np.array([votes([said[row] for row in rows], right) for rows, right in by_question])


def _tokens(table: pa.Table, rows_IS: NDArray[np.int64]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.array(table["answer_tokens"], np.int64)[rows_IS].sum(axis=1)
    return found
