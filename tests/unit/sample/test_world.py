"""The sample world: deterministic, countable, and its targets no stub can hit."""

import re
from collections import Counter
from pathlib import Path

import pytest

from rpt_core.policy.codec import Codec
from rpt_core.sample.world import KINDS, documents, problems


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def ngrams(text: str, n: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[i : i + n]) for i in range(len(found) - n + 1)}


def test_the_same_seed_gives_the_same_world_and_a_longer_one_begins_alike():
    assert list(documents(3, 20)) == list(documents(3, 40))[:20]
    assert list(problems(3, 20)) == list(problems(3, 40))[:20]
    assert [d.text for d in documents(3, 20)] != [d.text for d in documents(4, 20)]


def test_titles_and_problems_are_unique():
    assert len({d.title for d in documents(0, 3000)}) == 3000
    assert len({p.problem for p in problems(0, 3000)}) == 3000


def test_every_kind_comes_up_and_every_trace_is_found_once_in_its_document():
    seen = set()
    for document in documents(1, 200):
        seen.add(document.kind)
        for trace in document.traces:
            assert document.text.count(trace.before) == 1
            assert any(p.startswith(trace.before + trace.answer) for p in document.paragraphs)
            assert trace.thought.endswith(trace.answer)
    assert seen == {kind.name for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_chance_is_small_and_what_follows_is_not(kind):
    assert 1 < len(kind.starts) <= 4
    assert len(kind.amounts) <= 4
    assert len(kind.adjectives) <= 2
    assert len(kind.directions) <= 2
    assert len(set(kind.values)) >= 7
    assert not kind.shown or len(set(kind.shown)) == len(kind.values)


def test_the_kind_is_not_told_by_one_word():
    by_adjectives = Counter(kind.adjectives for kind in KINDS)
    assert len(by_adjectives) * 2 <= 4
    assert max(by_adjectives.values()) <= 4


def test_a_thought_follows_the_steps_of_the_text():
    clock = next(d for d in documents(0, 1) if d.kind == "clock")
    hour = int(re.search(r"shows (\d+)", clock.text)[1])
    for trace in clock.traces:
        steps = re.findall(r"(\d+) (on|back)", trace.before[trace.before.rindex("The hand") :])
        assert len(steps) == trace.num_steps
        for amount, way in steps:
            hour = (hour + (int(amount) if way == "on" else -int(amount)) - 1) % 12 + 1
        assert trace.answer == f" {hour}"


def test_problems_never_share_thirteen_words_with_documents():
    told = set().union(*(ngrams(document.text, 9) for document in documents(0, 1500)))
    for problem in problems(0, 1500):
        assert not told & ngrams(problem.problem, 9)  # nine leave a margin for titles and cleaning


def test_problems_are_harder_the_more_steps_they_have():
    for problem in problems(0, 100):
        assert 1 <= problem.difficulty <= 10
        assert problem.solution.endswith(problem.answer)


def test_it_is_plain_prose():
    for document in documents(2, 50):
        assert re.fullmatch(r"[\w ,.\n]+", document.text)
        assert len(words(document.text)) >= 20


def test_every_value_is_one_token_with_its_space(tmp_path: Path):
    """So the first digit of 10 is no answer: a stub ends inside a token and earns nothing."""
    codec = Codec.train((d.text for d in documents(0, 3000)), 768, tmp_path)
    for kind in KINDS:
        for value in (*kind.values, *kind.shown):
            assert len(codec.encode(f" {value}")) == 1, value
