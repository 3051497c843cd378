"""How likely a model finds the text that a corpus holds out."""

import torch

from rpt_core.policy.forward import document_scores
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk
from rpt_core.train.supervised.windows import Windows

HELD_OUT_WINDOWS = 64
"""Held-out windows the finished model is measured on."""


@torch.no_grad()
def held_out_nll(policy: Policy, windows: Windows) -> float | None:
    """Mean negative log-likelihood in nats over the first held-out windows; None without any."""
    some = range(min(HELD_OUT_WINDOWS, len(windows)))
    trunks = [Trunk(str(i), policy.begin_ids, windows[i]) for i in some]
    if not trunks:
        return None
    total = sum(float(document_scores(policy, [trunk]).nll_M.sum()) for trunk in trunks)
    tokens = sum(trunk.num_tokens for trunk in trunks)
    return total / (tokens - len(trunks))
