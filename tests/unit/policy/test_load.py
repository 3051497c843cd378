"""Models whose trunk passes would be silently wrong are refused by name."""

import json

import pytest
import torch
from transformers import Gemma2Config, MistralConfig

from rpt_core.errors import RecipeError
from rpt_core.policy.load import load_policy, model_folder, save_policy
from rpt_core.policy.loading.faithful import assert_faithful, refuse_unfaithful
from tests.toys import save_tiny_model, tiny_config, tiny_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    save_tiny_model(path)
    return path


def test_a_saved_policy_is_an_ordinary_folder(folder, tmp_path):
    policy = load_policy(folder)
    save_policy(policy, tmp_path)
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(model.get_output_embeddings().weight, policy.output_weight)
    assert AutoTokenizer.from_pretrained(tmp_path).encode("one two") == policy.codec.encode("one two")
    assert not list(tmp_path.glob("*.bin"))


def test_training_keeps_float32_under_bfloat16_products(folder):
    policy = load_policy(folder, "bfloat16", for_training=True)
    assert policy.output_weight.dtype == torch.float32
    assert policy.compute_dtype == torch.bfloat16
    assert load_policy(folder, "bfloat16").output_weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("config", "what"),
    [
        (
            tiny_config("qwen2", use_sliding_window=True, sliding_window=8, max_window_layers=1),
            "sliding_attention",
        ),
        (MistralConfig(sliding_window=16), "sliding window of 16"),
        (Gemma2Config(), "sliding_attention"),
        (tiny_config("llama", attention_dropout=0.1), "attention dropout"),
        (
            tiny_config("llama", rope_parameters={"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}),
            "rotary embeddings of type dynamic",
        ),
    ],
)
def test_unfaithful_attention_is_refused_by_name(config, what):
    with pytest.raises(RecipeError, match=what):
        refuse_unfaithful(config, "org/model")


@pytest.mark.parametrize("kind", ["qwen3", "qwen2", "llama"])
def test_the_tested_shapes_pass(kind):
    refuse_unfaithful(tiny_config(kind), "org/model")
    assert_faithful(tiny_policy(kind))


def test_an_architecture_that_ignores_the_tree_is_noticed():
    policy = tiny_policy()
    layer = policy.model.base_model.layers[1].self_attn
    original = layer.forward
    layer.forward = lambda *args, **kwargs: original(*args, **{**kwargs, "tree": None})
    with pytest.raises(RecipeError, match="a trunk pass and separate rows differ by"):
        assert_faithful(policy)


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    policy = load_policy(folder)
    save_policy(policy, tmp_path)
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append(
        {
            **tokenizer["added_tokens"][0],
            "id": len(policy.codec) + 7,
            "content": "<|extra|>",
            "special": False,
        }
    )
    tokenizer["model"]["vocab"]["<|extra|>"] = len(policy.codec) + 7
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(RecipeError, match="do not belong together"):
        load_policy(tmp_path)


def test_what_is_no_model_is_said(tmp_path):
    with pytest.raises(RecipeError, match=r"no config\.json"):
        load_policy(tmp_path)
    with pytest.raises(RecipeError, match="no hub id"):
        model_folder("not-there")
    (tmp_path / "config.json").write_text('{"model_type": "unheard-of"}')
    with pytest.raises(RecipeError, match="cannot be read"):
        load_policy(tmp_path)
    with pytest.raises(RecipeError, match="neither a folder here nor to be had"):
        model_folder("no-such-org/no-such-model")
