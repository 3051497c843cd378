"""One forward pass over documents and all that hangs below them, in three layouts of equal results.

``two-pass``: the trunks as padded rows, keeping keys and values with gradient; then all suffixes and
answers as one ragged row against them. Best on a CPU and for small models.
``packed``: everything in one row under a block mask, positions restarted. Works with activation
checkpointing; FlexAttention on a GPU, a dense mask on a CPU.
``rows``: every path from root to leaf as an ordinary row under Hugging Face's own attention. The
oracle the other two are checked against.

A suffix is computed once for all answers below its cut. The last token of an answer predicts nothing
and is not forwarded.

Letters: B trunks, T trunk tokens, N scored answer tokens, M scored document tokens, E hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rpt_core.errors import RecipeError
from rpt_core.policy.attention import Branches, Causal, Local, Masked, bias
from rpt_core.policy.flex import Flex, flex_mask
from rpt_core.policy.head import score_tokens, score_top_k
from rpt_core.policy.layout import (
    Ragged,
    group_by_document,
    group_locally,
    lay_out,
    like_lengths,
    visible,
)
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Answers, Trunk

Layout = Literal["two-pass", "packed", "rows"]


@dataclass(frozen=True)
class DocumentScores:
    """What the trunk pass says of the documents' own tokens, in trunk order."""

    nll_M: Tensor
    """Negative log-likelihood in nats at temperature 1; with gradient in a pass that has one."""
    entropies_M: Tensor
    """Nats; of the whole distribution, or of its head where ``top_k`` was asked."""
    trunk_M: NDArray[np.int64]
    token_M: NDArray[np.int64]
    """Index of the predicted token in its document; token 0 only where an instruction predicts it."""

    def where(self, keep_M: NDArray[np.bool_]) -> "DocumentScores":
        """Some of the tokens."""
        keep = torch.from_numpy(keep_M).to(self.nll_M.device)
        return DocumentScores(
            self.nll_M[keep], self.entropies_M[keep], self.trunk_M[keep_M], self.token_M[keep_M]
        )


@dataclass(frozen=True)
class BranchScores:
    """What a pass says of the answers' tokens, in order of (trunk, cut, answer, position)."""

    logprobs_N: Tensor
    """Natural logs at the given temperature, with gradient."""
    entropies_N: Tensor
    answer_N: Tensor
    """Number of the answer each token belongs to, counted through in the same order; int64."""
    num_answers: int
    document: DocumentScores | None
    num_tokens: int
    """Tokens that went through the model, padding included."""
    instead_K: Tensor | None = None
    """Natural logs of the tokens asked for ``instead``, in their order."""


def branch_logprobs(
    policy: Policy,
    trunks: Sequence[Trunk],
    answers: Answers,
    layout: Layout = "two-pass",
    temperature: float = 1.0,
    *,
    with_document: bool = True,
    as_drawn: bool = False,
    instead: Sequence[tuple[int, int]] = (),
) -> BranchScores:
    """Score every token of every answer, and the documents' own tokens from the same pass.

    Args:
        policy: The model.
        trunks: Documents with their cuts.
        answers: Token ids by trunk, cut and answer; answers may be empty, and differ in number.
        layout: How the tree is laid out; results agree to rounding.
        temperature: Divides the answers' logits, as when they were drawn.
        with_document: Also score the documents' own tokens (at temperature 1).
        as_drawn: Score answers under the distribution they are drawn from, which has no ids the tokenizer
            lacks (:attr:`Policy.unknown_ids`); False scores given text under the model's own.
        instead: Number of a scored answer token (in order of trunk, cut, answer, position) and another token
            that is scored in its place; of the same pass, for the head's cost alone.

    Raises:
        RecipeError: activation checkpointing is on in the two-pass layout, where the trunk's kept keys
            would have no gradient.
    """
    tree = lay_out(trunks, answers)
    hidden_PE, num_tokens = forward_states(policy, tree, layout)
    weight = policy.output_weight
    predictors_N, targets_N, answer_N = _to_device(policy, tree.predictor_N, tree.target_N, tree.answer_N)
    policy.work.add_scores(len(tree.target_N), again=True)
    logprobs_N, entropies_N = score_tokens(
        hidden_PE.index_select(0, predictors_N),
        weight,
        targets_N,
        temperature,
        policy.unknown_ids if as_drawn else None,
    )
    document = _document_scores(policy, tree, hidden_PE, top_k=0) if with_document else None
    instead_K = None
    if instead:
        places_K, others_K = _to_device(policy, *np.array(instead, np.int64).T.copy())
        policy.work.add_scores(len(instead), again=True)
        states_KE = hidden_PE.index_select(0, predictors_N[places_K])
        instead_K, _ = score_tokens(states_KE, weight, others_K, temperature)
    return BranchScores(logprobs_N, entropies_N, answer_N, tree.num_answers, document, num_tokens, instead_K)


