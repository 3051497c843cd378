"""A device gives what a CPU gives: functions that raise where it does not, and say how close it came.

No pytest here: a GPU machine may have torch and transformers and nothing else. :mod:`tests.gpu.test_checks`
runs them where there is one.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import get_args
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask
from transformers import AutoModelForCausalLM

from rpt_core.policy import normed_attention
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.engines import torch_engine
from rpt_core.policy.engines.draws import inverse_cdf, stream_keys, uniforms
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.flex import BLOCK, flex_mask
from rpt_core.policy.forward import Layout, branch_logprobs
from rpt_core.policy.head import score_tokens, score_top_k
from rpt_core.policy.layout import lay_out
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.torch_backend import TorchBackend
from tests.toys import NO_CODEC, gradients, random_tree, relative_error, tiny_config

CUTS = [[(0, 2), (30, 1), (30, 0), (90, 5)], [(50, 2)], [(120, 0)]]
TREE = random_tree(0, CUTS, group=4, longest=30)
SAMPLING = Sampling(0.8, 60, frozenset({5, 6}), 6, seed=1)
CLOSE, SAME_SHARE = 1e-4, 0.95
"""Nats between two devices in float32; share of answers that are the same to the last token. A draw that lies
within rounding of a boundary may fall on either side of it."""


def policy_on(device: str, *, dtype: torch.dtype = torch.float32) -> Policy:
    """The same random model everywhere; heads as wide as FlexAttention's kernel wants them at least."""
    torch.manual_seed(0)
    config = tiny_config(hidden_size=64, head_dim=16)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0 if parameter.dim() == 2 else 1.0)
    return Policy(model.to(device), NO_CODEC, config, dtype)


def _gap(ours: Tensor, theirs: Tensor, most: float) -> str:
    """How far two tensors are apart, which may not be more than ``most``."""
    found = float((ours.detach().cpu() - theirs.detach().cpu()).abs().max())
    assert found <= most, f"{found:.2e} apart, more than {most:.0e}"
    return f"{found:.1e} apart"


def _scored(policy: Policy, layout: Layout) -> tuple[Tensor, dict[str, Tensor]]:
    """All a pass says, and the gradient of a weighted sum of it."""
    scores = branch_logprobs(policy, *TREE, layout, 0.8)
    assert scores.document is not None
    weights = torch.linspace(-1, 1, len(scores.logprobs_N), device=policy.device)
    loss = (weights * scores.logprobs_N).sum() + 0.1 * scores.document.nll_M.sum()
    loss.backward()  # type: ignore[no-untyped-call]
    said = [scores.logprobs_N, scores.entropies_N, scores.document.nll_M, scores.document.entropies_M]
    found = {name: gradient.cpu() for name, gradient in gradients(policy).items()}
    return torch.cat(said).detach().cpu(), found


def _layout(device: str, layout: Layout) -> str:
    ours, theirs = _scored(policy_on(device), layout), _scored(policy_on("cpu"), "rows")
    error = relative_error(ours[1], theirs[1])
    assert error < 1e-3, f"gradients {error:.1e} apart"
    return f"{_gap(ours[0], theirs[0], CLOSE)}, gradients {error:.1e}"


def two_pass(device: str) -> str:
    """Trunk and branches in two passes are separate rows on a CPU."""
    return _layout(device, "two-pass")


def packed(device: str) -> str:
    """One packed row is (FlexAttention on a GPU)."""
    return _layout(device, "packed")


def rows(device: str) -> str:
    """Separate rows are the same on both."""
    return _layout(device, "rows")


def sliced_attention(device: str) -> str:
    """Queries taken in slices, their probabilities computed again, give what all at once give."""
    whole = _scored(policy_on("cpu"), "two-pass")
    with patch.dict(normed_attention.SCORES_MOST, dict.fromkeys(normed_attention.SCORES_MOST, 3000)):
        sliced = _scored(policy_on(device), "two-pass")
    error = relative_error(sliced[1], whole[1])
    assert error < 1e-3, f"gradients {error:.1e} apart"
    return f"{_gap(sliced[0], whole[0], CLOSE)}, gradients {error:.1e}"


