"""Packs on rows as they are published: items, words, what an answer says, and what it is worth."""

import csv
import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.errors import RecipeError, SourceError
from rpt_core.evaluation.benchmarks.packs.files import folder_of
from rpt_core.evaluation.benchmarks.packs.item import Item, items_digest
from rpt_core.evaluation.benchmarks.packs.knowledge.choices import BY_BYTE, LETTER, TEXT
from rpt_core.evaluation.benchmarks.packs.mathematics.gsm8k import EXAMPLES
from rpt_core.evaluation.benchmarks.packs.pack import Found
from rpt_core.evaluation.benchmarks.packs.reading import prompt_digest, read_folder
from rpt_core.evaluation.benchmarks.packs.reasoning.kor_rules import bracketed, graded, value_of
from rpt_core.evaluation.benchmarks.packs.registry import PACKS, pack_called

NAMES = (
    "mmlu mmlu_pro gpqa_diamond supergpqa kor_bench math500 amc23 minerva aime24 aime25 olympiadbench gsm8k "
    "omni_math next_token"
)
GPQA = {
    "Record ID": "rec1", "Question": "Which?", "Correct Answer": "right\n", "Incorrect Answer 1": "one",
    "Incorrect Answer 2": "two", "Incorrect Answer 3": "three", "Subdomain": "Optics",
}  # fmt: skip
SUPER = {
    "uuid": "u1", "question": "Which?", "options": [f"o{n}" for n in range(10)], "answer": "o9",
    "answer_letter": "J", "discipline": "Law", "field": "Law", "subfield": "Civil", "difficulty": "hard",
}  # fmt: skip
PRO = {
    "question_id": 7, "question": "Which?", "options": ["a", "b", "c", "N/A"], "answer": "B",
    "answer_index": 1, "cot_content":
    "A: Let's think step by step. It is b. The answer is (B).", "category": "law", "src": "x",
}  # fmt: skip
OLYMPIAD = {
    "id": 1, "question": "Find x.", "solution": ["x=2"], "final_answer": ["2", "3"], "context": None,
    "modality": "Text-only", "question_type": "Open-ended", "subject": "Math", "language": "English",
    "subfield": "Algebra",
    "is_multiple_answer": True, "unit": None, "answer_type": "Numerical", "error": None,
}  # fmt: skip
OMNI = {
    "domain": ["Mathematics -> Algebra"],
    "difficulty": 5.0,
    "problem": "Find x.",
    "solution": "s",
    "source": "x",
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows in the form that the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(tmp_path: Path, name: str, **files: list[dict[str, Any]]) -> Found:
    """What a benchmark's folder with some files holds; ``__`` stands for a dot, ``___`` for a slash."""
    for file, rows in files.items():
        write(tmp_path / file.replace("___", "/").replace("__", "."), rows)
    return read_folder(PACKS[name], tmp_path)


def test_packs_have_the_names_that_are_promised_and_say_all_that_one_says():
    assert list(PACKS) == NAMES.split()
    for pack in PACKS.values():
        assert pack.published.hub.count("/") == 1
        assert pack.published.files
        assert pack.published.licence
        assert pack.modes
    assert pack_called("MMLU-Pro") is PACKS["mmlu_pro"]
    with pytest.raises(RecipeError, match=r"no benchmark is called 'math-50'.*Did you mean math500\?"):
        pack_called("math-50")


@pytest.mark.parametrize(
    ("name", "file", "row", "question", "answer", "topic"),
    [
        ("aime24", "train-00000__parquet", {"id": 60, "problem": "P", "answer": "204", "year": "2024"},
         "P", "204", ""),
        ("aime25", "aime2025-I__jsonl", {"question": "P", "answer": "70"}, "P", "70", ""),
        ("amc23", "test__parquet", {"id": 0, "question": "P", "answer": 27.0, "url": "u"}, "P", "27", ""),
        ("math500", "test__jsonl",
         {"problem": "P", "answer": "\\frac12", "subject": "Algebra", "unique_id": "t/1"},
         "P", "\\frac12", "Algebra"),
        ("minerva", "test__jsonl", {"question": "P", "answer": "1.6"}, "P", "1.6", ""),
        ("minerva", "test__txt", {"problem": "P", "solution": "so \\boxed{1.6} cm", "type": "Astronomy"},
         "P", "1.6", "Astronomy"),
        ("gsm8k", "test__parquet", {"question": "P", "answer": "one <<1+1=2>>two\n#### 2"}, "P", "2", ""),
        ("olympiadbench", "x__parquet", OLYMPIAD, "Find x.", "2, 3", "Algebra"),
        ("omni_math", "test__jsonl", {**OMNI, "answer": "42"}, "Find x.", "42", "Mathematics -> Algebra"),
    ],
)  # fmt: skip
def test_mathematics_in_its_published_columns(tmp_path, name, file, row, question, answer, topic):
    (item,) = read(tmp_path, name, **{file: [row]}).items
    assert (item.question, item.answer, item.topic) == (question, answer, topic)
    pack, boxed = PACKS[name], f"thought </think> so \\boxed{{{answer}}}"
    said = pack.said(boxed, item, "reasoning", in_thought=True)
    assert said == answer
    assert [grade.match for grade in pack.grades([(said, item), ("-77", item)])] == ["correct", "wrong"]
    assert pack.said(f"\\boxed{{{answer}}}", item, "reasoning", in_thought=True) is None
    assert pack.said(f"\\boxed{{{answer}}}", item, "reasoning", in_thought=False) == answer
    assert question in pack.message(item, "reasoning", ()).text


class TestChoices:
    ROW: ClassVar = {"question": "Q?", "subject": "astronomy", "choices": ["2", "1", "3", "x"], "answer": 1}

    @pytest.mark.parametrize("file", ["all___test__parquet", "all___test__jsonl"])
    def test_mmlu_of_the_hub(self, tmp_path, file):
        (item,) = read(tmp_path, "mmlu", **{file: [self.ROW]}).items
        assert (item.answer, item.choices, item.subject) == ("B", ("2", "1", "3", "x"), "astronomy")

    def test_an_index_in_digits_is_a_place_and_not_the_option_that_reads_so(self, tmp_path):
        row = {"question": "Q?", "choice0": "1", "choice1": "0", "choice2": "2", "choice3": "3", "answer": 1}
        (item,) = read(tmp_path, "mmlu", test___algebra_test__csv=[row]).items
        assert (item.answer, item.subject) == ("B", "algebra")

    def test_mmlu_as_its_authors_pack_it_has_no_header(self, tmp_path):
        held = {
            "data/test/law_test.csv": "Q one?,a,b,c,d,C\nQ two?,a,b,c,d,A\n",
            "data/dev/law_dev.csv": "E?,a,b,c,d,B\n",
        }
        with tarfile.open(tmp_path / "data.tar", "w") as archive:
            for name, text in held.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        found = read_folder(PACKS["mmlu"], tmp_path)
        assert [(item.question, item.answer) for item in found.items] == [("Q one?", "C"), ("Q two?", "A")]
        assert [(shot.answer, shot.of) for shot in found.shots] == [("B", "law")]
        assert found.rows_in == 2

    def test_five_examples_of_the_subject_stand_before_the_question(self, tmp_path):
        shots = [{**self.ROW, "question": f"E{n}?", "answer": n % 4} for n in range(6)]
        other = [{**self.ROW, "question": "F?", "subject": "law"}]
        found = read(tmp_path, "mmlu", test__jsonl=[self.ROW], dev__jsonl=[*shots, *other])
        pack, (item,) = PACKS["mmlu"], found.items
        mine = pack.shots_for(item, found.shots, 5)
        words = pack.message(item, "few-shot", mine)
        assert words.raw
        assert words.text.startswith(
            "The following are multiple choice questions (with answers) about astronomy.\n\nE0?\nA. 2\nB. 1\n"
        )
        assert words.text.count("Answer:") == 6
        assert words.text.endswith("\n\nQ?\nA. 2\nB. 1\nC. 3\nD. x\nAnswer:")
        assert pack.said(" B\n\nNext", item, "few-shot", in_thought=False) == "B"
        assert pack.said(" Because", item, "few-shot", in_thought=False) is None
        letters, texts = pack.rankings(item, mine)
        assert letters.continuations == (" A", " B", " C", " D")
        assert letters.context == words.text
        assert (letters.modes, texts.modes) == ((LETTER,), (TEXT, BY_BYTE))
        assert (texts.context, texts.continuations[0]) == ("Question: Q?\nAnswer:", " 2")

    def test_gpqa_is_shuffled_by_the_items_id_alone(self, tmp_path):
        rows = [{**GPQA, "Record ID": f"rec{n}"} for n in range(40)]
        found = read(tmp_path / "a", "gpqa_diamond", gpqa_diamond__csv=rows)
        random.Random(0).shuffle(rows)
        again = read(tmp_path / "b", "gpqa_diamond", gpqa_diamond__csv=rows[:20], gpqa_main__csv=rows)
        assert again.rows_in == 20
        known = {item.item_id: item for item in found.items}
        assert all(known[item.item_id] == item for item in again.items)
        assert {item.answer for item in found.items} == set("ABCD")
        for item in found.items:
            assert item.choices["ABCD".index(item.answer)] == "right"
            assert item.topic == "Optics"

    def test_supergpqa_and_mmlu_pro_have_up_to_ten_choices(self, tmp_path):
        (item,) = read(tmp_path / "a", "supergpqa", **{"SuperGPQA-all__jsonl": [SUPER]}).items
        assert (item.item_id, item.answer, len(item.choices), item.topic) == ("u1", "J", 10, "Law")
        found = read(tmp_path / "b", "mmlu_pro", test__parquet=[PRO], validation__parquet=[PRO])
        (item,), pack = found.items, PACKS["mmlu_pro"]
        assert (item.answer, item.choices) == ("B", ("a", "b", "c"))
        words = pack.message(item, "few-shot", pack.shots_for(item, found.shots, 5)).text
        assert words.count("Let's think step by step.") == 2
        assert words.endswith("Answer: Let's think step by step.")
        assert pack.said(" so the answer is (B).", item, "few-shot", in_thought=False) == "B"

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"options": ["only"]}, "missing-column"),
            ({"question": ""}, "missing-column"),
            ({"options": [str(n) for n in range(11)]}, "too-many-choices"),
            ({"answer_letter": "Z"}, "no-right-choice"),
        ],
    )
    def test_what_is_no_question_with_choices_is_left_out(self, tmp_path, changed, reason):
        found = read(tmp_path, "supergpqa", test__jsonl=[SUPER, {**SUPER, "uuid": "u2", **changed}])
        assert dict(found.refused) == {reason: 1}
        assert (len(found.items), found.rows_in) == (1, 2)

    def test_a_boxed_letter_is_right_with_its_text_too(self, tmp_path):
        (item,) = read(tmp_path, "supergpqa", test__jsonl=[SUPER]).items
        pack = PACKS["supergpqa"]
        grades = [
            grade.match
            for grade in pack.grades([("J", item), ("\\text{J}", item), ("J. o9", item), ("A", item)])
        ]
        assert grades == ["correct", "correct", "correct", "wrong"]


