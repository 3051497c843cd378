"""Questions that training text gives away: met by planted runs of words, and told apart in every score."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.corpus.dedup.decontaminate import HeldOutItem
from rpt_core.evaluation.contamination import contaminated
from rpt_core.evaluation.items import as_table
from rpt_core.evaluation.scores import outcomes
from rpt_core.evaluation.touched import (
    Touch,
    Touches,
    asked_items,
    last_words,
    touched_by,
    write_questions,
    write_touched,
)
from tests.unit.evaluation.test_items import item

QUESTIONS = {
    "q0": "A gardener plants seven rows of four tulips and then digs up every third bulb she set there.",
    "q1": "How many different necklaces of five beads can be strung when two colours of glass are at hand?",
    "q2": "Trains leave both stations at noon and meet after ninety minutes on the single track by the mill.",
    "q3": "Find it.",
}


def corpus(folder: Path, documents: dict[str, str], problems: dict[str, str] | None = None) -> Path:
    folder.mkdir()
    sides = {name: "eval" if name.startswith("held") else "train" for name in documents}
    rows = [
        {"doc_id": name, "source": "web", "text": text, "split": sides[name]}
        for name, text in documents.items()
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "documents.parquet")
    rows = [
        {"problem_id": name, "source": "set", "problem": text, "solution": "", "answer": "12",
         "split": "eval" if name.startswith("q") else "train"}
        for name, text in (problems or {"p": "What is this?"}).items()
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "problems.parquet")
    return folder


@pytest.fixture
def training(tmp_path) -> Path:
    """Holds one question in a document, one in a problem, and one where nobody trained on it."""
    return corpus(
        tmp_path / "training",
        {
            "d0": f"An old exercise. {QUESTIONS['q0'].upper()} So it went on for many a page of the book.",
            "d1": "Nothing of the kind stands here, only some words about rivers and what lives in them.",
            "held": f"Held out: {QUESTIONS['q2']}",
        },
        {"p0": f"Old set. {QUESTIONS['q1']}"},
    )


def items(names=tuple(QUESTIONS)) -> list[HeldOutItem]:
    return [HeldOutItem(name, "quiz", QUESTIONS[name], "4") for name in names]


def test_questions_are_met_in_documents_and_problems_that_are_trained_on(training):
    found = touched_by([training], items())
    assert {touch.item_id: touch.row_id for touch in found.found} == {"q0": "d0", "q1": "p0"}
    assert found.covered == {"q0", "q1", "q2"}  # two words are too few to be told from any others
    first = found.by_item["q0"][0]
    assert (first.benchmark, first.source, first.coverage) == ("quiz", "web", 1.0)
    assert first.shared == " ".join(QUESTIONS["q0"].upper().split()[:13])


def test_nothing_is_met_in_other_text_and_a_question_needs_thirteen_words(training, tmp_path):
    short = " ".join(QUESTIONS["q0"].split()[:12])
    other = corpus(tmp_path / "other", {"d": f"{short} and there the likeness ends, for good and all."})
    assert touched_by([other], items()).found == ()
    assert len(touched_by([other], items(), n=12).found) == 1
    assert len(touched_by([training, training], items(["q0"])).found) == 2


def test_what_was_met_is_written_pair_by_pair(training, tmp_path):
    write_touched(touched_by([training], items()), tmp_path)
    rows = pq.read_table(tmp_path / "touched.parquet").to_pylist()
    assert [(row["item_id"], row["row_id"]) for row in rows] == [("q0", "d0"), ("q1", "p0")]


def test_every_score_stands_there_twice():
    table = as_table([item(name, right=name in ("a", "b", "d")) for name in "abcde"])
    near = Touch("a", "quiz", "d0", "web", 3, 1.0, "so many words")
    met = near, replace(near, item_id="b", row_id="d1", coverage=0.2)
    found = contaminated(outcomes(table, "mmlu"), Touches((*met, met[0]), frozenset("abcd")))
    assert found["all"]["accuracy"]["value"] == pytest.approx(3 / 5)
    assert (found["clean"]["num_items"], found["clean"]["accuracy"]["value"]) == (2, 0.5)
    assert (found["touched"]["num_items"], found["touched"]["accuracy"]["value"]) == (2, 1.0)
    assert found["unknown"] == 1
    assert [(one["item_id"], one["rows"]) for one in found["examples"]] == [("a", 2), ("b", 1)]
    alone = contaminated(outcomes(table, "mmlu"), Touches(met, frozenset()), examples=1)
    assert alone["clean"] == {"num_items": 0}
    assert len(alone["examples"]) == 1


def test_pass_at_k_stands_there_twice_too():
    table = as_table([replace(item("a", right=k == 0), sample=k) for k in range(4)])
    found = contaminated(outcomes(table, "mmlu"), Touches((), frozenset("a")))
    for part in ("all", "clean"):
        assert found[part]["accuracy"]["value"] == 0.25
        assert found[part]["pass_at_2"]["value"] == pytest.approx(0.5)
        assert found[part]["pass_at_4"]["value"] == 1.0


def test_the_words_before_a_cut_end_with_the_one_that_is_asked():
    text = "It shows 3. It moves 2 on. It shows 5. So on."
    assert last_words(text, text.index(" 5"), 3) == "It shows 5"
    assert last_words(text, text.index("5"), 3) == "It shows 5"
    assert last_words("eins zwei drei", 11, 2) == "zwei drei"  # the cut lies inside the word
    assert last_words("", 0) == ""
    assert last_words("one.", 4) == "one"


def test_the_text_of_questions_is_looked_up_or_brought_along(training, tmp_path):
    asked = corpus(
        tmp_path / "asked",
        {"held0": "The long old clock on the wall shows three and it moves two on and then it shows five."},
        {name: text for name, text in QUESTIONS.items() if name != "q3"},
    )
    text = pq.read_table(asked / "documents.parquet").to_pylist()[0]["text"]
    place = replace(item("held0:9", right=True), doc_id="held0", char_offset=text.index(" five"))
    table = as_table([item("q0", right=True), item("q2", right=True), place])
    found = {one.item_id: one.problem for one in asked_items(tmp_path, table, [asked])}
    assert found.keys() == {"q0", "q2", "held0:9"}
    assert found["q0"] == QUESTIONS["q0"]
    assert found["held0:9"].endswith("it shows five")
    assert len(found["held0:9"].split()) == 13
    brought = [HeldOutItem("q9", "own", "What?", ""), HeldOutItem("q8", "own", "Why?", "So.")]
    write_questions(brought, tmp_path)
    assert asked_items(tmp_path, table, [asked]) == brought[::-1]


def test_a_next_token_is_touched_where_its_last_words_were_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in rng.integers(0, 500, 40)]
    text = " ".join(words)
    training = corpus(tmp_path / "c", {"d": "before it " + " ".join(words[5:25]) + " and after"})
    ends = {number: len(" ".join(words[: number + 1])) - 1 for number in (20, 30)}
    pieces = {number: last_words(text, end) for number, end in ends.items()}
    asked = [HeldOutItem(str(number), "next tokens", piece, "") for number, piece in pieces.items()]
    assert [touch.item_id for touch in touched_by([training], asked).found] == ["20"]
