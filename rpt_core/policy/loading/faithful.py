"""Whether this project computes a model as its authors do: the check every model passes when it is loaded.

The reference is the model's own forward pass under transformers' eager attention, on every path as a row
of its own. What this project computes in one tree is compared with it, in nats of log-probability:

- on the real weights, over a document and over answers below its cuts, in evaluation and in the mode that
  training uses (training mode, activations computed again, one packed row);
- where a setting acts only beyond some length, on a miniature of the architecture with that length scaled
  down (:mod:`rpt_core.policy.loading.miniature`).
"""

import json
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging

from rpt_core.errors import RecipeError, RptError, brief
from rpt_core.policy.attention import ATTENTION, Masked
from rpt_core.policy.forward import branch_logprobs, forward_states
from rpt_core.policy.head import score_tokens
from rpt_core.policy.layout import lay_out, visible
from rpt_core.policy.loading.miniature import length_settings, miniature_config, miniature_model
from rpt_core.policy.model import Policy, enable_checkpointing
from rpt_core.policy.trunk import Answers, Cut, Trunk

if TYPE_CHECKING:
    from rpt_core.policy.codec import Codec

STATEFUL_ROPE = ("dynamic", "longrope")
"""Rotary embeddings that change with the length of the row they are computed in."""
STATE_TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.08}
"""Largest relative difference of hidden states between trunk passes and separate rows at load."""
NATS_MAX = 1e-3
"""Largest difference of a token's log-probability from the reference, float32."""
NATS_ROUGH = 0.2
"""Largest root mean square of those differences for weights in bfloat16 that are too many to be copied in
float32. Rounding gives some hundredths of a nat; a scale, a cap or a window that is ignored 0.3 and more."""
LONG_ROW, SHORT_ROW, MINIATURE_ROW = 256, 64, 64
"""Tokens of the longest path compared: on a GPU or up to :data:`QUICK` parameters; else; of miniatures."""
QUICK = 20_000_000
"""Parameters up to which a long row is compared on a CPU in a tenth of a second."""
SMALL = 300_000_000
"""Parameters up to which a bfloat16 model is compared in float32, on a copy."""
ADVICE = "Take a model with full attention in every layer and a plain head (such as Llama, Qwen2, Qwen3)."
NO_CHANCE = ("classifier", "summary", "cls_")
"""Beginnings of settings for heads that are not used here."""


def refuse_unfaithful(config: PretrainedConfig, name: str) -> None:
    """Refuse, by name, the settings of the text model that a trunk pass would get silently wrong.

    Raises:
        RecipeError: with the setting and its value.
    """
    text = config.get_text_config()
    kinds = sorted(set(getattr(text, "layer_types", None) or ()) - {"full_attention"})
    window = getattr(text, "sliding_window", None) if getattr(text, "use_sliding_window", True) else None
    ropes = sorted(_rope_types(text) & set(STATEFUL_ROPE))
    caps = [n for n in ("final_logit_softcapping", "attn_logit_softcapping") if getattr(text, n, None)]
    scales = [n for n in ("logit_scale", "logits_scaling") if getattr(text, n, 1) not in (1, None)]
    dropout = getattr(text, "attention_dropout", 0) or 0
    for wrong, what in (
        (kinds, f"layers of kind {', '.join(kinds)}"),
        (window, f"a sliding window of {window} tokens"),
        (ropes, f"rotary embeddings of type {', '.join(ropes)}, which change with a row's length"),
        (getattr(config, "is_encoder_decoder", False), "an encoder"),
        (dropout, f"attention dropout above 0 (attention_dropout {dropout})"),
        (caps, f"soft-capped logits ({', '.join(f'{n} {getattr(text, n)}' for n in caps)})"),
        (scales, f"scaled logits ({', '.join(f'{n} {getattr(text, n)}' for n in scales)})"),
    ):
        if wrong:
            raise RecipeError(
                f"the model {name} ({config.model_type}) has {what}. Branches attend to a kept trunk with "
                f"full attention and a plain head, so its log-probabilities would be silently wrong. {ADVICE}"
            )


def use_tree_attention(model: PreTrainedModel) -> None:
    """Have every layer attend through the registered function.

    Raises:
        RecipeError: the architecture computes attention in code of its own.
    """
    kind = model.config.model_type
    with in_words(kind):
        model.set_attn_implementation(ATTENTION)
    if model.config._attn_implementation != ATTENTION:
        raise RecipeError(
            f"the architecture {kind} computes attention in code of its own, which takes no other attention "
            f"function, so a branch could not attend to its trunk. {ADVICE}"
        )