def document_scores(policy: Policy, trunks: Sequence[Trunk], top_k: int = 0) -> DocumentScores:
    """Score the documents' own tokens, without branches.

    Args:
        policy: The model.
        trunks: Documents; cuts are ignored. Trunks of like length waste the least.
        top_k: When positive, entropies are those of the ``top_k`` likeliest tokens, renormalised, and
            nothing carries a gradient (RPT, section 3.3).
    """
    tree = lay_out(trunks, [[[] for _ in trunk.cuts] for trunk in trunks])
    hidden_PE = policy.hidden(*_trunk_input(policy, tree), tree=Causal()).flatten(0, 1)
    return _document_scores(policy, tree, hidden_PE, top_k)


def _document_scores(policy: Policy, tree: Ragged, hidden_PE: Tensor, top_k: int) -> DocumentScores:
    predictors_M, targets_M, trunk_M, token_M = tree.document_targets()
    chosen_ME = hidden_PE.index_select(0, torch.from_numpy(predictors_M).to(policy.device))
    targets = torch.from_numpy(targets_M).to(policy.device)
    policy.work.add_scores(len(targets), again=True)
    if top_k:
        nll_M, entropies_M = score_top_k(chosen_ME, policy.output_weight, targets, top_k)
    else:
        logprobs_M, entropies_M = score_tokens(chosen_ME, policy.output_weight, targets)
        nll_M = -logprobs_M
    return DocumentScores(nll_M, entropies_M, trunk_M, token_M)


def trunk_pass(policy: Policy, tree: Ragged) -> tuple[Tensor, Causal]:
    """Hidden states ``(B, T, E)`` of the padded trunks, and their keys and values by layer."""
    kept = Causal(keep=True)
    return policy.hidden(*_trunk_input(policy, tree), tree=kept), kept


def prefill(policy: Policy, tree: Ragged) -> tuple[Tensor, Causal, int]:
    """As :func:`trunk_pass`, without gradient, in one pass for each group of trunks of like length.

    One long prompt among many short ones would have all of them forwarded at its width.

    Returns:
        Hidden states ``(B, T, E)`` and kept keys and values, zero where nothing was forwarded, and the number
        of tokens that went through the model, padding included.
    """
    groups = like_lengths(tree)
    if len(groups) == 1:
        return *trunk_pass(policy, tree), tree.trunk_ids_BT.size
    ids_BT, positions_BT = _trunk_input(policy, tree)
    passes, kept = [], Causal(keep=True)
    for rows, width in groups:
        some, index_L = Causal(keep=True), torch.from_numpy(rows).to(policy.device)
        hidden_LWE = policy.hidden(ids_BT[index_L, :width], positions_BT[index_L, :width], tree=some)
        passes.append((index_L, hidden_LWE, some))
    shape, num_tokens = ids_BT.shape, sum(len(rows) * width for rows, width in groups)
    hidden_BTE = _spread([(rows, hidden) for rows, hidden, _ in passes], shape)
    for _ in range(len(passes[0][2].keys)):  # layer by layer, so that little is held twice
        keys = [(rows, some.keys.pop(0).transpose(1, 2)) for rows, _, some in passes]
        values = [(rows, some.values.pop(0).transpose(1, 2)) for rows, _, some in passes]
        kept.keys.append(_spread(keys, shape).transpose(1, 2).contiguous())
        kept.values.append(_spread(values, shape).transpose(1, 2).contiguous())
    return hidden_BTE, kept, num_tokens


def _spread(parts: list[tuple[Tensor, Tensor]], shape: torch.Size) -> Tensor:
    """Rows ``(L, W, ...)`` of several passes at their places ``(B, T, ...)``; zeros elsewhere."""
    whole = parts[0][1].new_zeros(*shape, *parts[0][1].shape[2:])
    for rows, part in parts:
        whole[rows, : part.shape[1]] = part
    return whole


