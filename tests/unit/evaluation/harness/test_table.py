"""What the harness says of an item as rows of the table of outcomes."""

import json
import math

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.evaluation.benchmarks.suite.table import as_outcomes
from rpt_core.evaluation.harness.table import item_ids, question_of, rows_of_record, scores_of

CHOICES = {
    "task": "mmlu_law", "doc_id": 3, "filter": "none", "doc": {"question": "q"}, "target": 1, "prompt": "p",
    "prompt_digest": "0" * 64, "continuations": [" A", " B"], "resps": [[[-3.0, False]], [[-1.0, True]]],
    "filtered": [[-3.0, False], [-1.0, True]], "metrics": {"acc": 1.0, "acc_norm": 0.0}, "tokens": 0,
}  # fmt: skip
ANSWER = {
    **CHOICES, "task": "gsm8k", "filter": "strict-match", "target": "#### 7", "continuations": None,
    "resps": [["so 7"]], "filtered": ["[invalid]"], "metrics": {"exact_match": 0.0}, "tokens": 5,
}  # fmt: skip


def test_choices_have_a_row_for_each_metric_with_what_every_choice_scored():
    rows = list(rows_of_record(CHOICES, "mmlu_law:3"))
    assert [(row.mode, row.verdict, row.score) for row in rows] == [
        ("acc", "correct", 1.0), ("acc_norm", "wrong", 0.0),
    ]  # fmt: skip
    assert rows[0].option_nats == (-3.0, -1.0)
    assert (rows[0].prediction, rows[0].truth, rows[0].item_id) == ("B", "B", "mmlu_law:3")


def test_an_answer_in_which_nothing_was_found_is_unread_and_not_wrong():
    (row,) = rows_of_record(ANSWER, "it")
    assert (row.mode, row.verdict, row.prediction) == ("exact_match, strict-match", "unparsed", "")
    assert (row.answer, row.answer_tokens) == ("so 7", 5)
    (read,) = rows_of_record({**ANSWER, "filtered": ["7"], "metrics": {"exact_match": 1.0}}, "it")
    assert (read.verdict, read.prediction) == ("correct", "7")


def test_a_number_between_is_a_score_and_what_is_no_number_of_an_item_has_no_row():
    metrics = {"f1": 0.25, "word_perplexity": [-12.0, 7], "bleu": ["a", "b"], "odd": math.nan}
    (row,) = rows_of_record({**ANSWER, "filtered": ["x"], "metrics": metrics}, "it")
    assert (row.mode, row.verdict, row.score) == ("f1, strict-match", "scored", 0.25)


def test_the_scores_count_every_item_once_in_each_mode():
    records = [{**CHOICES, "doc_id": at, "metrics": {"acc": float(at % 2)}} for at in range(10)]
    table = as_outcomes(
        [row for one in records for row in rows_of_record(one, str(one["doc_id"]))], ("torch", "2")
    )
    balance = RowCounts(rows_in=12, kept=10, dropped={"not-drawn": 2})
    scores = scores_of(
        "mmlu_law",
        table,
        balance,
        {"version": "1", "results": {"x": [math.inf]}, "work": {}},
        is_training_file=False,
    )
    assert scores["modes"]["acc"]["accuracy"]["all"]["value"] == 0.5
    assert (scores["answered"], scores["unread"], scores["items"]["kept"]) == (10, 0, 10)
    assert scores["harness"] == {"version": "1", "results": {"x": ["inf"]}}
    json.dumps(scores, allow_nan=False)


def test_an_item_has_one_id_in_any_file_and_what_stands_twice_has_two():
    some = [{"question": text} for text in ("a", "b", "a")]
    records = [{**CHOICES, "doc_id": at, "doc": doc} for at, doc in enumerate(some)]
    names = item_ids([*records, *records])
    assert len(set(names.values())) == 3
    alone = item_ids([{**CHOICES, "doc_id": 0, "doc": {"question": "b"}}])
    assert alone["mmlu_law", 0] == names["mmlu_law", 1]
    assert item_ids([{**CHOICES, "task": "other", "doc": some[0]}])["other", 3] not in names.values()


def test_the_question_is_every_text_of_the_row_but_the_answer():
    doc = {
        "question": "which?",
        "choices": {"text": "x"},
        "options": ["red", ["blue"]],
        "answer": "blue",
        "n": 3,
    }
    asked = question_of({**ANSWER, "doc": doc}, "it")
    assert (asked.problem, asked.answer, asked.item_id) == ("which?\nx\nred\nblue", "#### 7", "it")
