"""Next tokens of plain texts: the likeliest one at every position, and how uncertain the model was.

Letters: P positions, E hidden size, V vocabulary.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rpt_core.evaluation.benchmarks.packs.item import Item
from rpt_core.evaluation.benchmarks.packs.language.next_token import TIERS_NATS, TOP_K
from rpt_core.evaluation.benchmarks.suite.prompts import ids_digest
from rpt_core.evaluation.benchmarks.suite.table import OutcomeRow
from rpt_core.evaluation.items import tier_of
from rpt_core.policy.head import chunks, product, score_top_k, without
from rpt_core.policy.model import Policy
from rpt_core.policy.plain import hidden_at

WINDOW = 4096
"""Most tokens of a text that are read as one row; a longer text is cut into several."""


@torch.no_grad()
def guess(policy: Policy, items: Sequence[Item], places: int) -> tuple[list[OutcomeRow], int]:
    """One row a position of some texts, and the tokens forwarded.

    Args:
        policy: The model.
        items: Texts.
        places: Tokens the model has room for.
    """
    rows, forwarded = list[OutcomeRow](), 0
    begin = policy.codec.begin_ids
    for item in items:
        for start, ids in _windows(policy.codec.encode(item.question), min(WINDOW, places - len(begin))):
            row = [*begin, *ids]
            first = max(1, len(begin))  # the first token that something predicts
            wanted = list(range(first, len(row)))
            if not wanted:
                continue
            hidden_PE = hidden_at(policy, [row], [[place - 1 for place in wanted]])
            targets_P = torch.tensor([row[place] for place in wanted], device=policy.device)
            policy.work.add_scores(2 * len(wanted))
            nll_P, entropy_P = score_top_k(hidden_PE, policy.output_weight, targets_P, TOP_K)
            said = zip(_likeliest(policy, hidden_PE), nll_P.tolist(), entropy_P.tolist(), strict=True)
            digest = ids_digest(tuple(row))
            rows += [
                _row(policy, item, start + place - len(begin), row[place], one, digest)
                for place, one in zip(wanted, said, strict=True)
            ]
            forwarded += len(row)
    return rows, forwarded


def _windows(ids: list[int], size: int) -> Iterator[tuple[int, list[int]]]:
    for start in range(0, len(ids), size):
        yield start, ids[start : start + size]


def _likeliest(policy: Policy, hidden_PE: Tensor) -> list[int]:
    weight = policy.output_weight
    return [
        token
        for chunk in chunks(len(hidden_PE), weight)
        for token in without(product(hidden_PE[chunk], weight.mT), policy.unknown_ids).argmax(1).tolist()
    ]


def _row(
    policy: Policy, item: Item, position: int, truth: int, said: tuple[int, float, float], digest: str
) -> OutcomeRow:
    token, nll, entropy = said
    is_right = token == truth
    return OutcomeRow(
        mode="plain",
        item_id=f"{item.item_id}:{position}",
        doc_id=item.item_id,
        sample=0,
        verdict="correct" if is_right else "wrong",
        score=float(is_right),
        thought_tokens=0,
        answer_tokens=1,
        prediction=policy.codec.decode([token]),
        truth=policy.codec.decode([truth]),
        prompt_digest=digest,
        position=position,
        entropy_nats=entropy,
        tier=tier_of(entropy, TIERS_NATS),
        prediction_tokens=1,
        topic=item.topic,
        option_nats=(-nll,),
    )
