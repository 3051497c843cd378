"""Forced tails: log-probabilities of given tokens are those of the whole path, in every layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rpt_core.objectives.next_token.expected_prefix import contributions
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.tails import Tail, forced_logprobs
from rpt_core.policy.trunk import Cut, Sampling, Trunk
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


@pytest.mark.parametrize("layout", ["two-pass", "packed", "rows"])
@pytest.mark.parametrize("tokens_per_batch", [1, 60, 1000])
def test_a_closing_is_scored_after_every_token(policy, layout, tokens_per_batch):
    """In the same pass: the chance that the tail ends after its first, second, ... token."""
    trunks, _ = random_tree(0, SPEC, group=1)
    plain = tails_below(trunks)
    closing = [[[replace(t, closing=9) if t.scored else t for t in of] for of in cuts] for cuts in plain]
    mixed = [[[*some, *others] for some, others in zip(*cuts, strict=True)]
             for cuts in zip(closing, plain, strict=True)]  # fmt: skip
    ends = [
        [
            [Tail((*t.given, *t.scored[:k]), (9,)) for t in of for k in range(1, len(t.scored) + 1)]
            for of in cuts
        ]
        for cuts in plain
    ]
    found, _ = forced_logprobs(policy, trunks, mixed, layout, tokens_per_batch)
    wanted, _ = forced_logprobs(policy, trunks, plain, "rows")
    closed, _ = forced_logprobs(policy, trunks, ends, "rows")
    for number, cuts in enumerate(plain):
        for cut, some in enumerate(cuts):
            own = found[number][cut]
            for tail, logprobs, alone, again in zip(
                some, own, wanted[number][cut], own[len(some) :], strict=False
            ):
                assert logprobs[: len(tail.scored)] == pytest.approx(alone, abs=1e-5)
                assert again == pytest.approx(alone, abs=1e-5)
            told = [one for logprobs in own[: len(some)] for one in logprobs[len(logprobs) // 2 :]]
            assert told == pytest.approx([one for (one,) in closed[number][cut]], abs=1e-5)


def likeliest(policy, path: list[int], *but: int) -> int:
    with policy.attending("eager"), torch.no_grad():
        logits = policy.model(torch.tensor([path]), use_cache=False).logits[0, -1]
    logits[list(but)] = -1e9
    return int(logits.argmax())


def test_the_expected_reward_is_the_mean_of_drawn_ones():
    """4,096 predictions after one thought, drawn until they close: how often they begin the truth.

    Truth and closing are the model's own likeliest words, so that some predictions are right.
    """
    sharp, thought = tiny_policy(sharpness=12.0), (11, 12, 13)
    trunk = Trunk("one", (4,), (7, 8, 9), (Cut(3, thought),))
    path = [*trunk.token_ids, *thought]
    first = likeliest(sharp, path)
    closing = likeliest(sharp, [*path, first], first)
    second = likeliest(sharp, [*path, first], closing)
    truth = (first, second, likeliest(sharp, [*path, first, second], closing))
    (((logprobs,),),), _ = forced_logprobs(sharp, [trunk], [[[Tail((), truth, closing)]]])
    expected = sum(contributions(logprobs[:3], logprobs[3:], [1, 2, 3]))
    sampling = Sampling(1.0, 8, frozenset({closing}), 4096, seed=1)
    ((samples,),) = TorchEngine(sharp).generate([trunk], sampling, 0)
    said = [sample.token_ids[:-1] for sample in samples if sample.finish == "stop"]
    right = sum(0 < len(ids) <= 3 and ids == truth[: len(ids)] for ids in said) / 4096
    assert 0.001 < expected < 0.999
    assert abs(right - expected) < 3 * (expected * (1 - expected) / 4096) ** 0.5


def test_nothing_asked_for_forwards_nothing(policy):
    trunks, _ = random_tree(0, SPEC, group=1)
    nothing = [[[Tail((5, 6), ())] for _ in trunk.cuts] for trunk in trunks]
    found, num_forwarded = forced_logprobs(policy, trunks, nothing)
    assert num_forwarded == 0
    assert found == [[[()] for _ in trunk.cuts] for trunk in trunks]
