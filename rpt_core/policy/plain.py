"""What a model says of plain text at some places: the document alone, with nothing before it.

Letters: B documents, T tokens, P places, V vocabulary, E hidden size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from rpt_core.policy.attention import Causal
from rpt_core.policy.head import chunks, product
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk


@dataclass
class PlainChances:
    """Probabilities of given next tokens on raw trunks, without gradient, at temperature 1."""

    policy: Policy
    tokens_per_batch: int = 16_384
    """Most tokens forwarded at once, padding included."""
    num_forwarded: int = 0
    """Tokens forwarded so far, padding included."""

    def __call__(
        self, trunks: Sequence[Trunk], tokens: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[float]]]:
        """See :class:`rpt_core.objectives.evidence.Chances`.

        Raises:
            ValueError: a cut stands before the first token, where plain text predicts nothing.
        """
        found: list[list[list[float]]] = [[] for _ in trunks]
        used = [_up_to_last_cut(trunk) for trunk in trunks]
        for batch in _batches([len(trunk.document_ids) for trunk in used], self.tokens_per_batch):
            rows = self._batch([used[i] for i in batch], [tokens[i] for i in batch])
            for index, row in zip(batch, rows, strict=True):
                found[index] = row
        return found

    @torch.no_grad()
    def _batch(
        self, trunks: Sequence[Trunk], tokens: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[float]]]:
        width = max(len(trunk.document_ids) for trunk in trunks)
        ids_BT = np.zeros((len(trunks), width), np.int64)
        for row, trunk in zip(ids_BT, trunks, strict=True):
            row[: len(trunk.document_ids)] = trunk.document_ids
        self.num_forwarded += ids_BT.size
        positions_BT = np.broadcast_to(np.arange(width), ids_BT.shape).copy()
        ids, positions = (torch.from_numpy(x).to(self.policy.device) for x in (ids_BT, positions_BT))
        slots = [i * width + cut.position - 1 for i, trunk in enumerate(trunks) for cut in trunk.cuts]
        hidden_PE = self.policy.hidden(ids, positions, Causal()).flatten(0, 1)
        chosen_PE = hidden_PE.index_select(0, torch.tensor(slots, device=self.policy.device))
        chances = iter(self._at_places(chosen_PE, [some for of_one in tokens for some in of_one]))
        return [[next(chances) for _ in trunk.cuts] for trunk in trunks]

    def _at_places(self, hidden_PE: torch.Tensor, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
        weight = self.policy.output_weight
        found: list[list[float]] = []
        for chunk in chunks(len(hidden_PE), weight):
            chances_PV = product(hidden_PE[chunk], weight.mT).float().softmax(1).cpu()
            for chances_V, some in zip(chances_PV, tokens[chunk], strict=True):
                found.append([float(chances_V[token]) if token >= 0 else 0.0 for token in some])
        return found


def _up_to_last_cut(trunk: Trunk) -> Trunk:
    """Without what stands before the document, and without what follows the last cut."""
    if not trunk.cuts or any(cut.position < 1 for cut in trunk.cuts):
        raise ValueError(f"document {trunk.key!r} has no cut, or one before its first token")
    last = max(cut.position for cut in trunk.cuts)
    return replace(trunk, instruction_ids=(), document_ids=trunk.document_ids[:last])


def _batches(lengths: Sequence[int], tokens_per_batch: int) -> Iterator[list[int]]:
    """Neighbours in length, so that little is padded."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
