"""Hugging Face folders with tiny tokenizers of the kinds that models bring."""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoModelForCausalLM

from rpt_core.policy.attention import ATTENTION
from tests.toys import tiny_config

TEXT = [
    "[INST] The old clock shows 3, and 12 and 30 is 42. [/INST] It is 2 plus 2, she said.\n\n### Answer\n",
    "Solve the following problem. Reason step by step: x = 7, so 5 times 6 is 30.",
] * 12
BOS, EOS = "<s>", "</s>"
Prefix = Literal["prepend", "first", "always", "never"]

MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROLS = (BOS, EOS, "<|im_start|>", "<|im_end|>")


def byte_level(size: int = 340, *, prefix_space: bool = False) -> Tokenizer:
    """Byte-level BPE, GPT-2's and Llama 3's kind."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(CONTROLS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def sentencepiece_like(prefix: Prefix, size: int = 400) -> Tokenizer:
    """BPE with byte fallback and a letter for the blank: Llama 2's, Mistral's and Gemma's kind."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    if prefix == "prepend":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix, split=False)
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    pieces = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<unk>", *CONTROLS, *pieces],
        initial_alphabet=["\u2581"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(" ".join(TEXT).split(), trainer)
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in pieces]
    return Tokenizer.from_str(json.dumps(state))


def begins_with_bos(tokenizer: Tokenizer, *, ends_with_eos: bool = False) -> Tokenizer:
    """With the post-processor that puts BOS before a text."""
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[BOS, "$A", EOS] if ends_with_eos else [BOS, "$A"],
        special_tokens=[(word, tokenizer.token_to_id(word)) for word in (BOS, EOS)],
    )
    return tokenizer


def with_added(tokenizer: Tokenizer, word: str, **flags: bool) -> Tokenizer:
    """With one more token, or another form of one it has."""
    tokenizer.add_special_tokens([AddedToken(word, special=True, **flags)])
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path, *, template: str | None = None, **settings: Any) -> Path:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
        "chat_template": template, "clean_up_tokenization_spaces": False, **settings,
    }  # fmt: skip
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(kept))
    return folder


def save_model(folder: Path, rows: int, kind: str = "llama", sharpness: float = 4.0) -> Path:
    """Random weights with ``rows`` rows of logits beside a tokenizer."""
    torch.manual_seed(0)
    config = tiny_config(kind, tied=False, vocab=rows)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(sharpness)
    model.save_pretrained(folder)
    return folder
