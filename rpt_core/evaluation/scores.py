"""Scores with intervals, from the table of outcomes alone.

An item's score is its mean over the samples it has; a tier's accuracy is the mean over its items, with
an error clustered by document or problem. Tiers are nested as in the paper (hard inside medium inside
easy); disjoint bins stand beside them.

Legend: ``I`` items.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rpt_core.evaluation.items import FINAL, clusters, tier_names
from rpt_core.evaluation.statistics.compare import PairedItems, pair_items
from rpt_core.evaluation.statistics.intervals import Estimate, clustered_mean, clustered_ratio
from rpt_core.evaluation.statistics.passk import pass_at_k, reportable_k
from rpt_core.objectives.outcomes import VERDICTS, length_shares

Floats = NDArray[np.float64]
ALL = "all"
"""The one tier of problems, which have no entropy."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One mode of one checkpoint, added up by item: arrays of shape ``(items,)`` in order of ``item_ids``."""

    item_ids: NDArray[np.str_]
    documents: NDArray[np.str_]
    """What errors are clustered by: the document or problem, or the outermost level it is nested in."""
    tiers: NDArray[np.str_]
    entropies_nats: Floats
    """NaN for problems."""
    samples: Floats
    score: Floats
    """Sum over the item's samples, like all that follow."""
    correct: Floats
    thinks: Floats
    correct_and_thinks: Floats
    first_token: Floats
    thought_tokens: Floats
    answer_tokens: Floats

    def __len__(self) -> int:
        return len(self.item_ids)

    def where(self, keep_I: NDArray[np.bool_]) -> "Outcomes":
        """Some of the items."""
        return Outcomes(*(getattr(self, name)[keep_I] for name in self.__dataclass_fields__))

    def above(self, floor_nats: float) -> "Outcomes":
        """The places at least this uncertain under the proxy model."""
        return self.where(self.entropies_nats >= floor_nats)

    def of_tiers(self, names: Sequence[str]) -> "Outcomes":
        """The items whose own tier is one of these."""
        return self.where(np.isin(self.tiers, names))

    def scores(self) -> dict[str, tuple[float, str]]:
        """Item -> (mean score, cluster), as :func:`.statistics.compare.pair_items` takes them."""
        means = self.score / self.samples
        columns = self.item_ids.tolist(), means.tolist(), self.documents.tolist()
        return {name: (mean, document) for name, mean, document in zip(*columns, strict=True)}


def pooled(several: Sequence[Outcomes]) -> Outcomes:
    """The outcomes of several worlds as one; items and documents are told apart by their number in line.

    Example:
        >>> import numpy as np
        >>> one = Outcomes(*(np.array(["a"]),) * 3, *(np.ones(1),) * 9)
        >>> pooled([one, one]).documents.tolist()
        ['0 a', '1 a']
    """

    def column(name: str) -> NDArray[Any]:
        parts = [getattr(found, name) for found in several]
        if name in ("item_ids", "documents"):
            parts = [[f"{number} {label}" for label in part] for number, part in enumerate(parts)]
        return np.concatenate([np.asarray(part) for part in parts])

    return Outcomes(*(column(name) for name in Outcomes.__dataclass_fields__))


def rows_of(items: pa.Table, mode: str, checkpoint: str) -> pa.Table:
    """The rows of one mode of one checkpoint."""
    chosen = (np.array(items["mode"]) == mode) & (np.array(items["checkpoint"]) == checkpoint)
    return items.filter(pa.array(chosen))


def outcomes(items: pa.Table, mode: str, checkpoint: str = FINAL) -> Outcomes:
    """Add the samples of each item up; items in order of their ids."""
    table = rows_of(items, mode, checkpoint)
    ids, first_I, index = np.unique(
        np.array(table["item_id"], dtype=str), return_index=True, return_inverse=True
    )
    correct = np.array(table["verdict"]) == "correct"
    thinks = np.array(table["thinks"], bool)
    first_token = np.array([bool(x) for x in table["first_token"].to_pylist()], bool)

    def total(values: NDArray[Any]) -> Floats:
        sums: Floats = np.bincount(index, weights=values.astype(np.float64), minlength=len(ids))  # type: ignore[assignment]
        return sums

    return Outcomes(
        item_ids=ids,
        documents=clusters(table)[first_I],
        tiers=np.array(table["tier"], dtype=str)[first_I],
        entropies_nats=np.array(table["entropy_nats"].to_pylist(), dtype=np.float64)[first_I],
        samples=total(np.ones(len(table))),
        score=total(np.array(table["score"])),
        correct=total(correct),
        thinks=total(thinks),
        correct_and_thinks=total(correct & thinks),
        first_token=total(first_token),
        thought_tokens=total(np.array(table["thought_tokens"])),
        answer_tokens=total(np.array(table["answer_tokens"])),
    )


def nested_tiers(thresholds_nats: Sequence[float]) -> dict[str, list[str]]:
    """Each tier's name, with the tiers whose items belong to it.

    Example:
        >>> nested_tiers((0.5, 1.0, 1.5))["medium"]
        ['medium', 'hard']
    """
    names = tier_names(thresholds_nats)
    return {name: names[i:] for i, name in enumerate(names)}


