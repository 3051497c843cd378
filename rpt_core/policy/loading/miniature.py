"""A small model of any architecture: widths, layers and lengths of a configuration scaled down.

Settings that act only beyond some length (a sliding window of 4,096 tokens, an attention chunk of 8,192)
cannot be seen on a short row of the real model. A row of 64 shows them on a miniature
whose window is 16 tokens.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

HEADS, HEAD_DIM, VOCABULARY, LENGTH, POSITIONS = 4, 16, 640, 16, 512
WIDTH, ROTARY_DIM = HEADS * HEAD_DIM, 8

SCALED: tuple[tuple[str, int], ...] = (
    (r"vocab_size|vocab_size_per_layer_input|classes", VOCABULARY),
    (r"hidden_size|n_embd|d_model|embed_dim|embedding_dim|word_embed_proj_dim|embedding_size|dim_model|"
     r"input_size|attention_hidden_size|lru_width|emb_dim|dim|rotary_dim_base|decoder_hidden_size", WIDTH),
    (r"num_attention_heads|n_heads?|num_heads|encoder_attention_heads|decoder_attention_heads", HEADS),
    (r"head_dim|global_head_dim|v_head_dim|qk_nope_head_dim|attention_head_dim|kv_channels|d_kv|swa_head_dim|"
     r"swa_v_head_dim|qk_head_dim", HEAD_DIM),
    (r"qk_rope_head_dim", ROTARY_DIM),
    (r"kv_lora_rank|q_lora_rank|hidden_size_per_layer_input|.*lora_rank|.*_lora_dim", HEAD_DIM),
    (r".*intermediate_size.*|.*ffn_dim|n_inner|d_ff|d_inner|(.*_)?ffn_hidden_size|mlp_hidden_size|.*expert.*_dim|"
     r"feed_forward_hidden_size|ffn_intermediate_size|dim_feedforward|mlp_intermediate_size", WIDTH),
    (r"num_experts|num_local_experts|n_routed_experts|moe_num_experts|num_routed_experts|n_experts", 4),
    (r"num_experts_per_tok|num_experts_per_token|moe_topk|moe_k|moe_top_k|experts_per_token|num_activated_experts|"
     r"num_selected_experts", 2),
    (r".*topk_blocks", 2),
    (r"n_group|topk_group|n_groups_moe|num_expert_group", 1),
    (r"max_position_embeddings|n_positions|n_ctx|max_seq_len|max_sequence_length|seq_length|max_seq_length",
     POSITIONS),
)  # fmt: skip
"""Names of sizes, as whole-name patterns, and what each becomes; a smaller size stays as it is."""
KEY_VALUE_HEADS = re.compile(
    r"(.*_)?(num_key_value_heads|num_kv_heads|n_head_kv|n_kv_heads|num_global_key_value_heads)"
)
LAYERS = re.compile(r"num_(hidden_|decoder_|encoder_|kv_shared_)?layers|n_layers?|(encoder|decoder)_layers")
LENGTHS = re.compile(
    r".*(window|chunk|original_max_position|local_attention|local_attn|block_size|index_topk|token_budget|attention_span).*"
)
"""Settings that act only beyond some number of tokens."""
NO_LENGTH = re.compile(r"max_window_layers|(?=.*?(?:window|chunk)).*(layers?|pattern)|use_.*")
TOKENS = re.compile(
    r"(bos|pad|sep|cls|mask|decoder_start|unk|image|video|audio|boi|eoi).*_(token_id|token_index)|boi_.*|eoi_.*"
)
LABELS = ("id2label", "label2id")
PATTERNS = [(re.compile(pattern), size) for pattern, size in SCALED]


def length_settings(config: PretrainedConfig) -> dict[str, int]:
    """Settings of the text model that act beyond some length, with their lengths in tokens.

    Example:
        >>> from transformers import MistralConfig
        >>> length_settings(MistralConfig(sliding_window=4096))
        {'sliding_window': 4096}
    """
    return dict(_lengths(config.get_text_config().to_dict()))


def miniature_config(config: PretrainedConfig, *, layers: int = 2, **more: Any) -> PretrainedConfig:
    """The same architecture with small sizes, one layer of each kind at least, and lengths of 16 tokens.

    Args:
        config: The configuration to scale down.
        layers: Layers to keep; more where there are more kinds.
        more: Settings that an architecture wants otherwise.

    Whatever a configuration's class itself refuses is raised as it is.
    """
    return type(config).from_dict({**_shrink(config.to_dict(), layers), **more})


def miniature_model(config: PretrainedConfig, attention: str, seed: int = 0) -> PreTrainedModel:
    """A float32 model of :func:`miniature_config` with weights large enough for attention to matter."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation=attention, trust_remote_code=False
        )
        enlarge(model)
    return model.eval()


