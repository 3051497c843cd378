"""A model that would be computed wrongly is refused, and what is computed is transformers' own numbers."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    DeepseekV2Config,
    DeepseekV3Config,
    FalconConfig,
    Gemma2Config,
    Gemma3Config,
    GPT2Config,
    GPTBigCodeConfig,
    GPTJConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    GraniteConfig,
    GraniteMoeSharedConfig,
    HyperCLOVAXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    MptConfig,
    OPTConfig,
    Phi3Config,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
    Starcoder2Config,
)

from rpt_core.errors import RecipeError
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.codec import Codec
from rpt_core.policy.forward import document_scores
from rpt_core.policy.load import load_policy
from rpt_core.policy.loading.faithful import (
    assert_faithful,
    probe,
    reference_logprobs,
    refuse_no_head,
    refuse_unfaithful,
)
from rpt_core.policy.loading.miniature import length_settings, miniature_config, miniature_model
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Trunk
from tests.toys import NO_CODEC, tiny_policy

LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192, "rope_theta": 5e5,
}  # fmt: skip
STILL = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}


def policy_of(config: PretrainedConfig, **lengths) -> Policy:
    """A small model of a configuration's kind; ``lengths`` are set after it is made small."""
    small = miniature_config(config)
    for name, value in lengths.items():
        setattr(small, name, value)
    return Policy(miniature_model(small, ATTENTION), NO_CODEC, small)


def refused(policy: Policy, *words: str) -> str:
    with pytest.raises(RecipeError) as found:
        assert_faithful(policy)
    sentence = str(found.value)
    assert all(word in sentence for word in words), sentence
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(), Qwen3Config(), Qwen2Config(tie_word_embeddings=True), GPTNeoXConfig(),
        LlamaConfig(rope_parameters=LLAMA3), GPT2Config(**STILL), GraniteConfig(), OPTConfig(dropout=0.0),
        MistralConfig(sliding_window=None),
    ],
    ids=lambda config: config.model_type,
)  # fmt: skip
def test_ordinary_models_are_equal_to_transformers_own_pass(config):
    policy = policy_of(config)
    refuse_unfaithful(policy.config, "org/model")
    assert_faithful(policy)
    ids = torch.randint(2, 640, (1, 200), generator=torch.Generator().manual_seed(3))
    found = -document_scores(policy, [Trunk("d", (), tuple(ids[0].tolist()))]).nll_M.detach()
    with policy.attending("eager"), torch.no_grad():
        logits = policy.model(input_ids=ids).logits[0, :-1]
    expected = logits.log_softmax(-1).gather(1, ids[0, 1:, None]).squeeze(1)
    assert float(expected.std()) > 0.5, "the numbers must vary for the comparison to mean anything"
    assert float((found - expected).abs().max()) < 1e-3


SCALES = [
    (GraniteConfig, "logits_scaling", 8.0), (GraniteMoeSharedConfig, "logits_scaling", 6.0),
    (HyperCLOVAXConfig, "logits_scaling", 0.125), (CohereConfig, "logit_scale", 0.0625),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "scale"), SCALES)
def test_scaled_logits_are_refused_by_setting_and_by_comparison(kind, name, scale):
    with pytest.raises(RecipeError, match=f"scaled logits .{name} {scale}"):
        refuse_unfaithful(kind(**{name: scale}), "org/model")
    refused(policy_of(kind(**{name: scale})), "nats", "its logits are scaled by")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda logits: logits * 1.02, "scaled by 1.02"),
        (lambda logits: logits / 3, "scaled by 0.33"),
        (lambda logits: 5 * torch.tanh(logits / 5), "capped"),
        (lambda logits: logits + torch.linspace(0, 1, logits.shape[-1]), "capped, shifted"),
        (lambda logits: logits.where(logits > 0, logits * 2), "capped, shifted"),
    ],
)
def test_a_head_that_no_setting_tells_of_is_noticed(change, words):
    policy = policy_of(LlamaConfig())
    own = policy.model.forward

    def forward(*args, **kwargs):
        output = own(*args, **kwargs)
        output.logits = change(output.logits)
        return output

    policy.model.forward = forward
    refused(policy, "nats", words)


def test_a_model_without_a_plain_head_is_refused():
    policy = policy_of(LlamaConfig())
    policy.model.lm_head = nn.Sequential(policy.model.lm_head)
    with pytest.raises(RecipeError, match=r"no plain head .*Sequential"):
        refuse_no_head(policy.model, "org/model")


@pytest.mark.parametrize(
    "config",
    [
        Gemma3Config(text_config={"sliding_window": 64}),
        Gemma3Config(text_config={"sliding_window": 4096, "layer_types": ["sliding_attention"] * 26}),
        Gemma2Config(),
        Phi3Config(sliding_window=2048),
        Starcoder2Config(sliding_window=100),
        Qwen2Config(use_sliding_window=True, sliding_window=32, max_window_layers=2),
    ],
    ids=lambda config: config.model_type,
)
def test_windows_are_refused_by_name_inner_settings_included(config):
    with pytest.raises(RecipeError, match="sliding"):
        refuse_unfaithful(config, "org/model")


@pytest.mark.parametrize("cap", [5.0, 30.0])
def test_an_inner_cap_is_refused_by_name(cap):
    config = Gemma3Config(text_config={"final_logit_softcapping": cap, "layer_types": ["full_attention"] * 26,
                                       "sliding_window": None})  # fmt: skip
    with pytest.raises(RecipeError, match=f"soft-capped logits .final_logit_softcapping {cap}"):
        refuse_unfaithful(config, "org/model")


