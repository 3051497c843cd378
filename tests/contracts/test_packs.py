"""What every benchmark pack promises, on one row in its published columns."""

from pathlib import Path
from typing import Any

import pytest

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.evaluation.benchmarks.packs.files import FileRow
from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.pack import MODES, Pack
from rpt_core.evaluation.benchmarks.packs.reading import words_of
from rpt_core.evaluation.benchmarks.packs.registry import PACKS

PROBLEM = {"problem": "Find x.", "solution": "so", "answer": "42"}
CHOICE = {"question": "Find x.", "options": ["41", "42", "43"], "answer": "B"}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    **dict.fromkeys(
        ("math500", "amc23", "minerva", "aime24", "aime25", "olympiadbench", "omni_math", "next_token"),
        ("test.jsonl", PROBLEM),
    ),
    **dict.fromkeys(("mmlu", "mmlu_pro", "supergpqa"), ("test.jsonl", CHOICE)),
    "gsm8k": ("test.jsonl", {"question": "Find x.", "answer": "so\n#### 42"}),
    "gpqa_diamond": (
        "gpqa_diamond.csv",
        {"Question": "Find x.", "Correct Answer": "42", "Incorrect Answer 1": "43",
         "Incorrect Answer 2": "44",
         "Incorrect Answer 3": "45"},
    ),
    "kor_bench": (
        "cipher/sample.jsonl", {"idx": "1", "question": "Find x.", "answer": "[[42]]", "rule_id": "1"},
    ),
}  # fmt: skip
RULE = FileRow("cipher/rule.jsonl", {"idx": "1", "rule_content": "Count by sixes."})


def rows_of(pack: Pack, *more: FileRow) -> list[FileRow]:
    """The pack's row, what it stands on, and others."""
    return [*([RULE] if pack.name == "kor_bench" else []), FileRow(*ROWS[pack.name]), *more]


@pytest.fixture(params=PACKS)
def pack(request) -> Pack:
    return PACKS[request.param]


@pytest.fixture
def item(pack: Pack) -> Item:
    (found,) = pack.read_rows(rows_of(pack)).items
    return found


def test_a_row_is_an_item_and_a_broken_or_empty_one_is_counted(pack, item):
    file, _ = ROWS[pack.name]
    found = pack.read_rows(rows_of(pack, FileRow(file, {}), FileRow(file, BrokenInput("bad-json", "x"))))
    assert found.items == (item,)
    assert found.rows_in == 3 == len(found.items) + sum(found.refused.values())
    assert found.refused["bad-json"] == 1


def test_every_mode_is_one_that_recipes_know_and_has_the_items_words(pack, item):
    assert set(pack.modes) <= set(MODES)
    for mode, usual in pack.modes.items():
        assert usual.samples >= 1
        words = words_of(pack, item, mode, pack.shots_for(item, (), pack.num_shots))
        assert words[0] == item.item_id
        if mode == "plain":
            continue
        assert "Find x." in str(words)
        if mode == "likelihood":
            assert all(len(one.continuations) == len(item.choices) for one in pack.rankings(item, ()))
        else:
            assert pack.message(item, mode, ()).raw == (mode == "few-shot")


def test_the_known_answer_is_right_and_another_is_wrong_and_nothing_is_unread(pack, item):
    if "reasoning" not in pack.modes:
        return
    form = "[[{}]]" if pack.name == "kor_bench" else "\\boxed{{{}}}"
    known = item.answer.strip("[]")

    def said(text: str, *, in_thought: bool = False) -> str | None:
        return pack.said(text, item, "reasoning", in_thought=in_thought)

    right, wrong = said(form.format(known)), said(form.format("D" if known != "D" else "C"))
    assert [grade.match for grade in pack.grades([(right, item), (wrong, item)])] == ["correct", "wrong"]
    assert said("no answer") is None
    assert said(form.format(known), in_thought=True) is None
    assert said(f"hm</think>{form.format(known)}", in_thought=True) == right


def test_what_is_published_can_be_read_by_its_name(pack):
    roles = {file: pack.role(file) for file in pack.published.files}
    assert "items" in roles.values()
    assert "other" not in roles.values()
    assert all(not Path(file).is_absolute() for file in roles)
