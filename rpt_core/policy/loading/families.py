"""Model families by hub id: which vocabulary their ids belong to, how large they are, a small proxy of each.

A proxy scores the tokens that the policy is asked about, so both must cut a text alike. Whether two
tokenizers do is known for certain only when both are read (:meth:`rpt_core.policy.codec.Codec.fingerprint`,
checked by every stage); this table lets a plan refuse what would otherwise fail hours later.

Families that share their merges but not their added tokens (Qwen2.5, Qwen3, R1-Distill-Qwen) count as
different: ids past the merges mean other things.
"""

import fnmatch
import re

from rpt_core.recipes.given import GivenModel

VOCABULARIES: dict[str, str] = {
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-*": "r1-distill-qwen",
    "deepseek-ai/DeepSeek-R1-Distill-Llama-*": "r1-distill-llama",
    "Qwen/Qwen3-*": "qwen3",
    "Qwen/Qwen2.5-*": "qwen2.5",
    "Qwen/Qwen2-*": "qwen2",
    "meta-llama/Llama-3.[123]-*": "llama-3.1",
    "meta-llama/Meta-Llama-3-*": "llama-3",
    "allenai/OLMo-2-*": "olmo-2",
    "HuggingFaceTB/SmolLM2-*": "smollm2",
    "mistralai/Mistral-7B-*v0.3": "mistral-v3",
}
"""Pattern of hub ids -> name of the vocabulary; the first that matches counts."""

PROXIES: dict[str, str] = {
    "r1-distill-qwen": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B",
    "qwen3": "Qwen/Qwen3-1.7B-Base",
    "qwen2.5": "Qwen/Qwen2.5-1.5B",
    "qwen2": "Qwen/Qwen2-1.5B",
    "llama-3.1": "meta-llama/Llama-3.2-1B",
    "olmo-2": "allenai/OLMo-2-0425-1B",
    "smollm2": "HuggingFaceTB/SmolLM2-1.7B",
}
"""Vocabulary -> a model of about RPT's proxy's size (1.5 B; section 3.3)."""

PARAMETERS: dict[str, float] = {
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1.78e9,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B": 14.8e9,
    "Qwen/Qwen3-0.6B-Base": 0.6e9,
    "Qwen/Qwen3-1.7B-Base": 1.7e9,
    "Qwen/Qwen3-4B-Base": 4.0e9,
    "Qwen/Qwen3-4B-Instruct-2507": 4.0e9,
    "Qwen/Qwen3-8B-Base": 8.2e9,
    "Qwen/Qwen3-14B": 14.8e9,
    "Qwen/Qwen2.5-7B-Instruct": 7.6e9,
    "Qwen/Qwen2.5-32B-Instruct": 32.8e9,
    "meta-llama/Llama-3.2-3B": 3.2e9,
    "meta-llama/Llama-3.2-1B": 1.2e9,
    "allenai/OLMo-2-1124-7B-Instruct": 7.3e9,
    "allenai/OLMo-2-0325-32B-Instruct": 32.2e9,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134.5e6,
}
"""Sizes of the models that recipes name."""

_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([BM])(?![A-Za-z0-9])")


def vocabulary_of(name: str) -> str | None:
    """The vocabulary of a hub id; None for a folder or an unknown family.

    Example:
        >>> vocabulary_of("Qwen/Qwen3-0.6B-Base"), vocabulary_of("models/mine")
        ('qwen3', None)
    """
    return next(
        (found for pattern, found in VOCABULARIES.items() if fnmatch.fnmatchcase(name, pattern)), None
    )


def parameters_of(name: str) -> float:
    """Parameters of a hub id: by the table, else as its name says; 0 where that is not known.

    Example:
        >>> parameters_of("Qwen/Qwen3-14B"), parameters_of("org/Some-13B-chat"), parameters_of("models/mine")
        (14800000000.0, 13000000000.0, 0)
    """
    if name in PARAMETERS:
        return PARAMETERS[name]
    size = _SIZE.search(name.rsplit("/", maxsplit=1)[-1]) if name.count("/") == 1 else None
    return float(size[1]) * (1e9 if size[2] == "B" else 1e6) if size else 0


def given(name: str) -> GivenModel:
    """A model by name, with its size as far as the name tells it."""
    return GivenModel(name=name, num_parameters=parameters_of(name))


def proxy_for(model: str) -> GivenModel:
    """A small model of the same vocabulary; the model itself where none is known.

    Example:
        >>> proxy_for("Qwen/Qwen3-0.6B-Base").name, proxy_for("models/mine").name
        ('Qwen/Qwen3-1.7B-Base', 'models/mine')
    """
    return given(PROXIES.get(vocabulary_of(model) or "", model))
