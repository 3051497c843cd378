"""The second edition's English sentences in other words, each of which says the same.

The words are those of the documents, put otherwise, so that a small tokenizer knows them. A *paraphrase* of a
sentence is one of its other wordings and nothing else (:class:`rpt_core.sample.wordings.Words`).
"""

from collections.abc import Mapping
from typing import Literal

from rpt_core.sample.second.kinds import Kind, kinds_of
from rpt_core.sample.wordings import FIRST, KindWords, Words

_OTHER_WORDS: Mapping[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "clock": (
        ("The hand then moves {steps}.", "It moves {steps}."),
        ("The clock now shows {value}.", "Now it shows {value}."),
    ),
    "week": (
        ("The voyage shifts {steps}.", "Its voyage then shifts {steps}."),
        ("The ship rests on {value}.", "It then rests on {value}."),
    ),
    "coins": (
        ("Then the day brings {steps}.", "Now the day brings {steps}."),
        ("The tin now holds {value}.", "Now it holds {value}."),
    ),
    "months": (
        ("The plan then slips {steps}.", "Then the plan slips {steps}."),
        ("People returned in {value}.", "They then returned in {value}."),
    ),
    "compass": (
        ("The crane then turns {steps}.", "Then it turns {steps}."),
        ("The crane now faces {value}.", "Now it faces {value}."),
    ),
    "tram": (
        ("The tram then runs {steps}.", "It runs {steps}."),
        ("The tram halts at {value}.", "It then halts at {value}."),
    ),
    "cooks": (
        ("The rota then goes {steps}.", "Then the rota goes {steps}."),
        ("The guests dine with {value}.", "They then dine with {value}."),
    ),
    "letters": (
        ("The letter then moves {steps}.", "Then the letter moves {steps}."),
        ("The dial points at {value}.", "It then points at {value}."),
    ),
}
"""By kind: two more wordings of its steps, two more of its value."""


def _kind_words(kind: Kind) -> KindWords:
    more_steps, more_values = _OTHER_WORDS[kind.name]
    return KindWords(
        kind.name, kind.states, kind.language.amounts, tuple(word for word, _ in kind.directions),
        kind.language.phrase, (kind.told, *more_steps), (f"{kind.reached} {{value}}.", *more_values),
    )  # fmt: skip


SECOND = Words(tuple(_kind_words(kind) for kind in kinds_of("en")))
"""Of the sample world's second edition. Chinese sentences have no other wordings: a text of them says nothing
here."""
WORDS: Mapping[Literal["sample-world", "second-world"], Words] = {
    "sample-world": FIRST,
    "second-world": SECOND,
}
"""By the name that recipes give."""