@torch.no_grad()
def enlarge(model: PreTrainedModel) -> None:
    """Draw matrices anew: deviation 0.5 in the embedding, 0.08 in all others."""
    embedding = model.get_input_embeddings().weight
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.normal_(0.0, 0.5 if parameter is embedding else 0.08)


def _lengths(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and name not in LABELS:
            yield from _lengths(value, f"{prefix}{name}.")
        elif _is_length(name, value):
            yield f"{prefix}{name}", value


def _is_length(name: str, value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return whole and bool(LENGTHS.fullmatch(name)) and not NO_LENGTH.fullmatch(name)


def _shrink(config: Mapping[str, Any], layers: int) -> dict[str, Any]:
    kept = _layers_kept(config, layers)
    counts = {value for name, value in config.items() if LAYERS.fullmatch(name) and isinstance(value, int)}
    heads = next(
        (config[name] for name in ("num_attention_heads", "n_head", "n_heads") if name in config), None
    )
    small: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            small[name] = _inner(name, value, kept, layers)
        elif isinstance(value, list) and len(value) in counts and value and kept:
            small[name] = [value[index] for index in kept]
        elif KEY_VALUE_HEADS.fullmatch(name) and isinstance(value, int):
            small[name] = HEADS if value == heads else min(value, HEADS // 2)
        elif name == "head_dim" and value is not None and value == config.get("qk_rope_head_dim"):
            small[name] = ROTARY_DIM
        else:
            small[name] = _small(name, value, len(kept) or layers)
    return small


def _inner(name: str, value: Mapping[Any, Any], kept: list[int], layers: int) -> Mapping[Any, Any]:
    if name in LABELS:
        return value
    if name == "per_layer_config":  # what single layers have otherwise, by number
        own = {str(layer): told for layer, told in value.items()}
        return {
            place: _shrink(own[str(layer)], layers) for place, layer in enumerate(kept) if str(layer) in own
        }
    return _shrink(value, layers)


def _small(name: str, value: Any, layers: int) -> Any:
    if TOKENS.fullmatch(name):
        return value if value is None or (isinstance(value, int) and value < VOCABULARY) else 2
    if name in {"eos_token_id", "eos_token_ids"}:
        return 1
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return value
    if _is_length(name, value):
        return min(value, LENGTH)
    if LAYERS.fullmatch(name):
        return min(value, layers)
    size = next((size for pattern, size in PATTERNS if pattern.fullmatch(name)), value)
    return min(value, size)


def _layers_kept(config: Mapping[str, Any], fewest: int) -> list[int]:
    """Layers that stay: the first of each kind that ``layer_types`` lists, and ``fewest`` in all."""
    kinds = config.get("layer_types")
    if not isinstance(kinds, list):
        count = next((v for n, v in config.items() if LAYERS.fullmatch(n) and isinstance(v, int)), 0)
        return list(range(min(count, fewest)))
    first = {kind: index for index, kind in reversed(list(enumerate(kinds)))}
    others = [index for index in range(len(kinds)) if index not in first.values()]
    return sorted([*first.values(), *others[: max(fewest - len(first), 0)]])
