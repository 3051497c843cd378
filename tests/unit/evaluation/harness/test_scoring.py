"""Continuations held against Transformers' own forward pass, pair by pair."""

import numpy as np
import pytest
import torch

from rpt_core.errors import RecipeError
from rpt_core.evaluation.harness.scoring import continuations, fit
from tests.toys import random_ids, tiny_policy

RNG = np.random.default_rng(0)
CONTEXTS = [random_ids(RNG, size) for size in (1, 5, 5, 40, 17)]
PAIRS = [
    (CONTEXTS[at], random_ids(RNG, 1 + number % 4)) for number, at in enumerate((0, 1, 2, 3, 1, 4, 1, 0))
]
"""Contexts that stand once and several times, not side by side; continuations of one to four tokens."""


def logits(policy, ids):
    """Of a row by itself, by Transformers' own attention; shape ``(tokens, vocabulary)``."""
    with torch.no_grad(), policy.attending("sdpa"):
        return policy.model(torch.tensor([ids]), use_cache=False).logits[0]


def by_transformers(policy, context, continuation):
    """Log-probability and greediness of one pair, as one row by itself."""
    row = [*context, *continuation]
    logp = logits(policy, row[:-1]).double().log_softmax(1)[len(context) - 1 :]
    wanted = torch.tensor(continuation)
    nats = logp.gather(1, wanted[:, None]).sum()
    return float(nats), bool((logp.argmax(1) == wanted).all())


@pytest.fixture(scope="module")
def policy():
    return tiny_policy(sharpness=1.5)


def greedy(policy, context, count):
    ids = list(context)
    for _ in range(count):
        ids.append(int(logits(policy, ids)[-1].argmax()))
    return tuple(ids[len(context) :])


def test_every_pair_has_the_probability_that_it_has_by_itself(policy):
    found = dict(continuations(policy, PAIRS))
    assert sorted(found) == list(range(len(PAIRS)))
    for number, (context, continuation) in enumerate(PAIRS):
        nats, is_greedy = by_transformers(policy, context, continuation)
        assert found[number].nats == pytest.approx(nats, abs=1e-4)
        assert found[number].is_greedy == is_greedy
    one_pass_each = sum(map(len, set(CONTEXTS))) + sum(len(continuation) for _, continuation in PAIRS)
    assert sum(one.num_tokens for one in found.values()) == one_pass_each


def test_what_greedy_decoding_gives_is_greedy_and_nothing_else_is(policy):
    said = greedy(policy, CONTEXTS[3], 3)
    other = (*said[:2], (said[2] + 1) % policy.output_weight.shape[0])
    found = dict(continuations(policy, [(CONTEXTS[3], said), (CONTEXTS[3], other), (CONTEXTS[3], said[:1])]))
    assert [found[number].is_greedy for number in range(3)] == [True, False, True]


def test_a_pair_is_cut_on_the_left_and_a_continuation_never_is():
    context, continuation = tuple(range(20)), (90, 91, 92)
    for places in range(3, 30):
        before, after = fit(context, continuation, places)
        assert after == continuation
        assert before == context[-len(before) :]
        assert len(before) + len(after) - 1 == min(places, 22)
    for wrong in ((context, continuation, 2), ((), continuation, 9)):
        with pytest.raises(RecipeError, match="cannot be scored"):
            fit(*wrong)
