"""Which sentences no training may show: decided by a hash of their words, so the split is the sentence's own.

A sentence of two steps and more is *held* for the test by the first byte of its SHA-256, one in eight, or
because two of its neighbouring phrases are a *held pair*, four of the 36 of each kind. Another one in sixteen
is kept for tuning. One-step sentences are the tables and never held; five and six steps are never trained.
"""

import hashlib
from functools import cache
from itertools import pairwise
from typing import Literal

from rpt_core.recipes.world import SALT
from rpt_core.sample.second.kinds import KINDS
from rpt_core.sample.second.questions import Phrases, Question, Sentence, sentences

HELD_BELOW, TUNING_BELOW = 0x20, 0x30
"""First bytes below the first are the test's, from there to below the second tuning's."""
HELD_PAIRS = 4
"""Ordered pairs of neighbouring phrases held out per kind."""
TRAINED_STEPS_MAX = 4
"""Longer sentences stand in test documents alone."""

Row = Literal["one step", "seen", "new sentence", "new pair", "tuning"]
"""What a sentence is to a trained model; of five and six steps as well, where all are new."""
Purpose = Literal["test", "tuning"]


@cache
def held_pairs(kind: str, salt: str = SALT) -> frozenset[Phrases]:
    """The pairs of neighbouring phrases that no training shows: those with the lowest hashes.

    Example:
        >>> len(held_pairs("clock"))
        4
    """
    pairs = [sentence.phrases for sentence in sentences(KINDS[kind], 2)]
    return frozenset(
        sorted(pairs, key=lambda pair: _digest(Sentence(kind, pair), salt, "pair|"))[:HELD_PAIRS]
    )


def has_held_pair(sentence: Sentence, salt: str = SALT) -> bool:
    """Whether two neighbouring phrases are a held pair."""
    return not held_pairs(sentence.kind, salt).isdisjoint(pairwise(sentence.phrases))


@cache
def row_of(sentence: Sentence, salt: str = SALT) -> Row:
    """What a sentence is to a model trained under a salt.

    ``new pair`` where a held pair stands in it; else ``new sentence`` or ``tuning`` by its hash; else
    ``seen``, or ``one step``.

    Example:
        >>> row_of(Sentence("clock", ("1 on",)))
        'one step'
    """
    if sentence.num_steps < 2:
        return "one step"
    if has_held_pair(sentence, salt):
        return "new pair"
    first = _digest(sentence, salt)[0]
    if first < TUNING_BELOW:
        return "new sentence" if first < HELD_BELOW else "tuning"
    return "seen"


def row_of_question(question: Question, salt: str = SALT) -> Row:
    """The row of a question: that of its sentence."""
    return row_of(question.sentence, salt)


def is_held(sentence: Sentence, salt: str = SALT) -> bool:
    """Whether the test alone may show it."""
    return row_of(sentence, salt) in ("new sentence", "new pair")


def is_reserved(sentence: Sentence, salt: str = SALT) -> bool:
    """Whether no training may show it: held, kept for tuning, or too long."""
    return sentence.num_steps > TRAINED_STEPS_MAX or row_of(sentence, salt) not in ("one step", "seen")


def _digest(sentence: Sentence, salt: str, prefix: str = "") -> bytes:
    return hashlib.sha256(f"{prefix}{salt}|{sentence.kind}|{', '.join(sentence.phrases)}".encode()).digest()
