"""Real tokenizers, as their makers publish them."""

import gzip
import json
import os
from pathlib import Path

import pytest

from rpt_core.policy.codec import Codec

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "tokenizers"


def unpack(source: Path, folder: Path, names: dict[str, str], settings: dict[str, str]) -> Path:
    folder.mkdir()
    for name, kept in names.items():
        content = (source / name).read_bytes()
        (folder / kept).write_bytes(gzip.decompress(content) if name.endswith(".gz") else content)
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="session")
def codecs(tmp_path_factory) -> dict[str, Codec]:
    """As their makers publish them: vocabulary and merges, or a SentencePiece model."""
    at = tmp_path_factory.mktemp("tokenizers")
    folders = [
        unpack(DATA / "gpt2", at / "gpt2", {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"},
               {"eos_token": "<|endoftext|>"}),
        unpack(DATA / "qwen2", at / "qwen2",
               {"vocab.json.gz": "vocab.json", "merges.txt": "merges.txt",
                "tokenizer_config.json": "tokenizer_config.json"}, {}),
        unpack(DATA / "mistral", at / "mistral", {"tokenizer.model.v1": "tokenizer.model"},
               {"bos_token": "<s>", "eos_token": "</s>"}),
    ]  # fmt: skip
    for folder, kind in zip(folders, ("gpt2", "qwen2", "mistral"), strict=True):
        (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    return {folder.name: Codec.load(folder) for folder in folders}