def branch_pass(policy: Policy, tree: Ragged, kept: Causal, *, keep: bool = False) -> tuple[Tensor, Branches]:
    """Hidden states ``(tokens, E)`` of all suffixes and answers, and how they attended."""
    branches = _branches(policy, tree, kept, keep=keep)
    ids_1N, positions_1N = _to_device(policy, tree.ids[None], tree.position[None])
    return policy.hidden(ids_1N, positions_1N, branches)[0], branches


def _branches(policy: Policy, tree: Ragged, kept: Causal, *, keep: bool) -> Branches:
    def there(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(policy.device)

    query_BM, sees_BMD, slot_trunk_N = group_by_document(tree)
    groups, slot_local_N = group_locally(tree)
    rows = [
        Local(there(group.query_LM), there(group.key_LD), bias(there(group.sees_LMD))) for group in groups
    ]
    return Branches(
        kept,
        there(query_BM),
        bias(there(sees_BMD)),
        there(slot_trunk_N),
        rows,
        there(slot_local_N),
        keep=keep,
    )


def check_layout(layout: str, *, checkpointed: bool) -> None:
    """Refuse activation checkpointing where it would silently lose the trunk's gradient.

    Raises:
        RecipeError: it is on in the two-pass layout.
    """
    if checkpointed and layout == "two-pass":
        raise RecipeError(
            "activation checkpointing is on and the layout is two-pass: the trunk's keys would be kept from "
            "the pass without gradient, and the update would be silently wrong. Take layout=packed, or turn "
            "checkpointing off."
        )


def _two_pass(policy: Policy, tree: Ragged) -> tuple[Tensor, int]:
    check_layout("two-pass", checkpointed=policy.checkpoints_activations)
    hidden_BTE, kept = trunk_pass(policy, tree)
    hidden_PE = hidden_BTE.flatten(0, 1)  # P = B * T trunk slots
    if tree.num_branch_tokens:
        hidden_NE, _ = branch_pass(policy, tree, kept)
        hidden_PE = torch.cat([hidden_PE, hidden_NE])  # then one slot a branch token
    return hidden_PE, len(hidden_PE)


def _packed(policy: Policy, tree: Ragged) -> tuple[Tensor, int]:
    row, order = tree.packed()
    ids_1T, positions_1T = _to_device(policy, row.ids[None], row.position[None])
    attention = Flex(flex_mask(row, policy.device)) if policy.device.type == "cuda" else _dense(row)
    hidden_TE = policy.hidden(ids_1T, positions_1T, attention)[0]  # (T, E): trunks without padding, branches
    return hidden_TE.index_select(0, torch.from_numpy(order).to(policy.device)), len(hidden_TE)


def _dense(row: Ragged) -> Masked:
    index = np.arange(len(row.ids))
    return Masked(torch.from_numpy(visible(row, index[:, None], index[None]))[None, None])


def _rows(policy: Policy, tree: Ragged) -> tuple[Tensor, int]:
    ids_BT, back = tree.separate_rows()
    positions_BT = np.broadcast_to(np.arange(ids_BT.shape[1]), ids_BT.shape).copy()
    policy.refuse_beyond(ids_BT.shape[1])
    policy.count_pass(ids_BT.size, ids_BT.size * ids_BT.shape[1])
    with policy.attending("sdpa"), policy.autocast():
        ids, positions = _to_device(policy, ids_BT, positions_BT)
        output = policy.model.base_model(input_ids=ids, position_ids=positions, use_cache=False)
    hidden_PE = policy.as_computed(output.last_hidden_state).flatten(0, 1)
    return hidden_PE.index_select(0, torch.from_numpy(back).to(policy.device)), len(hidden_PE)


def forward_states(policy: Policy, tree: Ragged, layout: Layout) -> tuple[Tensor, int]:
    """Hidden states of every slot, shape ``(slots, E)``, and the number of tokens forwarded."""
    passes = {"two-pass": _two_pass, "packed": _packed, "rows": _rows}
    return passes[layout](policy, tree)


def _trunk_input(policy: Policy, tree: Ragged) -> tuple[Tensor, Tensor]:
    ids_BT = tree.trunk_ids_BT
    positions_BT = np.broadcast_to(np.arange(ids_BT.shape[1]), ids_BT.shape).copy()
    ids, positions = _to_device(policy, ids_BT, positions_BT)
    return ids, positions


def _to_device(policy: Policy, *arrays: NDArray[np.int64]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(array).to(policy.device) for array in arrays)
