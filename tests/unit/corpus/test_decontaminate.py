import pytest

from rpt_core.corpus.decontaminate import Contamination, Item, Leaks
from rpt_core.corpus.documents import cut_paragraphs
from rpt_core.corpus.words import ngrams, split_words

LONG = (
    "A farmer has seventeen sheep and all but nine of them run away in the night so how many sheep are left"
)
SHORT = "Which planet is nearest to the sun"
OTHER = (
    "The committee met in the hall on a rainy day and talked for hours about the old bridge over the river"
)


def leaks(items, texts, n=13):
    found = Contamination.index(
        [Item(str(i), "b", problem, answer) for i, (problem, answer) in enumerate(items)], n
    )
    met = Leaks()
    for number, text in enumerate(texts):
        met.take(found.scan(split_words([text])), [number])
    together = Leaks()
    together.take(found.scan(split_words(texts)), range(len(texts)))
    assert met.by_row().keys() == together.by_row().keys()
    return found, sorted(together.by_row())


def test_a_run_of_thirteen_words_is_a_leak_and_twelve_are_none():
    words = LONG.split()
    texts = [f"Note: {' '.join(words[3:16])} indeed.", f"Note: {' '.join(words[3:15])} indeed.", OTHER]
    assert leaks([(LONG, "9")], texts)[1] == [0]


def test_spelling_and_mathematics_do_not_hide_a_leak():
    problem = (
        "Let $x$ be $\\frac{1}{2}$ of 1,000 and find the sum of all digits of the number that you get "
        "in the end"
    )
    text = "LET x BE \\dfrac12 OF 1000, AND find the sum of all digits of the number!"
    from rpt_core.corpus.decontaminate import canonical

    found = Contamination.index([Item("0", "b", problem, "5")], 13)
    (hit,) = found.scan(split_words([canonical(text)]))
    assert (hit.row, hit.item) == (0, 0)


def test_short_items_need_their_answer_near_by():
    texts = [f"{SHORT}? It is Mercury.", f"{SHORT}? Nobody said.", f"Mercury. {SHORT}?"]
    assert leaks([(SHORT, "Mercury")], texts)[1] == [0]


def test_items_too_short_to_cover_are_counted():
    found, _ = leaks([("Why?", "x"), (LONG, "9")], [OTHER])
    assert found.num_uncovered == {"b": 1}


def test_a_template_of_the_benchmark_is_no_leak():
    template = "Please answer the following question step by step and put the final result into a box"
    items = [
        (f"{template} {i} plus {i} is what number exactly my dear friend {i}", str(i)) for i in range(10)
    ]
    assert leaks(items, [f"They said: {template} at once."])[1] == []


def test_a_phrase_that_many_documents_hold_is_no_leak_but_a_whole_item_is():
    words = LONG.split()
    phrase = " ".join(words[:13])
    assert leaks([(LONG, "9")], [f"{phrase} number {i}" for i in range(12)])[1] == []
    assert leaks([(LONG, "9")], [f"{LONG} number {i}" for i in range(12)])[1] == list(range(12))


def test_equal_items_in_two_packs_count_once():
    assert leaks([(LONG, "9")] * 6, [LONG])[1] == [0]


def test_a_long_document_loses_only_the_paragraphs_that_leak():
    words = LONG.split()
    runs = set(ngrams(split_words([LONG]), 13)[0].tolist())
    broken = "\n\n".join([OTHER, LONG, "Second part.", " ".join(words[:10]), " ".join(words[10:]), "Last."])
    assert cut_paragraphs(broken, runs, {13}) == f"{OTHER}\n\nSecond part.\n\nLast."


@pytest.mark.parametrize("texts", [[], [""], ["..."]])
def test_nothing_to_scan(texts):
    assert leaks([(LONG, "9")], texts)[1] == []
    assert leaks([], [OTHER])[1] == []
