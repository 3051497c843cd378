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
SIZE = 1024
"""Characters of the first look; a quadratic pattern takes a millisecond for them."""
SUSPICIOUS_SECONDS = 0.0005
BUDGET_SECONDS = 0.2
LOOKED_AT_CLOSELY = 12
"""Of a pattern's texts, the slowest."""
MATCHED = "out of a table of tests, matched at the place where a test stands"
GIVEN_LITTLE = {
    "corpus.clean.pii._VERSION_WORDS": "looks at the 16 characters before an address",
    "sample.wordings._SENTENCE": "looks at texts that end in the point it looks for",
    "corpus.latex.conditions._NUMBER_TEST": MATCHED,
    "corpus.latex.conditions._ODD_TEST": MATCHED,
    "corpus.latex.conditions._TWO_": MATCHED,
    "corpus.latex.conditions._ONE_WORD": MATCHED,
    "policy.loading.miniature.PATTERNS": "matched whole against the names of a model's settings",
}
"""What is only ever applied to few characters, by the beginning of its name, and why that is so."""


def worst(found: Found) -> str:
    """A unit on which a pattern is super-linear, among those that it takes longest for; or nothing."""
    heads = tuple(literals(found.pattern)[:6])
    looks: list[tuple[float, str, int, int]] = []
    for unit in dict.fromkeys(LETTERS + BLANKS + MIXED + literals(found.pattern)):
        for place, text in enumerate(texts(unit, SIZE, heads)):
            for number, call in enumerate(calls(found, text)):
                began = time.process_time()
                call()
                looks.append((time.process_time() - began, unit, place, number))
    for taken, unit, place, number in sorted(looks, reverse=True)[:LOOKED_AT_CLOSELY]:

        def at(size: int, place: int = place, number: int = number, unit: str = unit):
            return list(calls(found, texts(unit, size, heads)[place]))[number]

        if taken > SUSPICIOUS_SECONDS and is_super_linear(growth(at, SIZE // 2, BUDGET_SECONDS)):
            return f"{unit!r} ({place}, {found.methods[number]})"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_is_linear(name):
    if any(name.startswith(known) for known in GIVEN_LITTLE):
        pytest.skip(next(why for known, why in GIVEN_LITTLE.items() if name.startswith(known)))
    assert worst(PATTERNS[name]) == ""


def test_a_quadratic_pattern_is_found():
    import re

    assert worst(Found("a", re.compile(r"[ \t]+(?=\n|\Z)"), ("sub",)))
    assert worst(Found("b", re.compile(r"\s*####\s*(.+?)\s*$", re.DOTALL), ("search",)))
    assert not worst(Found("c", re.compile(r"(?<![ \t])[ \t]++(?=\n|\Z)"), ("sub",)))


def test_patterns_of_all_parts_are_found():
    assert {name.split(".")[0] for name in PATTERNS} >= {"corpus", "objectives", "policy", "artifacts"}
    assert len(PATTERNS) > 150
