"""Choices ranked by their likelihood: a mode for base models, which nothing is drawn in."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from rpt_core.evaluation.benchmarks.likelihood import nats_after
from rpt_core.evaluation.benchmarks.packs.item import LETTERS, Item, Shot
from rpt_core.evaluation.benchmarks.packs.pack import Pack, Ranking
from rpt_core.evaluation.benchmarks.suite.prompts import Prompter, ids_digest
from rpt_core.evaluation.benchmarks.suite.table import OutcomeRow
from rpt_core.objectives.outcomes import VerdictName
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk


@dataclass(frozen=True, slots=True)
class Ranked:
    """One context of an item with its continuations as token ids."""

    item: Item
    ranking: Ranking
    trunk: Trunk
    ids: tuple[tuple[int, ...], ...]

    @property
    def num_tokens(self) -> int:
        """Of the longest row: the context and a continuation."""
        return self.trunk.num_tokens + max(map(len, self.ids))


def ranked_of(pack: Pack, item: Item, shots: Sequence[Shot], prompter: Prompter) -> list[Ranked]:
    """An item's contexts; choices that are listed, and choices by themselves."""
    found = []
    for number, ranking in enumerate(pack.rankings(item, shots)):
        trunk = prompter.plain(f"{pack.name}/{item.item_id}/{number}", ranking.context)
        ids = tuple(tuple(prompter.codec.encode(text)) for text in ranking.continuations)
        found.append(Ranked(item, ranking, trunk, ids))
    return found


def rank(policy: Policy, some: Sequence[Ranked]) -> tuple[list[OutcomeRow], int]:
    """One row for every context and mode, in order, and the tokens forwarded."""
    nats, forwarded = nats_after(policy, [one.trunk.token_ids for one in some], [one.ids for one in some])
    return [row for i, one in enumerate(some) for row in _rows(one, nats[i])], forwarded


def _rows(one: Ranked, nats: Sequence[float]) -> list[OutcomeRow]:
    rows = []
    for number, mode in enumerate(one.ranking.modes):
        texts = one.ranking.continuations
        scores = [
            total / (len(text.encode()) if number else 1) for total, text in zip(nats, texts, strict=True)
        ]
        best = int(np.argmax(scores))
        said, is_read = LETTERS[best], all(map(isfinite, scores))
        name: VerdictName = "unparsed" if not is_read else "correct" if said == one.item.answer else "wrong"
        rows.append(
            OutcomeRow(
                mode=mode,
                item_id=one.item.item_id,
                doc_id=one.item.item_id,
                sample=0,
                verdict=name,
                score=float(name == "correct"),
                thought_tokens=0,
                answer_tokens=len(one.ids[best]),
                prediction=said if is_read else "",
                truth=one.item.answer,
                prompt_digest=ids_digest(one.trunk.token_ids),
                subject=one.item.subject or None,
                topic=one.item.topic,
                option_nats=tuple(nats),
            )
        )
    return rows
