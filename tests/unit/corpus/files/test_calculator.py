"""Calculator notes of problem sets: out of the text, into traces of a teacher that slips in half of them."""

import gzip
import json
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact
from rpt_core.corpus.files.calculator import RIGHT, SLIP, results, slipped, traces_of
from rpt_core.corpus.held_problems import check_problems
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.rows import SourceProblem
from rpt_core.corpus.text.arithmetic import claim_of, value_of, without_notes
from rpt_core.errors import IntegrityError, SourceError
from rpt_core.recipes.corpus import CalculatorTeacher, IngestRecipe, PrepareRecipe

NATALIA = {  # the first rows of GSM8K's training file
    "question": "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in "
    "May. How many clips did Natalia sell altogether in April and May?",
    "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips in May.\n"
    "Natalia sold 48+24 = <<48+24=72>>72 clips altogether in April and May.\n#### 72",
}
WENG = {
    "question": "Weng earns $12 an hour for babysitting. Yesterday, she just did 50 minutes of babysitting. "
    "How much did she earn?",
    "answer": "Weng earns 12/60 = $<<12/60=0.2>>0.2 per minute.\n"
    "Working 50 minutes, she earned 0.2 x 50 = $<<0.2*50=10>>10.\n#### 10",
}
NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)


def problem(row=NATALIA):
    steps, _, final = row["answer"].partition("####")
    return SourceProblem(
        "gsm8k", row["question"], final.strip(), "train.jsonl", without_notes(steps).strip(),
        noted=steps.strip(),
    )  # fmt: skip


def many(num=200):
    """The two rows with other numbers, so that no two problems are alike."""
    for number in range(num):
        apples, twice = 11 + number, 2 * (11 + number)
        yield {
            "question": f"Farmer {number} of row {number % 7} picks {apples} apples a day, and the orchard "
            f"called number {number * 31} has a fence. In week {number}, how many does he pick in 2 days?",
            "answer": f"In 2 days he picks 2 * {apples} = <<2*{apples}={twice}>>{twice}.\n#### {twice}",
        }


