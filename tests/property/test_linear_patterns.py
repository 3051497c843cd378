"""No compiled pattern and no rule of the package takes more than linear time in its input.

Patterns are found by walking the modules, so a new one is covered when it is written. Each is applied as the
code applies it to repeated units, its own literal pieces among them; one that takes long for a few thousand
characters is looked at with texts of doubling length, in CPU time.
"""

import time

import pytest

from tests.compiled_patterns import (
    BLANKS,
    LETTERS,
    MIXED,
    Found,
    calls,
    growth,
    is_super_linear,
    literals,
    patterns,
    texts,
)

PATTERNS = patterns()
SIZE = 4096
"""Characters of the first look; a quadratic pattern takes some ten milliseconds for them."""
SUSPICIOUS_SECONDS = 0.002
BUDGET_SECONDS = 0.2
GIVEN_LITTLE = {
    "corpus.clean.pii._VERSION_WORDS": "looks at the 16 characters before an address",
    "sample.wordings._SENTENCE": "looks at texts that end in the point it looks for",
    "policy.loading.miniature.PATTERNS": "matched whole against the names of a model's settings",
}
"""What is only ever applied to few characters, by the beginning of its name, and why that is so."""


def worst(found: Found) -> list[str]:
    """The units on which a pattern is super-linear."""
    slow, heads = [], tuple(literals(found.pattern)[:6])
    for unit in dict.fromkeys(LETTERS + BLANKS + MIXED + literals(found.pattern)):
        for place, text in enumerate(texts(unit, SIZE, heads)):
            for number, call in enumerate(calls(found, text)):
                began = time.process_time()
                call()
                if time.process_time() - began < SUSPICIOUS_SECONDS:
                    continue

                def at(size: int, place: int = place, number: int = number, unit: str = unit):
                    return list(calls(found, texts(unit, size, heads)[place]))[number]

                if is_super_linear(growth(at, SIZE // 8, BUDGET_SECONDS)):
                    slow.append(f"{unit!r} ({place}, {found.methods[number]})")
        if slow:
            break
    return slow


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_is_linear(name):
    if any(name.startswith(known) for known in GIVEN_LITTLE):
        pytest.skip(next(why for known, why in GIVEN_LITTLE.items() if name.startswith(known)))
    assert worst(PATTERNS[name]) == []


def test_a_quadratic_pattern_is_found():
    import re

    assert worst(Found("a", re.compile(r"[ \t]+(?=\n|\Z)"), ("sub",)))
    assert worst(Found("b", re.compile(r"\s*####\s*(.+?)\s*$", re.DOTALL), ("search",)))
    assert not worst(Found("c", re.compile(r"(?<![ \t])[ \t]++(?=\n|\Z)"), ("sub",)))


def test_patterns_of_all_parts_are_found():
    assert {name.split(".")[0] for name in PATTERNS} >= {"corpus", "objectives", "policy", "artifacts"}
    assert len(PATTERNS) > 150
