"""Operations, sizes and limits in whole numbers worked out by hand."""

import re
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from rpt_core.errors import RecipeError
from rpt_core.policy.attention import Causal
from rpt_core.policy.model import Policy
from rpt_core.policy.tails import Tail, forced_logprobs
from rpt_core.policy.trunk import Cut, Sample, Sampling, Trunk, raw_trunk
from rpt_core.policy.work import Work, _last_products, _numbers_per_token, _query_width
from tests.toys import random_tree, tiny_policy


def test_a_models_operations_are_read_off_its_sizes():
    """Two layers of width 32: 4 heads of queries and 2 of keys and values by 8, and 48 inside."""
    work = tiny_policy(tied=False).work
    attention = 32 * 32 + 2 * 16 * 32 + 32 * 32
    layer = attention + 3 * 32 * 48
    assert work.per_token == 2 * 2 * layer
    assert work.per_pair == 4 * 2 * 4 * 8
    assert work.per_score == 2 * 64 * 32
    assert work.per_token_again == 2 * 2 * (layer - 32 * 48)


def test_passes_and_scores_are_counted_forward_and_backward():
    def counted(count, *, grad):
        work = Work(per_token=7, per_pair=11, per_score=13, per_token_again=5)
        with torch.set_grad_enabled(grad):
            count(work)
        return work.flops

    forward, again = 7 * 17 + 11 * 19, 5 * 17 + 11 * 19

    def passed(*, checkpointed):
        return lambda work: work.add_pass(17, 19, checkpointed=checkpointed)

    assert counted(passed(checkpointed=True), grad=False) == forward
    assert counted(passed(checkpointed=False), grad=True) == 3 * forward
    assert counted(passed(checkpointed=True), grad=True) == 3 * forward + again
    assert counted(lambda work: work.add_scores(17), grad=False) == 13 * 17
    assert counted(lambda work: work.add_scores(17, again=True), grad=False) == 13 * 17
    assert counted(lambda work: work.add_scores(17), grad=True) == 3 * 13 * 17
    assert counted(lambda work: work.add_scores(17, again=True), grad=True) == 4 * 13 * 17
    work = Work(per_token=7, per_pair=11, per_score=13, per_token_again=5)
    for _ in range(2):
        with torch.no_grad():
            work.add_pass(17, 19, checkpointed=False)
            work.add_scores(3)
    assert work.flops == 2 * (forward + 13 * 3)


@pytest.mark.parametrize(
    "text", [{"num_attention_heads": 4, "hidden_size": 8}, {"num_hidden_layers": 3, "hidden_size": 8}]
)
def test_a_configuration_that_lacks_layers_or_heads_has_no_queries(text):
    assert _query_width(SimpleNamespace(**text)) == 0


class _Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lookup = nn.Embedding(100, 3)
        self.gate = nn.Linear(3, 6, bias=True)  # 18
        self.experts = nn.Parameter(torch.zeros(6, 3, 5))


def test_of_experts_those_that_are_chosen_count():
    assert _numbers_per_token(_Layers(), SimpleNamespace(num_experts_per_tok=2)) == 18 + 2 * 15
    assert _numbers_per_token(_Layers(), SimpleNamespace()) == 18 + 6 * 15


class _Layer(GradientCheckpointingLayer):
    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))


def test_only_a_layers_last_product_is_not_computed_again():
    layers = nn.ModuleList([_Layer(3, 4, 5), nn.Linear(9, 9), _Layer(), _Layer(2, 7, 3)])
    assert _last_products(layers) == 4 * 5 + 7 * 3


def _policy(**config):
    """A policy of a module with one table of places."""
    model = nn.Module()
    model.inner = nn.Module()
    model.inner.wpe = nn.Embedding(10, 2)
    return Policy(model, None, SimpleNamespace(model_type="toy", **config))


@pytest.mark.parametrize(
    ("config", "places"),
    [
        ({}, 10), ({"max_position_embeddings": 7}, 7), ({"n_positions": 8}, 8), ({"n_positions": 12}, 10),
        ({"max_position_embeddings": 9, "n_positions": 6}, 6), ({"n_positions": None}, 10),
    ],
)  # fmt: skip
def test_learned_places_are_the_fewest_that_are_stated(config, places):
    policy = _policy(**config)
    assert policy.learned_positions == places
    policy.refuse_beyond(places)
    with pytest.raises(
        RecipeError, match=rf"a row of {places + 1} tokens goes beyond the {places} places .*\(toy\)"
    ):
        policy.refuse_beyond(places + 1)


def test_rotary_models_have_no_learned_places():
    policy = tiny_policy()
    assert policy.learned_positions is None
    policy.refuse_beyond(10**9)
    other = _policy()
    other.model.inner.wpe = nn.Linear(2, 2)  # which has the name alone
    assert other.learned_positions is None


def test_a_row_is_as_long_as_its_last_place_unless_the_caller_knows():
    policy = tiny_policy()
    policy.__dict__["learned_positions"] = 6  # as the cached property would hold it
    ids, positions = torch.tensor([[3, 4, 5]]), torch.tensor([[3, 4, 5]])
    policy.hidden(ids, positions, Causal())
    with pytest.raises(RecipeError, match="a row of 7 tokens"):
        policy.hidden(ids, positions + 1, Causal())
    policy.hidden(ids, positions + 1, Causal(), longest=6)
    with pytest.raises(RecipeError, match="a row of 7 tokens"):
        policy.hidden(ids, positions, Causal(), longest=7)


