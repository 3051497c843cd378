"""Pairs of texts for a judge of the sample world, each with what it says and whether it is right.

A judge is only as good as the wrong answers it was shown. They come in the forms a policy finds: another
value, a value of another kind, a stub without a value, several values at once, the wrong sentence, a true
beginning with a wrong continuation, words left out, doubled, swapped, or replaced.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from rpt_core.sample.wordings import Fact, facts, says_prefix, worded, wordings
from rpt_core.sample.world import KINDS, Kind, WorldDocument, documents

NOTHING = "?"
"""Written down for a sentence that says nothing of the world."""
FORMS: dict[str, int] = {
    "right": 8,
    "right, two sentences": 2,
    "other value": 7,
    "other kind": 2,
    "other sentence": 2,
    "stub": 2,
    "list": 2,
    "wrong after right": 2,
    "said again": 1,
    "begun again": 2,
    "broken": 5,
}
"""How often each form is drawn."""


@dataclass(frozen=True, slots=True)
class WorldPair:
    """One question to a judge with its answer."""

    reference: str
    predicted: str
    findings: str
    """What the predicted and the true sentences say, sentence by sentence, up to the first difference."""
    is_right: bool
    form: str


def pair(seed: int, number: int, reference_sentences: int) -> WorldPair:
    """Pair ``number``, a function of its arguments alone.

    Args:
        seed: Of the pairs; the documents behind them are those of no corpus.
        number: Any number from 0 on.
        reference_sentences: Most sentences of the reference; every number up to it occurs.

    Example:
        >>> pair(0, 3, 3) == pair(0, 3, 3), pair(0, 3, 3) != pair(1, 3, 3)
        (True, True)
    """
    rng = Random(f"pair {seed} {number}")
    truth = _truth(_document(seed, number), rng, reference_sentences)
    reference = " ".join(_own_words(fact) for fact in truth)
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    predicted = _MAKERS[form](truth, rng)
    is_right = bool(says_prefix(reference, predicted))
    return WorldPair(reference, predicted, findings(truth, predicted), is_right, form)


def findings(truth: tuple[Fact, ...], predicted: str) -> str:
    """The judge's notes: of each predicted sentence what it says, and what the true one in its place says.

    Example:
        >>> truth = facts("It now shows 4. The hand moves 1 on.")
        >>> findings(truth, "Now it shows 4. It moves 2 on.")
        'clock 4 = clock 4; 2 on = 1 on'
        >>> findings(truth, "It now shows.")
        '? = clock 4'
    """
    notes = []
    for place, sentence in enumerate(_sentences(predicted)):
        said = facts(sentence)
        here = str(said[0]) if said and len(said) == 1 else NOTHING
        there = str(truth[place]) if place < len(truth) else NOTHING
        notes.append(f"{here} = {there}")
        if here != there or here == NOTHING:
            break
    return "; ".join(notes)


def drill(seed: int, step: int, number: int) -> WorldPair:
    """Notes without texts: two facts at random, equal half of the time."""
    rng = Random(f"drill {seed} {step} {number}")
    fact = _random_value(rng)
    if rng.random() < 0.2:
        kind = next(kind for kind in KINDS if kind.name == fact.kind)
        fact = Fact(kind.name, "steps", ", ".join(_step(kind, rng) for _ in range(rng.randint(1, 3))))
    said = fact if rng.random() < 0.5 else _changed(fact, rng)
    return WorldPair("", "", f"{said} = {fact}", said == fact, "drill")


def _document(seed: int, number: int) -> WorldDocument:
    """One document of every kind in turn, from worlds far beyond any corpus's seed."""
    return _world(f"judge {seed} {number // len(KINDS)}")[number % len(KINDS)]


@lru_cache(maxsize=4)
def _world(seed: str) -> tuple[WorldDocument, ...]:
    return tuple(documents(int.from_bytes(seed.encode()), len(KINDS)))


def _truth(document: WorldDocument, rng: Random, most: int) -> tuple[Fact, ...]:
    said = [fact for text in document.paragraphs for fact in facts(_without_opening(text)) or ()]
    # a value is what a policy is asked about, above the floor; steps come after it, or stand alone at times
    places = [i for i, fact in enumerate(said) if (fact.name == "value") == (rng.random() < 0.95)]
    start = rng.choice(places or range(len(said)))
    return tuple(said[start : start + rng.randint(1, most)])


def _without_opening(text: str) -> str:
    first, _, rest = text.partition(". ")
    return rest if facts(f"{first}.") is None else text


