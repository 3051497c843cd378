"""Small input folders for evaluations: a corpus, its difficulty, and a model that knows nothing."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from rpt_core.objectives.windows import CODEC_KEY
from rpt_core.policy.codec import Codec

WORDS = ["the", "clock", "shows", "three", "four", "five", "six", "it", "moves", "back", "on", "noon"]


def texts(num: int, seed: int = 0) -> list[str]:
    """Sentences of few words, so that a few hundred tokens hold every situation."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=30)) + "." for _ in range(num)]


def write_model(folder: Path, seed: int = 0) -> Codec:
    """A Hugging Face folder with random weights and a tokenizer that has our control tokens."""
    codec = Codec.train(texts(40), 300, folder)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(codec), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=16, intermediate_size=64, tie_word_embeddings=True,
        eos_token_id=codec.end_id, pad_token_id=codec.pad_id, bos_token_id=None,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():  # enough contrast for argmax and samples to differ between seeds
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.15)
    model.save_pretrained(folder)
    return codec


def write_corpus(folder: Path, codec: Codec, *, num: int = 24, num_problems: int = 6) -> None:
    """Documents (every third held out), problems, and difficulty with entropies from 0 to 2.5 nats."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"doc_id": f"doc{i:02d}", "text": text, "split": "eval" if i % 3 == 0 else "train"}
        for i, text in enumerate(texts(num, seed=1))
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "documents.parquet")
    problems = [
        {
            "problem_id": f"problem{i}", "problem": f"the clock shows {i}. then?", "solution": "",
            "answer": str(i), "split": "eval" if i % 2 else "train",
        }
        for i in range(num_problems)
    ]  # fmt: skip
    columns = ["problem_id", "problem", "solution", "answer", "split"]
    schema = pa.schema([(name, pa.string()) for name in columns])
    pq.write_table(pa.Table.from_pylist(problems, schema=schema), folder / "problems.parquet")
    rng = np.random.default_rng(2)
    ids = [codec.encode(row["text"]) for row in rows]
    entropies = [[None, *rng.uniform(0, 2.5, len(row) - 1).tolist()] for row in ids]
    tokens = pa.table(
        {
            "doc_id": [row["doc_id"] for row in rows],
            "token_ids": pa.array(ids, pa.list_(pa.int32())),
            "entropy_nats": pa.array(entropies, pa.list_(pa.float32())),
            "nll_nats": pa.array(entropies, pa.list_(pa.float32())),
        }
    )
    tokens = tokens.replace_schema_metadata({CODEC_KEY: codec.fingerprint()})
    pq.write_table(tokens, folder / "tokens.parquet")
