"""The dual objective of RMT: next-token loss on every document token that was not asked about.

    L = L_RL + lambda * L_NTP,   L_NTP = -mean over t in D of log p_theta(x_t | x_<t)

A document's tokens fall into two sets: those asked about, which only the policy loss learns from, and D, all
others, which only this loss learns from (docs/methods.md, rule 3.5). The mean is over the whole batch, so
lambda does not depend on batch or document size. :func:`own_loss` is its sum; ``lessons.py`` counts D, and
``step.py`` divides by that, multiplies by lambda (the recipe's ``ntp_weight``) and adds L_RL. Where
the documents are read as the branches' own trunk it costs no forward pass; instruction tokens are never
predicted, so they never carry loss.

Letters: M scored document tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.policy.forward import DocumentScores
from rpt_core.policy.trunk import Trunk, raw_trunk
from rpt_core.train.backends.backend import TrainerBackend

Asked = frozenset[int]
"""Places of one document that were asked about: indices of their tokens."""


def own_tokens(
    trunks: Sequence[Trunk], asked: Sequence[Asked], document: DocumentScores
) -> NDArray[np.bool_]:
    """Which scored document tokens are in the documents' own loss; shape ``(M,)``.

    Args:
        trunks: The documents of the pass, in its order.
        asked: For each, the tokens asked about.
        document: Scores of the pass.
    """
    is_asked = [np.zeros(len(trunk.document_ids) + 1, bool) for trunk in trunks]
    for flags, places in zip(is_asked, asked, strict=True):
        flags[list(places)] = True
    pairs = zip(document.trunk_M.tolist(), document.token_M.tolist(), strict=True)
    return np.array([not is_asked[trunk][token] for trunk, token in pairs], bool)


def num_own_tokens(trunk: Trunk, asked: Asked) -> int:
    """How many tokens of a document :func:`own_tokens` will find.

    All but those asked about; where nothing stands before it (neither an instruction nor BOS), nothing
    predicts its first one either.
    """
    first = 0 if trunk.instruction_ids else 1
    tokens = len(trunk.document_ids)
    return max(tokens - first, 0) - sum(first <= place < tokens for place in asked)


def own_loss(trunks: Sequence[Trunk], asked: Sequence[Asked], document: DocumentScores) -> Tensor:
    """Summed negative log-likelihood of the documents' own tokens, nats; with the pass's gradient."""
    own = torch.from_numpy(own_tokens(trunks, asked, document)).to(document.nll_M.device)
    return document.nll_M[own].sum()


def raw(trunk: Trunk, begin_ids: tuple[int, ...]) -> Trunk:
    """The document alone, BOS aside: the form the paper trains on."""
    return replace(raw_trunk(trunk, begin_ids), cuts=())


def raw_scores(backend: TrainerBackend, trunks: Sequence[Trunk]) -> tuple[DocumentScores, int]:
    """The documents' own tokens as :func:`raw` trunks, and the tokens this pass of its own forwarded."""
    return backend.score_documents(trunks), len(trunks) * max(trunk.num_tokens for trunk in trunks)


def entropies_by_trunk(trunks: Sequence[Trunk], document: DocumentScores) -> dict[str, NDArray[np.float32]]:
    """How uncertain the policy was at each token, by key of the trunk; NaN where it predicts none.

    Trunks without a scored token are left out.
    """
    found: dict[str, NDArray[np.float32]] = {}
    entropies_M = document.entropies_M.detach().float().cpu().numpy()
    for index, trunk in enumerate(trunks):
        mine = document.trunk_M == index
        if not mine.any():
            continue
        found[trunk.key] = np.full(len(trunk.document_ids), np.nan, np.float32)
        found[trunk.key][document.token_M[mine]] = entropies_M[mine]
    return found
