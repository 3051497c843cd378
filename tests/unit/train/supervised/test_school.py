"""What a cold start finds in a corpus: which lessons, of which length, and those of a step."""

from types import SimpleNamespace

import numpy as np
import pytest

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import RecipeError, StarvedError
from rpt_core.objectives.prompts import Prompt
from rpt_core.train.supervised import cold_start as module
from rpt_core.train.supervised.cold_start import ColdStartData
from rpt_core.train.supervised.lessons import Answer, SupervisedExample
from rpt_core.train.supervised.windows import shuffled

TRACES, WINDOWS = RowCounts(rows_in=9, kept=7, dropped={"x": 2}), RowCounts(rows_in=5, kept=5)
PROBLEMS = RowCounts(rows_in=4, kept=3, dropped={"y": 1})


class Stock:
    """Lessons that say which they are, and the next number drawn for them."""

    def __init__(self, name: str, size: int, balance: RowCounts, *, is_traced: bool = False) -> None:
        self.name, self.size, self.balance, self.is_traced = name, size, balance, is_traced

    def __len__(self) -> int:
        return self.size

    def lesson(self, index, rng):
        return self.name, index, float(rng.random())


def recipe(**changes):
    given = {
        "form": "next-token", "prompt": "compact", "thought_tokens_max": 30, "context_tokens": 200, "seed": 6,
        "trace_kinds": ("a-*",), "budget_words": None, "long_share": 0.0, "long_passes": (2, 6),
        "documents_per_step": 3, "problems_per_step": 2, "plain_per_step": 0,
        "direct_answers": True, "whole_answers": True,
    }  # fmt: skip
    return SimpleNamespace(**(given | changes))


@pytest.fixture
def corpus(monkeypatch, tmp_path):
    """What is found in it, and what was asked for."""
    found = SimpleNamespace(traced=7, plain=5, solved=3, asked={}, is_traced=True)

    def opened(name, stock):
        def open_(*given, **more):
            found.asked[name] = (given, more)
            return stock()

        return open_

    def patch(where, name, stock):
        monkeypatch.setattr(where, name, opened(name, stock))

    segments = SimpleNamespace(
        open=opened("segments", lambda: Stock("segment", 8, TRACES, is_traced=found.is_traced))
    )
    traced = SimpleNamespace(open=opened("traced", lambda: Stock("traced", found.traced, TRACES)))
    windows = SimpleNamespace(build=opened("windows", lambda: range(found.plain)))
    solved = SimpleNamespace(of=opened("solved", lambda: Stock("solved", found.solved, PROBLEMS)))
    for name, value in (("SegmentLessons", segments), ("TracedDocuments", traced), ("Windows", windows),
                        ("SolvedProblems", solved)):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    patch(module, "PlainDocuments", lambda: Stock("plain", found.plain, WINDOWS))
    patch(module, "read_problems", lambda: ["a problem"])
    patch(module, "problem_prompt", lambda: "its prompt")
    patch(module, "next_token_prompt", lambda: Prompt((1, 2), (3, 4, 5)))
    found.policy = SimpleNamespace(codec="codec", config=SimpleNamespace(max_position_embeddings=150))
    found.build = SimpleNamespace(inputs={"corpus": tmp_path}, scratch=tmp_path / "scratch")
    found.folder = tmp_path
    return found


def test_thoughts_of_the_corpus_come_first(corpus):
    school = ColdStartData.open(recipe(), corpus.build, corpus.policy)
    assert (school.documents.name, school.problems.name, school.traced) == ("traced", "solved", True)
    assert school.balance.by_source == {"traces": TRACES, "problems": PROBLEMS}
    assert (school.balance.rows_in, school.balance.kept) == (13, 10)
    given, more = corpus.asked["traced"]
    assert given == (corpus.folder, "train", "codec", Prompt((1, 2), (3, 4, 5)))
    assert more.pop("style").share == 0.0
    room = 150 - 30  # what a thought leaves of the model's longest row
    assert more == {
        "window_tokens": room - given[3].num_tokens, "thought_tokens_max": 30, "kinds": ("a-*",),
        "whole_answers": True,
    }  # fmt: skip
    assert corpus.asked["solved"] == (
        (["a problem"], "codec", "its prompt"), {"context_tokens": room, "thought_tokens_max": 30},
    )  # fmt: skip
    assert corpus.asked["read_problems"] == ((corpus.folder, "train"), {})
    assert corpus.asked["problem_prompt"] == (("compact", "codec"), {})


def test_the_recipe_may_ask_for_less_room_than_the_model_has(corpus):
    ColdStartData.open(
        recipe(context_tokens=40, prompt="plain", problems_per_step=0), corpus.build, corpus.policy
    )
    assert corpus.asked["solved"][1]["context_tokens"] == 40
    assert corpus.asked["solved"][0][0] == []
    assert corpus.asked["problem_prompt"][0][0] == "auto"
    corpus.policy.config.max_position_embeddings = 33
    ColdStartData.open(recipe(), corpus.build, corpus.policy)
    assert corpus.asked["traced"][1]["window_tokens"] == 2


