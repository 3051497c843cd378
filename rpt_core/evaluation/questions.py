"""Which held-out places and problems are asked: drawn once by seed, the same for every model compared."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import StarvedError
from rpt_core.evaluation.recipe import EvaluationRecipe
from rpt_core.objectives.objective import Asked
from rpt_core.objectives.positions import Positions
from rpt_core.objectives.rlvr import Solve, read_problems
from rpt_core.objectives.rpt import NextToken
from rpt_core.policy.codec import Codec


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
    order = np.random.default_rng([recipe.seed, positions.num]).permutation(positions.num)
    chosen = np.sort(order[: recipe.num_positions])
    ends = np.cumsum(positions.counts)
    owners = np.searchsorted(ends, chosen, side="right")
    asked: list[Asked] = []
    entropies: dict[str, float] = {}
    offsets: dict[str, int] = {}
    for owner in np.unique(owners).tolist():
        window = positions.read(owner)
        within = chosen[owners == owner] - (ends[owner] - positions.counts[owner])
        asked.append(put.ask(window, window.positions[within].tolist()))
        for place, nats in zip(window.positions[within], window.entropies_nats[within], strict=True):
            entropies[item_id(window.doc_id, int(place))] = float(nats)
        starts = codec.char_offsets(window.document_ids.tolist())
        places = window.positions[within].tolist()
        offsets |= {item_id(window.doc_id, place): int(starts[place]) for place in places}
    return Places(asked, entropies, _kept(positions.balance, len(chosen), "not-drawn"), offsets)


@dataclass(frozen=True, slots=True)
class Tasks:
    """Held-out problems that are asked."""

    asked: list[Asked]
    balance: RowCounts


def draw_problems(recipe: EvaluationRecipe, corpus: Path, codec: Codec) -> Tasks:
    """Up to ``num_problems`` held-out problems that fit into the context."""
    solve = Solve.of(recipe.problems, codec)
    found = read_problems(corpus, "eval")
    fitting = [problem for problem in found if solve.fits(problem, recipe.context_tokens)]
    order = np.random.default_rng([recipe.seed, len(fitting), 1]).permutation(len(fitting))
    chosen = [fitting[index] for index in np.sort(order[: recipe.num_problems])]
    long = len(found) - len(fitting)
    balance = RowCounts(
        rows_in=len(found), kept=len(fitting), dropped={"problem-too-long": long} if long else {}
    )
    return Tasks([solve.ask(problem) for problem in chosen], _kept(balance, len(chosen), "problem-not-drawn"))


def _kept(balance: RowCounts, kept: int, reason: str) -> RowCounts:
    dropped = dict(balance.dropped)
    if balance.kept > kept:
        dropped[reason] = balance.kept - kept
    return RowCounts(rows_in=balance.rows_in, kept=kept, dropped=dropped)
