"""What a model says of plain text at some places: the document alone, with nothing but BOS before it.

Letters: B paths, T tokens, P places, V vocabulary, E hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from rpt_core.policy.attention import Causal
from rpt_core.policy.head import chunks, product
from rpt_core.policy.model import Policy
from rpt_core.policy.parts import padded_batches
from rpt_core.policy.trunk import Trunk, raw_trunk


@dataclass
class PlainProbabilities:
    """Probabilities of given next tokens on raw trunks, without gradient, at temperature 1."""

    policy: Policy
    tokens_per_batch: int = 16_384
    """Most tokens forwarded at once, padding included."""
    num_forwarded: int = 0
    """Tokens forwarded so far, padding included."""

    @torch.no_grad()
    def __call__(
        self, trunks: Sequence[Trunk], tokens: Sequence[Sequence[Sequence[int]]]
    ) -> list[list[list[float]]]:
        """See :class:`rpt_core.objectives.evidence.Wanted`.

        Raises:
            ValueError: a cut stands before the first token, where plain text predicts nothing.
        """
        found: list[list[list[float]]] = [[] for _ in trunks]
        trunks = [raw_trunk(trunk, self.policy.begin_ids) for trunk in trunks]
        paths = [_up_to_last_cut(trunk) for trunk in trunks]
        for batch in padded_batches([len(path) for path in paths], self.tokens_per_batch):
            self.num_forwarded += len(batch) * max(len(paths[i]) for i in batch)
            places = [[trunks[i].depth(cut) - 1 for cut in trunks[i].cuts] for i in batch]
            hidden_PE = hidden_at(self.policy, [paths[i] for i in batch], places)
            chances = iter(self._at_places(hidden_PE, [some for i in batch for some in tokens[i]]))
            for i in batch:
                found[i] = [next(chances) for _ in trunks[i].cuts]
        return found

    def _at_places(self, hidden_PE: torch.Tensor, tokens: Sequence[Sequence[int]]) -> list[list[float]]:
        weight = self.policy.output_weight
        self.policy.work.add_scores(len(hidden_PE))
        found: list[list[float]] = []
        for chunk in chunks(len(hidden_PE), weight):
            chances_PV = product(hidden_PE[chunk], weight.mT).float().softmax(1).cpu()
            for chances_V, some in zip(chances_PV, tokens[chunk], strict=True):
                found.append([float(chances_V[token]) if token >= 0 else 0.0 for token in some])
        return found


def hidden_at(
    policy: Policy, paths: Sequence[Sequence[int]], places: Sequence[Sequence[int]]
) -> torch.Tensor:
    """Hidden states ``(P, E)`` at some places of token paths, which go through the model as padded rows.

    Args:
        policy: The model.
        paths: Token ids, each path by itself.
        places: By path, the tokens whose hidden states are wanted.
    """
    width = max(len(path) for path in paths)
    ids_BT = np.zeros((len(paths), width), np.int64)
    for row, path in zip(ids_BT, paths, strict=True):
        row[: len(path)] = path
    positions_BT = np.broadcast_to(np.arange(width), ids_BT.shape).copy()
    ids, positions = (torch.from_numpy(x).to(policy.device) for x in (ids_BT, positions_BT))
    slots = [i * width + place for i, some in enumerate(places) for place in some]
    hidden_PE = policy.hidden(ids, positions, Causal()).flatten(0, 1)  # (B, T, E) -> (B*T, E)
    return hidden_PE.index_select(0, torch.tensor(slots, device=policy.device))


def _up_to_last_cut(trunk: Trunk) -> tuple[int, ...]:
    """The trunk without what follows the last cut."""
    if not trunk.cuts or any(cut.position < 1 for cut in trunk.cuts):
        raise ValueError(f"document {trunk.key!r} has no cut, or one before its first token")
    return trunk.token_ids[: max(trunk.depth(cut) for cut in trunk.cuts)]
