import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.json_rows import json_array, json_lines
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.problems import benchmark_of, parse_problem, with_columns
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.rows import Document, Dropped, SourceProblem, Trace, encodable


def read(tmp_path, name, data):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_source(find_sources(tmp_path)[0], How(1000, ALL_COLUMNS)))


def rows_of(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


OMNI = {
    "domain": ["Mathematics -> Algebra", "x"],
    "difficulty": 7.5,
    "problem": "Find $x$.",
    "solution": "So.",
    "answer": "3",
    "source": "s",
}


def test_omni_math_rows(tmp_path):
    (row,) = read(tmp_path, "omni-math/omni.jsonl", rows_of(OMNI))
    assert row == SourceProblem(
        "omni-math", "Find $x$.", "3", "omni-math/omni.jsonl", "So.", 7.5, "Mathematics -> Algebra", ""
    )


@pytest.mark.parametrize(
    ("record", "problem", "answer"),
    [
        ({"question": "Q?", "answer": "Sum <<1+1=2>>2\n#### 2"}, "Q?", "2"),
        ({"problem": "Q?", "final_answer": ["2"]}, "Q?", "2"),
        ({"problem": "Q?", "answer": '["2"]'}, "Q?", "2"),
        (
            {
                "prompt": [
                    {"role": "system", "content": "S"},
                    {
                        "role": "user",
                        "content": "Q? Let's think step by step and output the final answer "
                        "within \\boxed{}.",
                    },
                ],
                "reward_model": {"ground_truth": "2"},
            },
            "Q?",
            "2",
        ),
        ({"question": "Q?", "options": ["x", "y"], "answer": "B"}, "Q?\nA. x\nB. y", "B"),
        ({"question": "Q?", "choice0": "x", "choice1": "y", "answer": "1"}, "Q?\nA. x\nB. y", "B"),
        ({"context": "Given.", "question": "Q?", "answer": 2}, "Given.\n\nQ?", "2"),
        ({"problem": "Q?", "answer": 27.0}, "Q?", "27"),
        ({"problem": "Q?", "answer": 0.5}, "Q?", "0.5"),
    ],
)
def test_problem_sets_of_other_shapes(record, problem, answer):
    found = parse_problem(record, "set", "set/x.jsonl", "")
    assert (found.problem, found.answer) == (problem, answer)


GSM_SOLUTION = "Six each: 6*7 = <<6*7=42>>42\n#### 42"
BOXED_SOLUTION = r"Six sevens are $\boxed{42}$, not \boxed{."


@pytest.mark.parametrize(
    ("record", "column", "steps"),
    [
        ({"problem": "Q?", "solution": GSM_SOLUTION}, "solution", GSM_SOLUTION),
        ({"question": "Q?", "solution": BOXED_SOLUTION, "answer": "none"}, "solution", BOXED_SOLUTION),
        ({"question": "Q?", "r1": {"solution": BOXED_SOLUTION}}, "r1.solution", BOXED_SOLUTION),
        ({"question": "Q?", "mine": GSM_SOLUTION}, "mine", "Six each: 6*7 = 42"),
        ({"problem": "Q?", "solution": "So it is.", "mine": "42"}, "mine", "So it is."),
    ],
)
def test_the_answer_may_be_what_a_column_of_solutions_ends_in(tmp_path, record, column, steps):
    (tmp_path / "train.jsonl").write_text(rows_of(record))
    columns = with_columns(ALL_COLUMNS, {"answer": column})
    (row,) = read_source(find_sources(tmp_path)[0], How(1000, columns))
    assert isinstance(row, SourceProblem)
    assert (row.problem, row.answer, row.solution) == ("Q?", "42", steps)


def test_without_a_map_an_answer_in_a_box_stays_as_it_is():
    record = {"problem": "Q?", "answer": r"$\boxed{42}$"}
    assert parse_problem(record, "set", "x", "").answer == record["answer"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"problem": "", "answer": "2"}, "missing-column"),
        ({"problem": "Q?", "answer": None}, "missing-column"),
        ({"problem": "Q?", "answer": {"a": 1}}, "retyped-column"),
    ],
)
def test_problems_without_their_parts(record, reason):
    with pytest.raises(BrokenInput, match=reason):
        parse_problem(record, "set", "x", "")


@pytest.mark.parametrize(
    ("name", "split", "benchmark"),
    [
        ("aime24/test.jsonl", "", "aime24"),
        ("math500/test.jsonl", "", "math500"),
        ("kor-bench/cipher/sample.jsonl", "", "kor-bench"),
        ("mmlu/mmlu_dev.tar.gz", "", "mmlu"),
        ("skywork-or1/eval_aime24.parquet", "", "aime24"),
        ("gsm8k/train.jsonl.gz", "", ""),
        ("gsm8k/test.jsonl", "", "gsm8k"),
        ("omni-math/omni_math_rule.jsonl", "", ""),
        ("rlvr/deepscaler_train_aime.json", "", ""),
        ("rlvr/set.parquet", "test", "rlvr"),
        ("mine/held_out.jsonl", "", "mine"),
        ("contest/latest.jsonl", "", ""),
    ],
)
def test_which_sets_are_benchmarks(name, split, benchmark):
    assert benchmark_of(name, split) == benchmark


