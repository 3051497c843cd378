"""Pairs of texts for a judge of the sample world, each with what it says and whether it is right.

A judge is only as good as the wrong answers it was shown. They come in the forms a policy finds: another
value, a value of another kind, a stub without a value, several values at once, the wrong sentence, a true
beginning with a wrong continuation, words left out, doubled, swapped, or replaced.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from random import Random
from typing import Literal

from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.second.documents import documents as second_documents
from rpt_core.sample.second.wordings import SECOND
from rpt_core.sample.wordings import FIRST, Fact, KindWords, Words
from rpt_core.sample.world import documents

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


Paragraphs = tuple[str, ...]
WorldName = Literal["first", "second"]
"""An edition of the sample world."""


@dataclass(frozen=True)
class JudgedWorld:
    """What a judge of one edition reads."""

    words: Words
    texts: Callable[[int, int], Iterator[Paragraphs]]
    """So many documents of a seed's world, the kinds in turn."""


def _first_texts(seed: int, num: int) -> Iterator[Paragraphs]:
    return (document.paragraphs for document in documents(seed, num))


def _second_texts(seed: int, num: int) -> Iterator[Paragraphs]:
    """Documents that training may show: what is held out stays so, whoever reads."""
    edition = SecondEdition()
    return islice(
        (one.paragraphs for one in second_documents(edition, seed, 4 * num) if not one.is_held), num
    )


WORLDS: Mapping[WorldName, JudgedWorld] = {
    "first": JudgedWorld(FIRST, _first_texts),
    "second": JudgedWorld(SECOND, _second_texts),
}
"""By edition."""


def pair(seed: int, number: int, reference_sentences: int, world: WorldName = "first") -> WorldPair:
    """Pair ``number``, a function of its arguments alone.

    Args:
        seed: Of the pairs; the documents behind them are those of no corpus.
        number: Any number from 0 on.
        reference_sentences: Most sentences of the reference; every number up to it occurs.
        world: Whose sentences they are.

    Example:
        >>> pair(0, 3, 3) == pair(0, 3, 3), pair(0, 3, 3) != pair(1, 3, 3)
        (True, True)
    """
    words, rng = WORLDS[world].words, Random(f"pair {seed} {number}")
    truth = _truth(words, _document(world, seed, number), rng, reference_sentences)
    reference = " ".join(words.own_words(fact) for fact in truth)
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    predicted = _MAKERS[form](words, truth, rng)
    is_right = bool(words.says_prefix(reference, predicted))
    return WorldPair(reference, predicted, findings(truth, predicted, words), is_right, form)


def findings(truth: tuple[Fact, ...], predicted: str, words: Words = FIRST) -> str:
    """The judge's notes: of each predicted sentence what it says, and what the true one in its place says.

    Example:
        >>> truth = FIRST.facts("It now shows 4. The hand moves 1 on.")
        >>> findings(truth, "Now it shows 4. It moves 2 on.")
        'clock 4 = clock 4; 2 on = 1 on'
        >>> findings(truth, "It now shows.")
        '? = clock 4'
    """
    notes = []
    for place, sentence in enumerate(_sentences(predicted)):
        said = words.facts(sentence)
        here = str(said[0]) if said and len(said) == 1 else NOTHING
        there = str(truth[place]) if place < len(truth) else NOTHING
        notes.append(f"{here} = {there}")
        if here != there or here == NOTHING:
            break
    return "; ".join(notes)


def drill(seed: int, step: int, number: int, world: WorldName = "first") -> WorldPair:
    """Notes without texts: two facts at random, equal half of the time."""
    words, rng = WORLDS[world].words, Random(f"drill {seed} {step} {number}")
    fact = _random_value(words, rng)
    if rng.random() < 0.2:
        kind = words.of(fact.kind)
        fact = Fact(kind.name, "steps", ", ".join(_step(kind, rng) for _ in range(rng.randint(1, 3))))
    said = fact if rng.random() < 0.5 else _changed(words, fact, rng)
    return WorldPair("", "", f"{said} = {fact}", said == fact, "drill")


def _document(world: WorldName, seed: int, number: int) -> Paragraphs:
    """One document of every kind in turn, from worlds far beyond any corpus's seed."""
    num = len(WORLDS[world].words.kinds)
    return _world(world, f"judge {seed} {number // num}")[number % num]