@pytest.mark.parametrize("kind", [MistralConfig, Phi3Config, MixtralConfig, Starcoder2Config])
@pytest.mark.parametrize("window", [48, 4096])
def test_a_window_is_noticed_without_its_name_however_long_it_is(kind, window):
    """Short of the compared row on the real weights, beyond it on a miniature."""
    still = {"residual_dropout": 0.0, "embedding_dropout": 0.0} if kind is Starcoder2Config else {}
    policy = policy_of(kind(sliding_window=window, **still), sliding_window=window)
    policy = Policy(miniature_model(policy.config, ATTENTION), NO_CODEC, policy.config)
    refused(policy, "nats", *(["sliding_window 4096", "small model"] if window == 4096 else []))


def test_length_settings_are_found_at_every_depth():
    assert length_settings(LlamaConfig()) == {}
    assert length_settings(Gemma3Config(text_config={"sliding_window": 77}))["sliding_window"] == 77
    assert length_settings(LlamaConfig(rope_parameters=LLAMA3)) == {
        "rope_parameters.original_max_position_embeddings": 8192
    }
    assert length_settings(Qwen2Config()) == {}


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (GPT2Config(), "resid_pdrop 0.1"),
        (GPT2Config(**{**STILL, "embd_pdrop": 0.01}), "embd_pdrop 0.01"),
        (GPTBigCodeConfig(), "resid_pdrop 0.1"),
        (OPTConfig(), "dropout 0.1"),
        (OPTConfig(dropout=0.0, layerdrop=0.001), "layerdrop 0.001"),
        (GPTNeoXConfig(hidden_dropout=0.2), "hidden_dropout 0.2"),
        (Phi3Config(sliding_window=None, resid_pdrop=0.1), "resid_pdrop 0.1"),
    ],
    ids=lambda value: value.model_type if isinstance(value, PretrainedConfig) else value,
)
def test_dropout_that_acts_in_training_is_refused_however_rare(config, setting):
    refused(policy_of(config), "dropout or noise", setting)


def test_noise_that_no_setting_tells_of_is_noticed():
    policy = policy_of(LlamaConfig())
    mlp = policy.model.model.layers[1].mlp
    mlp.down_proj = nn.Sequential(mlp.down_proj, nn.Dropout(0.5)).eval()
    refused(policy, "dropout or noise", "in its layers")


def test_a_pass_in_training_that_differs_without_chance_is_refused():
    policy = policy_of(LlamaConfig())
    mlp = policy.model.model.layers[0].mlp
    own = mlp.forward
    mlp.forward = lambda x: own(x) * (1.5 if mlp.training else 1.0)
    refused(policy, "a pass in training mode", "nats")


def test_the_check_leaves_the_model_and_the_random_streams_as_they_were():
    policy = tiny_policy()
    before = policy.work.flops
    torch.manual_seed(11)
    state = torch.get_rng_state()
    weights = {name: tensor.clone() for name, tensor in policy.model.state_dict().items()}
    assert_faithful(policy)
    assert torch.equal(state, torch.get_rng_state())
    assert not policy.model.training
    assert not policy.checkpoints_activations
    assert policy.model.config._attn_implementation == ATTENTION
    assert all(torch.equal(tensor, weights[name]) for name, tensor in policy.model.state_dict().items())
    assert policy.work.flops - before < 1e8, "only the small tree counts as work, as it always has"


def test_the_reference_takes_every_path_as_a_row_of_its_own():
    policy = tiny_policy("llama")
    trunks, answers = probe(64, 80)
    found = reference_logprobs(policy, trunks, answers)
    assert len(found) == sum(len(a) for t in answers for c in t for a in c) + sum(
        len(t.token_ids) - 1 for t in trunks
    )
    trunk, cut, answer = trunks[0], trunks[0].cuts[0], answers[0][0][0]
    row = torch.tensor([[*trunk.token_ids[: trunk.depth(cut)], *cut.suffix_ids, *answer]])
    model = policy.model
    with policy.attending("eager"), torch.no_grad():
        logp = model(input_ids=row).logits[0].log_softmax(-1)
    expected = torch.stack([logp[len(row[0]) - len(answer) + i - 1, token] for i, token in enumerate(answer)])
    torch.testing.assert_close(found[: len(answer)], expected)
    longest = max(len(t.token_ids) for t in trunks)
    assert longest <= 80


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    Codec.train(["one two three four five six seven eight nine ten " * 40], 280, folder)
    return folder


def saved(config: PretrainedConfig, tokens: Path, folder: Path) -> Path:
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(miniature_config(config)).save_pretrained(folder)
    for file in tokens.iterdir():
        shutil.copy(file, folder / file.name)
    return folder


@pytest.mark.parametrize(
    "config",
    [FalconConfig(), GPTJConfig(), GPTNeoConfig(), MptConfig(), DeepseekV2Config(), DeepseekV3Config()],
    ids=lambda config: config.model_type,
)
def test_an_architecture_that_does_not_fit_is_named_in_one_sentence(config, tokens, tmp_path):
    with pytest.raises(RecipeError) as found:
        load_policy(saved(config, tokens, tmp_path))
    assert config.model_type in str(found.value)
    assert "\n" not in str(found.value)
    assert found.value.exit_code == 2


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("for_training", [False, True])
def test_every_precision_is_checked_and_loads(dtype, for_training, tokens, tmp_path):
    folder = saved(Qwen3Config(), tokens, tmp_path)
    assert load_policy(folder, dtype, for_training=for_training).compute_dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_scaled_head_is_refused_in_every_precision(dtype, tokens, tmp_path):
    folder = saved(GraniteConfig(logits_scaling=1.5), tokens, tmp_path)
    with pytest.raises(RecipeError, match=r"logits_scaling 1\.5"):
        load_policy(folder, dtype)
