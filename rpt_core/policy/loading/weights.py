"""Weights from a Hugging Face folder: every tensor of the model comes from a file, or the folder is refused.

transformers fills what a file lacks with random numbers and leaves out what a model lacks, with a warning.
Here both are errors, and so is a file that is broken, or a configuration that asks for more numbers than the
files hold: that one is noticed from the files' headers, before anything is allocated.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from rpt_core.errors import RecipeError, brief
from rpt_core.policy.foreign_code import read_json_object, refuse_foreign_code
from rpt_core.policy.loading.stored import Shapes, file_shapes, num_numbers

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
SIZE_MAX = 1_000_000_000
"""No size of a model is larger: 10^9 rows, heads or positions are a damaged configuration."""
MORE = 1.05
"""Numbers a model may have for each that its files hold: buffers that are made, not read."""
NAMED = 4
"""Tensors a sentence names."""
OTHER_SENSES = ("vision_config", "audio_config", "speech_config", "image_config", "video_config")
"""Inner configurations of models that read more than text."""


def read_config(folder: Path) -> PretrainedConfig:
    """The configuration of a model that has only text, only weights of its own, and sizes that can be.

    Raises:
        RecipeError: it cannot be read, stands beside an adapter, names Python code or an architecture this
            version of transformers lacks, is quantised, reads images or sound, or has a size that is no
            positive whole number.
    """
    refuse_foreign_code(folder)
    if (folder / ADAPTER).exists():
        raise RecipeError(
            f"the model {folder} holds an adapter ({ADAPTER}) beside a model; transformers would load the "
            "one without the other. Merge them first (peft: merge_and_unload, then save_pretrained)."
        )
    _refuse_sizes(read_json_object(folder / "config.json"), folder / "config.json")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001  (each of 300 configuration classes has errors of its own)
        raise RecipeError(
            f"the model configuration in {folder} cannot be read: {brief(error)}. Fix config.json, or "
            "take a model that this version of transformers knows."
        ) from None
    quantised = getattr(config, "quantization_config", None)
    if quantised:
        method = quantised.get("quant_method") if isinstance(quantised, dict) else quantised
        raise RecipeError(
            f"the model {folder} is quantised ({method or 'quantization_config'}): its weights are no plain "
            "numbers that could be trained or compared. Take the unquantised model."
        )
    senses = [name for name in OTHER_SENSES if getattr(config, name, None) is not None]
    if senses:
        raise RecipeError(
            f"the model {folder} ({config.model_type}) reads more than text ({', '.join(senses)}). Take its "
            "text model alone, as a folder of its own."
        )
    return config


def read_model(
    folder: Path, config: PretrainedConfig, dtype: torch.dtype, *, attention: str
) -> PreTrainedModel:
    """The model of a folder with every tensor read from its files.

    Args:
        folder: A local Hugging Face folder.
        config: Its configuration, see :func:`read_config`.
        dtype: Type the parameters are kept in.
        attention: Name of the attention function, as transformers registers them.

    Raises:
        RecipeError: a file is missing or broken; a tensor of the model is in no file, a tensor of the files
            in no model, one has another shape, or one holds a number that is not finite; each by name.
    """
    shapes = stored_shapes(folder)
    refuse_more_than_stored(folder, config, shapes)
    try:
        model, told = AutoModelForCausalLM.from_pretrained(
            folder, config=config, dtype=dtype, use_safetensors=True, attn_implementation=attention,
            local_files_only=True, trust_remote_code=False, output_loading_info=True,
            ignore_mismatched_sizes=True,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  (what a foreign architecture raises is not ours to list)
        raise RecipeError(
            f"the model {folder} ({config.model_type}) cannot be loaded: {brief(error)}. Check that "
            "config.json and the weights belong together, or take another model."
        ) from None
    _refuse_incomplete(folder, told, shapes, model)
    _refuse_untied(folder, model, shapes)
    refuse_not_finite(str(folder), model.named_parameters())
    return model


def stored_shapes(folder: Path) -> Shapes:
    """Name and shape of every tensor in the folder's safetensors files, from their headers alone.

    Raises:
        RecipeError: there is no such file, one that the index names is missing or lies outside the folder, or
            one is truncated or otherwise broken.
    """
    shapes: Shapes = {}
    for path in weight_files(folder):
        shapes |= file_shapes(path)
    if not shapes:
        raise RecipeError(f"the weights of {folder} hold no tensor. Fetch the model's files again.")
    return shapes


def refuse_not_finite(where: str, named: Iterable[tuple[str, torch.Tensor]]) -> None:
    """Refuse weights with a NaN or an infinity, by the tensor's name.

    Raises:
        RecipeError: the first such tensor.
    """
    for name, tensor in named:
        if (
            tensor.is_floating_point()
            and not bool(torch.isfinite(tensor.sum()))
            and not bool(torch.isfinite(tensor).all())
        ):
            bad = int((~torch.isfinite(tensor)).sum())
            raise RecipeError(
                f"the weights of {where} are damaged: {bad:,} of {tensor.numel():,} numbers of {name} are "
                "not finite (NaN or infinity). Fetch the file again, or go back to an earlier checkpoint."
            )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a folder: one, or those its index names."""
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        names: Iterable[Any] = [WEIGHTS]
        told_by = "config.json stands alone"
    else:
        index = read_json_object(folder / INDEX).get("weight_map")
        if not isinstance(index, dict) or not index:
            raise RecipeError(f"{folder / INDEX} names no files (weight_map). Fetch it again.")
        names, told_by = dict.fromkeys(index.values()), f"{INDEX} names it"
    paths = []
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or name in {"", ".", ".."}:
            raise RecipeError(
                f"{folder / INDEX} points outside its folder ({str(name)[:200]!r}): nothing is read from "
                "there. Take the index the model was published with."
            )
        if not (folder / name).is_file():
            others = sorted(p.name for p in folder.glob("*") if p.suffix in {".bin", ".pt", ".pth", ".gguf"})
            beside = (
                f" Beside it lies {others[0]}: only safetensors are read, for a pickle may run any code; "
                "model.save_pretrained writes them."
                if others
                else ""
            )
            raise RecipeError(
                f"the weights file {folder / name} is missing ({told_by}).{beside} Fetch the whole model."
            )
        paths.append(folder / name)
    return paths


