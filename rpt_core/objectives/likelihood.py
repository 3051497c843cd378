"""What a thought is worth by the likelihood of the truth after it: pure functions, in double precision.

``c_k`` is the chance of the k-th true token given the thought and the true tokens before it, ``b_k`` the same
after an empty thought. Both come as natural logs. What is made of them (NRT, arXiv 2602.11549):

    log          L = sum_k log c_k
    product      P = exp(L)
    geometric    P^(1/K)
    mean         1/K sum_k c_k
    inverse      sum_k v_k c_k,  v_k = (1 / b_k) / sum_j (1 / b_j)
    surprise     sum_k v_k c_k,  v_k = min(-log b_k, 8) / sum_j min(-log b_j, 8)

For a single true token all but the first are ``c_1``. A token of probability 0 has no logarithm: the forms
that take one have no value there (None), so that no mean of a group ever holds it.
"""

import math
from collections.abc import Sequence
from typing import Literal

Form = Literal["log", "product", "geometric", "mean", "inverse", "surprise"]
MOST_SURPRISE = 8.0
"""Nats at which a token's weight stops to grow: what no model expects (a slip of the pen) would decide
alone."""


def log_likelihood(given: Sequence[float]) -> float | None:
    """L in nats; None where nothing was scored, or a token had probability 0.

    Example:
        >>> round(log_likelihood([math.log(0.9), math.log(0.5), math.log(0.8)]), 6)
        -1.021651
        >>> log_likelihood([-0.5, -math.inf]), log_likelihood([])
        (None, None)
    """
    total = math.fsum(given)
    return total if given and math.isfinite(total) else None


def value(form: Form, given: Sequence[float], without: Sequence[float] = ()) -> float | None:
    """What the truth's likelihood comes to.

    Args:
        form: Which sum of the module's table.
        given: ``log c_k``; none of them where a thought never ended.
        without: ``log b_k``, for the weights of ``inverse`` and ``surprise``.

    Returns:
        None where there is no such value.

    Example:
        >>> given, without = ([math.log(c) for c in x] for x in ((0.9, 0.5, 0.8), (0.4, 0.1, 0.6)))
        >>> {form: round(value(form, given, without), 4) for form in ("product", "mean", "surprise")}
        {'product': 0.36, 'mean': 0.7333, 'surprise': 0.6394}
    """
    if not given:
        return None
    if form == "log":
        return log_likelihood(given)
    if form == "product":
        return math.exp(math.fsum(given))
    if form == "geometric":
        return math.exp(math.fsum(given) / len(given))
    return math.fsum(v * math.exp(c) for v, c in zip(weights(form, given, without), given, strict=True))


def slopes(form: Form, given: Sequence[float], without: Sequence[float] = ()) -> tuple[float, ...]:
    """By token, what the value gains for a gain of ``log c_k``: its gradient weighs the tokens' by these."""
    if form == "log":
        return (1.0,) * len(given)
    if form == "product":
        return (math.exp(math.fsum(given)),) * len(given)
    if form == "geometric":
        return (math.exp(math.fsum(given) / len(given)) / len(given),) * len(given)
    return tuple(v * math.exp(c) for v, c in zip(weights(form, given, without), given, strict=True))


def weights(form: Form, given: Sequence[float], without: Sequence[float]) -> list[float]:
    """``v_k``, which sum to 1; equal ones where the form has none, or nothing is a surprise."""
    if form == "inverse":
        least = min(without, default=0.0)
        raw = [math.exp(least - b) for b in without]  # of the largest 1 / b_k, so that none overflows
        raw = [1.0 if math.isnan(one) else one for one in raw]
    elif form == "surprise":
        raw = [min(-b, MOST_SURPRISE) for b in without]
    else:
        raw = [1.0] * len(given)
    total = math.fsum(raw)
    return [one / total for one in raw] if total > 0 else [1 / len(raw)] * len(raw)


def log_mean_exp(logs: Sequence[float]) -> float:
    """``log (1/n) sum_i exp(L_i)`` without overflow.

    Example:
        >>> round(log_mean_exp([-1.021651, -2.476938, -6.502290, -0.166704]), 5)
        -1.13014
    """
    most = max(logs)
    return most + math.log(math.fsum(math.exp(one - most) for one in logs) / len(logs))


def clipped_gain(gain: float, most: float | None) -> float:
    """A gain of log-likelihood kept within ``-most`` and ``most`` nats.

    One thought with a chance of 1e-9 would else set its group's mean.
    """
    return gain if most is None else max(-most, min(gain, most))


def with_mean(values: Sequence[float | None]) -> list[float]:
    """Values with the mean of those there are in place of the others; 0 where there is none.

    So an answer without a value stays out of what its group is compared with.

    Example:
        >>> with_mean([1.5, None, 0.5])
        [1.5, 1.0, 0.5]
    """
    known = [one for one in values if one is not None]
    mean = math.fsum(known) / len(known) if known else 0.0
    return [mean if one is None else one for one in values]