def checkpointed(device: str) -> str:
    """A packed row that computes activations again has the same gradient."""
    policy = policy_on(device)
    plain = _scored(policy, "packed")
    policy.checkpoint_activations()
    again = _scored(policy, "packed")
    error = relative_error(again[1], plain[1])
    assert error < 1e-4, f"gradients {error:.1e} apart"
    return f"gradients {error:.1e}"


def bfloat16(device: str) -> str:
    """Products in bfloat16 with parameters in float32, as in training, stay near those in float32."""
    exact, found = _scored(policy_on("cpu"), "rows")[0], {}
    for layout in get_args(Layout):
        ours = _scored(policy_on(device, dtype=torch.bfloat16), layout)[0]
        found[layout] = float((ours - exact).abs().mean())
    assert max(found.values()) < 0.05, f"{found} nats apart on average"
    return f"{max(found.values()):.1e} nats apart on average"


def chunked_head(device: str) -> str:
    """Log-probabilities, entropies and difficulty at a vocabulary of many chunks."""
    torch.manual_seed(0)
    hidden, weight = torch.randn(700, 64), 0.3 * torch.randn(20_000, 64)
    targets = torch.randint(20_000, (700,))
    there = [x.to(device) for x in (hidden, weight, targets)]
    ours = [*score_tokens(*there), *score_top_k(*there, 16)]
    logp = torch.log_softmax(hidden.double() @ weight.double().T, 1)
    best = torch.log_softmax((hidden @ weight.T).topk(16, 1).values.double(), 1)
    nll = -logp.gather(1, targets[:, None])[:, 0]
    theirs = [-nll, -(logp.exp() * logp).sum(1), nll, -(best.exp() * best).sum(1)]
    return _gap(torch.cat(ours), torch.cat(theirs).float(), 2e-4)


def block_mask(device: str) -> str:
    """A mask made strip by strip is torch's own."""
    row, _ = lay_out(*TREE).packed()
    ours = flex_mask(row, torch.device(device))
    length = len(row.ids)
    assert length > 2 * BLOCK
    theirs = create_block_mask(ours.mask_mod, None, None, length, length, device=device)
    assert torch.equal(ours.to_dense(), theirs.to_dense())
    assert ours.full_kv_num_blocks is not None
    assert torch.equal(ours.full_kv_num_blocks, theirs.full_kv_num_blocks)
    assert torch.equal(ours.q_num_blocks, theirs.q_num_blocks)
    return f"{length} tokens, {100 - float(ours.sparsity()):.0f} % of the blocks"


def draws(device: str) -> str:
    """Random numbers to the last bit, and the tokens they draw."""
    keys = stream_keys(0, 1, [("doc", "1.0", answer) for answer in range(500)])
    place = torch.tensor(7, device=device)
    numbers = uniforms(keys.to(device), place)
    assert torch.equal(numbers.cpu(), uniforms(keys, 7))
    torch.manual_seed(0)
    probs = torch.randn(500, 3000).mul_(3).softmax(1)
    ours, (theirs, distance) = (
        inverse_cdf(probs.to(device), numbers)[0].cpu(),
        inverse_cdf(probs, numbers.cpu()),
    )
    assert torch.equal(ours[distance > 1e-6], theirs[distance > 1e-6])
    return "equal"


