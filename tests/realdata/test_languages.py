"""The table of languages and sources (``docs/corpus.md``): treebanks, and documents labelled by hand."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.benchmarks.corpus import languages

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data"))
NEEDED = ("sentences", "sentences-chinese", "classical-chinese", "wikipedia", "arxiv-papers", "text")
pytestmark = [
    pytest.mark.realdata,
    *(
        pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"real corpora: {DATA / name} is absent")
        for name in NEEDED
    ),
]


@pytest.fixture(scope="module")
def boundaries():
    return languages.sentences_and_clauses(DATA)


def test_sentences_of_chinese(boundaries):
    """F1 0.996 when measured."""
    (score,) = (score for name, score in boundaries.items() if "GSDSimp" in name)
    assert score.gold == 450
    assert score.precision >= 0.99
    assert score.recall >= 0.98


def test_clauses_of_classical_chinese(boundaries):
    """Precision 0.92 and recall 0.23 when measured: without punctuation only what particles say is cut."""
    (score,) = (score for name, score in boundaries.items() if "Kyoto" in name)
    assert score.gold == 5868
    assert score.precision >= 0.88
    assert score.recall >= 0.2


def test_sentences_of_english_web_text(boundaries):
    """F1 0.872 when measured, 0.870 before small letters and emoticons were looked at."""
    (score,) = (score for name, score in boundaries.items() if "EWT" in name)
    assert score.gold == 2001
    assert score.f1 >= 0.865
    assert score.precision >= 0.98


def test_languages():
    """F1 1.00 of Chinese of any age, by script; one Wikipedia article or two are taken for another."""
    for name, score in languages.languages(DATA).items():
        assert score.f1 >= (0.97 if "Wikipedia" in name else 0.99), name


def test_near_duplicates_in_both_forms(tmp_path):
    (score,) = languages.near_duplicates(DATA, tmp_path).values()
    assert score.gold >= 100
    assert score.precision >= 0.95
    assert score.recall >= 0.95


def test_labelled_documents_are_still_what_was_read():
    chosen = languages.labels()
    assert len(chosen) == 100
    assert Counter(label.keep for label in chosen) == {True: 94, False: 6}
    assert not languages.changed_labels(DATA), "these documents differ now: read and label them again"


def test_the_quality_filter_keeps_what_a_reader_keeps():
    """Of 94 documents worth keeping 93 stay; of six others one goes: the rules see form, not aims."""
    scores = languages.quality(DATA)
    kept, dropped = scores["quality, kept: all"], scores["quality, dropped: all"]
    assert kept.recall >= 0.97
    assert kept.precision >= 0.94
    assert dropped.right >= 1
    assert scores["quality, kept: all, held out half"].recall >= 0.96
    for kind in ("noisy web", "classical Chinese", "e-prints"):
        assert scores[f"quality, kept: {kind}"].recall >= 0.98, kind