def test_traces_documents_and_unknown_rows(tmp_path):
    trace = {"title": "T", "before": "b", "thought": " t", "answer": " a", "kind": "k", "more": 1}
    assert read(tmp_path, "a.jsonl", rows_of(trace)) == [Trace("T", "b", " t", " a", "k", "a.jsonl")]
    (row,) = read(tmp_path, "a.jsonl", rows_of({"id": 5, "title": "T", "text": "Words.", "license": "CC0"}))
    assert isinstance(row, Document)
    assert (row.source, row.native_id, row.title, row.license) == ("text", "a:5", "T", "CC0")
    (row,) = read(tmp_path, "a.jsonl", rows_of({"colour": 1}, {"colour": 2}))
    assert (row.reason, row.preview) == ("unrecognised-columns", "columns: colour (int)")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "cut', "bad-json"),
        (b'{"text": "a", "text": "b"}', "bad-json"),
        (b'["text"]', "bad-json"),
        (b'"text"', "bad-json"),
        (b"null", "bad-json"),
        (b"[" * 100_000, "bad-json"),
        (b'{"text": "\xff"}', "not-utf-8"),
        (b'{"text": 5}', "retyped-column"),
        (b'{"other": "x"}', "missing-column"),
        (b'{"text": " "}', "no-prose"),
        (b'{"text": "' + b"x" * 2000 + b'"}', "gigantic"),
    ],
)
def test_a_bad_line_costs_itself_and_no_other(tmp_path, line, reason):
    good = b'{"text": "Good words."}\n'
    rows = read(tmp_path, "a.jsonl", good + line + b"\n" + good)
    assert [row.reason if isinstance(row, Dropped) else row.text for row in rows] == [
        "Good words.",
        reason,
        "Good words.",
    ]


def test_a_line_of_ten_megabytes_is_read_and_one_beyond_the_limit_is_not():
    rows = list(json_lines([json.dumps({"text": "x" * 10_000_000}).encode()], limit=20 << 20))
    assert len(rows[0]["text"]) == 10_000_000
    assert next(iter(json_lines([b"x" * 1000], limit=100))).reason == "gigantic"


def test_arrays_in_pieces_of_any_size():
    data = json.dumps([{"text": f"a]{{,{i}"} for i in range(50)], indent=1).encode()
    for size in (1, 3, 17, 1000):
        rows = list(json_array(data[i : i + size] for i in range(0, len(data), size)))
        assert [row["text"] for row in rows] == [f"a]{{,{i}" for i in range(50)]


@pytest.mark.parametrize("data", [b'[{"a": 1}, {"a"', b'[{"a": 1}, oops]', b'[{"a": 1}'])
def test_an_array_is_read_up_to_its_break(data):
    first, broken = json_array([data])
    assert first == {"a": 1}
    assert broken.reason == "bad-json"


def test_packed_truncated_lines_keep_what_came_before(tmp_path):
    packed = gzip.compress(rows_of(*({"text": f"Words {i} of a tale."} for i in range(5000))).encode())
    rows = read(tmp_path, "a.jsonl.gz", packed[: len(packed) // 2])
    assert [row.reason for row in rows if isinstance(row, Dropped)][-1] == "truncated-gzip"
    assert sum(isinstance(row, Document) for row in rows) > 100


def test_parquet_rows_and_broken_parquet(tmp_path):
    pq.write_table(
        pa.table({"problem": ["Q?", None, "R?"], "answer": ["1", "2", "3"]}), tmp_path / "a.parquet"
    )
    rows = list(read_source(find_sources(tmp_path)[0], How(1000, ALL_COLUMNS)))
    assert [row.reason if isinstance(row, Dropped) else row.answer for row in rows] == [
        "1",
        "missing-column",
        "3",
    ]
    whole = (tmp_path / "a.parquet").read_bytes()
    assert [row.reason for row in read(tmp_path, "a.parquet", whole[:-20])] == ["bad-parquet"]
    pq.write_table(pa.table({"problem": [1, 2], "answer": ["1", "2"]}), tmp_path / "a.parquet")
    assert [row.reason for row in read_source(find_sources(tmp_path)[0], How(1000, ALL_COLUMNS))] == [
        "unrecognised-columns"
    ]


def test_settings_files_are_one_row(tmp_path):
    rows = read(tmp_path, "config.json", json.dumps({"a": 1, "b": {"c": [1]}}, indent=2))
    assert [row.reason for row in rows] == ["unrecognised-columns"]


def test_csv_problem_sets_and_broken_csv(tmp_path):
    (row,) = read(tmp_path, "sums.csv", 'problem,answer\n"One, and one?",2\n')
    assert (row.problem, row.answer) == ("One, and one?", "2")
    assert read(tmp_path, "sums.csv", 'problem,answer\n"One"x,2\n')[-1].reason == "bad-csv"


def test_not_a_number_in_a_column_nobody_reads_costs_no_row(tmp_path):
    rows = read(
        tmp_path,
        "a.jsonl",
        b'{"text": "Words of a tale.", "score": NaN}\n{"text": "More of it.", "x": -Infinity}',
    )
    assert [row.text for row in rows] == ["Words of a tale.", "More of it."]


def test_not_a_number_is_no_answer():
    with pytest.raises(BrokenInput, match="retyped-column"):
        parse_problem({"problem": "Q?", "answer": float("nan")}, "set", "file", "")


def test_an_object_of_columns_is_read_row_by_row(tmp_path):
    rows = read(tmp_path, "a.json", b'{"question": ["a?", "b?"], "answer": ["1", "2"]}')
    assert [(row.problem, row.answer) for row in rows] == [("a?", "1"), ("b?", "2")]


SYSTEM = {"role": "system", "content": "You are a solver."}
USER = {"role": "user", "content": "How many?"}


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "You are a solver.", "messages": json.dumps([SYSTEM, USER]), "ground_truth": "3"},
        {"prompt": [SYSTEM, USER], "reward_model": {"ground_truth": "3"}},
        {"prompt": json.dumps([SYSTEM, USER]), "answer": 3},
        {"messages": [SYSTEM, USER, {"role": "assistant", "content": "Three."}], "answer": "3"},
        {"conversations": [{"from": "system", "value": "x"}, {"from": "human", "value": "How many?"}],
         "answer": "3"},
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "How many?"}]}], "answer": "3"},
        {"extra_info": {"question": "How many?", "answer": "3"}},
    ],
)  # fmt: skip
def test_the_problem_is_what_the_user_says(record):
    problem = parse_problem(record, "set", "file", "")
    assert (problem.problem, problem.answer) == ("How many?", "3")