def refuse_no_head(model: PreTrainedModel, name: str) -> None:
    """Refuse a model whose logits are not one matrix times the last hidden state.

    Raises:
        RecipeError: there is no such matrix.
    """
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        kind = "none" if head is None else type(head).__name__
        raise RecipeError(
            f"the model {name} ({model.config.model_type}) has no plain head (a linear layer from hidden "
            f"states to tokens; found: {kind}), so no token of it can be scored here. {ADVICE}"
        )


def assert_faithful(policy: Policy) -> None:
    """Prove, on the weights that were loaded, that every pass of this project gives the model's own numbers.

    Raises:
        RecipeError: a pass differs from the reference, is random in training mode, or cannot be computed for
            this architecture; with the numbers or the cause.
    """
    kind: str = policy.config.model_type
    config_class = cast("Hashable", type(policy.config))
    with in_words(kind):
        _assert_rows_agree(policy)
        numbers = policy.learned_positions or LONG_ROW
        quick = policy.device.type == "cuda" or policy.num_parameters <= QUICK
        compare(policy, min(LONG_ROW if quick else SHORT_ROW, numbers), kind)
    beyond = {name: size for name, size in length_settings(policy.config).items() if size > SHORT_ROW // 2}
    if beyond:
        told = _miniature_fault(config_class, policy.config.to_json_string(use_diff=False))
        if told:
            settings = ", ".join(f"{name} {size}" for name, size in beyond.items())
            raise RecipeError(
                f"the architecture {kind} cannot be proven right for long rows ({settings}): on a small "
                f"model of its kind, with that length scaled down, {told}"
            )


@torch.no_grad()
def compare(policy: Policy, row: int, kind: str) -> None:
    """Compare a document of up to ``row`` tokens and answers below its cuts with the reference.

    Args:
        policy: The model; it is left as it was found.
        row: Tokens of the longest path.
        kind: What a message calls the architecture.

    Raises:
        RecipeError: with the largest difference in nats.
    """
    # a policy of its own, so that the check is not counted as work; compared in the type the weights have
    policy = replace(policy, compute_dtype=policy.output_weight.dtype)
    if policy.compute_dtype != torch.float32 and policy.num_parameters <= SMALL:
        model = deepcopy(policy.model).float()
        policy = Policy(model, policy.codec, policy.config, torch.float32)
    trunks, answers = probe(len(policy.output_weight), row)
    expected = reference_logprobs(policy, trunks, answers)
    _refuse_different(policy, _two_pass(policy, trunks, answers), expected, "a trunk pass", kind)
    _refuse_random(policy, trunks, answers, expected, kind)


def probe(vocabulary: int, row: int) -> tuple[list[Trunk], Answers]:
    """A document with two cuts and answers below them, no path longer than ``row``; and a short one."""
    ids = [1 + (7919 * i * i + 31 * i) % (vocabulary - 1) for i in range(row + 40)]
    longest = max(row - 8, 4)
    cuts = (Cut(2, tuple(ids[:3])), Cut(longest - 2))
    long = Trunk("long", (ids[5],), tuple(ids[6 : 6 + longest]), cuts)
    return [long, Trunk("short", (), tuple(ids[9:14]))], [[[ids[7:14], ids[20:24]], [ids[11:20]]], []]


def reference_logprobs(policy: Policy, trunks: list[Trunk], answers: Answers) -> Tensor:
    """Log-probabilities of the documents' and the answers' tokens under transformers' eager attention.

    Every path from the root is a row by itself in the model's own forward pass, with its mask and head.
    """
    documents, below = [], []
    with policy.attending("eager"):
        for trunk, at_trunk in zip(trunks, answers, strict=True):
            documents.append(
                _own_logprobs(policy, list(trunk.token_ids))[max(len(trunk.instruction_ids) - 1, 0) :]
            )
            for cut, at_cut in zip(trunk.cuts, at_trunk, strict=True):
                above = [*trunk.token_ids[: trunk.depth(cut)], *cut.suffix_ids]
                below += [_own_logprobs(policy, [*above, *answer])[-len(answer) :] for answer in at_cut]
    return torch.cat([*below, *documents])


def _own_logprobs(policy: Policy, ids: list[int]) -> Tensor:
    row_1T = torch.tensor([ids], device=policy.device)
    logits_TV = policy.model(input_ids=row_1T, use_cache=False).logits[0, :-1]
    return logits_TV.float().log_softmax(-1).gather(1, row_1T[0, 1:, None]).squeeze(1)


def _two_pass(policy: Policy, trunks: list[Trunk], answers: Answers) -> Tensor:
    scores = branch_logprobs(policy, trunks, answers, "two-pass")
    assert scores.document is not None
    return torch.cat([scores.logprobs_N, -scores.document.nll_M])


def _packed(policy: Policy, trunks: list[Trunk], answers: Answers) -> Tensor:
    """The same tokens from one packed row under a dense mask: on a GPU nothing has to be compiled for it."""
    tree = lay_out(trunks, answers)
    row, order = tree.packed()
    index = np.arange(len(row.ids))
    there = [torch.from_numpy(x).to(policy.device) for x in (row.ids, row.position, order)]
    mask = torch.from_numpy(visible(row, index[:, None], index[None]))[None, None].to(policy.device)
    hidden_PE = policy.hidden(there[0][None], there[1][None], Masked(mask))[0].index_select(0, there[2])
    slots_M, targets_M, _, _ = tree.document_targets()
    slots = torch.from_numpy(np.concatenate([tree.predictor_N, slots_M])).to(policy.device)
    targets = torch.from_numpy(np.concatenate([tree.target_N, targets_M])).to(policy.device)
    return score_tokens(hidden_PE.index_select(0, slots), policy.output_weight, targets)[0]


def _refuse_different(policy: Policy, found: Tensor, expected: Tensor, what: str, kind: str) -> None:
    differences = (found - expected).abs()
    exact = policy.compute_dtype == torch.float32
    size = float(differences.max() if exact else differences.square().mean().sqrt())
    limit = NATS_MAX if exact else NATS_ROUGH
    if not size <= limit:  # a NaN is different too
        raise RecipeError(
            f"{what} and the model's own forward pass differ by {size:.2g} nats (at most {limit:g}) for the "
            f"architecture {kind}{_why(policy)}, so its log-probabilities would be silently wrong. {ADVICE}"
        )


def _why(policy: Policy) -> str:
    """Whether it is the head: logits that are not its matrix times the last hidden state."""
    ids_1T = torch.arange(1, 9, device=policy.device)[None] % len(policy.output_weight)
    with policy.attending("eager"):
        logits = policy.model(input_ids=ids_1T, use_cache=False).logits.float()
        hidden = policy.model.base_model(input_ids=ids_1T, use_cache=False).last_hidden_state
    plain = (hidden @ policy.output_weight.mT.to(hidden.dtype)).float()
    alike = float(logits.norm()) * (2e-3 if policy.compute_dtype == torch.float32 else 0.02)
    if float((logits - plain).norm()) <= alike:
        return ": its layers do not attend as the tree says"
    factor = float((logits * plain).sum() / plain.square().sum())
    scaled = float((logits - factor * plain).norm()) <= alike
    return (
        f": its logits are {f'scaled by {factor:.4g}' if scaled else 'capped, shifted or otherwise changed'}"
    )


def _refuse_random(
    policy: Policy, trunks: list[Trunk], answers: Answers, expected: Tensor, kind: str
) -> None:
    """Refuse a model whose passes in training are random, or are not those of evaluation."""
    with _as_in_training(policy.model), torch.random.fork_rng(devices=_cuda(policy)):
        states = _random_states(policy)
        first = _packed(policy, trunks, answers)
        drew = any(not torch.equal(*pair) for pair in zip(states, _random_states(policy), strict=True))
        second = _packed(policy, trunks, answers) if drew else first
    chances = dict(_chances(policy.config.get_text_config().to_dict())) if drew else {}
    apart = float((first - second).abs().max())
    if chances or (drew and not apart <= NATS_MAX):
        settings = ", ".join(f"{name} {value}" for name, value in chances.items()) or "in its layers"
        raise RecipeError(
            f"the architecture {kind} has dropout or noise in training ({settings}): two passes over a row "
            f"differ by {apart:.2g} nats, so gradients would not be those of the answers drawn. Turn these "
            "off in its config.json (value 0)."
        )
    _refuse_different(policy, first, expected, "a pass in training mode", kind)


@contextmanager
def _as_in_training(model: PreTrainedModel) -> Iterator[None]:
    """Training mode with activations computed again, where the architecture can; restored afterwards."""
    was_training = model.training
    flags = [(m, m.gradient_checkpointing) for m in model.modules() if hasattr(m, "gradient_checkpointing")]
    if model.supports_gradient_checkpointing and not any(on for _, on in flags):
        enable_checkpointing(model)
    model.train()
    try:
        yield
    finally:
        model.train(was_training)
        for module, on in flags:
            module.gradient_checkpointing = on


def _cuda(policy: Policy) -> list[torch.device]:
    return [policy.device] if policy.device.type == "cuda" else []


def _random_states(policy: Policy) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in _cuda(policy))]


