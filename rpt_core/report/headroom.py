"""How far a model is on the way from the best guess to the best thought: the sample world knows both."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import REASONING
from rpt_core.evaluation.scores import Floats, Outcomes, accuracy, pooled
from rpt_core.evaluation.statistics.intervals import Estimate, clustered_ratio
from rpt_core.pages.words import percent
from rpt_core.report.blocks import Cell, Row, Section, Table, share
from rpt_core.report.models import Evaluated, Models, right
from rpt_core.sample.bounds import Bound, bound_of

Places = dict[tuple[str, int], Bound]
"""Document and code point of a derived value -> its bound."""


def read_bounds(corpus: Path) -> Places:
    """What the sample world knows of the derived values of a corpus; empty for any other text."""
    columns = ["doc_id", "char_offset", "thought", "kind"]
    rows = pq.read_table(corpus / "traces.parquet", columns=columns).to_pylist()
    bounds = {(row["doc_id"], row["char_offset"]): bound_of(row["kind"], row["thought"]) for row in rows}
    return {place: bound for place, bound in bounds.items() if bound}


def headroom(models: Models, bounds: Sequence[Places], modes: Sequence[tuple[str, str]]) -> Iterator[Section]:
    """Every model's share of the way from the best guess to the best thought; nothing where none is known.

    Args:
        models: All that are shown.
        bounds: By seed; empty where the corpora were not given.
        modes: Each with what the table calls it.

    Raises:
        RecipeError: an evaluation does not say where its questions stand.
    """
    rows: list[Row] = []
    for model in (models.start, *models.others, *models.arms) if bounds else ():
        for mode, words in modes:
            known = [_known(*pair, mode) for pair in zip(model.evaluations, bounds, strict=True)]
            if all(len(outcomes) for outcomes, _ in known):
                rows.append((model.name, words, *_closed(known)))
    if not rows:
        return
    starts = zip(models.start.evaluations, bounds, strict=True)
    without = [bound.without for pair in starts for bound in _known(*pair, REASONING)[1]]
    lead = (
        f"{len(without)} of {len(models.start.outcomes(REASONING))} questions ask for a derived value, "
        f"whose best possible accuracy the world knows: {percent(float(np.mean(without)))} on average "
        "without taking the steps (one step is known by heart), 100 % with thinking. Closed: the share of "
        "the way from the first to the second; below 0 is worse than the best guess."
    )
    head = ("model", "mode", "right", "two steps and more", "closed", "closed, two steps and more")
    yield Section("Headroom closed", [lead, Table(head, rows, words=frozenset({1}))])


def _known(model: Evaluated, bounds: Places, mode: str) -> tuple[Outcomes, list[Bound]]:
    """The outcomes at derived values, with their bounds.

    Raises:
        RecipeError: the evaluation does not say where its questions stand.
    """
    if "char_offset" not in model.items.column_names:
        raise RecipeError(
            f"{model.name} was evaluated before evaluations kept the places of their questions, so nothing "
            "known of a place can be looked up. Evaluate again: -p evaluation.revision=2."
        )
    found = model.outcomes(mode)
    columns = (model.items[name].to_pylist() for name in ("item_id", "doc_id", "char_offset"))
    place_of = {item: bounds.get((doc, offset)) for item, doc, offset in zip(*columns, strict=True)}
    of_items = [place_of[item] for item in found.item_ids.tolist()]
    keep = np.array([bound is not None for bound in of_items], bool)
    return found.where(keep), [bound for bound in of_items if bound is not None]


def _closed(known: Sequence[tuple[Outcomes, list[Bound]]]) -> tuple[Cell, ...]:
    found = pooled([outcomes for outcomes, _ in known])
    flat = [bound for _, bounds in known for bound in bounds]
    without = np.array([bound.without for bound in flat])
    best = np.array([bound.thinking for bound in flat])
    far = np.array([bound.num_steps > 1 for bound in flat])
    return (
        share(accuracy(found)),
        share(accuracy(found.where(far))),
        share(share_closed(found, without, best)),
        share(share_closed(found.where(far), without[far], best[far])),
    )


def share_closed(found: Outcomes, without_I: Floats, best_I: Floats) -> Estimate:
    """How far accuracy is on the way from one bound to the other, clustered by document.

    Where thinking is always right nothing is beyond the whole way; below the first bound there is room.
    """
    closed = clustered_ratio(right(found) - without_I, best_I - without_I, found.documents)
    return closed.within(-np.inf, 1.0) if (best_I == 1).all() else closed
