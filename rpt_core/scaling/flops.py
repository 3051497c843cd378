"""How much computing a stage did: one accounting, used by every stage and by the scaling law.

RPT does not publish its accounting (methods 1.8); this is the common one for dense transformers:
two operations per parameter and token of a forward pass, and twice that again for the backward pass.

    C = sum over steps of   2 * N * (tokens forwarded to draw answers)
                          + 6 * N * (tokens forwarded and differentiated in the update)

``N`` counts every parameter once, a tied embedding as one. Tokens are those that really went through
the model: a shared document trunk counts once, however many answers hang on it, and padding counts.
Left out on purpose: the softmax, the optimiser, and attention's own products, about ``T / 12 d`` of
the rest for a context of ``T`` and a width of ``d``: 5 % in the sample world (80, 128), under 2 % for
a 14B model at 1,000 tokens.
"""

FORWARD_PER_PARAMETER = 2
UPDATE_PER_PARAMETER = 6
GIGA = 1e9


def forward_flops(num_parameters: int, num_tokens: int) -> float:
    """Floating-point operations of forwarding ``num_tokens`` without gradient (scoring, drawing answers).

    Raises:
        ValueError: a count is negative.

    Example:
        >>> forward_flops(1_000_000, 500)
        1000000000.0
    """
    return float(FORWARD_PER_PARAMETER * _counted(num_parameters, num_tokens))


def update_flops(num_parameters: int, num_tokens: int) -> float:
    """Floating-point operations of forwarding and differentiating ``num_tokens``.

    Raises:
        ValueError: a count is negative.

    Example:
        >>> update_flops(1_000_000, 500)
        3000000000.0
    """
    return float(UPDATE_PER_PARAMETER * _counted(num_parameters, num_tokens))


def step_flops(num_parameters: int, *, rollout_tokens: int, update_tokens: int) -> float:
    """One step of reinforcement learning: answers drawn, then one update (methods 1.8).

    Example:
        The paper's run, 256 prompts x 8 answers x 1,400 tokens a step, 1,000 steps of a 14B model:

        >>> tokens = 256 * 8 * 1400
        >>> f"{1000 * step_flops(14_000_000_000, rollout_tokens=tokens, update_tokens=tokens):.1e}"
        '3.2e+20'
    """
    return forward_flops(num_parameters, rollout_tokens) + update_flops(num_parameters, update_tokens)


def _counted(num_parameters: int, num_tokens: int) -> int:
    if num_parameters < 0 or num_tokens < 0:
        raise ValueError(f"{num_parameters} parameters and {num_tokens} tokens: a count below zero is a bug")
    return num_parameters * num_tokens
