"""Batches of judged answers written by hand: groups of unlike sizes, lengths, verdicts and rewards."""

from rpt_core.objectives.objective import Asked, Question, Verdict
from rpt_core.policy.trunk import Cut, Sample, Trunk
from rpt_core.train.rl.collect import Answered, Batch, Group


def sample(length: int, finish: str = "stop", version: int = 0) -> Sample:
    """An answer of that many tokens, each at its own log-probability."""
    return Sample(tuple(range(10, 10 + length)), tuple(-0.5 - i / 8 for i in range(length)), finish, version)


def question(document: str, position: int, **more) -> Question:
    return Question(document, position, f"truth-{position}", tail=f"tail-{position}", **more)


def group(asked: Question, rows, *, keep: bool = True, version: int = 0) -> Group:
    """Answers given as (reward, verdict, thought tokens, answer tokens, prediction tokens)."""
    samples = [
        sample(tokens, "length" if name == "truncated" else "stop", version) for _, name, _, tokens, _ in rows
    ]
    verdicts = [
        Verdict(score, name, thought, tokens, f"thought {i}", f"guess {i}", predicted)
        for i, (score, name, thought, tokens, predicted) in enumerate(rows)
    ]
    return Group(asked, samples, verdicts, keep)


FIRST = Asked(
    Trunk("first", (4, 5), tuple(range(20, 31)), (Cut(3, (2,)), Cut(7, (2, 3, 2)))),
    (question("first", 3, budget=40, tier=0), question("first", 7, budget=40, tier=2)),
)
SECOND = Asked(
    Trunk("second", (4,), tuple(range(40, 46)), (Cut(5, (6, 7)),)),
    (question("second", 5, budget=40, tier=2),),
)
ROWS = (
    [(1.0, "correct", 3, 5, 1), (0.0, "wrong", 0, 2, 2), (0.25, "truncated", 6, 6, 0)],
    [(0.0, "wrong", 0, 1, 4), (0.0, "unparsed", 4, 4, 0), (0.0, "wrong", 2, 3, 7)],
    [(0.5, "timed out", 1, 7, 3), (1.0, "correct", 9, 9, 1), (0.5, "correct", 0, 3, 3)],
)


def batch(*, version: int = 0) -> Batch:
    """Three groups below two documents; the second group was dropped."""
    first = (
        group(FIRST.questions[0], ROWS[0], version=version),
        group(FIRST.questions[1], ROWS[1], keep=False, version=version),
    )
    second = (group(SECOND.questions[0], ROWS[2], version=version),)
    return Batch((Answered(FIRST, first), Answered(SECOND, second)), 17, 333, 7.5e9)
