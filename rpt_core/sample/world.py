"""The sample world: small texts whose next word follows from a few steps of thought.

One rule makes it work. What is chosen by chance is always one of at most four (ln 4 = 1.39 nats);
what follows from the text is one of seven or more (ln 7 = 1.95 nats). So an entropy floor between the
two finds the positions worth a thought by itself, without knowing this file. Values turn in small
circles (hours, days, stops), so the tables a model must know are small, yet two or more steps in a
row cannot be guessed from the last value seen.

Every document and every problem has its own random state, drawn from (seed, number): the first ten of
a hundred are the same as the first ten of a thousand.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

STEP_COUNTS = (1, 2, 2, 3, 3, 4)
"""Steps before a value is stated; drawn uniformly. One step teaches the tables, more ask for a thought."""
CLAIMS_PER_PARAGRAPH = (2, 3)
"""Stated values per paragraph: two paragraphs, five derived values in all."""


@dataclass(frozen=True, slots=True)
class WorldTrace:
    """A thought that leads to one derived value.

    ``before`` is the text of the value's paragraph from its start up to the value; it occurs once in the
    document. ``thought`` and ``answer`` begin with the space that the text has there.
    """

    before: str
    thought: str
    answer: str
    num_steps: int
    """Steps that must be made in the head; 1 can be known by heart."""


@dataclass(frozen=True, slots=True)
class WorldDocument:
    """One short text of one kind, without any markup."""

    title: str
    kind: str
    paragraphs: tuple[str, ...]
    traces: tuple[WorldTrace, ...]

    @property
    def text(self) -> str:
        """Paragraphs with an empty line between them."""
        return "\n\n".join(self.paragraphs)


@dataclass(frozen=True, slots=True)
class WorldProblem:
    """One question with a checkable answer, worded unlike the documents."""

    problem: str
    solution: str
    """The steps, in the form of a thought, without its leading space."""
    answer: str
    difficulty: float
    """1 (one step) to 10."""
    domain: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A circle (or a stretch) of values, the steps along it, and the sentences that speak of it."""

    name: str
    values: tuple[str, ...]
    starts: tuple[int, ...]
    """Positions a document may open with: two, so that even a young model knows them and an opening stays
    below the floor."""
    amounts: tuple[int, ...]
    directions: tuple[tuple[str, int], ...]
    """Word and sign of each way to go."""
    phrase: str
    """One step, with ``{amount}``, ``{word}`` and ``{s}`` (plural)."""
    heading: str
    """First word of a document's title."""
    adjectives: tuple[str, ...]
    opening: str
    """What follows ``The`` and an adjective."""
    claim: str
    """What happens, as ``{steps}``, and the words up to the value. Three words on either side, and the value
    last in its sentence, in every kind: so what a small model learns of one kind helps with the others."""
    questions: tuple[str, ...]
    wraps: bool = True
    shown: tuple[str, ...] = ()
    """What stands in the text instead of a value: one name per value, always the same one. A thought must
    look up the value of the name, take the steps and look up the name again."""

    def state(self, position: int) -> str:
        """The word the text uses for a position reached."""
        return self.shown[position] if self.shown else self.values[position]


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
STOPS = ("Abbey", "Bridge", "Castle", "Docks", "Exchange", "Fountain", "Gate", "Harbour", "Island")
COOKS = ("Ann", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus")

STILL, MOVING = ("old", "big"), ("red", "new")
"""First words of a document: two choices, then one of four kinds, so that none is above the floor."""

KINDS: tuple[Kind, ...] = (
    Kind(
        name="clock",
        heading="Clock",
        values=tuple(str(hour) for hour in range(1, 13)),
        starts=(2, 8),
        amounts=(1, 2),
        directions=(("on", 1), ("back", -1)),
        phrase="{amount} {word}",
        adjectives=STILL,
        opening="clock shows {value}.",
        claim="The hand moves {steps}. It now shows",
        questions=(
            "A watch says {value}. Turn its wheel {steps}. What hour?",
            "My alarm rang at {value}. Now shift it {steps}. When then?",
        ),
    ),
    Kind(
        name="week",
        heading="Journey",
        values=DAYS,
        starts=(0, 3),
        amounts=(1, 2, 3),
        directions=(("day", 1),),
        phrase="{amount} {word}{s}",
        adjectives=MOVING,
        opening="ship leaves on {value}.",
        claim="It travels for {steps}. It rests on",
        questions=(
            "Today is {value}. Please wait another {steps}. Which day?",
            "A letter was sent {value}. The post took {steps}. Came when?",
        ),
    ),
    Kind(
        name="coins",
        heading="Purse",
        values=tuple(str(number) for number in range(1, 17)),
        starts=(5, 10),
        amounts=(1, 2),
        directions=(("in", 1), ("out", -1)),
        phrase="{amount} {word}",
        adjectives=STILL,
        opening="tin of coins holds {value}.",
        claim="The day brings {steps}. It now holds",
        questions=("The count of pennies was {value}. There were then {steps}. How many?",),
        wraps=False,
    ),
    Kind(
        name="months",
        heading="Survey",
        values=MONTHS,
        starts=(2, 8),
        amounts=(1, 2, 3),
        directions=(("month", 1),),
        phrase="{amount} {word}{s}",
        adjectives=STILL,
        opening="valley was measured in {value}.",
        claim="People waited for {steps}. They returned in",
        questions=("A cheese was made in {value}. It must ripen {steps}. Ready when?",),
    ),
    Kind(
        name="compass",
        heading="Signals",
        values=COMPASS,
        starts=(0, 4),
        amounts=(1, 2),
        directions=(("left", -1), ("right", 1)),
        phrase="{amount} {word}",
        adjectives=STILL,
        opening="crane faces {value}.",
        claim="It then turns {steps}. It now faces",
        questions=("A weathercock points {value}. The wind swings {steps}. Points where?",),
    ),
    Kind(
        name="tram",
        heading="Tramway",
        values=STOPS,
        starts=(1, 5),
        amounts=(1, 2, 3),
        directions=(("stop", 1),),
        phrase="{amount} {word}{s}",
        adjectives=MOVING,
        opening="tram waits at {value}.",
        claim="It then runs {steps}. It halts at",
        questions=("Someone gets in at {value}. They ride along {steps}. Out where?",),
    ),
    Kind(
        name="cooks",
        heading="Kitchen",
        values=DAYS,
        starts=(1, 4),
        amounts=(1, 2, 3),
        directions=(("night", 1),),
        phrase="{amount} {word}{s}",
        adjectives=MOVING,
        opening="inn welcomes guests with {value}.",
        claim="They stay for {steps}. They leave with",
        questions=("You arrive and meet {value}. You sleep there {steps}. Whose breakfast?",),
        shown=COOKS,
    ),
)


def documents(seed: int, num: int) -> Iterator[WorldDocument]:
    """Yield ``num`` documents, the kinds in equal shares, every title unique.

    Example:
        >>> first = next(documents(0, 1))
        >>> first.text.count(first.traces[0].before)
        1
    """
    for number in range(num):
        rng = random.Random(f"document {seed} {number}")
        kind = KINDS[number % len(KINDS)]
        title = f"{kind.heading} of {place_name(seed, number)}"
        document = _document(rng, kind, title)
        while any(document.text.count(trace.before) != 1 for trace in document.traces):
            document = _document(rng, kind, title)
        yield document


def problems(seed: int, num: int) -> Iterator[WorldProblem]:
    """Yield ``num`` problems, no two alike.

    Example:
        >>> len({p.problem for p in problems(0, 200)})
        200
    """
    seen: set[str] = set()
    for number in range(num):
        rng = random.Random(f"problem {seed} {number}")
        problem = _problem(rng, extra_steps=0)
        tries = 0
        while problem.problem in seen:
            tries += 1
            problem = _problem(rng, extra_steps=tries // 8)
        seen.add(problem.problem)
        yield problem


def _document(rng: random.Random, kind: Kind, title: str) -> WorldDocument:
    position = rng.choice(kind.starts)
    paragraphs: list[str] = []
    traces: list[WorldTrace] = []
    opening = f"The {rng.choice(kind.adjectives)} {kind.opening.format(value=kind.state(position))}"
    for num_claims in CLAIMS_PER_PARAGRAPH:
        text = "" if paragraphs else opening
        for _ in range(num_claims):
            steps, thought, position = _walk(rng, kind, position, rng.choice(STEP_COUNTS))
            before = f"{text} {kind.claim.format(steps=', '.join(steps))}".lstrip()
            answer = f" {kind.state(position)}"
            traces.append(WorldTrace(before, f" {thought}", answer, len(steps)))
            text = f"{before}{answer}."
        paragraphs.append(text)
    return WorldDocument(title, kind.name, tuple(paragraphs), tuple(traces))


def _problem(rng: random.Random, extra_steps: int) -> WorldProblem:
    kind = rng.choice(KINDS)
    start = rng.randrange(len(kind.values))
    steps, thought, position = _walk(rng, kind, start, rng.choice(STEP_COUNTS) + extra_steps)
    question = rng.choice(kind.questions).format(value=kind.state(start), steps=", ".join(steps))
    difficulty = min(10.0, 2.0 * len(steps) - 1 + (len(kind.directions) > 1 or bool(kind.shown)))
    return WorldProblem(question, thought, kind.state(position), difficulty, kind.name)


def _walk(rng: random.Random, kind: Kind, start: int, num: int) -> tuple[list[str], str, int]:
    """``num`` steps from ``start``: their phrases, the thought that follows them, where they end.

    A thought has as many words a step as the text has signs: the value reached stands where the text has
    its comma. So thought and text run side by side, and copying a step means looking back by a fixed span.
    """
    position, phrases = start, []
    seen = [kind.shown[start], kind.values[start]] if kind.shown else [kind.values[start]]
    for _ in range(num):
        amount, (word, sign) = rng.choice(kind.amounts), rng.choice(kind.directions)
        if not kind.wraps and not 0 <= position + sign * amount < len(kind.values):
            word, sign = next(way for way in kind.directions if way[1] == -sign)
        position = (position + sign * amount) % len(kind.values)
        phrases.append(kind.phrase.format(amount=amount, word=word, s="" if amount == 1 else "s"))
        seen.append(f"{phrases[-1]} {kind.values[position]}")
    if kind.shown:
        seen.append(kind.state(position))
    return phrases, " ".join(seen), position


def place_name(seed: int, number: int) -> str:
    """A made-up place name, another one for every number."""
    syllables = (
        "ba",
        "del",
        "fo",
        "gar",
        "hin",
        "ka",
        "lo",
        "mer",
        "nu",
        "pa",
        "ri",
        "so",
        "tam",
        "vel",
        "wi",
    )
    number = 15**2 + number
    name = ""
    while number:
        number, digit = divmod(number, len(syllables))
        name += syllables[(digit + seed) % len(syllables)]
    return name.capitalize()
