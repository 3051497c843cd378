"""Sentence boundaries of mathematical text against labels made by hand (``mathematics.md``, ``.json``).

The labels are offsets into passages of e-prints and solutions; a passage is known by its digest.
"""

import hashlib
import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.clean.cleaning import normalise
from rpt_core.corpus.dedup.decontaminate import Contamination
from rpt_core.corpus.document_shards import clean
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.parts import How
from rpt_core.corpus.ingest import as_record
from rpt_core.corpus.readers import find_sources, read_source
from rpt_core.corpus.rows import Document, Row, SourceProblem
from rpt_core.corpus.segments.splitter import PunktSample, Splitter
from rpt_core.recipes.corpus import PrepareRecipe

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data"))
FOLDERS = ("arxiv-papers", "omni-math", "olympiadbench")
pytestmark = [
    pytest.mark.realdata,
    *(
        pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"real corpora: {DATA / name} is absent")
        for name in FOLDERS
    ),
]


@dataclass(frozen=True)
class Passage:
    """A stretch of a document's normalised text, and where sentences end in it."""

    file: str
    id: str
    start: int
    end: int
    digest: str
    ends: tuple[int, ...]
    """Offsets from the start of the passage, each right after a sentence; the passage's end is none."""
    half: str
    """``open`` to whoever made the splitter's rules, or ``held out``."""

    @property
    def name(self) -> str:
        return f"{self.file} {self.id} at {self.start}"

    @property
    def kind(self) -> str:
        return "papers" if self.file.startswith("arxiv-papers/") else "solutions"

    def look_up(self, text: str) -> str | None:
        """Its text: where it lay, or at the start of another paragraph; none when it changed."""
        length = self.end - self.start
        starts = chain([self.start, 0], (gap.end() for gap in re.finditer("\n\n", text)))
        found = (text[start : start + length] for start in starts)
        return next((piece for piece in found if digest_of(piece) == self.digest), None)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


PASSAGES = [
    Passage(**{**row, "ends": tuple(row["ends"])})
    for row in json.loads((Path(__file__).parent / "mathematics.json").read_text())
]


@pytest.fixture(scope="module")
def rows() -> dict[str, list[Row]]:
    """What the readers give, by file."""
    return {
        f"{folder}/{source.name}": list(read_source(source, How(4_000_000, ALL_COLUMNS)))
        for folder in FOLDERS
        for source in find_sources(DATA / folder)
    }


@pytest.fixture(scope="module")
def texts(rows) -> dict[Passage, str | None]:
    """The text of every passage, or none where it is no longer to be found."""
    by_id = {}
    for file, found in rows.items():
        for row in found:
            if isinstance(row, Document):
                by_id[file, row.native_id] = normalise(row.text)
            elif isinstance(row, SourceProblem):
                by_id[file, row.problem_id] = normalise(row.solution)
    return {one: one.look_up(by_id.get((one.file, one.id), "")) for one in PASSAGES}


@pytest.fixture(scope="module")
def scores(rows, texts) -> dict[tuple[str, str], Counter[str]]:
    """Boundaries right, found and labelled, by kind of text and half; parameters learnt from the papers."""
    recipe, sample = PrepareRecipe(documents=Ref(ref="x")), PunktSample()
    papers = [as_record(row) for found in rows.values() for row in found if isinstance(row, Document)]
    for row in clean(recipe, Contamination.index([], 13), papers).kept:
        sample.offer(row["doc_id"], row["lang"], row["text"])
    splitter = Splitter.train(sample.texts())
    scores: dict[tuple[str, str], Counter[str]] = {}
    for one, text in texts.items():
        if text is None:
            continue  # the test below names it and fails
        gold = set(one.ends)
        found = {len(text[:end].rstrip()) for _, end in splitter.split(text, "en")} - {len(text)}
        score = scores.setdefault((one.kind, one.half), Counter())
        score.update(right=len(gold & found), found=len(found), gold=len(gold))
    return scores


def test_every_labelled_passage_is_still_in_its_document(texts):
    lost = [one.name for one, text in texts.items() if text is None]
    assert not lost, f"these passages read differently now and need new labels: {'; '.join(lost)}"


def test_labels_stand_right_after_a_sentence(texts):
    for one, text in texts.items():
        if text is not None:
            assert list(one.ends) == sorted({*one.ends})
            assert all(text[end].isspace() and not text[end - 1].isspace() for end in one.ends), one.name


@pytest.mark.parametrize(("kind", "num_gold"), [("papers", 119), ("solutions", 140)])
def test_sentence_boundaries_of_mathematics(scores, kind, num_gold):
    """F1 0.996 for papers and 0.993 for solutions when measured, precision 1.00 for both.

    The three missed: two sentences without their point after a formula inside the line, one head before what
    the reader left of a lost display.
    """
    score = sum((found for (of, _), found in scores.items() if of == kind), Counter())
    assert score["gold"] == num_gold
    assert f1(score) >= 0.97


def test_what_no_rule_was_made_for_is_cut_as_well(scores):
    """F1 0.990 when measured, 0.883 before the rules; 0.997 and 0.865 for the half they were made with."""
    score = sum((found for (_, half), found in scores.items() if half == "held out"), Counter())
    assert score["gold"] == 98
    assert f1(score) >= 0.96


def f1(score: Counter[str]) -> float:
    return 2 * score["right"] / (score["found"] + score["gold"])


def test_a_passage_is_found_where_it_moved_to_and_missed_where_it_changed():
    text = "First.\n\nA ball fell. It was red.\n\nLast."
    one = Passage("x", "y", 8, 32, digest_of(text[8:32]), (12,), "open")
    assert one.look_up(text) == text[8:32]
    assert one.look_up("More before.\n\n" + text) == text[8:32]
    assert one.look_up(text.replace("red", "big")) is None