def bins(thresholds_nats: Sequence[float]) -> dict[str, list[str]]:
    """Disjoint ranges of entropy, each with the one tier whose items lie in it.

    Example:
        >>> list(bins((0.5, 1.0, 1.5)))
        ['0.5-1 nats', '1-1.5 nats', '1.5+ nats']
    """
    names, ends = tier_names(thresholds_nats), [f"-{t:g}" for t in thresholds_nats[1:]] + ["+"]
    return {
        f"{start:g}{end} nats": [name] for start, end, name in zip(thresholds_nats, ends, names, strict=True)
    }


def tiers_of(found: Outcomes, thresholds_nats: Sequence[float]) -> dict[str, Outcomes]:
    """The nested tiers that have an item; problems, and whatever has no thresholds, are one tier, ``all``."""
    if len(found) and not (found.tiers[0] and thresholds_nats):
        return {ALL: found}
    parts = {name: found.of_tiers(members) for name, members in nested_tiers(thresholds_nats).items()}
    return {name: part for name, part in parts.items() if len(part)}


def accuracy(found: Outcomes) -> Estimate:
    """avg@n: the mean over items of their mean score."""
    return clustered_mean(found.score / found.samples, found.documents, proportion=True)


def think_share(found: Outcomes) -> Estimate:
    """Share of answers that hold a thought."""
    return clustered_ratio(found.thinks, found.samples, found.documents, proportion=True)


def accuracy_given(found: Outcomes, *, thinking: bool) -> Estimate | None:
    """Share of right answers among those that thought (or did not); None when there are none."""
    right = found.correct_and_thinks if thinking else found.correct - found.correct_and_thinks
    those = found.thinks if thinking else found.samples - found.thinks
    if not those.sum():
        return None
    return clustered_ratio(right, those, found.documents, proportion=True)


def mode_scores(
    items: pa.Table,
    mode: str,
    checkpoint: str,
    thresholds_nats: Sequence[float] = (),
    *,
    sampled: bool = True,
) -> dict[str, Any]:
    """Everything ``scores.json`` says of one mode of one checkpoint.

    Args:
        items: Table of outcomes.
        mode: One of its modes.
        checkpoint: One of its checkpoints.
        thresholds_nats: Of the entropy tiers; items without an entropy are one tier, ``all``.
        sampled: Whether answers were drawn; of one greedy answer an item, only accuracy is told.
    """
    found = outcomes(items, mode, checkpoint)
    if not len(found):
        return {"num_items": 0}
    tiers = tiers_of(found, thresholds_nats)
    result: dict[str, Any] = {
        "num_items": len(found),
        "num_documents": len(np.unique(found.documents)),
        "samples_per_item": int(found.samples.min()),
        "accuracy": _by_tier(tiers, accuracy),
    }
    if ALL not in tiers:
        parts = {name: found.of_tiers(members) for name, members in bins(thresholds_nats).items()}
        result["bins"] = _by_tier({name: part for name, part in parts.items() if len(part)}, accuracy)
    if not sampled:
        return result
    measures = {
        "think_share": think_share,
        "accuracy_given_thinking": lambda part: accuracy_given(part, thinking=True),
        "accuracy_given_direct": lambda part: accuracy_given(part, thinking=False),
        "thought_tokens": lambda part: clustered_ratio(part.thought_tokens, part.samples, part.documents),
        "answer_tokens": lambda part: clustered_ratio(part.answer_tokens, part.samples, part.documents),
    }
    if ALL not in tiers:
        measures["first_token_accuracy"] = lambda part: clustered_ratio(
            part.first_token, part.samples, part.documents, proportion=True
        )
    result |= {name: _by_tier(tiers, function) for name, function in measures.items()}
    result["pass_at"] = {
        str(k): _by_tier(
            tiers,
            lambda part, k=k: clustered_mean(
                pass_at_k(part.samples, part.correct, k), part.documents, proportion=True
            ),
        )
        for k in reportable_k(int(found.samples.min()))
    }
    result["verdicts"] = _verdicts(items, mode, checkpoint)
    result["prediction_lengths"] = _prediction_lengths(items, mode, checkpoint)
    return result


def _prediction_lengths(items: pa.Table, mode: str, checkpoint: str) -> dict[str, float]:
    """Share of the predictions that could be read, by length in tokens: whether they shrink to stubs."""
    rows = rows_of(items, mode, checkpoint)
    is_read = np.isin(np.array(rows["verdict"]), ("correct", "wrong"))
    tokens: list[int] = np.array(rows["prediction_tokens"])[is_read].tolist()
    return length_shares(tokens)


def _by_tier(tiers: Mapping[str, Outcomes], function: Any) -> dict[str, Any]:
    estimates = {name: function(part) for name, part in tiers.items()}
    return {name: None if e is None else e.as_json() for name, e in estimates.items()}


def _verdicts(items: pa.Table, mode: str, checkpoint: str) -> dict[str, int]:
    """Answers by verdict: unread is not wrong."""
    verdicts = np.array(rows_of(items, mode, checkpoint)["verdict"])
    return {name: int(np.sum(verdicts == name)) for name in VERDICTS}


def paired(before: Outcomes, after: Outcomes) -> PairedItems:
    """Two sets of outcomes on the same questions.

    Raises:
        RecipeError: the questions differ.
    """
    return pair_items(before.scores(), after.scores())