@lru_cache(maxsize=4)
def _world(world: WorldName, seed: str) -> tuple[Paragraphs, ...]:
    one = WORLDS[world]
    return tuple(one.texts(int.from_bytes(seed.encode()), len(one.words.kinds)))


def _truth(words: Words, document: Paragraphs, rng: Random, most: int) -> tuple[Fact, ...]:
    said = [fact for text in document for fact in words.facts(_without_opening(words, text)) or ()]
    # a value is what a policy is asked about, above the floor; steps come after it, or stand alone at times
    places = [i for i, fact in enumerate(said) if (fact.name == "value") == (rng.random() < 0.95)]
    start = rng.choice(places or range(len(said)))
    return tuple(said[start : start + rng.randint(1, most)])


def _without_opening(words: Words, text: str) -> str:
    first, _, rest = text.partition(". ")
    return rest if words.facts(f"{first}.") is None else text


def _right(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    return words.worded(truth[0], rng)


def _right_twice(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    return " ".join(words.worded(fact, rng) for fact in truth[:2])


def _other_value(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    return words.worded(_changed(words, truth[0], rng), rng)


def _other_kind(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    kind = rng.choice([kind for kind in words.kinds if kind.name != truth[0].kind])
    fitting = truth[0].content if truth[0].content in kind.states else None
    value = fitting or rng.choice(kind.states)
    return words.worded(Fact(kind.name, "value", value), rng)


def _other_sentence(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    if len(truth) > 1:
        return words.worded(truth[1], rng)
    fact = _changed(words, truth[0], rng)
    return f"{words.worded(fact, rng)} {words.worded(truth[0], rng)}"


def _stub(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    said = words.worded(truth[0], rng).split()
    return " ".join(said[: rng.randint(1, max(1, len(said) - 1))]).rstrip(".,") + rng.choice(("", ".", "."))


def _list(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    sentence = words.worded(truth[0], rng)
    other = _changed(words, truth[0], rng).content
    both = [truth[0].content, other]
    rng.shuffle(both)
    return sentence.replace(truth[0].content, rng.choice((", ", " ", " or ")).join(both))


def _wrong_after_right(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    after = truth[1] if len(truth) > 1 else truth[0]
    return f"{words.worded(truth[0], rng)} {words.worded(_changed(words, after, rng), rng)}"


def _said_again(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    return f"{words.worded(truth[0], rng)} {words.worded(truth[0], rng)}"


def _begun_again(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    return f"{words.worded(truth[0], rng)} {_stub(words, truth[1:] or truth, rng)}"


def _broken(words: Words, truth: tuple[Fact, ...], rng: Random) -> str:
    fact = truth[0] if rng.random() < 0.7 else _changed(words, truth[0], rng)
    said = words.worded(fact, rng).split()
    at = rng.randrange(len(said))
    way = rng.randrange(4)
    if way == 0:
        said.pop(at)
    elif way == 1:
        said.insert(at, said[rng.randrange(len(said))])
    elif way == 2:
        other = rng.randrange(len(said))
        said[at], said[other] = said[other], said[at]
    else:
        said[at] = rng.choice(words.worded(_random_value(words, rng), rng).split())
    return " ".join(said) or "."


def _changed(words: Words, fact: Fact, rng: Random) -> Fact:
    """Another fact of the same kind and name."""
    kind = words.of(fact.kind)
    if fact.name == "value":
        values = [value for value in kind.states if value != fact.content]
        return Fact(fact.kind, "value", rng.choice(values))
    steps = fact.content.split(", ")
    at = rng.randrange(len(steps))
    steps[at] = _step(kind, rng)
    changed = ", ".join(steps)
    return Fact(fact.kind, "steps", changed if changed != fact.content else f"{changed}, {steps[0]}")


def _step(kind: KindWords, rng: Random) -> str:
    word = rng.choice(kind.directions)
    return kind.step(rng.choice(kind.amounts), word)


def _random_value(words: Words, rng: Random) -> Fact:
    kind = rng.choice(words.kinds)
    return Fact(kind.name, "value", rng.choice(kind.states))


def _sentences(text: str) -> list[str]:
    return [part.strip() + "." for part in text.split(".") if part.strip()] or [text]


_MAKERS: dict[str, Callable[[Words, tuple[Fact, ...], Random], str]] = {
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