def read(folder, rows, **fields):
    """Ingest and prepare some rows; the folders of both."""
    (folder / "data").mkdir(parents=True)
    with gzip.open(folder / "data" / "train.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    recipe = IngestRecipe(data=str(folder / "data"), **fields)
    first = LocalBuild({}, folder / "documents", folder / "s1")
    outcome = ingest(recipe, first)
    second = LocalBuild({"documents": first.out}, folder / "corpus", folder / "s2")
    prepare(PrepareRecipe(documents=NOWHERE, solutions_as_documents=True, eval_share=0.3), second)
    return first.out, second.out, outcome


def test_notes_that_hold_are_found_with_the_text_before_them():
    assert [place[1:] for place in results(problem(WENG).noted)] == [("12/60", "0.2"), ("0.2*50", "10")]
    before = [place[0] for place in results(problem().noted)]
    assert before[0] == "Natalia sold 48/2 = "
    assert before[1].endswith("24 clips in May.\nNatalia sold 48+24 = ")


@pytest.mark.parametrize(
    "noted",
    ["They are <<48/2=24>>24 clips.", "48/2 = <<48/2=25>>25", "48/2 = <<48/2=24>>24.5", "x = <<x=3>>3",
     "48/2 = <<24>>24", "48/2 = <<48/2=24>>clips"],
    ids=["no equals sign", "a wrong sum", "another number", "no numbers", "no equation", "no number behind"],
)  # fmt: skip
def test_notes_that_do_not_hold_give_no_trace(noted):
    assert not list(results(noted))


def test_a_slip_changes_one_digit_of_thought_and_box_and_leaves_the_text_alone():
    right, wrong = (list(traces_of(problem(), CalculatorTeacher(slip_share=share))) for share in (0.0, 1.0))
    assert [(one.thought, one.boxed, one.answer, one.kind) for one in right] == [
        ("48/2=24", "24", "24", RIGHT),
        ("48+24=72", "72", "72", RIGHT),
    ]
    for one, other in zip(right, wrong, strict=True):
        assert (other.kind, other.answer, other.before) == (SLIP, one.answer, one.before)
        assert sum(a != b for a, b in zip(one.boxed, other.boxed, strict=True)) == 1
        expression, said = claim_of(other.thought)
        assert said == other.boxed
        assert value_of(expression) != value_of(said)


@pytest.mark.parametrize("number", ["7", "10", "1,200", "0.25", "-3"])
def test_a_slip_is_a_number_again_and_every_digit_may_slip(number):
    said = {slipped(number, "salt", str(place)) for place in range(300)}
    assert number not in said
    assert all(len(one) == len(number) and value_of(one) is not None for one in said)
    assert not any(one.startswith("0") and one[1:2].isdigit() for one in said)
    places = {at for one in said for at, digit in enumerate(one) if digit != number[at]}
    assert places == {at for at, letter in enumerate(number) if letter.isdigit()}


def test_half_of_the_thoughts_slip_by_a_hash_that_another_salt_changes():
    some = [replace(problem(), answer=str(number)) for number in range(400)]
    slips = [
        [trace.kind == SLIP for one in some for trace in traces_of(one, CalculatorTeacher(salt=salt))]
        for salt in ("a", "a", "b")
    ]
    assert slips[0] == slips[1] != slips[2]
    assert 0.45 < sum(slips[0]) / len(slips[0]) < 0.55


def test_traces_stand_at_their_numbers_in_a_corpus_without_notes(tmp_path):
    documents, corpus, _ = read(tmp_path, [NATALIA, WENG, *many(40)], calculator=CalculatorTeacher())
    texts = {row["doc_id"]: row for row in pq.read_table(corpus / "documents.parquet").to_pylist()}
    traces = pq.read_table(corpus / "traces.parquet").to_pylist()
    assert len(traces) == 44
    for trace in traces:
        document = texts[trace["doc_id"]]
        at, answer = trace["char_offset"], trace["answer"]
        assert document["text"][at : at + len(answer)] == answer
        assert "<<" not in document["text"]
        assert document["split"] == trace["split"]
        expression, said = claim_of(trace["thought"])
        assert said == trace["boxed"]
        assert (value_of(expression) == value_of(said)) == (trace["kind"] == RIGHT)
    assert pq.read_table(documents / "traces.parquet").num_rows == 44


def test_without_a_teacher_the_notes_are_gone_and_nothing_else_changes(tmp_path):
    _, corpus, _ = read(tmp_path, [NATALIA, WENG, *many(20)])
    assert pq.read_table(corpus / "traces.parquet").num_rows == 0
    assert "<<" not in "".join(pq.read_table(corpus / "documents.parquet")["text"].to_pylist())


def test_a_share_of_the_problems_is_read_and_a_share_of_these_gives_lessons(tmp_path):
    teacher = CalculatorTeacher(lesson_share=0.5)
    documents, _, outcome = read(tmp_path, many(), problem_share=0.4, calculator=teacher)
    assert outcome.rows.dropped["not-drawn"] == 200 - pq.read_table(documents / "problems.parquet").num_rows
    assert 90 < outcome.rows.dropped["not-drawn"] < 150
    taught = set(pq.read_table(documents / "traces.parquet")["title"].to_pylist())
    read_ids = set(pq.read_table(documents / "problems.parquet")["problem_id"].to_pylist())
    assert taught < read_ids
    assert 0.3 < len(taught) / len(read_ids) < 0.7


def test_no_held_out_problem_stands_in_what_trains_and_a_planted_one_is_found(tmp_path):
    _, corpus, _ = read(tmp_path, many(), calculator=CalculatorTeacher(lesson_share=0.5))
    check = check_problems({"corpus": corpus})
    assert check.is_clean
    assert check.held_out > 30
    assert check.lessons > 30
    assert {(one.path.rpartition("/")[2], one.side) for one in check.tables if one.rows} >= {
        (f"{name}.parquet", side)
        for name in ("documents", "problems", "traces")
        for side in ("training", "held out")
    }
    table = pq.read_table(corpus / "problems.parquet").to_pylist()
    held = next(row for row in table if row["split"] == "eval")
    (tmp_path / "planted").mkdir()
    answers = [{"step": 1, "doc_id": held["problem_id"], "prompt_tail": "x", "thought": "", "prediction": ""}]
    pq.write_table(pa.Table.from_pylist(answers), tmp_path / "planted" / "rollouts.parquet")
    texts = [{"doc_id": "other", "split": "train", "text": f"So. {held['problem'].upper()} And on."}]
    pq.write_table(pa.Table.from_pylist(texts), tmp_path / "planted" / "documents.parquet")
    found = {one.path: one for one in check_problems({"c": corpus, "p": tmp_path / "planted"}).tables}
    assert found["p/rollouts.parquet"].by_id == 1
    assert (found["p/documents.parquet"].statements, found["p/documents.parquet"].runs) == (1, 1)
    assert not found["p/documents.parquet"].is_clean


def test_a_folder_that_holds_out_no_problem_says_so(tmp_path):
    with pytest.raises(SourceError, match="no table of problems here holds any out"):
        check_problems({"here": tmp_path})


@pytest.mark.parametrize("name", ["problems", "traces", "documents"])
@pytest.mark.parametrize("kept", [0, 40, None], ids=["empty", "cut", "a page lost"])
def test_a_damaged_table_is_refused_by_its_name(name, kept, tmp_path):
    rows = [
        {"problem_id": f"{number}", "doc_id": f"{number}", "problem": "One and one?", "split": split}
        for number, split in enumerate(("train", "eval"))
    ]
    for each in ("problems", "traces", "documents"):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{each}.parquet")
    path = tmp_path / f"{name}.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(60) + whole[64:] if kept is None else whole[:kept])
    with pytest.raises(IntegrityError, match=rf"{name}.parquet is a damaged table"):
        check_problems({"here": tmp_path})
