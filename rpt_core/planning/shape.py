"""Sizes of a decoder, and what follows from them alone: parameters, operations, bytes of keys and values.

Letters: E hidden size, F feed-forward width, V vocabulary, L layers, H query heads, K key/value heads,
C width of a head.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rpt_core.errors import RecipeError
from rpt_core.recipes.supervised import ModelShape

NormOfHeads = Literal["none", "head", "whole"]
"""Norms on queries and keys: none (Llama, Qwen2), one of width C (Qwen3), or one of all heads (OLMo 2)."""
_NORMS: Mapping[str, NormOfHeads] = {"qwen3": "head", "olmo2": "whole", "qwen2": "none", "llama": "none"}
_BIASED = frozenset({"qwen2"})
"""Families whose query, key and value products have a bias."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A dense decoder with gated feed-forward layers and grouped-query attention."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    feed_forward: int
    vocab: int
    tied: bool
    """Whether the head's matrix is the embedding."""
    norm_of_heads: NormOfHeads = "none"
    biased: bool = False
    """Whether queries, keys and values have a bias."""

    @property
    def query_width(self) -> int:
        """H C."""
        return self.heads * self.head_width

    @property
    def key_width(self) -> int:
        """K C."""
        return self.kv_heads * self.head_width

    @property
    def layer_matrices(self) -> int:
        """Numbers in one layer's matrices: 2 E (H C + K C) + 3 E F."""
        return self.hidden * (2 * (self.query_width + self.key_width) + 3 * self.feed_forward)

    @property
    def head_matrix(self) -> int:
        """V E."""
        return self.vocab * self.hidden

    @property
    def parameters(self) -> int:
        """Every parameter once: embedding, a head of its own, layers with norms and biases, last norm."""
        of_heads = {
            "none": 0, "head": 2 * self.head_width, "whole": self.query_width + self.key_width,
        }[self.norm_of_heads]  # fmt: skip
        biases = (self.query_width + 2 * self.key_width) * self.biased
        layer = self.layer_matrices + of_heads + biases + 2 * self.hidden
        return self.head_matrix * (1 if self.tied else 2) + self.layers * layer + self.hidden

    @property
    def flops_per_token(self) -> int:
        """Of the layers' matrices, forward: 2 W (:mod:`rpt_core.policy.work`)."""
        return 2 * self.layers * self.layer_matrices

    @property
    def flops_per_pair(self) -> int:
        """Of attention in all layers for a pair of query and key, forward: 4 H C L."""
        return 4 * self.query_width * self.layers

    @property
    def flops_per_score(self) -> int:
        """Of the head for a scored token, forward: 2 V E."""
        return 2 * self.head_matrix

    def cache_bytes(self, bytes_per_number: int) -> int:
        """Keys and values of one token in all layers: 2 L K C numbers."""
        return 2 * self.layers * self.key_width * bytes_per_number

    @classmethod
    def of_recipe(cls, shape: ModelShape) -> "Shape":
        """Of a model that is trained here from scratch."""
        return cls(
            hidden=shape.hidden_size, layers=shape.num_layers, heads=shape.num_heads,
            kv_heads=shape.num_kv_heads, head_width=shape.head_dim, feed_forward=shape.intermediate_size,
            vocab=shape.vocab_size, tied=shape.tie_embeddings, norm_of_heads="head",
        )  # fmt: skip

    @classmethod
    def of_config(cls, config: Mapping[str, Any], name: str) -> "Shape":
        """Of a Hugging Face ``config.json``.

        Raises:
            RecipeError: an architecture whose layers this module does not know, or a size that is missing.
        """
        family = str(config.get("model_type"))
        if family not in _NORMS:
            raise RecipeError(
                f"{name} cannot be weighed: its layers are of type {family!r}, and a plan knows "
                f"{', '.join(_NORMS)}. The stages may still run it; only the estimate is missing."
            )
        try:
            hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
            return cls(
                hidden=hidden, heads=heads, layers=int(config["num_hidden_layers"]),
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_width=int(config.get("head_dim") or hidden // heads),
                feed_forward=int(config["intermediate_size"]), vocab=int(config["vocab_size"]),
                # what Hugging Face takes where the file does not say
                tied=bool(config.get("tie_word_embeddings", False)),
                norm_of_heads=_NORMS[family], biased=family in _BIASED,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise RecipeError(
                f"the config.json of {name} does not give the size {error}; without it nothing can be "
                "planned. Take the model's own file."
            ) from None
