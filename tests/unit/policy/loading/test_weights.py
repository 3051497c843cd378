"""Every tensor of a model comes from its files, and nothing else is loaded."""

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    OlmoConfig,
    OPTConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen2ForSequenceClassification,
    Qwen3Config,
)

from rpt_core.errors import RecipeError
from rpt_core.policy.codec import Codec
from rpt_core.policy.load import load_policy
from rpt_core.policy.loading.weights import refuse_not_finite

WEIGHTS = "model.safetensors"
SIZES = {
    "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 128,
    "bos_token_id": None, "eos_token_id": 1, "pad_token_id": None,
}  # fmt: skip
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=False),
    "qwen3": Qwen3Config(**SIZES, head_dim=8, tie_word_embeddings=False),
    "qwen2": Qwen2Config(**SIZES, tie_word_embeddings=True),
    "olmo": OlmoConfig(**SIZES, tie_word_embeddings=False),
    "granite": GraniteConfig(**SIZES, tie_word_embeddings=False),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """One folder of each architecture, with a tokenizer."""
    tokens = tmp_path_factory.mktemp("tokens")
    Codec.train(["one two three four five six seven eight nine ten " * 40], 280, tokens)
    folders = {}
    for name, config in CONFIGS.items():
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(name)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        for file in tokens.iterdir():
            shutil.copy(file, folder / file.name)
        folders[name] = folder
    return folders