def _alike(policy: Policy, engine: TorchEngine, other: TorchEngine) -> str:
    """Almost all answers the same, and every log-probability that of separate rows on a CPU."""
    ours, theirs = (one.generate(TREE[0], SAMPLING, 1) for one in (engine, other))
    pairs = [
        pair
        for trunks in zip(ours, theirs, strict=True)
        for groups in zip(*trunks, strict=True)
        for pair in zip(*groups, strict=True)
    ]
    same = sum(a.token_ids == b.token_ids for a, b in pairs) / len(pairs)
    assert same >= SAME_SHARE, f"only {same:.2f} of the answers are the same"
    ids = [[[s.token_ids for s in group] for group in of_trunk] for of_trunk in ours]
    home = Policy(copy.deepcopy(policy.model).to("cpu"), NO_CODEC, policy.config)
    with torch.no_grad():
        scored = branch_logprobs(home, TREE[0], ids, "rows", 0.8, with_document=False).logprobs_N
    drawn = torch.tensor([x for a, _ in pairs for x in a.logprobs])
    return f"{same:.3f} of {len(pairs)} answers, log-probabilities {_gap(drawn, scored, 10 * CLOSE)}"


def decoding(device: str) -> str:
    """Answers drawn token by token are a CPU's."""
    policy = policy_on(device)
    return _alike(policy, TorchEngine(policy, steps="called"), TorchEngine(policy_on("cpu"), steps="called"))


def graphs(device: str) -> str:
    """Recorded steps draw what calls draw, and recording does not fall back."""
    policy = policy_on(device)
    engine = TorchEngine(policy, steps="recorded" if device == "cuda" else "simulated")
    said = _alike(policy, engine, TorchEngine(policy, steps="called"))
    assert engine.replays is not None
    assert engine.replays.refused is None, engine.replays.refused
    assert engine.replays.num_replayed > 0
    return f"{said}; {engine.replays.num_recorded} recorded, {engine.replays.num_replayed} replayed"


@contextmanager
def _no_waiting(device: str) -> Iterator[None]:
    """Whatever would wait for a GPU is an error meanwhile."""
    if device == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


def waits(device: str) -> str:
    """No token waits for the device; one look in sixteen does."""
    looks = 0
    draw, read = torch_engine._Rows.draw_next, torch_engine._Rows.read

    def watched(rows: torch_engine._Rows) -> None:
        with _no_waiting(device):
            draw(rows)

    def looked(rows: torch_engine._Rows, count: int) -> list:
        nonlocal looks
        looks += 1
        return read(rows, count)

    endless = replace(SAMPLING, stop_ids=frozenset())
    with (
        patch.object(torch_engine._Rows, "draw_next", watched),
        patch.object(torch_engine._Rows, "read", looked),
    ):
        TorchEngine(policy_on(device), steps="simulated").generate(TREE[0], endless, 1)
    most = 1 + -(-endless.max_new_tokens // torch_engine.LOOK_EVERY)
    assert looks <= most, f"{looks} looks, more than {most}"
    return f"{looks} looks for {endless.max_new_tokens} tokens"


def update(device: str) -> str:
    """Ten steps of an optimiser end at the same loss."""
    losses = []
    for where in (device, "cpu"):
        policy = policy_on(where)
        backend = TorchBackend(policy, Optimiser(learning_rate=1e-3), 10)
        for number in range(1, 11):
            scores = backend.score(*TREE, with_document=True)
            assert scores.document is not None
            loss = scores.document.nll_M.mean() - scores.logprobs_N.mean()
            backend.backward(loss)
            backend.step(number)
        losses.append(float(loss.detach()))
    apart = abs(losses[0] - losses[1])
    assert apart < 1e-3, f"losses {losses} are {apart:.1e} apart"
    return f"losses {apart:.1e} apart"


CHECKS: dict[str, Callable[[str], str]] = {
    check.__name__: check
    for check in (
        rows, two_pass, packed, sliced_attention, checkpointed, bfloat16, chunked_head, block_mask, draws,
        decoding, graphs, waits, update,
    )
}  # fmt: skip
"""By name: each takes ``cpu`` or ``cuda``, says how close it is, and raises where that is not enough."""
