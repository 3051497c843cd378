"""Policy losses as rows of a table, and the pure functions that the rows put together.

Every loss is a sum over tokens of ``weight * term``: the term compares the new policy with the one
that drew the answer, the weight is one over a denominator of the *whole* batch. A batch can then be
split into any micro-batches without changing its gradient. With ``rho`` the ratio of both policies and ``A``
the answer's advantage (``advantages.py``), the terms:

    -min(rho * A, clip(rho, 1 - low, 1 + high) * A)     "clipped": GRPO, Dr. GRPO, DAPO, GSPO, RLOO, RLP
    -stop_gradient(clip(rho, ...)) * A * log pi         "weighted": CISPO
    -A * log pi                                         "likelihood": rejection sampling, A = 1 / right ones

and the weights, with n_i the tokens of the i-th of K answers that count:

    1 / sum_i(n_i)              mean over "tokens": GRPO, DAPO, CISPO, RLPR; rejection: 1 / sum_i(A_i n_i)
    1 / (K * n_i)               mean over "answers": GSPO, RLP
    1 / (K * longest allowed)   "constant": Dr. GRPO, RLOO, NOVER

``lessons.py`` takes the denominators of the batch, ``step.py`` adds the products up.

Letters: N answer tokens, A answers.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from rpt_core.recipes.reinforce import LossName


@dataclass(frozen=True, slots=True)
class Preset:
    """One published loss."""

    by_deviation: bool
    """Whether advantages are divided by their group's standard deviation."""
    ratio: Literal["token", "answer"]
    """Whether the new policy is compared token by token, or by its mean over the answer (GSPO)."""
    clip_low: float
    clip_high: float
    """The ratio is kept within ``1 - clip_low`` and ``1 + clip_high``."""
    surrogate: Literal["clipped", "weighted", "likelihood"]
    """``clipped``: the pessimistic minimum of PPO. ``weighted``: CISPO, where a clipped ratio without
    gradient weighs the log-probability, so that no token loses its gradient. ``likelihood``: the
    log-probability of right answers alone, whatever policy drew them (rejection sampling, expert
    iteration)."""
    mean: Literal["tokens", "answers", "constant"]
    """What the sum is divided by: tokens of the batch; answers, each by its own length first; or answers
    times the longest answer allowed, the same for all batches (Dr.GRPO)."""
    leave_one_out: bool = False
    """Whether an answer is compared with the mean of its group's others, itself left out (RLOO)."""


PRESETS: dict[LossName, Preset] = {
    "grpo": Preset(True, "token", 0.2, 0.2, "clipped", "tokens"),
    "dr_grpo": Preset(False, "token", 0.2, 0.2, "clipped", "constant"),
    "dapo": Preset(True, "token", 0.2, 0.28, "clipped", "tokens"),
    "gspo": Preset(True, "answer", 3e-4, 4e-4, "clipped", "answers"),
    "cispo": Preset(True, "token", 1.0, 4.0, "weighted", "tokens"),
    "rloo": Preset(False, "token", 0.2, 0.2, "clipped", "constant", leave_one_out=True),
    "rlp": Preset(False, "token", 0.2, 0.2, "clipped", "answers", leave_one_out=True),
    "rlpr": Preset(True, "token", 0.2, 0.27, "clipped", "tokens"),
    "nover": Preset(False, "token", 0.1, 0.2, "clipped", "constant"),
    "rejection": Preset(False, "token", 1.0, math.inf, "likelihood", "tokens"),
}
"""``grpo`` takes the mean over the batch's tokens, the default of the library RPT was built on; the
papers do not say (docs/methods.md, rule 2.2). ``rloo`` is the estimate of arXiv 2402.14740, section 3.2;
``rlp`` that of arXiv 2510.01265, section 3, whose clip range is not given; ``rlpr`` has the clip range of
arXiv 2506.18254 (0.8 to 1.27), ``nover`` that of arXiv 2505.16022. ``rejection`` is no policy gradient:
supervised learning of the right answers, each question weighing alike (study of controls).

With one update per batch every ratio is 1: no clip acts, and ``grpo``, ``dapo``, ``cispo`` and ``rlpr`` have
the same gradient, bit for bit. ``dr_grpo`` then differs by its advantages and its denominator, ``gspo`` by
the weight of a token (one over the length of its answer); ``rloo`` is G / (G - 1) times ``dr_grpo`` for
groups of G, ``rlp`` weighs tokens like ``gspo``. With ``updates_per_batch`` of 2 or more all differ."""


