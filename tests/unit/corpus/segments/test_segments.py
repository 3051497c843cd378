import pytest

from rpt_core.corpus.segments.splitter import PunktSample, Splitter, merge_short
from tests.unit.corpus.conftest import TEACHING


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It stands. It is old.", ["It stands. ", "It is old."]),
        ("Dr. Smith met Mr. Jones. They left.", ["Dr. Smith met Mr. Jones. ", "They left."]),
        ("By Eq. 3 we have $a = 1.5. b$. It follows.", ["By Eq. 3 we have $a = 1.5. b$. ", "It follows."]),
        ("See Smith et al. for it. Next.", ["See Smith et al. for it. ", "Next."]),
        ("One line\nTwo lines.\n\nThree.", ["One line\n", "Two lines.\n\n", "Three."]),
        ("柏林是首都。它在东北部！好吗？是的。", ["柏林是首都。", "它在东北部！", "好吗？", "是的。"]),
        ("「はい。」と言った。次。", ["「はい。」と言った。", "次。"]),
        ("यह एक वाक्य है। दूसरा।", ["यह एक वाक्य है। ", "दूसरा।"]),
        ("Code:\n\n```\na. B. c\n```\n\nDone.", ["Code:\n\n", "```\na. B. c\n```\n\n", "Done."]),
        ("", []),
        ("   ", ["   "]),
        ("no end", ["no end"]),
    ],
)
def test_sentences(splitter, text, sentences):
    assert [text[start:end] for start, end in splitter.split(text, "en")] == sentences


def test_short_sentences_join_a_neighbour_of_their_paragraph():
    text = "Yes. It is a rather long one. No.\n\nAnother long sentence here. Ok."
    found = [(0, 5), (5, 30), (30, 35), (35, 63), (63, 66)]
    merged = merge_short(text, found, 10)
    assert [text[a:b] for a, b in merged] == [
        "Yes. It is a rather long one. No.\n\n",
        "Another long sentence here. Ok.",
    ]


def test_a_text_of_one_short_sentence_is_itself():
    assert merge_short("Hi.", [(0, 3)], 20) == [(0, 3)]


def test_the_sample_does_not_depend_on_the_order_of_offers():
    documents = [(f"{i:032x}", "en" if i % 3 else "de", f"Text {i}. " * 20) for i in range(60)]
    samples = []
    for order in (documents, documents[::-1]):
        sample = PunktSample(chars=2000)
        for document in order:
            sample.offer(*document)
        samples.append(sample.texts())
    assert samples[0] == samples[1]
    assert 2000 <= sum(map(len, samples[0]["en"])) < 2400


def test_a_language_with_little_text_is_learnt_with_the_others():
    found = Splitter.train({"de": ["Das ist z.B. kurz. Und gut."], "en": TEACHING})
    assert found.split("Ein Satz. Noch einer.", "de") == [(0, 10), (10, 21)]


def test_blanks_do_not_make_a_sentence_long_enough():
    assert merge_short("ab     cdefgh", [(0, 7), (7, 13)], 5) == [(0, 13)]


@pytest.mark.parametrize(("min_chars", "spans"), [(4, [(0, 5), (5, 9)]), (5, [(0, 9)])])
def test_a_sentence_of_just_the_least_length_stands_alone(min_chars: int, spans: list[tuple[int, int]]):
    assert merge_short("abcd efgh", [(0, 5), (5, 9)], min_chars) == spans
