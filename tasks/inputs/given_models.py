"""What a plan can know of a model before it is loaded: vocabulary, control tokens, longest row."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from rpt_core.artifacts.recipe import Recipe, canonical_json
from rpt_core.policy.loading.families import vocabulary_of
from rpt_core.recipes.supervised import BaseRecipe, ModelShape

_MODEL_INPUTS = ("model", "start", "base")
_LEARNED = frozenset(
    {"gpt2", "opt", "gpt_bigcode", "gpt_neo", "biogpt", "openai-gpt", "xglm", "ctrl", "codegen_learned"}
)
"""Architectures with one learned embedding per position: beyond the last there is nothing."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def base_of(model: object) -> BaseRecipe | None:
    """The base model at the bottom of a chain of trainings, as far as it is a recipe."""
    while isinstance(model, Recipe) and not isinstance(model, BaseRecipe):
        inputs = model.inputs()
        model = next((inputs[name] for name in _MODEL_INPUTS if name in inputs), None)
    return model if isinstance(model, BaseRecipe) else None


def vocabulary(base: BaseRecipe) -> tuple[str, str] | None:
    """How the vocabulary is known, and which it is; two of one kind can be compared. None where unknown."""
    shape = base.model
    if isinstance(shape, ModelShape):
        corpus = base.corpus.model_dump(mode="json")
        made_of = [corpus, shape.vocab_size, shape.prediction_marks]
        return "trained here", canonical_json(made_of).decode()
    folder = Path(shape.name)
    if not folder.is_dir():
        family = vocabulary_of(shape.name)
        return ("hub", family) if family else None
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return None
    return "folder", _fingerprint(folder.absolute())


@cache
def _fingerprint(folder: Path) -> str:
    from rpt_core.policy.codec import Codec

    return Codec.load(folder).fingerprint()


def has_control_tokens(base: BaseRecipe) -> bool | None:
    """Whether the tokenizer has the control tokens of models trained here; None where it is not at hand."""
    if isinstance(base.model, ModelShape):
        return True
    file = Path(base.model.name) / "tokenizer.json"
    if not file.is_file():
        return None if Path(base.model.name).is_dir() or not vocabulary_of(base.model.name) else False
    text = file.read_text("utf-8", errors="replace")
    return "<|rpt|>" in text and "<|predict|>" in text


def longest_row(base: BaseRecipe) -> tuple[int, bool] | None:
    """Tokens the model was made for, and whether it has no place for more; None where that is not known."""
    if isinstance(base.model, ModelShape):
        return 2 * base.model.context_tokens, False
    try:
        config: dict[str, Any] = json.loads((Path(base.model.name) / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None  # whoever loads it says what is wrong with it
    names = ("max_position_embeddings", "n_positions")
    found = next((config[name] for name in names if isinstance(config.get(name), int)), None)
    return None if found is None else (found, config.get("model_type") in _LEARNED)
