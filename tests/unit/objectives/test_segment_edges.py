"""Segments at their edges: what a gap shows, how long a window is, what a local judge is asked."""

from collections import Counter
from types import SimpleNamespace

import pytest

from rpt_core.objectives.next_segment import judge_local
from rpt_core.objectives.next_segment.judge import Pair
from rpt_core.objectives.next_segment.judge_local import LocalJudge
from rpt_core.objectives.next_segment.question import NextSegment
from rpt_core.objectives.next_segment.targets import Target
from rpt_core.objectives.next_token.prefix import is_prefix, truth_of
from rpt_core.sample.second.wordings import WORDS


@pytest.mark.parametrize(("is_spaced", "shown"), [(True, " next."), (False, "next.")])
def test_the_other_side_of_a_gap_begins_as_the_text_does(is_spaced, shown):
    assert Target(0, 4, ("this.",), "next.", (0, 5), is_spaced).shown == shown


def test_text_is_spaced_unless_it_is_said():
    assert Target(0, 4, ("this.",), "next.", (0, 5)).shown == " next."


def _window(context: int, *, segment: int, share: float, words: int = 10) -> int:
    settings = SimpleNamespace(segment_tokens_max=segment, msr_share=share)
    asked = SimpleNamespace(settings=settings, prompt=SimpleNamespace(num_tokens=words))
    return NextSegment.window_tokens(asked, context)  # type: ignore[arg-type]


def test_a_window_leaves_room_for_the_words_and_the_segment_that_is_shown():
    assert _window(240, segment=7, share=0.5) == 240 - 10 - 7
    assert _window(240, segment=7, share=0.0) == 240 - 10  # nothing behind a gap is shown


def test_a_long_segment_takes_a_quarter_of_the_context_at_most():
    assert _window(240, segment=60, share=0.5) == _window(240, segment=999, share=0.5) == 240 - 10 - 60
    assert _window(240, segment=59, share=0.5) == 240 - 10 - 59


def test_a_window_holds_sixteen_tokens_at_least():
    assert _window(26, segment=7, share=0.0) == 16
    assert _window(25, segment=7, share=0.0) == _window(1, segment=7, share=0.0) == 16


def test_no_place_before_the_first_byte_is_a_boundary():
    truth = truth_of([b"", b"a", b"", b"bc"])
    assert truth.boundaries == {1, 3}
    assert not is_prefix(b"", truth)


def test_a_local_judge_reads_a_reference_once_and_answers_in_order(monkeypatch):
    seen = []

    def replies(trunks):
        seen.extend(trunks)
        return [
            [SimpleNamespace(text=f"{reference}>{text}", cut=text == "long") for text in predicted]
            for reference, predicted, _ in trunks
        ]

    monkeypatch.setattr(
        judge_local, "ask_about", lambda reference, texts, rule, codec: (reference, texts, rule)
    )
    judge = LocalJudge.__new__(LocalJudge)
    judge.model, judge.codec = SimpleNamespace(replies=replies), None  # type: ignore[assignment]
    pairs = [Pair("one", "a"), Pair("two", "b"), Pair("one", "long"), Pair("one", "c")]
    assert judge.replies(pairs) == ["one>a", "two>b", "", "one>c"]  # a reply cut short says nothing
    assert [(reference, texts) for reference, texts, _ in seen] == [
        ("one", ["a", "long", "c"]),
        ("two", ["b"]),
    ]


TRUTH = "It now shows 4. The hand moves 1 on."


@pytest.mark.parametrize(
    ("predicted", "said", "counted"),
    [
        ("The clock now shows 4.", "yes", {"audit/right": 1, "audit/false_rejects": 0}),
        ("The clock now shows 4.", "no", {"audit/right": 1, "audit/false_rejects": 1}),
        ("The clock now shows 5.", "yes", {"audit/wrong": 1, "audit/false_accepts": 1}),
        ("The clock now shows 5.", "no", {"audit/wrong": 1, "audit/false_accepts": 0}),
        ("The clock now shows 4.", "unparsed", {"audit/right": 1, "audit/false_rejects": 1}),
    ],
)
def test_a_judge_is_held_against_what_the_world_knows(predicted, said, counted):
    asked = SimpleNamespace(counts=Counter())
    NextSegment._audit(asked, WORDS["sample-world"].says_prefix(TRUTH, predicted), said)  # type: ignore[arg-type]
    assert asked.counts == counted


def test_a_text_that_is_not_of_the_world_audits_nobody():
    asked = SimpleNamespace(counts=Counter())
    for words in WORDS.values():
        truth = words.says_prefix("Some other text.", "It now shows 4.")
        NextSegment._audit(asked, truth, "yes")  # type: ignore[arg-type]
    assert asked.counts == {}