def test_without_thoughts_the_form_alone_is_taught(corpus):
    corpus.traced = 0
    school = ColdStartData.open(recipe(trace_kinds=()), corpus.build, corpus.policy)
    assert (school.documents.name, school.traced) == ("plain", False)
    assert school.balance.by_source == {"traces": TRACES, "windows": WINDOWS, "problems": PROBLEMS}
    window = 120 - Prompt((1, 2), (3, 4, 5)).num_tokens
    given = (corpus.folder, "train", "codec", window, corpus.folder / "scratch" / "train.tokens")
    assert corpus.asked["windows"] == (given, {})
    assert corpus.asked["PlainDocuments"][0] == (range(5), Prompt((1, 2), (3, 4, 5)), "codec")


@pytest.mark.parametrize(("is_traced", "source"), [(True, "traces"), (False, "windows")])
def test_segments_are_asked_for_by_their_form(corpus, is_traced, source):
    corpus.is_traced = is_traced
    school = ColdStartData.open(recipe(form="segments"), corpus.build, corpus.policy)
    assert (school.documents.name, school.traced) == ("segment", is_traced)
    assert school.balance.by_source == {source: TRACES, "problems": PROBLEMS}
    assert corpus.asked["segments"] == ((corpus.folder, "train", "codec", recipe(form="segments"), 120), {})


@pytest.mark.parametrize(
    ("traced", "plain", "solved", "starves"), [(0, 0, 0, True), (0, 0, 1, False), (0, 2, 0, False)]
)
def test_either_of_documents_and_problems_is_enough(corpus, traced, plain, solved, starves):
    corpus.traced, corpus.plain, corpus.solved = traced, plain, solved
    if starves:
        with pytest.raises(StarvedError, match="there is nothing to learn from"):
            ColdStartData.open(recipe(trace_kinds=()), corpus.build, corpus.policy)
    else:
        found = ColdStartData.open(recipe(trace_kinds=()), corpus.build, corpus.policy)
        assert found.traced is False


def test_kinds_asked_for_are_never_replaced_by_the_form_alone(corpus):
    corpus.traced = 0
    with pytest.raises(
        RecipeError, match=r"trace_kinds a-\* match traces .* none can be shown \(\{'x': 2\}\)"
    ):
        ColdStartData.open(recipe(), corpus.build, corpus.policy)


def test_without_direct_answers_nothing_but_thoughts_is_shown():
    thinking, direct = Answer((1, 2), thinks=True), Answer((2,), thinks=False)
    given = SupervisedExample(SimpleNamespace(), ((thinking,), (thinking, direct), (direct,)))
    stock = type("One", (), {"__len__": lambda self: 1, "lesson": lambda self, index, rng: given})()
    school = ColdStartData(stock, Stock("problem", 0, PROBLEMS), True, TRACES)
    ((kept,),) = school.lessons(recipe(documents_per_step=1, direct_answers=False), 1)
    assert kept.answers == ((thinking,), (thinking,), (direct,))
    ((kept,),) = school.lessons(recipe(documents_per_step=1), 1)
    assert kept is given


def test_a_step_takes_documents_and_problems_from_one_stream():
    school = ColdStartData(Stock("document", 7, TRACES), Stock("problem", 3, PROBLEMS), True, TRACES)
    rng = np.random.default_rng([6, 4, 7])
    documents, problems = shuffled(7, 3, 4, 6), shuffled(3, 2, 4, 6)
    expected = [
        [("document", int(i), float(rng.random())) for i in documents],
        [("problem", int(i), float(rng.random())) for i in problems],
    ]
    assert school.lessons(recipe(), 4) == expected
    (alone,) = school.lessons(recipe(problems_per_step=0), 4)
    assert [name for name, *_ in alone] == ["document"] * 3
    nothing = ColdStartData(Stock("document", 0, TRACES), school.problems, True, TRACES)
    (alone,) = nothing.lessons(recipe(), 4)
    assert [name for name, *_ in alone] == ["problem"] * 2


def test_plain_text_is_mixed_in_where_the_recipe_says_so():
    plain = Stock("plain", 9, WINDOWS)
    school = ColdStartData(Stock("document", 7, TRACES), Stock("problem", 3, PROBLEMS), True, TRACES, plain)
    pools = school.lessons(recipe(plain_per_step=6), 4)
    assert [pool[0][0] for pool in pools] == ["document", "problem", "plain"]
    assert len(pools[2]) == 6
    assert pools[:2] == school.lessons(recipe(), 4)