def _own_words(fact: Fact) -> str:
    kind = next(kind for kind in KINDS if kind.name == fact.kind)
    return wordings(kind)[fact.name][0].format(**{fact.name: fact.content})


def _right(truth: tuple[Fact, ...], rng: Random) -> str:
    return worded(truth[0], rng)


def _right_twice(truth: tuple[Fact, ...], rng: Random) -> str:
    return " ".join(worded(fact, rng) for fact in truth[:2])


def _other_value(truth: tuple[Fact, ...], rng: Random) -> str:
    return worded(_changed(truth[0], rng), rng)


def _other_kind(truth: tuple[Fact, ...], rng: Random) -> str:
    kind = rng.choice([kind for kind in KINDS if kind.name != truth[0].kind])
    fitting = truth[0].content if truth[0].content in (kind.shown or kind.values) else None
    value = fitting or rng.choice(kind.shown or kind.values)
    return worded(Fact(kind.name, "value", value), rng)


def _other_sentence(truth: tuple[Fact, ...], rng: Random) -> str:
    if len(truth) > 1:
        return worded(truth[1], rng)
    fact = _changed(truth[0], rng)
    return f"{worded(fact, rng)} {worded(truth[0], rng)}"


def _stub(truth: tuple[Fact, ...], rng: Random) -> str:
    words = worded(truth[0], rng).split()
    return " ".join(words[: rng.randint(1, max(1, len(words) - 1))]).rstrip(".,") + rng.choice(("", ".", "."))


def _list(truth: tuple[Fact, ...], rng: Random) -> str:
    sentence = worded(truth[0], rng)
    other = _changed(truth[0], rng).content
    both = [truth[0].content, other]
    rng.shuffle(both)
    return sentence.replace(truth[0].content, rng.choice((", ", " ", " or ")).join(both))


def _wrong_after_right(truth: tuple[Fact, ...], rng: Random) -> str:
    after = truth[1] if len(truth) > 1 else truth[0]
    return f"{worded(truth[0], rng)} {worded(_changed(after, rng), rng)}"


def _said_again(truth: tuple[Fact, ...], rng: Random) -> str:
    return f"{worded(truth[0], rng)} {worded(truth[0], rng)}"


def _begun_again(truth: tuple[Fact, ...], rng: Random) -> str:
    return f"{worded(truth[0], rng)} {_stub(truth[1:] or truth, rng)}"


def _broken(truth: tuple[Fact, ...], rng: Random) -> str:
    words = worded(truth[0] if rng.random() < 0.7 else _changed(truth[0], rng), rng).split()
    at = rng.randrange(len(words))
    way = rng.randrange(4)
    if way == 0:
        words.pop(at)
    elif way == 1:
        words.insert(at, words[rng.randrange(len(words))])
    elif way == 2:
        other = rng.randrange(len(words))
        words[at], words[other] = words[other], words[at]
    else:
        words[at] = rng.choice(worded(_random_value(rng), rng).split())
    return " ".join(words) or "."


def _changed(fact: Fact, rng: Random) -> Fact:
    """Another fact of the same kind and name."""
    kind = next(kind for kind in KINDS if kind.name == fact.kind)
    if fact.name == "value":
        values = [value for value in kind.shown or kind.values if value != fact.content]
        return Fact(fact.kind, "value", rng.choice(values))
    steps = fact.content.split(", ")
    at = rng.randrange(len(steps))
    steps[at] = _step(kind, rng)
    changed = ", ".join(steps)
    return Fact(fact.kind, "steps", changed if changed != fact.content else f"{changed}, {steps[0]}")


def _step(kind: Kind, rng: Random) -> str:
    word, _ = rng.choice(kind.directions)
    amount = rng.choice(kind.amounts)
    return kind.phrase.format(amount=amount, word=word, s="" if amount == 1 else "s")


def _random_value(rng: Random) -> Fact:
    kind = rng.choice(KINDS)
    return Fact(kind.name, "value", rng.choice(kind.shown or kind.values))


def _sentences(text: str) -> list[str]:
    return [part.strip() + "." for part in text.split(".") if part.strip()] or [text]


_MAKERS: dict[str, Callable[[tuple[Fact, ...], Random], str]] = {
    "right": _right,
    "right, two sentences": _right_twice,
    "other value": _other_value,
    "other kind": _other_kind,
    "other sentence": _other_sentence,
    "stub": _stub,
    "list": _list,
    "wrong after right": _wrong_after_right,
    "said again": _said_again,
    "begun again": _begun_again,
    "broken": _broken,
}