@pytest.mark.parametrize(
    ("choices", "answer", "letter"),
    [
        (["2", "3", "4", "5"], "3", "B"), (["2", "3", "4", "5"], 3, "D"), (["1", "2", "3", "4"], "1", "A"),
        (["w", "x"], "1", "B"), (["w", "x"], "x", "B"), (["A. w", "B. x"], "x", "B"), (["10", "20"], 20, "B"),
    ],
)  # fmt: skip
def test_an_option_is_found_by_its_text_before_its_place(choices, answer, letter):
    problem = parse_problem({"question": "Q?", "choices": choices, "answer": answer}, "set", "file", "")
    assert problem.answer == letter
    assert problem.problem.count("A.") == 1


@pytest.mark.parametrize("value", [True, False])
def test_truth_values_are_answers(value):
    assert parse_problem({"problem": "Q?", "answer": value}, "set", "file", "").answer == str(value)


@pytest.mark.parametrize(
    ("choices", "answer", "shown", "letter"),
    [
        (["A. w", "B. x"], "B", "A. w\nB. x", "B"),
        (["(A) w", "(B) x"], "(B) x", "(A) w\n(B) x", "B"),
        (["A. w", "B. x", "none"], "x", "A. w\nB. x\nC. none", "B"),
        (["a) w", "b) x"], "x", "A. w\nB. x", "B"),
        (["A．甲", "B．乙"], "乙", "A. 甲\nB. 乙", "B"),
        (["A smear.", "B flat"], "B flat", "A. A smear.\nB. B flat", "B"),
        (["A. Smith", "C. Jones"], 1, "A. A. Smith\nB. C. Jones", "B"),
        ({"text": ["w", "x"], "label": ["A", "B"]}, "B", "A. w\nB. x", "B"),
        ({"A": "w", "B": "x"}, "x", "A. w\nB. x", "B"),
        ([{"text": "w"}, {"text": "x"}], 0, "A. w\nB. x", "A"),
        (["1", "2"], "²", "A. 1\nB. 2", "²"),
        (["w", "x"], "9" * 5000, "A. w\nB. x", "9" * 5000),
    ],
)
def test_options_have_each_their_letter_once(choices, answer, shown, letter):
    problem = parse_problem({"question": "Q?", "choices": choices, "answer": answer}, "set", "file", "")
    assert (problem.problem, problem.answer) == (f"Q?\n{shown}", letter)


def test_a_row_that_holds_whole_columns_is_no_problem():
    with pytest.raises(BrokenInput) as caught:
        parse_problem({"question": ["a?", "b?"], "answer": ["1", "2"], "source": "x"}, "set", "file", "")
    assert caught.value.reason == "retyped-column"
    assert parse_problem({"question": ["a", "b?"], "answer": ["1"]}, "set", "file", "").problem == "a\n\nb?"


def test_a_row_with_half_a_character_keeps_its_name():
    row = encodable(Document("text", "set:1", "", "A \ud83d title", "lone \ud83d", "set/x.jsonl"))
    assert (row.reason, row.native_id, row.title) == ("not-utf-8", "set:1", "A ? title")
    row = encodable(SourceProblem("set", "What \ud83d is it?", "1", "set/x.jsonl"))
    assert row.reason == "not-utf-8"
    assert row.preview.endswith("stands in its text: What ? is it?")
