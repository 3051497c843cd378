import pytest

from rpt_core.corpus.dedup.decontaminate import Contamination, HeldOutItem, Leaks
from rpt_core.corpus.documents import cut_paragraphs
from rpt_core.corpus.text.words import ngrams, split_words

LONG = (
    "A farmer has seventeen sheep and all but nine of them run away in the night so how many sheep are left"
)
SHORT = "Which planet is nearest to the sun"
OTHER = (
    "The committee met in the hall on a rainy day and talked for hours about the old bridge over the river"
)


def leaks(items, texts, n=13):
    found = Contamination.index(
        [HeldOutItem(str(i), "b", problem, answer) for i, (problem, answer) in enumerate(items)], n
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
    from rpt_core.corpus.dedup.decontaminate import canonical

    found = Contamination.index([HeldOutItem("0", "b", problem, "5")], 13)
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


def templates(num: int) -> list[tuple[str, str]]:
    """Items that share their first fourteen words and go on with words of their own."""
    ends = ("alpha beta gamma", "delta epsilon zeta", "eta theta iota", "kappa lambda mu", "nu xi omicron")
    return [(f"{TEMPLATE} {end}", "7") for end in ends[:num]]


TEMPLATE = "Please answer the following question step by step and put the result into boxes"


@pytest.mark.parametrize(("num", "leaking"), [(3, [0]), (4, [])])
def test_a_run_is_a_template_in_more_than_three_items(num: int, leaking: list[int]):
    assert leaks(templates(num), [f"They said: {TEMPLATE} at once."])[1] == leaking


@pytest.mark.parametrize(("num", "are_leaks"), [(10, True), (11, False)])
def test_a_run_is_a_common_phrase_in_more_than_ten_documents(num: int, are_leaks: bool):
    phrase = " ".join(LONG.split()[:13])
    found = leaks([(LONG, "9")], [f"{phrase} number {i}" for i in range(num)])[1]
    assert found == (list(range(num)) if are_leaks else [])


@pytest.mark.parametrize(("num_runs", "are_leaks"), [(3, False), (4, True)])
def test_half_of_an_item_leaks_however_common_it_is(num_runs: int, are_leaks: bool):
    """Twenty words are eight runs of thirteen; four of them are half."""
    item = " ".join(LONG.split()[:20])
    part = " ".join(item.split()[: 12 + num_runs])
    found = leaks([(item, "9")], [f"{part} number {i}" for i in range(12)])[1]
    assert found == (list(range(12)) if are_leaks else [])


def test_an_answer_inside_the_question_itself_shows_nothing():
    item = "Which is nearest to the sun Mercury or Venus"
    texts = [f"{item}? Nobody said.", f"{item}? It is Mercury."]
    assert leaks([(item, "Mercury")], texts)[1] == [1]


@pytest.mark.parametrize(("between", "is_near"), [(47, True), (48, False)])
def test_how_near_an_answer_must_stand(between: int, is_near: bool):
    text = f"{SHORT}? {'so ' * between}Mercury."
    assert leaks([(SHORT, "Mercury")], [text])[1] == ([0] if is_near else [])


def test_an_answer_of_several_words_must_stand_whole():
    texts = [f"{SHORT}? It is a planet, Venus.", f"{SHORT}? It is the planet Mercury."]
    assert leaks([(SHORT, "planet Mercury")], texts)[1] == [1]


def test_one_telling_run_among_common_phrases_is_a_leak():
    """Eleven documents hold the first run; one holds the second too, and so alone shows the item."""
    words = LONG.split()
    common = [f"{' '.join(words[:13])} number {i}" for i in range(11)]
    assert leaks([(LONG, "9")], [*common, " ".join(words[:14])])[1] == [11]


@pytest.mark.parametrize(
    ("item", "num_uncovered"),
    [("What is nearest to the sun", 0), ("What is nearest the sun", 1)],
    ids=["six words", "five words"],
)
def test_the_shortest_item_that_is_covered_has_six_words(item: str, num_uncovered: int):
    found, leaking = leaks([(item, "Mercury")], [f"{item}? Mercury."])
    assert found.num_uncovered.total() == num_uncovered
    assert leaking == ([] if num_uncovered else [0])


def test_items_of_twelve_words_are_matched_whole_and_of_thirteen_by_runs():
    for num in (12, 13):
        item = " ".join(LONG.split()[:num])
        found, leaking = leaks([(item, "nothing near")], [item])
        assert leaking == ([] if num == 12 else [0])  # only short items need their answer
        assert found.run_words(0) == num


def test_a_hit_says_where_and_how_much_of_the_item_it_is():
    words = LONG.split()
    found = Contamination.index([HeldOutItem("0", "b", " ".join(words[:16]), "9")], 13)
    (hit,) = found.scan(split_words([f"Oh well {' '.join(words[1:15])} then."]))
    assert (hit.starts, hit.coverage) == ([2, 3], 0.5)


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