def test_olympiadbench_asks_its_text_only_english_open_ended_mathematics(tmp_path):
    changed = [
        {}, {"language": "Chinese"}, {"modality": "Multimodal"}, {"question_type": "Theorem proof"},
        {"subject": "Physics"},
    ]  # fmt: skip
    rows = [{**OLYMPIAD, "id": number, **one} for number, one in enumerate(changed)]
    found = read(tmp_path, "olympiadbench", all__jsonl=rows)
    assert [item.item_id for item in found.items] == ["0"]
    assert found.refused == {
        "not-english": 1, "not-text-only": 1, "not-open-ended": 1, "not-mathematics": 1
    }  # fmt: skip


def test_omni_math_asks_what_a_rule_can_grade(tmp_path):
    rows = [{**OMNI, "answer": "42"}, {**OMNI, "answer": "\\text{all such functions are linear}"}]
    found = read(tmp_path / "a", "omni_math", test__jsonl=rows)
    assert [item.answer for item in found.items] == ["42"]
    assert found.refused == {"not-rule-gradable": 1}
    assert len(read(tmp_path / "b", "omni_math", omni_math_rule__jsonl=rows).items) == 2
    assert not read(tmp_path / "c", "omni_math", **{"omni-math-nonrule__jsonl": rows}).items