def _refuse_sizes(config: Mapping[str, Any], path: Path) -> None:
    for name, value in _sizes(config):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= SIZE_MAX:
            raise RecipeError(
                f"{path}: {name} is {str(value)[:80]!r}, which is no size of a model (a whole number from 1 "
                f"to {SIZE_MAX:,}). Take the config.json the model was published with."
            )


SIZES = frozenset(
    {
        "hidden_size", "n_embd", "d_model", "intermediate_size", "n_inner", "num_hidden_layers", "n_layer",
        "n_layers", "num_layers", "num_attention_heads", "n_head", "n_heads", "num_key_value_heads",
        "head_dim", "vocab_size", "max_position_embeddings", "n_positions", "n_ctx", "num_experts",
        "num_local_experts",
        "n_routed_experts", "moe_intermediate_size", "ffn_hidden_size", "embedding_size",
    }
)  # fmt: skip


def _sizes(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Sizes of a configuration and of its inner ones; None means the architecture's own default."""
    for name, value in config.items():
        if name in SIZES and value is not None and not isinstance(value, list):
            yield name, value
        if isinstance(value, Mapping) and name.endswith("_config"):
            yield from ((f"{name}.{inner}", size) for inner, size in _sizes(value))


def refuse_more_than_stored(folder: Path, config: PretrainedConfig, shapes: Shapes) -> None:
    """Refuse a configuration whose model has more numbers than the files, before it is allocated.

    Raises:
        RecipeError: with both counts.
    """
    stored = num_numbers(shapes)
    layers = getattr(config.get_text_config(), "num_hidden_layers", 0) or 0
    if layers > len(shapes):
        raise RecipeError(
            f"the configuration of {folder} asks for {layers:,} layers, and the files hold {len(shapes):,} "
            "tensors: they do not belong together. Take the config.json the model was published with."
        )
    try:
        with torch.device("meta"):
            empty = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Exception as error:  # noqa: BLE001
        raise RecipeError(
            f"no model can be made of the configuration in {folder} ({config.model_type}): {brief(error)}. "
            "Take a causal language model whose config.json is the one it was published with."
        ) from None
    wanted = sum(parameter.numel() for parameter in empty.parameters())
    if wanted > MORE * stored:
        raise RecipeError(
            f"the configuration of {folder} asks for {wanted:,} numbers, and the weights hold {stored:,}: "
            f"missing or of another shape are tensors of its own{_absent(empty, shapes)}. Fetch the whole "
            "model, or take the config.json that belongs to it."
        )


def _absent(empty: nn.Module, shapes: Shapes) -> str:
    """The tensors that are lacking or too small, where the names are those of the file at all."""
    wanted = {name: tuple(parameter.shape) for name, parameter in empty.named_parameters()}
    absent = [name for name in wanted if name not in shapes]
    other = [
        f"{name}: {shapes[name]} for {shape}"
        for name, shape in wanted.items()
        if shapes.get(name, shape) != shape
    ]
    if len(absent) == len(wanted):
        return f" under other names ({_some(sorted(shapes))})"
    return f" ({_some([*absent, *other])})" if absent or other else ""


def _refuse_incomplete(folder: Path, told: Mapping[str, Any], shapes: Shapes, model: PreTrainedModel) -> None:
    missing, unexpected = sorted(told["missing_keys"]), sorted(told["unexpected_keys"])
    mismatched = sorted(
        str(found[0]) if isinstance(found, tuple) else str(found) for found in told["mismatched_keys"]
    )
    clauses = []
    if missing:
        clauses.append(f"{len(missing)} tensors of the model are in no file ({_some(missing)})")
    if unexpected:
        clauses.append(
            f"{len(unexpected)} tensors of the files are in no place of the model ({_some(unexpected)})"
        )
    if mismatched:
        theirs = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
        shown = [
            f"{name}: {shapes.get(name)} in the file, {theirs.get(name)} in the model" for name in mismatched
        ]
        clauses.append(f"{len(mismatched)} tensors have another shape ({_some(shown)})")
    if errors := [*told.get("error_msgs", ()), *map(str, told.get("conversion_errors", ()))]:
        clauses.append(f"tensors could not be converted ({_some(errors)})")
    if clauses:
        raise RecipeError(
            f"the weights of {folder} do not fit its configuration ({model.config.model_type}): "
            f"{'; '.join(clauses)}. What is missing would be random numbers. Take a whole causal language "
            "model, saved with save_pretrained under the names of its architecture."
        )


def _refuse_untied(folder: Path, model: PreTrainedModel, shapes: Shapes) -> None:
    """A head in the file that is not the embedding, under a configuration that ties the two."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if not getattr(model.config.get_text_config(), "tie_word_embeddings", False) or head is None:
        return
    name = next((n for n, m in model.named_modules() if m is head), "")
    stored = _tensor(folder, f"{name}.weight") if f"{name}.weight" in shapes else None
    if stored is not None and not torch.equal(stored.to(embedding.weight.dtype), embedding.weight.cpu()):
        raise RecipeError(
            f"the configuration of {folder} ties the head to the embedding (tie_word_embeddings), but the "
            f"file holds another {name}.weight. Set tie_word_embeddings to false, or take that tensor out."
        )


def _tensor(folder: Path, name: str) -> torch.Tensor | None:
    for path in weight_files(folder):
        with safe_open(path, framework="pt") as stored:
            if name in stored.keys():  # noqa: SIM118  (no mapping)
                return stored.get_tensor(name)
    return None


def _some(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