@pytest.fixture
def copied(made, tmp_path):
    """A folder of one's own to damage."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(made[name], tmp_path / name))

    return copy


def change(folder: Path, drop=(), rename=lambda name: name, add=None) -> None:
    stored = load_file(folder / WEIGHTS)
    kept = {rename(name): tensor for name, tensor in stored.items() if not any(d in name for d in drop)}
    save_file({**kept, **(add or {})}, folder / WEIGHTS, {"format": "pt"})


def configure(folder: Path, **settings) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))


def refused(folder: Path, *words: str) -> str:
    with pytest.raises(RecipeError) as found:
        load_policy(folder)
    sentence = str(found.value)
    assert all(word in sentence for word in words), sentence
    assert found.value.exit_code == 2
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("name", ["llama", "qwen3", "qwen2", "olmo"])
def test_ordinary_models_load(made, name):
    policy = load_policy(made[name])
    stored = load_file(made[name] / WEIGHTS)
    for tensor_name, tensor in stored.items():
        assert torch.equal(policy.model.state_dict()[tensor_name], tensor), tensor_name


def test_a_model_in_several_files_loads(made, tmp_path):
    shutil.copytree(made["llama"], tmp_path, dirs_exist_ok=True)
    (tmp_path / WEIGHTS).unlink()
    model = AutoModelForCausalLM.from_pretrained(made["llama"])
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert torch.equal(load_policy(tmp_path).output_weight, model.get_output_embeddings().weight)


@pytest.mark.parametrize("name", ["llama", "qwen3", "olmo"])
def test_a_head_that_is_not_in_the_file_is_refused(copied, name):
    folder = copied(name)
    change(folder, drop=["lm_head.weight"])
    refused(folder, "lm_head.weight")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("llama", "model.layers.1.self_attn.q_proj.weight"),
        ("qwen2", "model.layers.0.self_attn.k_proj.bias"),
        ("qwen3", "model.layers.1.self_attn.k_norm.weight"),
        ("olmo", "model.layers.1.mlp.down_proj.weight"),
        ("qwen2", "model.embed_tokens.weight"),
        ("llama", "model.norm.weight"),
        ("granite", "model.layers.1."),
    ],
)  # fmt: skip
def test_a_tensor_that_is_missing_is_refused_by_name(copied, name, tensor):
    folder = copied(name)
    change(folder, drop=[tensor])
    refused(folder, tensor)


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "base_model.model.", "policy."])
def test_foreign_prefixes_are_refused(copied, prefix):
    folder = copied("qwen3")
    change(folder, rename=lambda name: prefix + name)
    refused(folder, "model.")


@pytest.mark.parametrize(("name", "layers"), [("llama", 3), ("qwen2", 5), ("olmo", 1), ("qwen3", 1)])
def test_another_number_of_layers_is_refused(copied, name, layers):
    folder = copied(name)
    configure(folder, num_hidden_layers=layers, layer_types=None)
    refused(folder, "layers")


@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_tensors_that_no_model_has_are_refused(copied, name):
    folder = copied(name)
    change(folder, add={"value_head.weight": torch.zeros(1, 32)})
    refused(folder, "value_head.weight")


def test_the_head_of_a_classifier_is_no_language_model(made, tmp_path):
    shutil.copytree(made["qwen2"], tmp_path, dirs_exist_ok=True)
    config = Qwen2Config(**SIZES, tie_word_embeddings=False, num_labels=1)
    Qwen2ForSequenceClassification(config).save_pretrained(tmp_path)
    refused(tmp_path, "lm_head.weight")


@pytest.mark.parametrize(("name", "tensor"), [("llama", "model.norm.weight"), ("qwen3", "lm_head.weight")])
def test_another_shape_is_refused(copied, name, tensor):
    folder = copied(name)
    change(folder, drop=[tensor], add={tensor: torch.zeros(7, 32) if "head" in tensor else torch.zeros(7)})
    refused(folder, tensor)


def test_a_tied_head_that_is_another_matrix_is_refused(copied):
    folder = copied("qwen2")
    change(folder, add={"lm_head.weight": torch.ones(300, 32)})
    refused(folder, "lm_head.weight")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("tensor", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_a_weight_that_is_no_number_is_refused_as_that(copied, tensor, value):
    folder = copied("llama")
    stored = load_file(folder / WEIGHTS)[tensor].clone()
    stored.view(-1)[3] = value
    change(folder, drop=[tensor], add={tensor: stored})
    assert "attention" not in refused(folder, tensor, "not finite")


def test_a_sum_that_overflows_is_no_damage():
    refuse_not_finite("here", [("w", torch.full((48, 32), 3e37))])
    with pytest.raises(RecipeError, match="2 of 3 numbers of w"):
        refuse_not_finite("here", [("w", torch.tensor([float("inf"), 1.0, float("-inf")]))])


DAMAGE = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "one byte short": lambda data: data[:-1],
    "no header": lambda data: data[8:],
    "header longer than the file": lambda data: struct.pack("<Q", 1 << 60) + data[8:],
    "header is no JSON": lambda data: data[:8] + b"?" * 40 + data[48:],
    "text": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_broken_files_are_named(copied, kind):
    folder = copied("llama")
    path = folder / WEIGHTS
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    refused(folder, WEIGHTS)


def test_a_header_that_lies_about_its_offsets_is_refused(copied):
    folder = copied("llama")
    path = folder / WEIGHTS
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header["model.norm.weight"]["data_offsets"] = [0, 10**12]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    refused(folder, WEIGHTS)


@pytest.mark.parametrize("index", ["../model.safetensors", "/etc/passwd", "a/../../x", 7, None, ""])
def test_an_index_that_points_outside_is_refused(copied, index):
    folder = copied("llama")
    (folder / WEIGHTS).rename(folder / "part.safetensors")
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {"model.norm.weight": index}}))
    refused(folder, "index")


def test_a_part_that_is_missing_is_named(copied):
    folder = copied("llama")
    (folder / WEIGHTS).unlink()
    files = {"a": "model-00001-of-00002.safetensors"}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": files}))
    refused(folder, "model-00001-of-00002.safetensors")


def test_pickles_are_never_read(copied):
    folder = copied("llama")
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
    refused(folder, "pickle", "pytorch_model.bin")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("hidden_size", -32), ("hidden_size", "wide"), ("vocab_size", 0.5), ("num_hidden_layers", 0),
        ("num_attention_heads", 10**12), ("intermediate_size", True), ("max_position_embeddings", -1),
        ("num_key_value_heads", [2]), ("num_hidden_layers", 10**8), ("vocab_size", 10**8),
        ("hidden_size", 4096), ("num_attention_heads", 5), ("head_dim", 0), ("rope_parameters", "x"),
        ("hidden_act", "nothing"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused_before_anything_is_allocated(copied, setting, value):
    folder = copied("llama")
    configure(folder, **{setting: value})
    refused(folder)


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_configuration_nested_without_end_is_refused(copied, depth):
    folder = copied("llama")
    (folder / "config.json").write_text('{"model_type": "llama", "x": ' + "[" * depth + "]" * depth + "}")
    refused(folder, "config.json")


@pytest.mark.parametrize(
    "setting",
    [
        {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}},
        {"quantization_config": {"quant_method": "awq", "bits": 4}},
        {"quantization_config": {"quant_method": "something-new"}},
    ],
)
def test_quantised_models_are_refused(copied, setting):
    folder = copied("llama")
    configure(folder, **setting)
    refused(folder, "quantised", setting["quantization_config"]["quant_method"])


@pytest.mark.parametrize("content", ["{}", '{"peft_type": "LORA", "r": 8}'])
def test_an_adapter_beside_a_model_is_refused(copied, content):
    folder = copied("llama")
    (folder / "adapter_config.json").write_text(content)
    refused(folder, "adapter", "merge_and_unload")


@pytest.mark.parametrize("kind", ["qwen2_vl", "gemma3", "mllama", "gemma4"])
def test_models_that_see_are_refused(copied, kind):
    folder = copied("llama")
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    refused(folder)


@pytest.mark.parametrize("kind", ["llama", "no-such-architecture"])
def test_code_that_comes_with_a_model_never_runs(copied, kind, monkeypatch, tmp_path):
    folder = copied("llama")
    configure(
        folder, model_type=kind, auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.M"}
    )
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    def asked(*_):
        raise AssertionError("nothing may ask")

    monkeypatch.setattr("builtins.input", asked)
    refused(folder, "auto_map")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(
            vocab_size=300, n_positions=64, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=None, eos_token_id=1,
        ),
        OPTConfig(
            vocab_size=300, max_position_embeddings=64, hidden_size=32, num_hidden_layers=2, ffn_dim=48,
            num_attention_heads=4, word_embed_proj_dim=32, dropout=0.0, attention_dropout=0.0,
            bos_token_id=None, eos_token_id=1, pad_token_id=None,
        ),
    ],
)  # fmt: skip
def test_a_row_beyond_the_last_learned_place_is_refused(config):
    from rpt_core.policy.attention import ATTENTION
    from rpt_core.policy.forward import document_scores
    from rpt_core.policy.model import Policy
    from rpt_core.policy.trunk import Trunk
    from tests.toys import NO_CODEC

    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION).eval()
    policy = Policy(model, NO_CODEC, config)
    assert len(document_scores(policy, [Trunk("a", (), tuple(range(2, 66)))]).nll_M) == 63
    with pytest.raises(RecipeError, match="65 tokens goes beyond the 64 places"):
        document_scores(policy, [Trunk("a", (), tuple(range(2, 67)))])


def test_the_stage_that_takes_a_model_refuses_it(copied, tmp_path):
    """The stage that takes a model, as its process runs it: exit 2 for what the reader gave."""
    from rpt_core.recipes.given import GivenModel
    from rpt_core.train.supervised.base import train_base
    from tests.unit.train.supervised.test_supervised import base_recipe, build_in

    folder = copied("llama")
    change(folder, drop=["lm_head.weight"])
    with pytest.raises(RecipeError, match=r"lm_head\.weight") as found:
        train_base(base_recipe(model=GivenModel(name=str(folder))), build_in(tmp_path / "build"))
    assert found.value.exit_code == 2


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_plan_names_broken_files_before_anything_is_built(copied, kind, monkeypatch, capsys, tmp_path):
    from flows.cli.app import app
    from flows.cli.guard import guarded

    folder = copied("llama")
    configure(folder, max_position_embeddings=4096)
    path = folder / WEIGHTS
    path.write_bytes(DAMAGE[kind](path.read_bytes()))
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    words = ["plan", "tiny_rpt", "-p", f"model={folder}"]
    assert guarded(lambda: app(words, standalone_mode=False)) == 2
    told = capsys.readouterr().err.strip()
    assert WEIGHTS in told
    assert len(told.splitlines()) == 1
