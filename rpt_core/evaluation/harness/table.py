"""What the harness said of each item, as rows of the table of outcomes, and the scores that follow."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from rpt_core.artifacts.digest import stable_id
from rpt_core.artifacts.manifest import RowCounts
from rpt_core.corpus.dedup.decontaminate import HeldOutItem
from rpt_core.evaluation.benchmarks.suite.scores import counts
from rpt_core.evaluation.benchmarks.suite.table import OutcomeRow
from rpt_core.evaluation.items import FINAL
from rpt_core.evaluation.scores import mode_scores
from rpt_core.objectives.outcomes import VerdictName

ANSWERS = frozenset({"answer", "target", "answerKey", "label", "gold"})
"""Columns that say what is right; the others ask."""
UNREAD = "[invalid]"
"""What the harness's filters give where they find no answer."""
Record = Mapping[str, Any]


def item_ids(records: Iterable[Record]) -> dict[tuple[str, int], str]:
    """The id of each item, by task and place: its task and its content, so the same in any file."""
    found, taken = dict[tuple[str, int], str](), Counter[str]()
    for record in records:
        place = record["task"], record["doc_id"]
        if place in found:  # once for each filter
            continue
        name = f"{record['task']}:{stable_id(json.dumps(record['doc'], sort_keys=True))}"
        taken[name] += 1
        found[place] = name if taken[name] == 1 else f"{name}#{taken[name]}"
    return found


def question_of(record: Record, item_id: str) -> HeldOutItem:
    """What the row of data asks, so that it can be held against training text."""
    said = (value for name, value in record["doc"].items() if name not in ANSWERS)
    return HeldOutItem(item_id, record["task"], "\n".join(_texts(list(said))), _truth(record))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def rows_of_record(record: Record, item_id: str) -> Iterator[OutcomeRow]:
    """One row for each number that a task gives an item, in a mode of the metric's name.

    A metric that is 0 or 1 is a verdict; any other number is a score without one. What is no number of a
    single item (a perplexity's sums, the pairs that a corpus metric is made of) has no row here.
    """
    for metric, value in record["metrics"].items():
        if isinstance(value, bool | int | float) and np.isfinite(value):
            yield _row(record, item_id, metric, float(value))


def mode_of(metric: str, filtered: str) -> str:
    """A mode of the table of outcomes.

    Example:
        >>> mode_of("acc", "none"), mode_of("exact_match", "strict-match")
        ('acc', 'exact_match, strict-match')
    """
    return metric if filtered == "none" else f"{metric}, {filtered}"


def _row(record: Record, item_id: str, metric: str, value: float) -> OutcomeRow:
    texts = record["continuations"]
    nats = tuple(float(one[0][0]) for one in record["resps"]) if texts else None
    best = int(np.argmax(nats)) if nats else 0
    said = texts[best].strip() if texts else _plain(record["filtered"][0])
    is_read = texts is not None or said != UNREAD
    name: VerdictName = _verdict(value, is_read=is_read)
    return OutcomeRow(
        mode=mode_of(metric, record["filter"]),
        item_id=item_id,
        doc_id=item_id,
        sample=0,
        verdict=name,
        score=value,
        thought_tokens=0,
        answer_tokens=int(record["tokens"]),
        prediction=said if is_read else "",
        truth=_truth(record),
        prompt_digest=record["prompt_digest"],
        topic=record["task"],
        answer="" if texts else _plain(record["resps"][0][0]),
        option_nats=nats,
    )


def _verdict(value: float, *, is_read: bool) -> VerdictName:
    if not is_read:
        return "unparsed"
    return {1.0: "correct", 0.0: "wrong"}.get(value, "scored")  # type: ignore[return-value]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _truth(record: Record) -> str:
    target, texts = record["target"], record["continuations"]
    if texts and isinstance(target, int) and 0 <= target < len(texts):
        return str(texts[target]).strip()
    return _plain(target)


def scores_of(
    task: str, table: pa.Table, balance: RowCounts, answer: Mapping[str, Any], *, is_training_file: bool
) -> dict[str, Any]:
    """Everything ``scores.json`` says: as of other benchmarks, and beside it the harness's own results."""
    modes = list(dict.fromkeys(table["mode"].to_pylist()))
    told = {mode: mode_scores(table, mode, FINAL, (), sampled=False) for mode in modes}
    return {
        "benchmark": task,
        "mode": "harness",
        "is_training_file": is_training_file,
        "items": balance.model_dump(),
        "modes": told,
        **(counts(table, modes[0]) if modes else {"answered": 0, "unread": 0}),
        "harness": {name: _plain_json(one) for name, one in answer.items() if name != "work"},
    }


def _plain_json(value: Any) -> Any:
    """A value with its infinities and NaN as words, which canonical JSON has none of."""
    if isinstance(value, dict):
        return {name: _plain_json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain_json(one) for one in value]
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