def _chances(config: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Settings that are the chance of dropping something, or the size of a noise."""
    for name, value in config.items():
        known = ("drop" in name or "jitter" in name) and not name.startswith(NO_CHANCE)
        if known and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            yield name, float(value)


@torch.no_grad()
def _assert_rows_agree(policy: Policy) -> None:
    """Compare hidden states of a trunk pass with separate rows on one small tree, in the compute type.

    Raises:
        RecipeError: they differ by more than rounding.
    """
    ids = [1 + (7 * i) % (len(policy.output_weight) - 1) for i in range(24)]
    cuts = (Cut(3, (ids[0], ids[1])), Cut(9), Cut(9, (ids[2],)))
    trunks = [Trunk("probe", (ids[3],), tuple(ids[4:16]), cuts), Trunk("other", (), tuple(ids[5:14]))]
    tree = lay_out(trunks, [[[ids[16:20], ids[18:24]], [ids[17:21]], [ids[20:23]]], []])
    states = {layout: forward_states(policy, tree, layout)[0] for layout in ("rows", "two-pass")}
    used = torch.from_numpy(tree.predictor_N).to(policy.device)
    rows, trunk = (states[layout].index_select(0, used).float() for layout in ("rows", "two-pass"))
    difference = float((rows - trunk).norm() / rows.norm())
    tolerance = STATE_TOLERANCES[policy.compute_dtype]
    if not difference <= tolerance:
        raise RecipeError(
            f"a trunk pass and separate rows differ by {difference:.2g} (at most {tolerance:g}) for the "
            f"architecture {policy.config.model_type}: its attention does not go through the registered "
            f"function, so every log-probability would be wrong. {ADVICE}"
        )


@contextmanager
def in_words(kind: str) -> Iterator[None]:
    """Whatever a foreign architecture raises inside our passes, as a sentence of ours."""
    try:
        yield
    except RptError as error:
        if kind not in str(error):
            raise RecipeError(f"the architecture {kind} cannot be computed here: {error}") from None
        raise
    except Exception as error:  # noqa: BLE001  (what 300 foreign classes raise is not ours to list)
        raise RecipeError(
            f"the architecture {kind} cannot be computed with a trunk and branches: {brief(error)}. {ADVICE}"
        ) from None


@lru_cache(maxsize=64)
def _miniature_fault(config_class: Any, text: str) -> str:
    """What is wrong with a miniature of a configuration, in words; empty where nothing is."""
    config = config_class.from_dict(json.loads(text))
    told = logging.get_verbosity()
    logging.set_verbosity_error()  # about token ids that a small vocabulary lacks
    try:
        with torch.random.fork_rng(devices=[]):
            small = miniature_config(config)
            policy = Policy(miniature_model(small, ATTENTION), cast("Codec", None), small, torch.float32)
            with in_words(config.model_type):
                compare(policy, MINIATURE_ROW, config.model_type)
    except RptError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (a class may refuse the small sizes in any way)
        return f"nothing could be compared ({brief(error)}). {ADVICE}"
    finally:
        logging.set_verbosity(told)
    return ""


def _rope_types(config: PretrainedConfig) -> set[str]:
    """Types of rotary embeddings, those of single kinds of layers included."""
    stated = [getattr(config, name, None) for name in ("rope_parameters", "rope_scaling")]
    found = [rope for rope in stated if isinstance(rope, Mapping)]
    found += [inner for rope in found for inner in rope.values() if isinstance(inner, Mapping)]
    return {str(rope.get("rope_type", rope.get("type", "default"))) for rope in found}
