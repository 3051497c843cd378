"""Which held-out places and problems are asked: drawn once by seed, the same for every model compared."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import StarvedError
from rpt_core.objectives.next_token.positions import Positions
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Asked
from rpt_core.objectives.problems.question import Solve, read_problems
from rpt_core.policy.codec import Codec
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe


@dataclass(frozen=True, slots=True)
class Places:
    """Questions at held-out positions, and how uncertain the proxy model was at each."""

    asked: list[Asked]
    entropies_nats: dict[str, float]
    """By item id."""
    balance: RowCounts
    """All held-out tokens: kept are the ones asked about."""
    char_offsets: dict[str, int] = field(default_factory=dict)
    """Code points of the document before each, by item id."""


def item_id(document: str, position: int) -> str:
    """Names a held-out position; the same for every model that shares the tokenizer.

    Example:
        >>> item_id("ab12", 40)
        'ab12:40'
    """
    return f"{document}:{position}"


def draw_places(recipe: EvaluationRecipe, corpus: Path, difficulty: Path, codec: Codec) -> Places:
    """Up to ``num_positions`` held-out positions above the lowest threshold, each as likely as any other.

    The draw depends on the corpus, the difficulty, the thresholds and the seed, never on the model.

    Raises:
        StarvedError: no held-out position is eligible.
    """
    put = NextToken.of(recipe.objective, codec)
    rules = replace(put.rules(recipe.context_tokens), entropy_floor_nats=min(recipe.tiers_nats))
    positions = Positions.open(corpus, difficulty, codec, rules, "eval")
    if not positions.num:
        raise StarvedError(
            f"there is nothing to evaluate: {positions.why_none()}. Lower the lowest of tiers_nats, or hold "
            "out more documents (eval_share)."
        )
    asked: list[Asked] = []
    entropies: dict[str, float] = {}
    offsets: dict[str, int] = {}
    for owner, within in draw_by_window(recipe.seed, positions.counts, recipe.num_positions):
        window = positions.read(owner)
        asked.append(put.ask(window, window.positions[within].tolist()))
        for place, nats in zip(window.positions[within], window.entropies_nats[within], strict=True):
            entropies[item_id(window.doc_id, int(place))] = float(nats)
        starts = codec.char_offsets(window.document_ids.tolist())
        places = window.positions[within].tolist()
        offsets |= {item_id(window.doc_id, place): int(starts[place]) for place in places}
    balance = at_most(positions.balance, recipe.num_positions, "not-drawn")
    return Places(asked, entropies, balance, offsets)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Held-out problems that are asked."""

    asked: list[Asked]
    balance: RowCounts


def draw_problems(
    recipe: EvaluationRecipe | JudgedEvaluationRecipe, corpus: Path, codec: Codec, too_long: str
) -> Tasks:
    """Up to ``num_problems`` held-out problems that fit into the context.

    Args:
        recipe: Of the evaluation.
        corpus: Folder of a corpus artifact.
        codec: The policy's codec.
        too_long: What a problem is counted under that does not fit.
    """
    solve = Solve.of(recipe.problems, codec)
    found = read_problems(corpus, "eval")
    fitting = [problem for problem in found if solve.fits(problem, recipe.context_tokens)]
    chosen = drawn(recipe.seed, len(fitting), recipe.num_problems, 1)
    long = len(found) - len(fitting)
    balance = RowCounts(rows_in=len(found), kept=len(fitting), dropped={too_long: long} if long else {})
    asked = [solve.ask(fitting[index]) for index in chosen.tolist()]
    return Tasks(asked, at_most(balance, recipe.num_problems, "problem-not-drawn"))


def drawn(seed: int, num: int, most: int, *stream: int) -> NDArray[np.int64]:
    """Up to ``most`` of ``num`` things, each as likely as any other, in order.

    Example:
        >>> drawn(0, 10, 4).tolist(), drawn(0, 2, 4).tolist()
        ([1, 4, 6, 7], [0, 1])
    """
    order = np.random.default_rng([seed, num, *stream]).permutation(num)
    return np.sort(order[:most])


def draw_by_window(
    seed: int, counts: NDArray[np.int32], most: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Up to ``most`` things that stand ``counts`` to a window: each window with some, and which of its own.

    Example:
        >>> [(owner, items.tolist()) for owner, items in draw_by_window(0, np.array([3, 0, 7], np.int32), 4)]
        [(0, [1]), (2, [1, 3, 4])]
    """
    chosen = drawn(seed, int(counts.sum()), most)
    ends = np.cumsum(counts)
    owners = np.searchsorted(ends, chosen, side="right")
    for owner in np.unique(owners).tolist():
        yield owner, chosen[owners == owner] - (ends[owner] - counts[owner])


def at_most(balance: RowCounts, most: int, reason: str) -> RowCounts:
    """The balance after a draw of up to ``most``; what was not drawn is counted under ``reason``."""
    kept = min(balance.kept, most)
    left_out = {reason: balance.kept - kept} if balance.kept > kept else {}
    return RowCounts(rows_in=balance.rows_in, kept=kept, dropped={**balance.dropped, **left_out})