def test_gsm8k_is_asked_after_the_eight_examples_of_the_paper(tmp_path):
    found = read(tmp_path, "gsm8k", train__jsonl=[{"question": "P", "answer": "#### 2"}])
    assert found.is_training_file
    pack, (item,) = PACKS["gsm8k"], found.items
    words = pack.message(item, "few-shot", pack.shots_for(item, found.shots, pack.num_shots))
    assert len(EXAMPLES) == 8
    assert words.text.count("The answer is") == 8
    assert words.text.startswith("Q: There are 15 trees in the grove.")
    assert words.text.endswith("The answer is 8.\n\nQ: P\nA:")
    assert pack.said(" 1 + 1 = 2. The answer is $2.", item, "few-shot", in_thought=False) == "$2"
    assert [grade.match for grade in pack.grades([("$2", item), ("3", item)])] == ["correct", "wrong"]
    both = read(tmp_path, "gsm8k", test__jsonl=[{"question": "T", "answer": "#### 3"}])
    assert [item.question for item in both.items] == ["T"]
    assert not both.is_training_file


class TestKorBench:
    RULE: ClassVar = {"idx": "3", "title": "t", "rule_content": "a※b = a + b"}
    SAMPLE: ClassVar = {"idx": "7", "question": "Compute 1※2.", "answer": "[[3]]", "rule_id": "3"}

    def test_a_sample_stands_under_its_rule(self, tmp_path):
        lost = {**self.SAMPLE, "idx": "8", "rule_id": "9"}
        shots = [
            {"idx": str(n), "question": f"Compute {n}※1.", "answer": f"[[{n + 1}]]", "rule_id": "3"}
            for n in range(3)
        ]
        found = read(
            tmp_path, "kor_bench",
            **{
                "operation___rule__jsonl": [self.RULE], "operation___sample__jsonl": [self.SAMPLE, lost],
                "operation___three-shot__jsonl": shots, "mixed___Multi-Q__jsonl": [self.SAMPLE],
            },
        )  # fmt: skip
        (item,), pack = found.items, PACKS["kor_bench"]
        assert (item.item_id, item.subject, item.context) == ("operation:7", "operation/3", "a※b = a + b")
        assert (found.rows_in, dict(found.refused)) == (2, {"no-rule": 1})
        words = pack.message(item, "few-shot", pack.shots_for(item, found.shots, 3)).text
        assert words.count("### Question") == 4
        assert words.index("a※b = a + b") < words.index("Compute 0※1.") < words.index("Compute 1※2.")
        assert "Compute 0※1." not in pack.message(item, "reasoning", ()).text
        said = pack.said("hm [[2]]</think> so [[3]]", item, "reasoning", in_thought=True)
        assert said == "3"
        assert pack.said("[[3]]", item, "reasoning", in_thought=True) is None
        assert pack.grades([(said, item)])[0].match == "correct"

    @pytest.mark.parametrize(
        ("said", "known", "where", "match"),
        [
            ("N", "[[N]]", ("cipher", "1", "1"), "correct"),
            ("n", "[[N]]", ("cipher", "1", "1"), "wrong"),
            ('"N B"', "[[NB]]", ("cipher", "1", "1"), "correct"),
            ("C", "[[C]]", ("counterfactual", "1", "1"), "correct"),
            ("p1 & p2];[p3", "[[p1&p2];[p3]]", ("logic", "1", "1"), "correct"),
            ("a;b", "[[b;a]]", ("logic", "5", "1"), "correct"),
            ("a;b", "[[b;a]]", ("logic", "4", "1"), "wrong"),
            ("2 or 1", "[[1or2]]", ("operation", "2", "1"), "correct"),
            ("1,24", "[[1;24]]", ("operation", "23", "1"), "correct"),
            ("≥ 2, ≤ 3", "[[≤3,≥2]]", ("operation", "1", "178"), "correct"),
            ("y = \\frac{2x}{2}", "[[x]]", ("operation", "1", "145"), "correct"),
            ("cba", "[[a,b,c]]", ("operation", "18", "1"), "correct"),
            ("A-B", "[[ab]]", ("puzzle", "1", "1"), "correct"),
            ("Cat", "[[cat,act]]", ("puzzle", "2", "1"), "correct"),
            ("two one", "[[one two]]", ("puzzle", "3", "1"), "correct"),
            ("3,1, 2", "[[1,2,3]]", ("puzzle", "5", "1"), "correct"),
            ("4+5×2=14", "[[2+6*2=14]]", ("puzzle", "9", "1"), "correct"),
            ("4+5-2=7", "[[2+6*2=14]]", ("puzzle", "9", "1"), "wrong"),
            ("(8-2)*4*1", "[[8*4-2*4*1]]", ("puzzle", "10", "1"), "wrong"),
            ("8*(4-2+1)", "[[(8-2)*4*1]]", ("puzzle", "10", "1"), "correct"),
            ("1 2, 3", "[[123]]", ("puzzle", "18", "1"), "correct"),
            ("A,B", "[[AB]]", ("puzzle", "7", "1"), "correct"),
        ],
    )
    def test_answers_are_compared_by_the_rules_of_their_category(self, said, known, where, match):
        assert [grade.match for grade in graded([(said, known, *where)])] == [match]

    def test_arithmetic_of_a_model_is_read_and_never_run(self):
        assert value_of("__import__('os').getpid()") is None
        assert value_of("9**9**9") is None
        assert value_of("1+" * 60 + "1") is None
        assert value_of("-(1/2)*4") == -2

    def test_the_last_brackets_count(self):
        assert bracketed("[[a]] then [[b];[c]]") == "b];[c"
        assert bracketed("so $\\boxed{7}$") == "7"
        assert bracketed("nothing") is None