def test_what_a_policy_says_of_its_model():
    policy, untied = tiny_policy(), tiny_policy(tied=False)
    layer = 32 * 32 + 2 * 16 * 32 + 32 * 32 + 3 * 32 * 48 + 2 * 32 + 2 * 8
    assert policy.num_parameters == 64 * 32 + 2 * layer + 32
    assert untied.num_parameters == policy.num_parameters + 64 * 32
    assert policy.work is policy.work
    assert policy.begin_ids == ()
    assert policy.unknown_ids is None
    assert not policy.checkpoints_activations
    with policy.attending("sdpa"):
        assert policy.config._attn_implementation == "sdpa"
    assert policy.config._attn_implementation == "rpt_tree"
    policy.checkpoint_activations()
    assert policy.checkpoints_activations
    assert policy.model.training


def test_products_are_cast_where_parameters_are_longer():
    policy = tiny_policy()
    row = torch.tensor([[3, 4, 5]]), torch.tensor([[0, 1, 2]])
    seen = []
    policy.model.model.layers[0].mlp.up_proj.register_forward_hook(lambda *told: seen.append(told[2].dtype))
    policy.hidden(*row, Causal())
    hidden = replace(policy, compute_dtype=torch.bfloat16).hidden(*row, Causal())
    assert seen == [torch.float32, torch.bfloat16]
    assert policy.as_computed(hidden) is hidden


def test_only_training_with_checkpoints_counts_layers_again():
    policy = tiny_policy()
    policy.checkpoint_activations()
    work = policy.work
    policy.model.eval()
    policy.count_pass(3, 5)
    assert work.flops == 3 * (3 * work.per_token + 5 * work.per_pair)
    policy.model.train()
    before = work.flops
    policy.count_pass(3, 5)
    again = 3 * work.per_token_again + 5 * work.per_pair
    assert work.flops - before == before + again


SAMPLING = Sampling(0.5, 3, frozenset({1}), 2, seed=0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"temperature": 0.0}, "temperature 0.0 (> 0)"),
        ({"temperature": -1.0}, "temperature -1.0 (> 0)"),
        ({"max_new_tokens": 0}, "max_new_tokens 0 (>= 1), 0 forced tokens (< max_new_tokens 0)"),
        ({"group_size": 0}, "group_size 0 (>= 1)"),
        ({"top_p": 0.0}, "top_p 0.0 (0 < top_p <= 1)"),
        ({"top_p": 1.01}, "top_p 1.01 (0 < top_p <= 1)"),
        ({"top_k": -1}, "top_k -1 (>= 0)"),
        ({"forced_ids": (4, 5, 6)}, "3 forced tokens (< max_new_tokens 3)"),
        ({"forced_ids": (4, 5, 6, 7)}, "4 forced tokens (< max_new_tokens 3)"),
        ({"temperature": 0.0, "top_k": -2}, "temperature 0.0 (> 0), top_k -2 (>= 0)"),
    ],
)
def test_sampling_that_cannot_be_is_refused_with_every_field(change, told):
    with pytest.raises(RecipeError, match=rf"cannot be drawn with {re.escape(told)};"):
        replace(SAMPLING, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 1e-6}, {"temperature": 9.0}, {"max_new_tokens": 1}, {"group_size": 1},
        {"top_p": 1e-6}, {"top_p": 1.0}, {"top_k": 0}, {"top_k": 7}, {"forced_ids": (4, 5)},
    ],
)  # fmt: skip
def test_sampling_at_its_limits_is_taken(change):
    replace(SAMPLING, **change)


def test_cuts_lie_in_the_document_and_below_at_least_one_token():
    assert Trunk("a", (), (2, 3, 4), (Cut(3), Cut(1), Cut(0, (9,)))).num_tokens == 3
    Trunk("a", (7,), (2, 3, 4), (Cut(0),))
    for cut in (Cut(-1, (9,)), Cut(4)):
        with pytest.raises(RecipeError, match=f"'a' is cut at token {cut.position} but has 3 tokens"):
            Trunk("a", (7,), (2, 3, 4), (cut,))
    with pytest.raises(RecipeError, match="cut at token 0 with neither an instruction nor a suffix"):
        Trunk("a", (), (2, 3, 4), (Cut(0),))


def test_a_trunk_is_instruction_and_document():
    trunk = Trunk("a", (7, 8), (2, 3, 4), (Cut(2),))
    assert trunk.token_ids == (7, 8, 2, 3, 4)
    assert trunk.num_tokens == 5
    assert trunk.depth(trunk.cuts[0]) == 4
    assert raw_trunk(trunk, (9,)) == Trunk("a", (9,), (2, 3, 4), (Cut(2),))


def test_a_samples_probabilities_are_not_printed():
    sample = Sample((3, 4), (-0.25, -0.5), "stop", 6)
    assert repr(sample) == "Sample(token_ids=(3, 4), finish='stop', version=6)"


def test_tails_are_scored_without_gradients():
    policy, (trunks, _) = tiny_policy(), random_tree(0, [[(3, 2)]], group=1)
    _, num_tokens = forced_logprobs(policy, trunks, [[[Tail((5,), (6, 7))]]])
    work = policy.work
    assert num_tokens == trunks[0].num_tokens + 2 + 2
    trunk, local = trunks[0].num_tokens, 4
    pairs = trunk**2 + local * trunk + (2 * 2 + 2 * 4)  # of the trunk, with it, and among suffix and tail
    assert work.flops == num_tokens * work.per_token + pairs * work.per_pair + 3 * work.per_score
