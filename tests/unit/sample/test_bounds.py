"""The sample world's own bounds, against the world's own documents."""

from collections import Counter

import numpy as np
import pytest

from rpt_core.sample.bounds import bound_of, walk_ends
from rpt_core.sample.world import KINDS, documents


def test_every_trace_of_the_world_has_a_bound_with_its_steps():
    for document in documents(3, 140):
        for trace in document.traces:
            bound = bound_of(document.kind, trace.thought)
            assert (bound.kind, bound.num_steps) == (document.kind, trace.num_steps)
            assert bound.thinking == 1.0
            assert bound.without == 1.0 if trace.num_steps == 1 else 0 < bound.without < 0.7


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_chances_of_ends_add_up_and_agree_with_drawn_walks(kind):
    ends = walk_ends(kind.name, kind.starts[0], 3)
    assert sum(ends.values()) == 1
    rng = np.random.default_rng(0)
    drawn: Counter[int] = Counter()
    for _ in range(4000):
        at = kind.starts[0]
        for _ in range(3):
            amount, (_, sign) = rng.choice(kind.amounts), kind.directions[rng.integers(len(kind.directions))]
            if not kind.wraps and not 0 <= at + sign * amount < len(kind.values):
                sign = -sign
            at = int((at + sign * amount) % len(kind.values))
        drawn[at] += 1
    assert max(abs(drawn[end] / 4000 - float(chance)) for end, chance in ends.items()) < 0.04


def test_no_guess_from_start_and_length_beats_the_bound():
    ends: dict[tuple[str, str, int], Counter[str]] = {}
    for document in documents(5, 3500):
        for trace in document.traces:
            first = tuple(trace.thought.split()[:2])
            ends.setdefault((document.kind, first, trace.num_steps), Counter())[trace.answer] += 1
    for (kind, first, steps), answers in ends.items():
        num = sum(answers.values())
        if steps > 1 and num > 150 and kind == "week":
            start = next(i for i, day in enumerate(KINDS[1].values) if day == first[0])
            assert max(answers.values()) / num < float(max(walk_ends(kind, start, steps).values())) + 0.12


def test_an_unknown_kind_has_no_bound():
    assert bound_of("recipe", " 1 2 3") is None