class TestFiles:
    def test_folders_go_by_their_names_whatever_the_dashes(self, tmp_path):
        for name in ("MMLU-Pro", "minerva-math", "other"):
            (tmp_path / name).mkdir()
        assert folder_of(tmp_path, PACKS["mmlu_pro"].titles) == tmp_path / "MMLU-Pro"
        assert folder_of(tmp_path, PACKS["minerva"].titles) == tmp_path / "minerva-math"
        assert folder_of(tmp_path, PACKS["mmlu"].titles) is None
        (tmp_path / "mmlu_pro").mkdir()
        with pytest.raises(SourceError, match="are folders of one benchmark"):
            folder_of(tmp_path, PACKS["mmlu_pro"].titles)
        with pytest.raises(SourceError, match="no such folder"):
            folder_of(tmp_path / "absent", ("mmlu",))

    def test_a_copy_in_another_file_is_left_out_and_one_in_the_same_is_asked(self, tmp_path):
        row = {"question": "P", "answer": "#### 2"}
        found = read(tmp_path, "gsm8k", test__jsonl=[row, row], test__parquet=[row])
        assert len(found.items) == 2
        assert found.refused == {"duplicate": 1}

    def test_identity_is_by_content_and_every_word_counts(self, tmp_path):
        rows = [{"problem": f"P{n}", "answer": str(n)} for n in range(5)]
        one = read(tmp_path / "a", "math500", test__jsonl=rows)
        other = read(tmp_path / "b", "math500", test__parquet=rows[::-1])
        assert items_digest(one.items) == items_digest(other.items)
        changed = [*one.items[:-1], Item(one.items[-1].item_id, "P4", "5")]
        assert items_digest(changed) != items_digest(one.items)
        pack = PACKS["gsm8k"]
        found = read(tmp_path / "c", "gsm8k", test__jsonl=[{"question": "P", "answer": "#### 2"}])
        digests = {
            prompt_digest(pack, found, "reasoning", 0), prompt_digest(pack, found, "few-shot", 8),
            prompt_digest(pack, found, "few-shot", 7),
        }  # fmt: skip
        assert len(digests) == 3

    def test_next_token_takes_texts_of_any_kind(self, tmp_path):
        (tmp_path / "a.txt").write_text("A plain text.\n")
        (tmp_path / "b.md").write_text("# Head\n\nMore.\n")
        found = read(
            tmp_path, "next_token", c__jsonl=[{"text": "T"}, {"problem": "P", "solution": "S"}, {"x": 1}]
        )
        assert {item.question for item in found.items} == {"A plain text.", "# Head\n\nMore.", "T", "S"}
        assert found.refused == {"no-text": 1}
