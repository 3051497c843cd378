"""Small decisions of the policy package that no training would show."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from rpt_core.errors import RecipeError
from rpt_core.policy.engines.decoding import FIRST_ROOM
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.flex import Flex
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.loading.weights import MORE, NAMED, _some, refuse_more_than_stored
from rpt_core.policy.tokens import check
from rpt_core.policy.trunk import Sampling
from rpt_core.policy.work import _query_width
from tests.toys import random_tree, tiny_config, tiny_policy


def test_policies_are_told_apart_by_identity():
    policy = tiny_policy()
    assert policy != replace(policy)
    assert len({policy, policy, replace(policy)}) == 2


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ({}, 0),
        ({"num_attention_heads": None, "num_hidden_layers": 3, "hidden_size": 8}, 0),
        ({"num_attention_heads": 4, "num_hidden_layers": 3, "hidden_size": 8}, 3 * 4 * 2),
        ({"num_attention_heads": 4, "num_hidden_layers": 3, "hidden_size": 8, "head_dim": 16}, 3 * 4 * 16),
        ({"num_attention_heads": [2, 4, 0], "num_hidden_layers": 3, "hidden_size": 8}, 6 * 2),
        ({"num_attention_heads": [0, 0], "num_hidden_layers": 2, "hidden_size": 8}, 0),
    ],
)
def test_numbers_of_a_tokens_queries(text, width):
    assert _query_width(SimpleNamespace(**text)) == width


@pytest.mark.parametrize("full", [None, torch.tensor([[[1, 0]]])])
def test_pairs_are_those_of_the_blocks_the_kernel_computes(full):
    mask = SimpleNamespace(
        kv_num_blocks=torch.tensor([[[2, 1]]]), full_kv_num_blocks=full, BLOCK_SIZE=(16, 32)
    )
    blocks = 3 if full is None else 4
    assert Flex(mask).num_pairs(1, 32) == blocks * 16 * 32
    assert Flex(mask).num_pairs(2, 32) == 2 * blocks * 16 * 32


def test_a_list_of_names_says_how_many_more_there_are():
    names = [f"n{number}" for number in range(NAMED + 1)]
    assert _some(names[:1]) == "n0"
    assert _some(names[:NAMED]) == "n0, n1, n2, n3"
    assert _some(names) == "n0, n1, n2, n3 and 1 more"


def test_a_model_of_more_numbers_than_the_files_hold_is_refused():
    policy = tiny_policy()
    shapes = {name: tuple(p.shape) for name, p in policy.model.named_parameters()}
    refuse_more_than_stored(Path("whole"), policy.config, shapes)
    name = max(shapes, key=lambda one: shapes[one][0] * shapes[one][-1])
    lacking = {other: shape for other, shape in shapes.items() if other != name}
    with pytest.raises(RecipeError, match=rf"asks for [\d,]+ numbers, and the weights hold [\d,]+:.*{name}"):
        refuse_more_than_stored(Path("part"), policy.config, lacking)


def test_a_few_numbers_more_than_stored_are_looked_at_later_by_name():
    """Buffers and tied heads make counts differ a little; MORE is how far."""
    policy = tiny_policy()
    wanted = sum(p.numel() for p in policy.model.parameters())
    ones = {f"layer.{number}": (1,) for number in range(tiny_config("qwen3").num_hidden_layers)}
    refuse_more_than_stored(Path("most"), policy.config, ones | {"rest": (int(wanted / MORE) + 1,)})
    with pytest.raises(RecipeError, match="under other names"):
        refuse_more_than_stored(Path("less"), policy.config, ones | {"rest": (int(wanted / MORE) - 9,)})


class _Pieces:
    """An encoder of one id per character, whose template's words are wrong at one place."""

    chat_template = "T"
    begin_ids = ()

    def __init__(self, at: int) -> None:
        self.at = at

    def special_names(self):
        return {}

    def opening(self, head, *, of_template):
        return self.encode(head)

    def encode_template(self, tail):
        return self.encode(tail)

    def encode(self, text):
        return [ord(letter) for letter in text]


def _whole(text, at):
    ids = [ord(letter) for letter in text]
    ids[at] = 1
    return SimpleNamespace(ids=ids)


@pytest.mark.parametrize(
    ("at", "right"),
    [(0, False), (5, False), (6, True), (7, True), (-8, True), (-7, True), (-6, False), (-1, False)],
)
def test_a_template_may_differ_only_beside_the_document(monkeypatch, at, right):
    """By two tokens on either side: words of a template may share a token with what stands beside them."""
    monkeypatch.setattr(check, "render", lambda *_: f"<opening{check.QUESTION}ending>>")
    assert len("<opening") == len("ending>>") == 8
    own = SimpleNamespace(encode=lambda text, add_special_tokens: _whole(text, at))
    if right:
        check.check_template(_Pieces(at), own)
        return
    with pytest.raises(RecipeError, match="other ids in pieces"):
        check.check_template(_Pieces(at), own)


def test_answers_that_outgrow_the_first_room_are_drawn_as_they_are_scored():
    """Below cuts with suffixes of several lengths, whose rows mask what they lack."""
    policy = tiny_policy(sharpness=1.0)
    trunks, _ = random_tree(3, [[(3, 4), (6, 1), (7, 0)]])
    sampling = Sampling(1.0, 2 * FIRST_ROOM + 5, frozenset(), 2, seed=5)
    drawn = TorchEngine(policy).generate(trunks, sampling, 0)
    lengths = {len(sample.token_ids) for cut in drawn[0] for sample in cut}
    assert max(lengths) > 2 * FIRST_ROOM
    answers = [[[sample.token_ids for sample in cut] for cut in of_trunk] for of_trunk in drawn]
    with torch.no_grad():
        ours = branch_logprobs(policy, trunks, answers, "two-pass", with_document=False).logprobs_N
    theirs = [value for cut in drawn[0] for sample in cut for value in sample.logprobs]
    assert torch.allclose(ours, torch.tensor(theirs), atol=1e-4)
