"""Count what stands in text that was written: held-out sentences, held pairs, questions seen in training."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rpt_core.sample.second.holdout import TRAINED_STEPS_MAX, Row, has_held_pair, is_held, row_of
from rpt_core.sample.second.kinds import KINDS
from rpt_core.sample.second.questions import Question, Sentence, sentences
from rpt_core.sample.second.reading import claims, read_thought


@dataclass
class Tally:
    """What the texts of one file hold, on one side of the split."""

    salt: str
    num_texts: int = 0
    num_silent: int = 0
    """Texts in which no sentence of the world was found."""
    by_row: Counter[Row] = field(default_factory=Counter)
    """Sentences, each time they stand there."""
    num_pairs: int = 0
    """Of them, those with a held pair."""
    num_long: int = 0
    """Of them, those with more steps than are ever trained."""
    num_long_seen: int = 0
    """Of those, the ones that only their length keeps out of training."""
    held: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Held sentences by kind and number of steps."""
    questions: Counter[Question] = field(default_factory=Counter)

    @property
    def num_sentences(self) -> int:
        """All that were read."""
        return self.by_row.total()

    @property
    def num_held(self) -> int:
        """Those of two steps and more that are the test's alone."""
        return self.held.total()

    @property
    def num_reserved(self) -> int:
        """What no training may hold: held sentences, those kept for tuning, and longer ones."""
        return self.num_held + self.by_row["tuning"] + self.num_long_seen

    def add_text(self, text: str) -> None:
        """Count a document, a problem, or the words before a question."""
        found = claims(text)
        self._add([claim.sentence for claim in found])
        self.questions.update(claim.question for claim in found if claim.question is not None)

    def add_thought(self, kind: str, thought: str) -> None:
        """Count the steps a thought takes, by the kind of its trace, such as ``clock-4``."""
        name = kind.rpartition("-")[0]
        read = read_thought(name, thought) if name in KINDS else None
        self._add([Sentence(name, read.phrases)] if read is not None and read.phrases else [])

    def _add(self, found: Iterable[Sentence]) -> None:
        self.num_texts += 1
        before = self.num_sentences
        for sentence in found:
            row = row_of(sentence, self.salt)
            self.by_row[row] += 1
            self.num_pairs += has_held_pair(sentence, self.salt)
            self.num_long += sentence.num_steps > TRAINED_STEPS_MAX
            self.num_long_seen += sentence.num_steps > TRAINED_STEPS_MAX and row == "seen"
            if is_held(sentence, self.salt):
                self.held[sentence.kind, sentence.num_steps] += 1
        self.num_silent += self.num_sentences == before


def seen_share(asked: Mapping[Question, int], trained: Iterable[Question]) -> float:
    """Share of the questions of two steps and more that training text holds too, start and all."""
    known = set(trained)
    hard = {question: num for question, num in asked.items() if question.num_steps > 1}
    return sum(num for one, num in hard.items() if one in known) / max(sum(hard.values()), 1)


def universe(kind: str, salt: str) -> dict[int, tuple[int, int]]:
    """By number of steps from 2 to 4: how many sentences of a kind are held, and of how many.

    Example:
        >>> universe("clock", "study-1")[3]
        (64, 216)
    """
    found = {}
    for num_steps in range(2, TRAINED_STEPS_MAX + 1):
        everything = list(sentences(KINDS[kind], num_steps))
        found[num_steps] = sum(is_held(one, salt) for one in everything), len(everything)
    return found
