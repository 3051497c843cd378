"""Documents and problems of the second edition: which sentences they may show follows from their side.

A training document draws a claim again until it is neither held nor kept for tuning. A held-out document
draws held sentences for every claim of two steps and more, half of them new by their hash alone, half with a
held pair; its claims of five and six steps stand nowhere else. Every document has its own random state.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.second.holdout import Row, is_reserved, row_of
from rpt_core.sample.second.kinds import Kind, kinds_of
from rpt_core.sample.second.noise import noise_paragraph
from rpt_core.sample.second.questions import Question, Sentence, sentences
from rpt_core.sample.second.teacher import Lesson, is_shown, lesson, trace_rng
from rpt_core.sample.world import place_name

TRAINED_STEPS = (1, 2, 2, 3, 3, 4)
"""Steps of a claim, drawn uniformly."""
HELD_OUT_STEPS = (*TRAINED_STEPS, 5, 6)
CLAIMS_PER_PARAGRAPH = (2, 3)


@dataclass(frozen=True, slots=True)
class Trace:
    """The teacher's thought at a claim of a document."""

    before: str
    """The claim's paragraph up to its value; stands once in the document."""
    answer: str
    """The true value, with the gap before it."""
    lesson: Lesson
    num_steps: int


@dataclass(frozen=True, slots=True)
class HeldDocument:
    """One text of one kind, on one side of the split."""

    title: str
    kind: str
    is_held: bool
    paragraphs: tuple[str, ...]
    questions: tuple[Question, ...]
    """Of its claims, in order."""
    traces: tuple[Trace, ...]
    """None in documents that are held out."""

    @property
    def text(self) -> str:
        """Paragraphs with an empty line between them."""
        return "\n\n".join(self.paragraphs)


@dataclass(frozen=True, slots=True)
class HeldProblem:
    """A question worded unlike the documents, with its truth; solutions are right."""

    problem: str
    question: Question
    is_held: bool

    @property
    def solution(self) -> str:
        """The true chain as a thought."""
        return self.question.thought

    @property
    def answer(self) -> str:
        """The word that it comes to."""
        return self.question.truth

    @property
    def difficulty(self) -> float:
        """2 for each step, to 10."""
        return min(10.0, 2.0 * self.question.num_steps)


def documents(edition: SecondEdition, seed: int, num: int) -> Iterator[HeldDocument]:
    """Yield ``num`` documents; on either side the kinds take turns. Every title is unique.

    Example:
        >>> [document.kind for document in documents(SecondEdition(), 1, 3) if not document.is_held]
        ['clock', 'week']
    """
    kinds = _kinds(edition)
    drawn = {True: 0, False: 0}
    for number in range(num):
        rng = random.Random(f"document {seed} {number}")
        is_held = rng.random() < edition.held_share
        kind = kinds[drawn[is_held] % len(kinds)]
        drawn[is_held] += 1
        title = f"{kind.heading} of {place_name(seed, number)}"
        document = _document(rng, edition, kind, title, is_held)
        while not _is_usable(document):
            document = _document(rng, edition, kind, title, is_held)
        yield document if is_held else _traced(document, edition, seed)


def problems(edition: SecondEdition, seed: int, num: int) -> Iterator[HeldProblem]:
    """Yield ``num`` problems, no two alike, those held out in their share."""
    kinds, seen = _kinds(edition), set[str]()
    for number in range(num):
        rng = random.Random(f"problem {seed} {number}")
        is_held = rng.random() < edition.held_share
        problem = _problem(rng, edition, kinds, is_held)
        while problem.problem in seen:
            problem = _problem(rng, edition, kinds, is_held)
        seen.add(problem.problem)
        yield problem


def drawn_sentence(
    rng: random.Random, edition: SecondEdition, kind: Kind, num_steps: int, is_held: bool
) -> Sentence:
    """A sentence that a side may show; where a kind has none of a row and length, one of the next row."""
    if num_steps < 2:
        return _random_sentence(rng, kind, num_steps)
    if not is_held:
        while is_reserved(sentence := _random_sentence(rng, kind, num_steps), edition.salt):
            pass
        return sentence
    rows: Sequence[Row] = ("tuning",) if edition.held == "tuning" else ("new sentence", "new pair")
    row = rng.choice(rows)
    if num_steps == 2:  # few enough that a row may be empty
        pairs = _pairs(kind.name, edition)
        some = pairs.get(row) or next((pairs[other] for other in rows if other in pairs), None)
        return rng.choice(some) if some else drawn_sentence(rng, edition, kind, 3, is_held)
    while row_of(sentence := _random_sentence(rng, kind, num_steps), edition.salt) != row:
        pass
    return sentence


