"""What is read off a folder before a weight is: families, sizes, shapes, small models of any architecture."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, Qwen3Config

from rpt_core.errors import EngineError, RecipeError
from rpt_core.policy.foreign_code import CONFIG_FILES, _auto_map, refuse_foreign_code
from rpt_core.policy.load import model_folder, save_policy
from rpt_core.policy.loading import faithful, families, miniature, weights
from rpt_core.policy.loading.replace import difference, misfit, replace_weights, shapes_of, stored_weights
from rpt_core.policy.loading.stored import file_shapes
from tests.toys import tiny_config, tiny_policy


@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "r1-distill-qwen"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "r1-distill-llama"), ("Qwen/Qwen3-8B", "qwen3"),
        ("Qwen/Qwen2.5-7B", "qwen2.5"), ("Qwen/Qwen2-7B", "qwen2"), ("meta-llama/Llama-3.1-8B", "llama-3.1"),
        ("meta-llama/Llama-3.3-70B", "llama-3.1"), ("meta-llama/Llama-3.4-8B", None),
        ("meta-llama/Meta-Llama-3-8B", "llama-3"), ("allenai/OLMo-2-1124-7B", "olmo-2"),
        ("HuggingFaceTB/SmolLM2-135M", "smollm2"), ("mistralai/Mistral-7B-v0.3", "mistral-v3"),
        ("mistralai/Mistral-7B-v0.1", None), ("qwen/qwen3-8B", None), ("Qwen/Qwen3", None),
    ],
)  # fmt: skip
def test_families_share_vocabularies(name, vocabulary):
    assert families.vocabulary_of(name) == vocabulary


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Qwen/Qwen3-4B-Base", 4.0e9), ("org/Some-350M", 350e6), ("org/Some-1.5B-chat", 1.5e9),
        ("org/7B", 7e9),
        ("org/Some-v1.7B", 0), ("org/Some-7Bx", 0), ("org/Some", 0), ("Some-7B", 0), ("a/b/Some-7B", 0),
        ("org-13B/Some", 0),
    ],
)  # fmt: skip
def test_a_size_is_what_the_table_or_the_name_says(name, size):
    assert families.parameters_of(name) == size
    assert families.given(name).num_parameters == size


def test_a_proxy_has_the_same_vocabulary():
    assert families.proxy_for("meta-llama/Llama-3.1-8B").name == "meta-llama/Llama-3.2-1B"
    assert families.proxy_for("meta-llama/Llama-3.1-8B").num_parameters == 1.2e9
    assert families.proxy_for("mistralai/Mistral-7B-v0.3").name == "mistralai/Mistral-7B-v0.3"
    for vocabulary, proxy in families.PROXIES.items():
        assert families.vocabulary_of(proxy) == vocabulary
        assert families.parameters_of(proxy) >= 1e9


def test_code_is_found_at_any_depth(tmp_path):
    inner = {
        "text_config": {"auto_map": {"B": "x.B", "A": "x.A"}},
        "auto_map": "y.C",
        "other": {"auto_map": {}},
    }
    assert sorted(_auto_map(inner)) == ["A", "B", "y.C"]
    assert _auto_map({"auto_map": {"B": "x.B", "A": "x.A"}}) == ["A", "B"]
    assert _auto_map({"a": [{"auto_map": "in a list"}], "auto_map": None}) == []
    refuse_foreign_code(tmp_path)
    for name in CONFIG_FILES:
        (tmp_path / name).write_text("{}")
    refuse_foreign_code(tmp_path)
    (tmp_path / CONFIG_FILES[-1]).write_text(json.dumps({"auto_map": {"B": "x.B", "A": "x.A"}}))
    with pytest.raises(RecipeError, match=rf"{CONFIG_FILES[-1]} names .*\(auto_map: A, B\)"):
        refuse_foreign_code(tmp_path)
    (tmp_path / CONFIG_FILES[-1]).write_text("[]")
    with pytest.raises(RecipeError, match="holds a list where a JSON object is needed"):
        refuse_foreign_code(tmp_path)


def test_differences_are_told_by_the_first_name_and_a_number():
    ours = {"b": (2, 3), "c": (4,), "d": (5,)}
    assert difference(ours, dict(ours)) == ""
    assert difference(ours, {**ours, "c": (7,)}) == "c is (7,) there and (4,) here"
    lacking = {"c": (4,), "d": (5,)}
    assert difference(ours, lacking) == "b is missing there and (2, 3) here"
    assert difference(ours, {**lacking, "a": (1,)}) == (
        "a is (1,) there and unknown here, and 1 other names differ"
    )
    assert difference(ours, {}) == "b is missing there and (2, 3) here, and 2 other names differ"


def test_stored_weights_go_back_into_their_model(tmp_path):
    policy, other = tiny_policy(tied=False), tiny_policy(tied=False, sharpness=1.0)
    save_policy(policy, tmp_path)
    stored = stored_weights(tmp_path)
    assert misfit(other, stored) == ""
    assert file_shapes(tmp_path / "model.safetensors") == shapes_of(policy)
    replace_weights(other, stored)
    assert torch.equal(other.output_weight, policy.output_weight)
    assert other.output_weight.requires_grad


@pytest.mark.parametrize("value", [0, -1, weights.SIZE_MAX + 1, True, 2.0, "x"])
@pytest.mark.parametrize("inner", [True, False])
def test_sizes_that_cannot_be_are_told_with_their_value(value, inner):
    config = {"text_config": {"hidden_size": value}} if inner else {"hidden_size": value}
    name = "text_config.hidden_size" if inner else "hidden_size"
    with pytest.raises(RecipeError, match=rf"c.json: {re.escape(name)} is {re.escape(repr(str(value)))}"):
        weights._refuse_sizes(config, Path("c.json"))


def test_sizes_that_can_be_are_taken():
    sizes = {"hidden_size": 1, "vocab_size": 2, "n_layer": None, "head_dim": [0], "other": -3}
    weights._refuse_sizes({**sizes, "x_config": {"n_head": 3}, "y": {"n_head": -3}}, Path("c.json"))
    assert list(weights._sizes({"hidden_size": 7, "x_config": {"n_head": 3, "a_config": {"n_ctx": 5}}})) == [
        ("hidden_size", 7), ("x_config.n_head", 3), ("x_config.a_config.n_ctx", 5),
    ]  # fmt: skip


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(2, 3, bias=False), nn.Linear(3, 5, bias=False)
        self.config = SimpleNamespace(model_type="toy")


def test_absent_tensors_are_told_by_name_or_as_other_names():
    model = _Two()
    assert weights._absent(model, {"a.weight": (3, 2), "b.weight": (5, 3)}) == ""
    assert weights._absent(model, {"a.weight": (3, 2)}) == " (b.weight)"
    assert (
        weights._absent(model, {"a.weight": (3, 2), "b.weight": (4, 3)}) == " (b.weight: (4, 3) for (5, 3))"
    )
    assert weights._absent(model, {"a.weight": (7, 2)}) == " (b.weight, a.weight: (7, 2) for (3, 2))"
    assert weights._absent(model, {"y": (3, 2), "x": (1,)}) == " under other names (x, y)"


@pytest.mark.parametrize(
    ("told", "clause"),
    [
        ({"missing_keys": {"d", "c"}}, "2 tensors of the model are in no file (c, d)"),
        ({"unexpected_keys": {"e"}}, "1 tensors of the files are in no place of the model (e)"),
        ({"mismatched_keys": {("a.weight", 1, 2)}},
         "1 tensors have another shape (a.weight: (7,) in the file, (3, 2) in the model)"),
        ({"mismatched_keys": {"z"}}, "1 tensors have another shape (z: None in the file, None in the model)"),
        ({"error_msgs": ["bad"], "conversion_errors": ["worse"]},
        "tensors could not be converted (bad, worse)"),
        ({"missing_keys": {"c"}, "unexpected_keys": {"e"}},
         "1 tensors of the model are in no file (c); "
         "1 tensors of the files are in no place of the model (e)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_one_sentence(told, clause):
    nothing = {"missing_keys": (), "unexpected_keys": (), "mismatched_keys": ()}
    weights._refuse_incomplete(Path("f"), nothing, {}, _Two())
    with pytest.raises(
        RecipeError, match=rf"of f do not fit its configuration \(toy\): {re.escape(clause)}\. "
    ):
        weights._refuse_incomplete(Path("f"), {**nothing, **told}, {"a.weight": (7,)}, _Two())


def test_more_layers_than_tensors_are_refused_before_anything_is_made():
    config = tiny_config()
    with pytest.raises(RecipeError, match="asks for 2 layers, and the files hold 1 tensors"):
        weights.refuse_more_than_stored(Path("f"), config, {"a": (10**9,)})
    weights.refuse_more_than_stored(Path("f"), config, {"a": (10**9,), "b": (1,)})


def test_weights_are_one_file_or_those_of_the_index(tmp_path):
    with pytest.raises(
        RecipeError, match=r"model\.safetensors is missing \(config\.json stands alone\)\. Fetch"
    ):
        weights.weight_files(tmp_path)
    (tmp_path / weights.INDEX).write_text(json.dumps({"weight_map": {"a": "2.st", "b": "1.st", "c": "2.st"}}))
    (tmp_path / "2.st").touch()
    with pytest.raises(
        RecipeError, match=r"1\.st is missing \(model\.safetensors\.index\.json names it\)\. Fetch"
    ):
        weights.weight_files(tmp_path)
    (tmp_path / "z.gguf").touch()
    (tmp_path / "y.pt").touch()
    with pytest.raises(RecipeError, match=r"Beside it lies y\.pt: only safetensors are read"):
        weights.weight_files(tmp_path)
    (tmp_path / "1.st").touch()
    assert weights.weight_files(tmp_path) == [tmp_path / "2.st", tmp_path / "1.st"]
    (tmp_path / weights.WEIGHTS).touch()
    assert weights.weight_files(tmp_path) == [tmp_path / weights.WEIGHTS]
    (tmp_path / weights.WEIGHTS).unlink()
    for empty in ({}, {"weight_map": {}}, {"weight_map": ["1.st"]}):
        (tmp_path / weights.INDEX).write_text(json.dumps(empty))
        with pytest.raises(RecipeError, match="names no files"):
            weights.weight_files(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "layers", "small"),
    [
        ("pad_token_id", 639, 2, 639), ("pad_token_id", 640, 2, 2), ("pad_token_id", None, 2, None),
        ("image_token_index", 9000, 2, 2), ("boi_x", 7, 2, 7), ("bos_token_id", [700], 2, 2),
        ("eos_token_id", 500, 2, 1), ("eos_token_ids", [3], 2, 1), ("hidden_size", 0, 2, 0),
        ("hidden_size", -5, 2, -5), ("hidden_size", True, 2, True), ("hidden_act", "silu", 2, "silu"),
        ("sliding_window", 4096, 2, 16), ("sliding_window", 7, 2, 7), ("max_window_layers", 30, 3, 30),
        ("num_hidden_layers", 30, 3, 3), ("num_hidden_layers", 2, 3, 2), ("hidden_size", 4096, 2, 64),
        ("hidden_size", 48, 2, 48), ("vocab_size", 9999, 2, 640), ("num_attention_heads", 32, 2, 4),
        ("head_dim", 128, 2, 16), ("intermediate_size", 11008, 2, 64), ("num_experts", 60, 2, 4),
        ("num_experts_per_tok", 8, 2, 2), ("n_group", 8, 2, 1), ("max_position_embeddings", 8192, 2, 512),
        ("qk_rope_head_dim", 64, 2, 8), ("unheard_of", 12345, 2, 12345), ("rope_theta", 1e6, 2, 1e6),
    ],
)  # fmt: skip
def test_every_setting_is_made_small_by_its_name(name, value, layers, small):
    assert miniature._small(name, value, layers) == small


@pytest.mark.parametrize(
    ("config", "fewest", "kept"),
    [
        ({}, 2, []), ({"num_hidden_layers": 5}, 2, [0, 1]), ({"n_layer": 1}, 2, [0]),
        ({"layer_types": ["a", "a", "b", "a", "c"]}, 2, [0, 2, 4]),
        ({"layer_types": ["a", "a", "b", "a", "c"]}, 4, [0, 1, 2, 4]),
        ({"layer_types": ["a", "a", "a", "b"]}, 3, [0, 1, 3]), ({"layer_types": ["a"]}, 2, [0]),
        ({"layer_types": None, "num_layers": 3}, 2, [0, 1]),
    ],
)  # fmt: skip
def test_one_layer_of_each_kind_stays(config, fewest, kept):
    assert miniature._layers_kept(config, fewest) == kept


def test_lists_by_layer_and_inner_configurations_are_made_small_alike():
    config = {
        "num_hidden_layers": 4, "layer_types": ["a", "a", "b", "a"], "widths": [5, 6, 7, 8],
        "other": [1, 2, 3],
        "num_attention_heads": 8, "num_key_value_heads": 2, "inner_config": {"hidden_size": 999},
        "id2label": {0: "hidden_size"},
        "per_layer_config": {"1": {"hidden_size": 80}, 2: {"hidden_size": 90}},
    }  # fmt: skip
    assert miniature._shrink(config, 2) == {
        "num_hidden_layers": 2, "layer_types": ["a", "b"], "widths": [5, 7], "other": [1, 2, 3],
        "num_attention_heads": 4, "num_key_value_heads": 2, "inner_config": {"hidden_size": 64},
        "id2label": {0: "hidden_size"}, "per_layer_config": {1: {"hidden_size": 64}},
    }  # fmt: skip
    three = miniature._shrink({**config, "layer_types": ["a", "c", "b", "a"]}, 2)
    assert three["num_hidden_layers"] == 3
    assert three["widths"] == [5, 6, 7]


@pytest.mark.parametrize(
    ("heads", "shared", "small"), [(8, 8, 4), (8, 4, 2), (8, 1, 1), (2, 2, 4), (None, 5, 2)]
)
def test_heads_of_keys_stay_as_many_as_queries_or_fewer(heads, shared, small):
    config = {"num_key_value_heads": shared} | ({} if heads is None else {"n_head": heads})
    assert miniature._shrink(config, 2)["num_key_value_heads"] == small


def test_a_head_as_wide_as_its_rotary_part_stays_so():
    assert miniature._shrink({"head_dim": 64, "qk_rope_head_dim": 64}, 2)["head_dim"] == 8
    assert miniature._shrink({"head_dim": 64, "qk_rope_head_dim": 32}, 2)["head_dim"] == 16
    assert miniature._shrink({"head_dim": None, "qk_rope_head_dim": None}, 2)["head_dim"] is None


@pytest.mark.parametrize(
    ("name", "value", "is_length"),
    [("sliding_window", 9, True), ("sliding_window", 0, False), ("sliding_window", True, False),
     ("sliding_window", 9.0, False), ("use_sliding_window", 1, False), ("max_window_layers", 9, False),
     ("sliding_window_pattern", 6, False), ("attention_chunk_size", 9, True), ("hidden_size", 9, False)],
)  # fmt: skip
def test_which_settings_act_beyond_a_length(name, value, is_length):
    assert miniature._is_length(name, value) is is_length


def test_a_probe_is_no_longer_than_its_row_and_has_a_branch_at_either_end():
    trunks, answers = faithful.probe(300, 40)
    ids = [1 + (7919 * i * i + 31 * i) % 299 for i in range(80)]
    long, short = trunks
    assert long.num_tokens == 33
    assert [(cut.position, len(cut.suffix_ids)) for cut in long.cuts] == [(2, 3), (30, 0)]
    assert (long.instruction_ids, long.document_ids) == ((ids[5],), tuple(ids[6:38]))
    assert short.num_tokens == 5
    assert [[len(a) for a in cut] for cut in answers[0]] == [[7, 4], [9]]
    assert answers[1] == []
    assert faithful.probe(300, 3)[0][0].num_tokens == 5
    assert all(1 <= token < 9 for token in faithful.probe(9, 40)[0][0].document_ids)


@pytest.mark.parametrize(
    ("dtype", "found", "refused"),
    [
        (torch.float32, [0.0, 0.9e-3], None), (torch.float32, [0.0, -1.1e-3], "0.0011"),
        (torch.float32, [0.0, float("nan")], "nan"), (torch.bfloat16, [0.27, 0.0], None),
        (torch.bfloat16, [0.29, 0.0], "0.21"), (torch.bfloat16, [-0.3, 0.3], "0.3"),
    ],
)  # fmt: skip
def test_how_much_may_differ(dtype, found, refused):
    policy = SimpleNamespace(compute_dtype=dtype)
    expected = torch.full((2,), -3.0)
    faithful_why, faithful._why = faithful._why, lambda _: ": why"
    try:
        if refused is None:
            faithful._refuse_different(policy, expected + torch.tensor(found), expected, "a pass", "toy")
            return
        limit = 0.001 if dtype == torch.float32 else 0.2
        told = f"a pass and the model's own forward pass differ by {refused} nats (at most {limit:g}) for the"
        with pytest.raises(RecipeError, match=re.escape(told)):
            faithful._refuse_different(policy, expected + torch.tensor(found), expected, "a pass", "toy")
    finally:
        faithful._why = faithful_why


def test_settings_that_are_chances():
    config = {
        "resid_pdrop": 0.1, "attention_dropout": 0, "classifier_dropout": 0.5, "summary_first_dropout": 0.2,
        "cls_dropout": 0.1, "router_jitter_noise": 0.01, "use_dropout": True, "dropout_kind": "x",
        "hidden_size": 5, "layerdrop": 1,
    }  # fmt: skip
    assert dict(faithful._chances(config)) == {
        "resid_pdrop": 0.1, "router_jitter_noise": 0.01, "layerdrop": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("ropes", "kinds"),
    [
        ({}, set()), ({"rope_scaling": {"type": "linear"}}, {"linear"}),
        ({"rope_parameters": {"rope_type": "yarn", "type": "x"}}, {"yarn"}),
        ({"rope_parameters": {"full": {"rope_type": "longrope"}, "near": {"factor": 2}}},
         {"default", "longrope"}),
    ],
)  # fmt: skip
def test_types_of_rotary_embeddings(ropes, kinds):
    assert faithful._rope_types(SimpleNamespace(**ropes)) == kinds


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"logit_scale": 0.5}, "scaled logits (logit_scale 0.5)"), ({"logits_scaling": 1}, None),
        ({"logits_scaling": None}, None), ({"attention_dropout": 0.0}, None),
        ({"attention_dropout": 0.2}, "attention dropout above 0 (attention_dropout 0.2)"),
        ({"attn_logit_softcapping": 50.0}, "soft-capped logits (attn_logit_softcapping 50.0)"),
        ({"sliding_window": 9}, "a sliding window of 9 tokens"),
        ({"sliding_window": 9, "use_sliding_window": False}, None),
        ({"layer_types": ["full_attention", "linear", "chunked"]}, "layers of kind chunked, linear"),
        ({"layer_types": ["full_attention"]}, None), ({"is_encoder_decoder": True}, "an encoder"),
        ({"rope_scaling": {"type": "longrope"}}, "rotary embeddings of type longrope, which change"),
        ({"rope_scaling": {"type": "yarn"}}, None),
    ],
)  # fmt: skip
def test_settings_are_refused_by_name_and_value(settings, told):
    config = SimpleNamespace(model_type="toy", **settings)
    config.get_text_config = lambda: config
    if told is None:
        faithful.refuse_unfaithful(config, "org/m")
        return
    with pytest.raises(RecipeError, match=rf"the model org/m \(toy\) has {re.escape(told)}"):
        faithful.refuse_unfaithful(config, "org/m")


def test_foreign_errors_become_one_sentence():
    for error, told in (
        (KeyError("x"), "the architecture toy cannot be computed with a trunk and branches: KeyError: 'x'"),
        (RecipeError("no such head."), "the architecture toy cannot be computed here: no such head."),
        (RecipeError("toy has none."), "toy has none."),
    ):
        with pytest.raises(RecipeError) as found, faithful.in_words("toy"):
            raise error
        assert str(found.value).startswith(told)
    with pytest.raises(RecipeError, match=r"computed here: gone"), faithful.in_words("toy"):
        raise EngineError("gone")


def test_a_models_own_logits_tell_whether_its_head_is_plain():
    policy = tiny_policy(sharpness=1.0)
    with torch.no_grad():
        assert faithful._why(policy) == ": its layers do not attend as the tree says"


def test_a_miniature_is_drawn_anew_by_its_seed():
    config = miniature.miniature_config(LlamaConfig())
    assert miniature.miniature_config(Qwen3Config(), layers=1, rms_norm_eps=0.5).rms_norm_eps == 0.5
    state = torch.get_rng_state()
    first, same, other = (miniature.miniature_model(config, "eager", seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weight = [model.model.layers[1].mlp.up_proj.weight for model in (first, same, other)]
    assert torch.equal(weight[0], weight[1])
    assert not torch.equal(weight[0], weight[2])
    assert not first.training
    assert float(weight[0].detach().std()) == pytest.approx(0.08, rel=0.1)
    assert float(first.get_input_embeddings().weight.detach().std()) == pytest.approx(0.5, rel=0.1)
    assert float(first.get_output_embeddings().weight.detach().std()) == pytest.approx(0.08, rel=0.1)
    assert first.model.norm.weight.tolist() == [1.0] * 64


def test_names_that_are_no_model(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "config.json").write_text("{}")
    assert model_folder(tmp_path) == tmp_path
    for name in (tmp_path / "a", "name", "a/b/c"):
        with pytest.raises(RecipeError, match=r"is no model: there is no config\.json in it"):
            model_folder(name)
