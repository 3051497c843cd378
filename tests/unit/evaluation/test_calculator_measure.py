"""What arithmetic verifies of answers about numbers of a text, and how it is kept."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.evaluation.kept.calculator import EVALUATES, NEW, OPERANDS, calculator, comes_to, is_of_text
from rpt_core.evaluation.kept.measures import measure_of

TEXT = "Natalia sold clips to 48 of her friends, then half as many.\n\nNatalia sold 48/2 = 24 clips in May."
AT = TEXT.index("24 clips")


def items(*answers):
    rows = [
        {"doc_id": "d", "char_offset": AT, "thought": thought, "prediction": said, "truth": "24"}
        for thought, said in answers
    ]
    return pa.Table.from_pylist(rows)


def marked(tmp_path, *answers):
    pq.write_table(
        pa.Table.from_pylist([{"doc_id": "d", "text": TEXT}, {"doc_id": "other", "text": "1 2"}]),
        tmp_path / "documents.parquet",
    )
    return measure_of("calculator")(tmp_path, items(*answers))


def test_an_expression_must_come_to_what_is_boxed_and_be_made_of_the_texts_numbers(tmp_path):
    found = marked(
        tmp_path,
        ("48/2=24", "24"),
        ("48/2=25", "25"),
        ("12*2=24", "24"),
        ("24", "24"),
        (None, ""),
        (" 48 / 2 = 24", "24"),
        ("48/2=24", "2"),
    )
    assert found.checks[EVALUATES].tolist() == [True, False, True, False, False, True, False]
    assert found.checks[OPERANDS].tolist() == [True, True, False, False, False, True, True]
    assert found.verified.tolist() == [True, False, False, False, False, True, False]
    assert set(found.rows) == {NEW}
    assert set(found.kinds) == {"2 digits"}


def test_numbers_behind_the_place_do_not_count(tmp_path):
    found = marked(tmp_path, ("24*1=24", "24"), ("48-24=24", "24"))
    assert not found.checks[OPERANDS].any()
    assert found.checks[EVALUATES].all()


def test_nothing_is_ever_run_and_commas_are_read():
    assert not comes_to("__import__('os').getpid()=24", "24")
    assert not comes_to("2**3=8", "8")
    assert comes_to("600*2=1200", "1,200")
    assert is_of_text("1,200/3=400", "They had 1200 and 3 more.")
    assert not is_of_text("=4", "4")


def test_the_measure_is_called_as_a_function_of_folder_and_rows(tmp_path):
    assert measure_of("calculator") is calculator
    assert marked(tmp_path, ("48/2=24", "24")).steps.tolist() == [0]
    assert np.issubdtype(marked(tmp_path, ("48/2=24", "24")).verified.dtype, np.bool_)
