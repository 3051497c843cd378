"""Sentences of any text with formulas: they are the text, and none ends inside a formula."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rpt_core.corpus.segments.displays import layout
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.corpus.text.shield import spans

SPLITTER = Splitter.train({"en": ["A ball fell. It was red. We saw it at noon."] * 20})
FORMULAS = ["$$a. B$$", "$$a.$$", "\\[\na.\n\nB\n\\]", "$a. B$", "$x$", "`a. B`", "$$", "$", "\\[", "\\]"]
WORDS = ["We have", "where", "The ball.", "is", "1.", "b)", "Eq.", "球。", ",", "."]
BLANKS = [" ", " ", "\n", "\n", "\n\n", "\n  ", "\u00a0", "\u2028", ""]
TEXT = st.lists(st.sampled_from(FORMULAS + WORDS + BLANKS), max_size=40).map("".join)


@given(TEXT)
def test_sentences_are_the_text_and_none_ends_inside_a_formula(text):
    found, shielded = SPLITTER.split(text, "en"), spans(text)
    assert "".join(text[start:end] for start, end in found) == text
    assert all(first[1] == second[0] for first, second in pairwise(found))
    assert not any(start < end < stop for _, end in found for start, stop in shielded)


@given(TEXT)
def test_only_line_ends_are_overlooked_and_only_words_after_displays_begin_anew(text):
    shielded = spans(text)
    told = layout(text, shielded)
    assert all(text[place] == "\n" for place in told.joined)
    assert all(text[place - 1].isspace() and not text[place].isspace() for place in told.cuts)
    outside = [place for place in told.joined | told.cuts if any(a <= place < b for a, b in shielded)]
    assert not [place for place in outside if all(place != start for start, _ in shielded)]
