"""Forced tails: log-probabilities of given tokens are those of the whole path, in every layout."""

import numpy as np
import pytest
import torch

from rpt_core.policy.tails import Tail, forced_logprobs
from tests.toys import random_tree, tiny_policy

SPEC = [[(0, 2), (3, 1)], [(5, 2)], [(12, 0), (2, 9)]]


@pytest.fixture(scope="module")
def policy():
    return tiny_policy(sharpness=1.5)


def tails_below(trunks, seed: int = 0):
    rng = np.random.default_rng(seed)

    def some(low: int, high: int) -> tuple[int, ...]:
        return tuple(rng.integers(4, 40, rng.integers(low, high)).tolist())

    return [
        [[Tail(some(0, 5), some(1, 4)) for _ in range(3)] + [Tail((7,), ())] for _ in t.cuts] for t in trunks
    ]


@pytest.mark.parametrize("layout", ["two-pass", "packed", "rows"])
@pytest.mark.parametrize("tokens_per_batch", [1, 40, 1000])
def test_a_tail_is_scored_as_the_end_of_its_path(policy, layout, tokens_per_batch):
    trunks, _ = random_tree(0, SPEC, group=1)
    tails = tails_below(trunks)
    found, num_forwarded = forced_logprobs(policy, trunks, tails, layout, tokens_per_batch)
    assert num_forwarded > 0
    for trunk, cuts, of_trunk in zip(trunks, tails, found, strict=True):
        for cut, some, of_cut in zip(trunk.cuts, cuts, of_trunk, strict=True):
            for tail, logprobs in zip(some, of_cut, strict=True):
                path = [*trunk.token_ids[: trunk.depth(cut)], *cut.suffix_ids, *tail.given, *tail.scored]
                with policy.attending("eager"), torch.no_grad():
                    logp = policy.model(torch.tensor([path]), use_cache=False).logits[0].log_softmax(1)
                first = len(path) - len(tail.scored)
                wanted = [float(logp[at - 1, path[at]]) for at in range(first, len(path))]
                assert logprobs == pytest.approx(wanted, abs=1e-4)


def test_nothing_asked_for_forwards_nothing(policy):
    trunks, _ = random_tree(0, SPEC, group=1)
    nothing = [[[Tail((5, 6), ())] for _ in trunk.cuts] for trunk in trunks]
    found, num_forwarded = forced_logprobs(policy, trunks, nothing)
    assert num_forwarded == 0
    assert found == [[[()] for _ in trunk.cuts] for trunk in trunks]
