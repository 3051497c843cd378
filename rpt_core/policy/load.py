"""Models from and to Hugging Face folders, with everything refused by name that would be silently wrong."""

from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PretrainedConfig
from transformers.utils.logging import disable_progress_bar

from rpt_core.errors import EngineError, RecipeError
from rpt_core.policy.attention import ATTENTION
from rpt_core.policy.codec import Codec
from rpt_core.policy.forward import forward_states
from rpt_core.policy.layout import lay_out
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.policy.weights import read_config, read_model

Precision = Literal["float32", "bfloat16"]

HUB_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "tokenizer.model")
"""What is fetched of a hub repository; pickled weights never are."""
STATEFUL_ROPE = ("dynamic", "longrope")
"""Rotary embeddings that change with the length of the row they are computed in."""
TOLERANCES = {torch.float32: 1e-3, torch.bfloat16: 0.08}
"""Largest relative difference of hidden states between trunk passes and separate rows at load."""


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
            windows, state-space layers, length-dependent rotary embeddings, dropout ...), or its
            tokenizer does not belong to it.
        EngineError: a trunk pass and separate rows disagree for this architecture.
    """
    path = model_folder(folder, revision)
    config = read_config(path)
    refuse_unfaithful(config, str(folder))
    codec = Codec.load(path)
    disable_progress_bar()
    compute = getattr(torch, dtype)
    model = read_model(path, config, torch.float32 if for_training else compute, attention=ATTENTION)
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


def model_folder(name: Path | str, revision: str = "main") -> Path:
    """The local folder of a model: itself, or a hub repository fetched into the hub's own cache.

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
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=list(HUB_FILES)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise RecipeError(
            f"the model {name} (revision {revision}) is neither a folder here nor to be had from the hub: "
            f"{reason} Check the spelling and the connection, or give a local folder."
        ) from None


def refuse_unfaithful(config: PretrainedConfig, name: str) -> None:
    """Refuse, by name, what a trunk pass would get silently wrong.

    Raises:
        RecipeError: with the setting and its value.
    """
    kinds = sorted(set(getattr(config, "layer_types", None) or ()) - {"full_attention"})
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    rope: dict[str, Any] = (
        getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    )
    rope_type = str(rope.get("rope_type", "default"))
    for wrong, what in (
        (kinds, f"layers of kind {', '.join(kinds)}"),
        (window, f"a sliding window of {window} tokens"),
        (
            rope_type in STATEFUL_ROPE,
            f"rotary embeddings of type {rope_type}, which change with a row's length",
        ),
        (getattr(config, "is_encoder_decoder", False), "an encoder"),
        (getattr(config, "attention_dropout", 0) or 0, "attention dropout above 0"),
        (getattr(config, "final_logit_softcapping", None), "soft-capped logits"),
        (getattr(config, "logit_scale", 1) not in (1, None), "scaled logits"),
    ):
        if wrong:
            raise RecipeError(
                f"the model {name} ({config.model_type}) has {what}. Branches attend to a kept trunk with "
                "full attention and a plain head, so its log-probabilities would be silently wrong. Take a "
                "model with full attention in every layer (Qwen2, Qwen3 and Llama shapes are tested)."
            )


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


@torch.no_grad()
def assert_faithful(policy: Policy) -> None:
    """Compare a trunk pass with separate rows on one small tree.

    An architecture whose layers ignore the tree handed to them passes every static check; this is what
    notices.

    Raises:
        EngineError: hidden states differ by more than rounding.
    """
    ids = [1 + (7 * i) % (len(policy.output_weight) - 1) for i in range(24)]
    cuts = (Cut(3, (ids[0], ids[1])), Cut(9), Cut(9, (ids[2],)))
    trunks = [Trunk("probe", (ids[3],), tuple(ids[4:16]), cuts), Trunk("other", (), tuple(ids[5:14]))]
    tree = lay_out(trunks, [[[ids[16:20], ids[18:24]], [ids[17:21]], [ids[20:23]]], []])
    states = {layout: forward_states(policy, tree, layout)[0] for layout in ("rows", "two-pass")}
    used = torch.from_numpy(tree.predictor_N).to(policy.device)
    rows, trunk = (states[layout].index_select(0, used).float() for layout in ("rows", "two-pass"))
    difference = float((rows - trunk).norm() / rows.norm())
    tolerance = TOLERANCES[policy.compute_dtype]
    if not difference <= tolerance:
        raise EngineError(
            f"a trunk pass and separate rows differ by {difference:.2g} (at most {tolerance:g}) for the "
            f"architecture {policy.config.model_type}: its attention does not go through the registered "
            "function, so every log-probability would be wrong. Take a Qwen2, Qwen3 or Llama shaped model."
        )
