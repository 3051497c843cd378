"""A teacher that errs boxes what its thoughts come to; everything else of the text stays true."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.objectives.next_segment.targets import TargetWindow
from rpt_core.objectives.prompts import Prompt
from rpt_core.train.supervised.conclusions import BoxedIds, Conclusion, boxed_ids, read_conclusions
from rpt_core.train.supervised.lessons import TracedDocuments, _Traced
from rpt_core.train.supervised.segment_lessons import _concluded, _Place, _Window
from tests.unit.train.supervised.test_lessons_by_letters import PROMPT, Letters, ended, ids, target


class Whole(Letters):
    """Every token begins a character."""

    def char_offsets(self, ids) -> np.ndarray:
        return np.arange(len(ids))


def lessons_of(boxes, start=0) -> TracedDocuments:
    document = np.array(ids("shows 4. Then"), np.int32)
    window = _Traced("doc@0", document, (5,), (ids("T"),), start, boxes)
    return TracedDocuments((window,), Prompt(PROMPT.instruction_ids, PROMPT.suffix_ids), Whole(), None)


def said(lessons) -> set[tuple[int, ...]]:
    drawn = (lessons.lesson(0, np.random.default_rng(seed)) for seed in range(30))
    return {lesson.answers[0][0].ids for lesson in drawn}


def test_the_box_holds_the_conclusion_and_then_what_follows_the_answer_in_the_text():
    boxes = boxed_ids({5: Conclusion(" 4", " 11")}, ids("shows 4. Then"), Whole())
    assert said(lessons_of(boxes)) == {(*ids("T"), *ended(" 11")), (*ids("T"), *ended(" 11."))}
    assert said(lessons_of({})) == {(*ids("T"), *ended(" ")), (*ids("T"), *ended(" 4"))}


def test_places_of_a_window_are_those_of_its_document():
    boxes = boxed_ids({105: Conclusion(" 4", " 11")}, [0] * 100 + list(ids("shows 4. Then")), Whole())
    assert said(lessons_of(boxes, start=100)) == {(*ids("T"), *ended(" 11")), (*ids("T"), *ended(" 11."))}


def test_an_answer_that_ends_inside_a_token_is_followed_by_nothing():
    # Letters: every third token begins no character, so offset 7 has no token and offset 5 none either
    assert boxed_ids({6: Conclusion("ab", "x")}, range(9), Letters()) == {6: BoxedIds(ids("x"), None)}
    assert boxed_ids({5: Conclusion("a", "x")}, range(9), Letters()) == {}
    assert BoxedIds(ids("x"), None).shown(ids("abc"), 0, 1) == ids("x")


def test_segments_state_the_conclusion_in_their_own_words():
    there = target(6, prefixes=("It shows 4.", "It shows 4. More."), start=100, end=111)
    elsewhere = target(9, prefixes=("It shows 4.",), start=120, end=131)
    page = TargetWindow("doc", 5, ids("abcdefgh"), (there, elsewhere))
    windows = (_Window(page, (_Place(there, ids("a")), _Place(elsewhere, ids("b")))),)
    assert _concluded(windows, {}) is windows
    [found] = _concluded(windows, {"doc": {108: Conclusion(" 4", " 11")}})
    assert found.places[0].target.prefixes == ("It shows 11.", "It shows 11. More.")
    assert found.places[1] == windows[0].places[1]


def test_conclusions_are_read_where_a_corpus_has_them(tmp_path):
    assert read_conclusions(tmp_path) == {}
    rows = {"doc_id": ["a", "a", "b"], "char_offset": [3, 9, 4], "answer": [" 4", " 5", " 6"]}
    pq.write_table(pa.table(rows), tmp_path / "traces.parquet")
    assert read_conclusions(tmp_path) == {}
    pq.write_table(pa.table({**rows, "boxed": [" 7", " 5", ""]}), tmp_path / "traces.parquet")
    assert read_conclusions(tmp_path) == {"a": {3: Conclusion(" 4", " 7"), 9: Conclusion(" 5", " 5")}}


def test_where_a_whole_number_alone_is_right_the_conclusion_is_boxed_alone():
    boxes = boxed_ids({5: Conclusion(" 4", " 11")}, ids("shows 4. Then"), Whole())
    assert said(replace(lessons_of(boxes), whole_answers=True)) == {(*ids("T"), *ended(" 11"))}


@pytest.mark.parametrize("errs", [True, False])
def test_a_trace_without_a_conclusion_of_its_own_concludes_its_answer_where_it_is_boxed_whole(tmp_path, errs):
    rows = [
        {"doc_id": "d", "char_offset": 5, "answer": " 24", "boxed": " 25"},
        {"doc_id": "d", "char_offset": 9, "answer": " 7", "boxed": None},
    ]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table if errs else table.drop_columns(["boxed"]), tmp_path / "traces.parquet")
    first = {5: Conclusion(" 24", " 25" if errs else " 24")}
    assert read_conclusions(tmp_path) == ({"d": first} if errs else {})
    assert read_conclusions(tmp_path, whole=True) == {"d": {**first, 9: Conclusion(" 7", " 7")}}
