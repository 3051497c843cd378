"""A language model with its tokenizer, and what every forward pass of the project needs to know of it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rpt_core.errors import RecipeError
from rpt_core.policy.attention import ATTENTION, TreeAttention
from rpt_core.policy.work import Work

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from rpt_core.policy.codec import Codec

POSITION_TABLES = ("wpe", "embed_positions", "position_embedding", "position_embeddings", "positions_embed")
"""What architectures call an embedding of places."""


def enable_checkpointing(model: "PreTrainedModel") -> None:
    """Have a model's layers compute their activations again when they are differentiated in training mode."""
    known: Any = model
    renamed = "activation_checkpointing_enable"  # transformers 5.23; older ones know the other name only
    enable = getattr(known, renamed if hasattr(known, renamed) else "gradient_checkpointing_enable")
    enable({"use_reentrant": False})


@dataclass(frozen=True, eq=False)
class Policy:
    """A causal language model, its tokenizer and its configuration, ready for trunk passes.

    Load one with :func:`rpt_core.policy.load.load_policy`, which refuses by name every model whose
    attention this project's layouts would get silently wrong.
    """

    model: "PreTrainedModel"
    codec: "Codec"
    config: "PretrainedConfig"
    compute_dtype: torch.dtype = torch.float32
    """Products are taken in this type; parameters may be kept in a longer one."""

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self.output_weight.device

    @property
    def output_weight(self) -> Tensor:
        """The head's matrix, shape ``(vocab, hidden)``; the embedding itself where the two are tied."""
        head: nn.Linear = self.model.get_output_embeddings()
        return head.weight

    @cached_property
    def begin_ids(self) -> tuple[int, ...]:
        """What every row begins with: the codec's BOS, or nothing."""
        return self.codec.begin_ids

    @cached_property
    def unknown_ids(self) -> Tensor | None:
        """Rows of logits that are no token of the tokenizer, int64; None where every row is one.

        They are no part of the policy answers are drawn from: models pad their vocabulary (Qwen2 has
        151,936 rows for 151,646 tokens), and a drawn row without a token would be an answer nobody can
        read. Scores of given text keep them: that is the model's own distribution.
        """
        ids = self.codec.unknown_ids(len(self.output_weight))
        return torch.tensor(ids, device=self.device) if ids else None

    @cached_property
    def num_parameters(self) -> int:
        """Every parameter once, a tied embedding as one; counted before a back end may partition them."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @cached_property
    def work(self) -> Work:
        """What this model has computed since it was loaded."""
        return Work.of(self.model, self.config)

    @cached_property
    def learned_positions(self) -> int | None:
        """Rows the model can number, where it has learned one embedding for each place; else None."""
        names = {name.rsplit(".", 1)[-1]: module for name, module in self.model.named_modules()}
        tables = [names[name] for name in POSITION_TABLES if isinstance(names.get(name), nn.Embedding)]
        if not tables:
            return None
        stated = (getattr(self.config, name, None) for name in ("max_position_embeddings", "n_positions"))
        return min([tables[0].num_embeddings, *(size for size in stated if isinstance(size, int))])

    def refuse_beyond(self, longest: int) -> None:
        """Refuse a row that has more tokens than the model has places.

        Raises:
            RecipeError: with both lengths.
        """
        if self.learned_positions is not None and longest > self.learned_positions:
            raise RecipeError(
                f"a row of {longest} tokens goes beyond the {self.learned_positions} places for which this "
                f"model ({self.config.model_type}) has learned an embedding. Take smaller context_tokens, "
                "reasoning_tokens or prompts (a whole row has to fit), or a model with more places."
            )

    @property
    def checkpoints_activations(self) -> bool:
        """Whether layers forget their activations and compute them again in the backward pass."""
        return any(getattr(module, "gradient_checkpointing", False) for module in self.model.modules())

    def checkpoint_activations(self) -> None:
        """Trade time for memory in packed rows: layers compute activations again when differentiated."""
        enable_checkpointing(self.model)
        self.model.train()  # layers checkpoint in training mode only; dropout was refused at load

    def autocast(self) -> AbstractContextManager[Any]:
        """Take products in ``compute_dtype``; nothing to do where parameters already have it."""
        if self.output_weight.dtype == self.compute_dtype:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.compute_dtype)

    def hidden(
        self, ids_BT: Tensor, positions_BT: Tensor, tree: TreeAttention, *, longest: int | None = None
    ) -> Tensor:
        """Last hidden states, shape ``(B, T, hidden)``, of tokens that attend as ``tree`` says.

        No cache is ever made: with one, Hugging Face models stop separating packed rows and stop
        building masks, both without a word.

        Args:
            ids_BT: Token ids.
            positions_BT: Places of the tokens in their rows.
            tree: How they attend.
            longest: Tokens of the longest row, where the caller knows; else it is read from the positions,
                for which a GPU is waited for.
        """
        if self.learned_positions is not None:
            self.refuse_beyond(int(positions_BT.max()) + 1 if longest is None else longest)
        self.count_pass(ids_BT.numel(), tree.num_pairs(*ids_BT.shape))
        with self.autocast():
            output = self.model.base_model(
                input_ids=ids_BT, position_ids=positions_BT, use_cache=False, tree=tree
            )
        return self.as_computed(output.last_hidden_state)

    def as_computed(self, hidden: Tensor) -> Tensor:
        """States in the type products are taken in, on a GPU.

        Under autocast they leave the model in its parameters' float32, in which a GPU would take the head's
        product at a fraction of the speed. On a CPU they stay as they are.
        """
        return hidden.to(self.compute_dtype) if hidden.is_cuda else hidden

    def count_pass(self, num_tokens: int, num_pairs: int) -> None:
        """Add a pass through the layers to :attr:`work`."""
        checkpointed = self.model.training and self.checkpoints_activations
        self.work.add_pass(num_tokens, num_pairs, checkpointed=checkpointed)

    @contextmanager
    def attending(self, name: str) -> Iterator[None]:
        """Use another attention function of Hugging Face's for a while (``eager`` for the oracle)."""
        self.model.set_attn_implementation(name)
        try:
            yield
        finally:
            self.model.set_attn_implementation(ATTENTION)