@cache
def _kinds(edition: SecondEdition) -> tuple[Kind, ...]:
    listed = tuple(kind for language in edition.languages for kind in kinds_of(language))
    return tuple(kind for kind in listed if kind.name in edition.kinds) if edition.kinds else listed


@cache
def _pairs(kind: str, edition: SecondEdition) -> dict[Row, list[Sentence]]:
    """The sentences of two steps of a kind, by row."""
    of = next(one for one in _kinds(edition) if one.name == kind)
    found: dict[Row, list[Sentence]] = {}
    for sentence in sentences(of, 2):
        found.setdefault(row_of(sentence, edition.salt), []).append(sentence)
    return found


def _random_sentence(rng: random.Random, kind: Kind, num_steps: int) -> Sentence:
    return Sentence(kind.name, tuple(rng.choices(kind.phrases, k=num_steps)))


def _document(
    rng: random.Random, edition: SecondEdition, kind: Kind, title: str, is_held: bool
) -> HeldDocument:
    gap = kind.language.gap
    value = kind.state(rng.choice(kind.starts))
    text = kind.opening.format(adjective=rng.choice(kind.adjectives), value=value)
    paragraphs: list[str] = []
    questions: list[Question] = []
    for num_claims in CLAIMS_PER_PARAGRAPH:
        for _ in range(num_claims):
            num_steps = rng.choice(HELD_OUT_STEPS if is_held else TRAINED_STEPS)
            sentence = drawn_sentence(rng, edition, kind, num_steps, is_held)
            questions.append(Question(kind.name, value, sentence.phrases))
            value = questions[-1].truth
            told = kind.told.format(steps=kind.language.comma.join(sentence.phrases))
            text = f"{text}{gap if text else ''}{told}{gap}{kind.reached}{gap}{value}{kind.language.stop}"
        paragraphs.append(text)
        text = ""
    noisy = _with_noise(rng, edition, kind, paragraphs)
    return HeldDocument(title, kind.name, is_held, noisy, tuple(questions), ())


def _with_noise(
    rng: random.Random, edition: SecondEdition, kind: Kind, paragraphs: list[str]
) -> tuple[str, ...]:
    """The paragraphs, with others between and after them so that these have their share."""
    expected = len(paragraphs) * edition.noise_share / (1 - edition.noise_share)
    num = int(expected) + (rng.random() < expected % 1) if expected else 0
    mixed = list(paragraphs)
    for _ in range(num):
        mixed.insert(rng.randint(1, len(mixed)), noise_paragraph(rng, kind.language))
    return tuple(mixed)


def _is_usable(document: HeldDocument) -> bool:
    """Whether every claim's beginning stands once in it, and its side shows in what it says."""
    beginnings = [before for before, _ in _places(document)]
    is_new = any(question.num_steps > 1 for question in document.questions)
    return all(document.text.count(before) == 1 for before in beginnings) and (is_new or not document.is_held)


def _places(document: HeldDocument) -> Iterator[tuple[str, str]]:
    """Of each claim, its paragraph up to its value, and the value with the gap before it."""
    [kind] = [kind for kind in kinds_of("en") + kinds_of("zh") if kind.name == document.kind]
    waiting = iter(document.questions)
    for paragraph in document.paragraphs:
        at = paragraph.find(kind.reached)
        while at >= 0:
            end = at + len(kind.reached)
            yield paragraph[:end], f"{kind.language.gap}{next(waiting).truth}"
            at = paragraph.find(kind.reached, end)


def _traced(document: HeldDocument, edition: SecondEdition, seed: int) -> HeldDocument:
    traces = []
    for number, (question, place) in enumerate(zip(document.questions, _places(document), strict=True)):
        rng = trace_rng(seed, document.title, number)
        if is_shown(question.num_steps, rng, edition.long_share):
            shown = lesson(question, rng, edition.right_share, edition.salt)
            traces.append(Trace(*place, shown, question.num_steps))
    return HeldDocument(
        document.title, document.kind, False, document.paragraphs, document.questions, tuple(traces)
    )


def _problem(rng: random.Random, edition: SecondEdition, kinds: Sequence[Kind], is_held: bool) -> HeldProblem:
    kind = rng.choice(kinds)
    steps = [num for num in TRAINED_STEPS if num > 1] if is_held else TRAINED_STEPS
    sentence = drawn_sentence(rng, edition, kind, rng.choice(steps), is_held)
    question = Question(kind.name, kind.state(rng.randrange(len(kind.values))), sentence.phrases)
    told = kind.language.comma.join(sentence.phrases)
    return HeldProblem(rng.choice(kind.questions).format(value=question.start, steps=told), question, is_held)
