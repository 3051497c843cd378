"""How much computing a model did: operations of its matrix products, counted where the passes are made.

A pass over ``n`` tokens takes, in floating-point operations (a multiplication and an addition are two):

    layers      2 W n          W: numbers in the layers' matrices, each multiplied with every token
    attention   4 H C p L      p: pairs of query and key, masked ones and padding included;
                               H query heads of width C, L layers (scores, and the sum of values)
    head        2 V E s        s: tokens that are scored, by a vocabulary of V and a width of E

A backward pass takes twice a forward one. Two things are computed again in it: every scored token's logits
(:mod:`rpt_core.policy.head` keeps none), and whole layers where activations are checkpointed. Counted are the
shapes that really go through the model: a shared trunk once, padding as tokens. Left out are elementwise
work, rotary embeddings, the optimiser, and what a fused attention kernel computes again.

Checked against ``torch.utils.flop_counter`` in ``tests/unit/policy/test_work.py``.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

BACKWARD = 2
"""A backward pass, in forward passes: the gradient to the inputs and the gradient to the weights."""


@dataclass
class Work:
    """Counts one model's operations since it was loaded."""

    per_token: int
    """Operations of the layers' matrices per token, forward."""
    per_pair: int
    """Of attention in all layers per pair of query and key, forward."""
    per_score: int
    """Of the head per scored token, forward."""
    per_token_again: int
    """Of :attr:`per_token`, what a checkpointed layer computes again: all but its last product, whose output
    the backward pass does not need (torch stops there)."""
    flops: float = field(default=0.0, init=False)

    @classmethod
    def of(cls, model: "PreTrainedModel", config: "PretrainedConfig") -> "Work":
        """Read the sizes of a model."""
        text = config.get_text_config()
        head: nn.Linear = model.get_output_embeddings()
        per_token = 2 * _numbers_per_token(model.base_model, text)
        return cls(
            per_token=per_token,
            per_pair=4 * _query_width(text),
            per_score=2 * head.weight.numel(),
            per_token_again=per_token - 2 * _last_products(model.base_model),
        )

    def add_pass(self, num_tokens: int, num_pairs: int, *, checkpointed: bool) -> None:
        """Count the layers' work on some tokens, with its backward pass where gradients are wanted.

        Args:
            num_tokens: Through the layers, padding included.
            num_pairs: Of query and key, in one layer.
            checkpointed: Whether the backward pass computes the layers again.
        """
        forward = self.per_token * num_tokens + self.per_pair * num_pairs
        self.flops += forward
        if torch.is_grad_enabled():
            again = self.per_token_again * num_tokens + self.per_pair * num_pairs
            self.flops += BACKWARD * forward + again * checkpointed

    def add_scores(self, num_scored: int, *, again: bool = False) -> None:
        """Count the head's work on some tokens; ``again`` where its backward pass repeats the logits."""
        backward = (BACKWARD + again) * torch.is_grad_enabled()
        self.flops += self.per_score * num_scored * (1 + backward)


def _query_width(text: Any) -> int:
    """Numbers of a token's queries in all layers; 0 for a model whose configuration knows no heads."""
    heads, layers = getattr(text, "num_attention_heads", 0), getattr(text, "num_hidden_layers", 0)
    by_layer = list(heads) if isinstance(heads, list | tuple) else [heads or 0] * layers
    if not any(by_layer):
        return 0
    return sum(by_layer) * (getattr(text, "head_dim", None) or text.hidden_size // max(by_layer))


def _last_products(layers: nn.Module) -> int:
    """Numbers in the last matrix of every layer that can be checkpointed."""
    parts = (layer for layer in layers.modules() if isinstance(layer, GradientCheckpointingLayer))
    linear = ([part for part in layer.modules() if isinstance(part, nn.Linear)] for layer in parts)
    return sum(found[-1].weight.numel() for found in linear if found)


def _numbers_per_token(layers: nn.Module, text: Any) -> int:
    """Numbers in the matrices every token is multiplied with; of experts, those that are chosen for it.

    Args:
        layers: The model without its head. Lookups (embeddings) are no products.
        text: Its configuration.
    """
    looked_up = {id(module.weight) for module in layers.modules() if isinstance(module, nn.Embedding)}
    found = 0.0
    for parameter in layers.parameters():
        if parameter.dim() == 2 and id(parameter) not in looked_up:
            found += parameter.numel()
        elif parameter.dim() == 3:  # (experts, in, out)
            found += parameter.numel() * getattr(text, "num_experts_per_tok", len(parameter)) / len(parameter)
    return round(found)
