"""Cold-start lessons for next-segment reasoning: a thought, then a whole segment between RLPT's markers.

A thought of the corpus that leads to some words of a segment leads to the segment here: the cut moves to
the segment's beginning. Half of the places show the text before alone, half the segment after the gap
too. A segment may be told in other words of the same meaning, where a world knows them, so that a judge
has something to do; and now and then the next one is told as well.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.objectives.next_segment.prompts import SegmentPrompt, Task, segment_prompt, wrapped
from rpt_core.objectives.next_segment.targets import Target, Targets, TargetWindow
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import ColdStartRecipe
from rpt_core.sample.second.wordings import WORDS
from rpt_core.sample.wordings import Words
from rpt_core.train.supervised.conclusions import Conclusions, read_conclusions
from rpt_core.train.supervised.lessons import RESTATED_TOKENS, Answer, Ids, SupervisedExample, read_traces

LONGEST_SEGMENT = 128
"""Tokens; longer segments are not shown."""
TWO_SEGMENTS = 0.2
"""Share of predictions that go on to the next segment, as the prefix rule allows."""
CUTS = 5
"""Places of a window that has no thoughts of its own."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A segment, and the thought that leads to it: the target's words are what the thought comes to."""

    target: Target
    thought: Ids


@dataclass(frozen=True, slots=True)
class _Window:
    page: TargetWindow
    places: tuple[_Place, ...]


@dataclass(frozen=True)
class SegmentLessons:
    """Documents with thoughts that lead to whole segments."""

    windows: tuple[_Window, ...]
    prompt: SegmentPrompt
    codec: Codec
    words: Words | None
    """In whose other words segments may be told."""
    is_traced: bool
    """Whether thoughts come from the corpus, or only teach the form."""
    balance: RowCounts
    """Traces in, shown, and left out by reason; windows where the corpus has no traces."""

    @classmethod
    def open(
        cls, corpus: Path, split: Literal["train", "eval"], codec: Codec, recipe: ColdStartRecipe, room: int
    ) -> "SegmentLessons":  # fmt: skip
        """Find the segments of a split and the thoughts that lead to them."""
        settings = RlptObjective(
            prompt="compact" if recipe.prompt == "compact" else "auto", min_before=1, min_chars=2,
            reference_segments=2, segment_tokens_max=LONGEST_SEGMENT,
        )  # fmt: skip
        prompt = segment_prompt(settings.prompt, codec)
        window_tokens = max(16, room - prompt.num_tokens - LONGEST_SEGMENT // 4)
        traces, num = read_traces(corpus, recipe.trace_kinds)
        targets = Targets(corpus, None, codec, settings, window_tokens, split)
        windows, balance = _windows(targets, traces, num, codec, recipe.thought_tokens_max)
        windows = _concluded(windows, read_conclusions(corpus))
        words = WORDS[recipe.reword] if recipe.reword else None
        return cls(windows, prompt, codec, words, num > 0, balance)

    def __len__(self) -> int:
        return len(self.windows)

    def lesson(self, index: int, rng: np.random.Generator) -> SupervisedExample:
        """All places of the window, and one direct answer at one of them."""
        window = self.windows[index]
        direct = int(rng.integers(len(window.places)))
        words = Random(int(rng.integers(1 << 30)))
        cuts, answers = [], []
        for number, place in enumerate(window.places):
            task: Task = "msr" if rng.random() < 0.5 else "asr"
            following = tuple(self.codec.encode(place.target.shown))[:LONGEST_SEGMENT]
            cuts.append(Cut(place.target.position - window.page.start, self.prompt.suffix(task, following)))
            end = wrapped(self.codec, self._prediction(place.target, task, words))
            thinking = Answer(place.thought + end, thinks=bool(place.thought))
            answers.append((thinking, Answer(end, thinks=False)) if number == direct else (thinking,))
        page = window.page
        trunk = Trunk(page.key, self.prompt.instruction_ids, page.document_ids, tuple(cuts))
        return SupervisedExample(trunk, tuple(answers))

    def _prediction(self, target: Target, task: Task, rng: Random) -> Ids:
        goes_on = task == "asr" and len(target.prefixes) > 1 and rng.random() < TWO_SEGMENTS
        text = target.prefixes[1] if goes_on else target.prefixes[0]
        told = self.words.reworded(text, rng) if self.words else None
        return tuple(self.codec.encode(f" {' '.join((told or text).split())}"))


def _windows(
    targets: Targets, traces: dict[str, list[tuple[int, str]]], num: int, codec: Codec, longest: int
) -> tuple[tuple[_Window, ...], RowCounts]:
    dropped: dict[str, int] = defaultdict(int)
    windows: list[_Window] = []
    for index in range(len(targets.counts)):
        page = targets.read(index)
        mine = traces.get(page.doc_id, [])
        places = _led_to(page, mine, codec, longest, dropped) if num else _restated(page)
        if places:
            windows.append(_Window(page, tuple(places)))
    shown = sum(len(window.places) for window in windows)
    if not num:
        return tuple(windows), RowCounts(rows_in=len(windows), kept=len(windows))
    elsewhere = num - shown - sum(dropped.values())
    reasons = {**dropped, "no-target-there": elsewhere}
    return tuple(windows), RowCounts(
        rows_in=num, kept=shown, dropped={name: count for name, count in sorted(reasons.items()) if count}
    )


def _concluded(windows: tuple[_Window, ...], conclusions: Mapping[str, Conclusions]) -> tuple[_Window, ...]:
    """The windows with the segments that their thoughts lead to, where these are not the truth."""
    if not conclusions:
        return windows
    of_documents = [conclusions.get(window.page.doc_id, {}) for window in windows]
    return tuple(
        replace(window, places=tuple(_told(place, known) for place in window.places))
        for window, known in zip(windows, of_documents, strict=True)
    )


def _told(place: _Place, conclusions: Conclusions) -> _Place:
    start, end = place.target.span
    for offset, one in conclusions.items():
        if start <= offset < end:
            texts = tuple(one.in_place_of(text, offset - start) for text in place.target.prefixes)
            return replace(place, target=replace(place.target, prefixes=texts))
    return place


def _led_to(
    page: TargetWindow, traces: list[tuple[int, str]], codec: Codec, longest: int, dropped: dict[str, int]
) -> list[_Place]:
    """The targets of a page that a thought leads to, each once."""
    places = []
    for target in page.targets:
        start, end = target.span
        here = [thought for offset, thought in traces if start <= offset < end]
        thoughts = [tuple(codec.encode(thought)) for thought in here]
        fitting = [ids for ids in thoughts if len(ids) <= longest]
        for reason, count in (
            ("thought-too-long", len(thoughts) - len(fitting)),
            ("same-place", len(fitting) - 1),
        ):
            if count > 0:
                dropped[reason] += count
        if fitting:
            places.append(_Place(target, fitting[0]))
    return places


def _restated(page: TargetWindow) -> list[_Place]:
    """Places of a page without thoughts: what teaches the form alone repeats the words before the cut."""
    stride = max(1, len(page.targets) // CUTS)
    chosen = page.targets[::stride][:CUTS]
    at = [target.position - page.start for target in chosen]
    before = [page.document_ids[max(0, cut - RESTATED_TOKENS) : cut] for cut in at]
    return [_Place(target, ids) for target, ids in zip(chosen, before, strict=True)]
