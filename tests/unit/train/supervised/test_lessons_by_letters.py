"""Lessons of documents and problems under a tokenizer of one token a letter, written out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from rpt_core.objectives.next_segment.targets import Target, TargetWindow
from rpt_core.objectives.problems.question import Problem
from rpt_core.objectives.prompts import Prompt
from rpt_core.policy.trunk import Cut
from rpt_core.train.supervised import segment_lessons as segments
from rpt_core.train.supervised.lessons import (
    Answer,
    PlainDocuments,
    SolvedProblems,
    ThoughtStyle,
    TracedDocuments,
    _answers,
    _placed,
    _Traced,
)
from rpt_core.train.supervised.segment_lessons import SegmentLessons, _led_to, _Place, _restated, _Window

END, THINK, BOX, CLOSE = 1, 2, 3, ord("}")
PROMPT = Prompt((6, 7), (8,))


class Letters:
    """One token a letter; controls of one token."""

    end_id, is_compact = END, False

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    def control(self, name: str) -> tuple[int, ...]:
        return ({"end_think": THINK, "box_open": BOX}[name],)

    def char_offsets(self, ids) -> np.ndarray:
        """Every third token does not begin a character."""
        return np.array([-1 if place % 3 == 2 else place for place in range(len(ids))])


def ids(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def ended(text: str) -> tuple[int, ...]:
    return (THINK, BOX, *ids(text), CLOSE, END)


def test_a_thought_comes_before_the_box_and_a_direct_answer_has_none():
    thinking = Answer((*ids("why"), *ended("so")), thinks=True)
    assert _answers(ids("why"), ids("so"), Letters(), direct=False) == (thinking,)
    assert _answers(ids("why"), ids("so"), Letters(), direct=True) == (
        thinking,
        Answer(ended("so"), thinks=False),
    )


USUAL = ThoughtStyle()


def traced(style=USUAL) -> TracedDocuments:
    document = np.array(ids("abcdefghijklmnop"), np.int32)
    window = _Traced("doc@0", document, (3, 6, 9), (ids("X"), ids("YY"), ids("ZZZ")))
    return TracedDocuments((window,), PROMPT, Letters(), None, style)


def test_every_thought_of_a_window_is_shown_and_one_place_is_answered_directly():
    directs, lengths = set(), set()
    for seed in range(40):
        lesson = traced().lesson(0, np.random.default_rng(seed))
        assert lesson.trunk.key == "doc@0"
        assert lesson.trunk.instruction_ids == (6, 7)
        assert lesson.trunk.document_ids == ids("abcdefghijklmnop")
        assert lesson.trunk.cuts == (Cut(3, (8,)), Cut(6, (8,)), Cut(9, (8,)))
        for cut, thought, at in zip((3, 6, 9), ("X", "YY", "ZZZ"), lesson.answers, strict=True):
            truths = [ended("abcdefghijklmnop"[cut : cut + n]) for n in (1, 2)]
            (number,) = [n for n, end in enumerate(truths, 1) if at[0].ids == (*ids(thought), *end)]
            lengths.add(number)
            assert at[0].thinks is True
            assert at[1:] in ((), (Answer(truths[number - 1], thinks=False),))
        (direct,) = [place for place, at in enumerate(lesson.answers) if len(at) == 2]
        directs.add(direct)
    assert (directs, lengths) == ({0, 1, 2}, {1, 2})


def test_traced_thoughts_take_the_manner_of_their_documents():
    other = Prompt((6,), (5, 5))
    style = ThoughtStyle(share=1.0, passes=(3, 3), budgeted=(other,))
    suffixes = set()
    for seed in range(20):
        lesson = traced(style).lesson(0, np.random.default_rng(seed))
        assert lesson.answers[1][0].ids[:7] == (*ids("YYYYYY"), THINK)
        suffixes.add((lesson.trunk.instruction_ids, lesson.trunk.cuts[0].suffix_ids))
    assert suffixes == {((6, 7), (8,)), ((6,), (5, 5))}


def test_forms_alone_repeat_the_six_words_before_the_cut():
    plain = PlainDocuments([ids("abcdefghijklmnopqrst")], PROMPT, Letters())
    assert len(plain) == 1
    for seed in range(10):
        lesson = plain.lesson(0, np.random.default_rng(seed))
        places = [cut.position for cut in lesson.trunk.cuts]
        assert lesson.trunk.key == "0"
        assert len(places) == 5
        assert places == sorted(set(places))
        assert all(place > 0 and place % 3 != 2 for place in places)
        for place, at in zip(places, lesson.answers, strict=True):
            letters = "abcdefghijklmnopqrst"
            end = ended(letters[place])
            assert at[0].ids == (*ids(letters[max(0, place - 6) : place]), *end)
            assert at[1:] in ((), (Answer(end, thinks=False),))
        assert sum(len(at) for at in lesson.answers) == 6


def test_a_short_document_is_cut_where_it_can_be():
    lesson = PlainDocuments([ids("abc")], PROMPT, Letters()).lesson(0, np.random.default_rng(0))
    assert [cut.position for cut in lesson.trunk.cuts] == [1]
    assert len(lesson.answers[0]) == 2
    unbroken = SimpleNamespace(**{name: getattr(Letters(), name) for name in ("encode", "control", "end_id")})
    unbroken.char_offsets = lambda ids: np.array([0, -1, -1])
    lesson = PlainDocuments([ids("abc")], PROMPT, unbroken).lesson(0, np.random.default_rng(0))
    assert [cut.position for cut in lesson.trunk.cuts] == [1]


PROBLEMS = [
    Problem("fits", "ab", "cdefg", "9"),
    Problem("long thought", "ab", "cdefgh", "9"),
    Problem("bare", "ab", "", "9"),
    Problem("fits too", "abcde", "c", "9"),
    Problem("long", "abcdef", "c", "9"),
]


def test_problems_are_kept_up_to_both_limits():
    found = SolvedProblems.of(PROBLEMS, Letters(), PROMPT, context_tokens=8, thought_tokens_max=5)
    assert found.items == (
        ("fits", ids("ab"), ids("cdefg"), ids("9")), ("fits too", ids("abcde"), ids("c"), ids("9")),
    )  # fmt: skip
    assert found.balance.dropped == {"no-solution": 1, "thought-too-long": 1, "too-long": 1}
    assert (found.balance.rows_in, found.balance.kept, len(found)) == (5, 2, 2)
    lesson = found.lesson(1, np.random.default_rng(0))
    assert lesson.trunk.key == "fits too"
    assert lesson.trunk.token_ids == (6, 7, *ids("abcde"))
    assert lesson.trunk.cuts == (Cut(5, (8,)),)
    assert lesson.answers == (_answers(ids("c"), ids("9"), Letters(), direct=True),)


def test_a_compact_model_thinks_and_answers_with_a_space_before():
    codec = Letters()
    codec.is_compact = True
    found = SolvedProblems.of(PROBLEMS[:1], codec, PROMPT, context_tokens=8, thought_tokens_max=6)
    assert found.items == (("fits", ids("ab"), ids(" cdefg"), ids(" 9")),)


def test_traces_are_placed_where_a_token_begins():
    dropped = {"same-place": 0, "thought-too-long": 0, "no-token-starts-there": 0}
    traces = [(4, "b"), (1, "aaa"), (4, "c"), (3, "aaaa"), (2, "d"), (0, "e"), (99, "f")]
    assert _placed(traces, list(range(6)), Letters(), 3, dropped) == [(1, ids("aaa")), (4, ids("b"))]
    assert dropped == {"same-place": 1, "thought-too-long": 1, "no-token-starts-there": 3}
    assert _placed((), [1, 2], Letters(), 3, dropped) == []


def target(position: int, *, start: int = 0, end: int = 1, prefixes=("one", "one two")) -> Target:
    return Target(position, position, prefixes, "next", (start, end))


def test_a_segment_is_led_to_by_the_first_thought_that_fits():
    page = TargetWindow("doc", 5, ids("abcdefgh"), (target(6, start=10, end=20), target(9, start=20, end=30)))
    traces = [(9, "v"), (10, "aaaaa"), (12, "bb"), (19, "cc"), (15, "dd"), (30, "w")]
    dropped = {"thought-too-long": 0, "same-place": 0}
    assert _led_to(page, traces, Letters(), 4, dropped) == [_Place(page.targets[0], ids("bb"))]
    assert dropped == {"thought-too-long": 1, "same-place": 2}
    places = _led_to(page, [(20, "a"), (10, "bbbb")], Letters(), 4, dropped)
    assert [place.thought for place in places] == [ids("bbbb"), ids("a")]
    assert dropped == {"thought-too-long": 1, "same-place": 2}


@pytest.mark.parametrize(("num", "chosen"), [(3, [0, 1, 2]), (5, [0, 1, 2, 3, 4]), (11, [0, 2, 4, 6, 8]),
                                             (16, [0, 3, 6, 9, 12])])  # fmt: skip
def test_a_page_without_thoughts_shows_five_places_spread_over_it(num, chosen):
    page = TargetWindow("doc", 100, tuple(range(50, 90)), tuple(target(102 + n) for n in range(num)))
    places = _restated(page)
    assert [place.target for place in places] == [page.targets[n] for n in chosen]
    for n, place in zip(chosen, places, strict=True):
        cut = 2 + n
        assert place.thought == tuple(range(50 + max(0, cut - 6), 50 + cut))


class Segments:
    """A prompt that says what it was asked for."""

    instruction_ids = (6, 7)

    def suffix(self, task, following):
        return (len(task), {"asr": 1, "msr": 2}[task], *following)


def test_segments_are_told_below_their_places(monkeypatch):
    monkeypatch.setattr(segments, "wrapped", lambda codec, prediction: (THINK, *prediction, END))
    page = TargetWindow(
        "doc", 100, tuple(range(50, 90)), (target(104), target(109, prefixes=("three  four",)))
    )
    places = (_Place(page.targets[0], ids("X")), _Place(page.targets[1], ()))
    lessons = SegmentLessons((_Window(page, places),), Segments(), Letters(), None, True, None)
    assert len(lessons) == 1
    tasks, told, directs = [], [], set()
    for seed in range(300):
        lesson = lessons.lesson(0, np.random.default_rng(seed))
        assert lesson.trunk.key == "doc@100"
        assert lesson.trunk.instruction_ids == (6, 7)
        assert lesson.trunk.document_ids == page.document_ids
        assert [cut.position for cut in lesson.trunk.cuts] == [4, 9]
        tasks += [cut.suffix_ids[1] for cut in lesson.trunk.cuts]
        assert {cut.suffix_ids[2:] for cut in lesson.trunk.cuts} == {ids(" next")}
        first, second = lesson.answers
        assert first[0].thinks is True
        assert first[0].ids[0] == ord("X")
        told.append((tasks[-2], "".join(map(chr, first[0].ids[2:-1]))))
        assert second[0] == Answer((THINK, *ids(" three four"), END), thinks=False)
        (direct,) = [number for number, at in enumerate(lesson.answers) if len(at) == 2]
        directs.add(direct)
        assert lesson.answers[direct][1].ids == lesson.answers[direct][0].ids[1 if direct == 0 else 0 :]
        assert lesson.answers[direct][1].thinks is False
    assert directs == {0, 1}
    assert tasks.count(2) / len(tasks) == pytest.approx(0.5, abs=0.08)
    assert {said for task, said in told if task == 2} == {" one"}
    of_one = [said for task, said in told if task == 1]
    assert of_one.count(" one two") / len(of_one) == pytest.approx(0.2, abs=0.1)
    assert set(of_one) == {" one", " one two"}


def test_what_follows_a_segment_is_shown_up_to_its_limit(monkeypatch):
    monkeypatch.setattr(segments, "wrapped", lambda codec, prediction: (END,))
    long = Target(104, 104, ("one",), "x" * 200, (0, 1))
    page = TargetWindow("doc", 100, tuple(range(50, 90)), (long,))
    lessons = SegmentLessons((_Window(page, (_Place(long, ()),)),), Segments(), Letters(), None, True, None)
    (cut,) = lessons.lesson(0, np.random.default_rng(0)).trunk.cuts
    assert cut.suffix_ids[2:] == ids(" " + "x" * 127)


@pytest.mark.parametrize("told", ["other words", None])
def test_segments_may_be_told_in_other_words(monkeypatch, told):
    monkeypatch.setattr(segments, "wrapped", lambda codec, prediction: prediction)
    words = SimpleNamespace(reworded=lambda text, rng: told)
    page = TargetWindow("doc", 100, tuple(range(50, 90)), (target(104, prefixes=("one",)),))
    places = (_Place(page.targets[0], ()),)
    for some in (words, None):
        lessons = SegmentLessons((_Window(page, places),), Segments(), Letters(), some, True, None)
        ((answer, _),) = lessons.lesson(0, np.random.default_rng(0)).answers
        assert answer.ids == ids(f" {told}" if some and told else " one")
