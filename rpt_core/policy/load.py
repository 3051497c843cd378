"""Models from and to Hugging Face folders, with everything refused by name that would be silently wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from transformers.utils.logging import disable_progress_bar

from rpt_core.errors import RecipeError, first_line
from rpt_core.policy.codec import Codec
from rpt_core.policy.loading.faithful import (
    assert_faithful,
    refuse_no_head,
    refuse_unfaithful,
    use_tree_attention,
)
from rpt_core.policy.loading.weights import read_config, read_model
from rpt_core.policy.model import Policy

Precision = Literal["float32", "bfloat16"]

HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model")
"""What is fetched of a hub repository; pickled weights never are."""


def load_policy(
    folder: Path | str,
    dtype: Precision = "float32",
    device: str | torch.device = "cpu",
    *,
    revision: str = "main",
    for_training: bool = False,
) -> Policy:
    """Read a causal language model and its tokenizer, and prove that trunk passes are right for it.

    Args:
        folder: A Hugging Face folder, or a hub id such as ``org/model``.
        dtype: Type products are taken in.
        device: Where the parameters go.
        revision: Branch, tag or commit of a hub id.
        for_training: Keep parameters in float32 whatever ``dtype``: at a learning rate of 1e-6 a bfloat16
            parameter would not move at all.

    Raises:
        RecipeError: the folder is no model, its layers attend in a way trunks cannot reproduce (sliding
            windows, state-space layers, length-dependent rotary embeddings, dropout ...), what is computed
            differs from the model's own forward pass, or its tokenizer does not belong to it.
    """
    path = model_folder(folder, revision)
    config = read_config(path)
    refuse_unfaithful(config, str(folder))
    codec = Codec.load(path)
    disable_progress_bar()
    compute = getattr(torch, dtype)
    model = read_model(path, config, torch.float32 if for_training else compute, attention="eager")
    use_tree_attention(model)
    refuse_no_head(model, str(folder))
    policy = Policy(model.to(device).eval(), codec, config, compute)
    _refuse_foreign_tokenizer(policy, str(folder))
    assert_faithful(policy)
    return policy


def save_policy(policy: Policy, folder: Path) -> None:
    """Write an ordinary Hugging Face folder: configuration, safetensors and tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    policy.model.save_pretrained(folder)
    policy.codec.save(folder)


def inside(folder: Path) -> Path:
    """The Hugging Face folder inside an artifact's folder, or the folder itself."""
    return folder / "model" if (folder / "model").is_dir() else folder


def model_folder(name: Path | str, revision: str = "main", *, files: Sequence[str] = HUB_FILES) -> Path:
    """The local folder of a model: itself, or a hub repository fetched into the hub's own cache.

    Args:
        name: Folder or hub id.
        revision: Branch, tag or commit of a hub id.
        files: Patterns of what is fetched of a hub repository.

    Raises:
        RecipeError: there is neither such a folder nor such a repository.
    """
    if (Path(name) / "config.json").is_file():
        return Path(name)
    if Path(name).exists() or str(name).count("/") != 1:
        raise RecipeError(
            f"{name} is no model: there is no config.json in it, and it is no hub id of the form org/model. "
            "Give the folder that holds config.json and model.safetensors."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=list(files)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise RecipeError(
            f"the model {name} (revision {revision}) is neither a folder here nor to be had from the hub: "
            f"{first_line(error)} Check the spelling and the connection, or give a local folder."
        ) from None


def _refuse_foreign_tokenizer(policy: Policy, name: str) -> None:
    rows, tokens = len(policy.output_weight), len(policy.codec)
    if tokens > rows:
        raise RecipeError(
            f"the tokenizer of {name} knows {tokens} tokens but the model has {rows} rows of logits: they do "
            "not belong together. Copy the model's own tokenizer files into its folder."
        )
    if getattr(policy.model.get_output_embeddings(), "bias", None) is not None:
        raise RecipeError(
            f"the model {name} ({policy.config.model_type}) has a head with a bias, which the fused head "
            "does not add. Take a model whose head has none."
        )