def policy_terms(
    logprobs_N: Tensor, old_logprobs_N: Tensor, advantages_A: Tensor, answer_N: Tensor, preset: Preset
) -> Tensor:
    """The loss of every token, before weighing.

    Args:
        logprobs_N: Under the policy being trained, with gradient.
        old_logprobs_N: Under the policy that drew the answer, without.
        advantages_A: By answer.
        answer_N: Which answer each token belongs to.
        preset: A row of :data:`PRESETS`.
    """
    ratio_N = ratios(logprobs_N, old_logprobs_N, answer_N, len(advantages_A), preset)
    clipped_N = clipped(ratio_N, preset)
    advantage_N = advantages_A[answer_N]  # (A,) -> (N,): an answer's tokens share its advantage
    if preset.surrogate == "likelihood":
        return -advantage_N * logprobs_N
    if preset.surrogate == "weighted":
        return -clipped_N.detach() * advantage_N * logprobs_N
    return -torch.minimum(ratio_N * advantage_N, clipped_N * advantage_N)


def ratios(
    logprobs_N: Tensor, old_logprobs_N: Tensor, answer_N: Tensor, num_answers: int, preset: Preset
) -> Tensor:
    """How much likelier each token (or its answer, as a geometric mean per token) has become."""
    log_ratio_N = logprobs_N - old_logprobs_N
    if preset.ratio == "answer":
        log_ratio_N = answer_means(log_ratio_N, answer_N, num_answers)[answer_N]
    return log_ratio_N.exp()


def clipped(ratio_N: Tensor, preset: Preset) -> Tensor:
    """Ratios kept within the preset's range."""
    return ratio_N.clamp(1 - preset.clip_low, 1 + preset.clip_high)


def token_weights(answer_N: Tensor, counted_A: Tensor, preset: Preset, denominator: float) -> Tensor:
    """What each token's term is multiplied with, so that the batch's terms add up to its loss.

    Args:
        answer_N: Which answer each token belongs to.
        counted_A: False for answers left out of the loss (truncated ones, where masked).
        preset: A row of :data:`PRESETS`.
        denominator: :func:`denominator` of the whole batch.
    """
    weight_A = counted_A.float() / denominator
    if preset.mean == "answers":
        lengths_A = torch.zeros_like(weight_A).index_add_(0, answer_N, torch.ones_like(answer_N).float())
        weight_A = weight_A / lengths_A.clamp(min=1)
    return weight_A[answer_N]


def denominator(lengths: Sequence[float], preset: Preset, max_tokens: int) -> float:
    """What the batch's sum is divided by.

    Args:
        lengths: Tokens of every answer that counts, over the whole batch, times its weight if it has one.
        preset: A row of :data:`PRESETS`.
        max_tokens: Longest answer allowed.

    Returns:
        At least 1, so that a batch in which nothing counts has loss zero and no NaN.
    """
    by_mean = {"tokens": sum(lengths), "answers": len(lengths), "constant": len(lengths) * max_tokens}
    return float(max(by_mean[preset.mean], 1))


def importance_weights(logprobs_N: Tensor, engine_logprobs_N: Tensor, cap: float) -> Tensor:
    """Token-level correction for an engine that computes slightly other probabilities, capped.

    Args:
        logprobs_N: The trainer's.
        engine_logprobs_N: The engine's, as returned with the answers.
        cap: Largest weight; token-level correction with a cap of 2 stayed stable where sequence-level
            correction collapsed.

    Returns:
        ``min(pi_trainer / pi_engine, cap)``, without gradient.
    """
    return (logprobs_N.detach() - engine_logprobs_N).exp().clamp(max=cap)


def kl_terms(logprobs_N: Tensor, reference_N: Tensor) -> Tensor:
    """Divergence from a reference policy, per token: the estimator that is never negative (k3)."""
    gap_N = reference_N - logprobs_N
    return gap_N.exp() - gap_N - 1


def answer_means(values_N: Tensor, answer_N: Tensor, num_answers: int) -> Tensor:
    """Mean of a value over each answer's tokens; 0 for an answer without any."""
    zeros_A = torch.zeros(num_answers, dtype=values_N.dtype, device=values_N.device)
    counts_A = zeros_A.index_add(0, answer_N, torch.ones_like(values_N))
    return zeros_A.index_add(0, answer_N, values_N) / counts_A.clamp(min=1)  # (A,)
