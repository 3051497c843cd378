"""The difficulty stage: entropy of every token of a corpus under a proxy model (RPT, section 3.3)."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome, RowCounts
from rpt_core.difficulty.entropy import Floats, score_documents, spans
from rpt_core.errors import RecipeError, StarvedError, Stopped
from rpt_core.objectives.windows import CODEC_KEY
from rpt_core.policy.load import Precision, load_policy
from rpt_core.policy.model import Policy
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.train.supervised.loop import device_of
from rpt_core.train.supervised.windows import tokenised

PART_TOKENS = 1 << 16
"""Tokens scored, held and written at a time: one row group of the table."""
TIERS_NATS = (0.5, 1.0, 1.5)
STATE_FILE = "state.json"

COLUMNS = [
    ("doc_id", pa.string()),
    ("token_ids", pa.list_(pa.int32())),
    ("entropy_nats", pa.list_(pa.float32())),
    ("nll_nats", pa.list_(pa.float32())),
]


@dataclass
class DifficultyProgress:
    """What has been scored so far; all of it goes into a checkpoint."""

    documents: int = 0
    too_short: int = 0
    long_documents: int = 0
    windows: int = 0
    tokens: int = 0
    forwarded: int = 0
    flops: float = 0.0
    nll_nats: float = 0.0
    above: list[int] = field(default_factory=lambda: [0] * len(TIERS_NATS))
    """Tokens at least as uncertain as each tier."""
    parts: int = 0


def score_difficulty(recipe: DifficultyRecipe, build: Build) -> Outcome:
    """Write ``tokens.parquet``: ids, entropy and negative log-likelihood of every token.

    Documents of both splits are scored: held-out positions are classed by the same numbers.

    Raises:
        RecipeError: the window does not fit the proxy's context, or has no new tokens.
        StarvedError: no document has two tokens.
    """
    policy = load_policy(
        build.inputs["proxy"] / "model", cast(Precision, build.numerics.dtype), device_of(build)
    )
    _refuse_windows(recipe, policy)
    parts = build.scratch / "parts"
    parts.mkdir(exist_ok=True)
    tally = _resume(build, parts)
    saved = time.monotonic()
    total = pq.read_metadata(build.inputs["corpus"] / "documents.parquet").num_rows
    for documents in _chunks(build.inputs["corpus"], policy, skip=tally.documents):
        _score_part(policy, documents, recipe, build.numerics.tokens_per_micro_batch, parts, tally)
        build.progress(tally.documents, total, f"{tally.tokens} tokens")
        if build.stopping() or time.monotonic() - saved > build.placement.checkpoint_seconds:
            (parts / STATE_FILE).write_text(json.dumps(vars(tally)))
            build.save(tally.parts, parts)
            saved = time.monotonic()
            if build.stopping():
                raise Stopped(f"stopped after {tally.documents} documents; rerun to resume.")
    if tally.documents == tally.too_short:
        raise StarvedError(
            f"there is nothing to score: {tally.documents} documents, none of two tokens or more. Look at "
            "what prepare-corpus dropped, or give more text."
        )
    _join(parts, tally.parts, build.out / "tokens.parquet", policy.codec.fingerprint())
    return _outcome(tally, policy)


def _outcome(tally: DifficultyProgress, policy: Policy) -> Outcome:
    predicted = max(tally.tokens, 1)
    shares = {
        f"share_above_{tier:g}_nats": n / predicted for tier, n in zip(TIERS_NATS, tally.above, strict=True)
    }
    return Outcome(
        rows=RowCounts(
            rows_in=tally.documents,
            kept=tally.documents - tally.too_short,
            dropped={"too-short": tally.too_short} if tally.too_short else {},
        ),
        flops=tally.flops,
        tokens=tally.tokens,
        summary={
            "windows": tally.windows,
            "forwarded_tokens": tally.forwarded,
            "long_documents": tally.long_documents,
            "nll_nats": tally.nll_nats / predicted,
            **shares,
        },
    )


def _refuse_windows(recipe: DifficultyRecipe, policy: Policy) -> None:
    context = getattr(policy.config, "max_position_embeddings", recipe.context_tokens)
    room = recipe.context_tokens - len(policy.begin_ids)  # document tokens of a window: BOS stands before
    if recipe.context_tokens > context or recipe.stride_tokens >= room:
        raise RecipeError(
            f"windows of context_tokens={recipe.context_tokens} with stride_tokens={recipe.stride_tokens} do "
            f"not work with a proxy made for {context} tokens: a window must fit into it and overlap the "
            f"next. Take context_tokens of at most {context} and a smaller stride."
        )


def _chunks(corpus: Path, policy: Policy, skip: int) -> Iterator[list[tuple[str, list[int]]]]:
    """Documents of both splits, about :data:`PART_TOKENS` at a time, without the first ``skip``."""
    chunk: list[tuple[str, list[int]]] = []
    num_tokens = 0
    for number, document in enumerate(tokenised(corpus, None, policy.codec)):
        if number < skip:
            continue
        chunk.append(document)
        num_tokens += len(document[1])
        if num_tokens >= PART_TOKENS:
            yield chunk
            chunk, num_tokens = [], 0
    if chunk:
        yield chunk


def _score_part(
    policy: Policy, documents: list[tuple[str, list[int]]], recipe: DifficultyRecipe, budget: int,
    parts: Path, tally: DifficultyProgress,
) -> None:  # fmt: skip
    kept = [(doc_id, ids) for doc_id, ids in documents if len(ids) > 1]
    room = recipe.context_tokens - len(policy.begin_ids)
    windows = [list(spans(n, len(ids), room, recipe.stride_tokens)) for n, (_, ids) in enumerate(kept)]
    flat = [span for of in windows for span in of]
    before = policy.work.flops
    entropies, nlls, forwarded = score_documents(policy, [ids for _, ids in kept], flat, recipe.top_k, budget)
    tally.documents += len(documents)
    tally.too_short += len(documents) - len(kept)
    tally.windows += len(flat)
    tally.long_documents += sum(len(of) > 1 for of in windows)
    tally.tokens += sum(len(ids) - 1 for _, ids in kept)
    tally.forwarded += forwarded
    tally.flops += policy.work.flops - before
    tally.nll_nats += sum(float(nll[1:].sum(dtype=np.float64)) for nll in nlls)
    for i, tier in enumerate(TIERS_NATS):
        tally.above[i] += sum(int((entropy[1:] >= tier).sum()) for entropy in entropies)
    pq.write_table(_table(kept, entropies, nlls), parts / f"{tally.parts:06d}.parquet")
    tally.parts += 1


def _table(kept: list[tuple[str, list[int]]], entropies: list[Floats], nlls: list[Floats]) -> pa.Table:
    columns = [[doc_id for doc_id, _ in kept], [ids for _, ids in kept]]
    columns += [[[None, *row[1:].tolist()] for row in rows] for rows in (entropies, nlls)]
    arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, COLUMNS, strict=True)]
    return pa.table(arrays, names=[name for name, _ in COLUMNS])


def _join(parts: Path, num: int, target: Path, fingerprint: str) -> None:
    """All parts as one table that names the tokenizer its ids belong to."""
    schema = pa.schema(COLUMNS, metadata={CODEC_KEY: fingerprint})
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for number in range(num):
            writer.write_table(pq.read_table(parts / f"{number:06d}.parquet").cast(schema))


def _resume(build: Build, parts: Path) -> DifficultyProgress:
    saved = build.resume()
    if saved is None:
        return DifficultyProgress()
    for path in saved.folder.glob("*.parquet"):
        (parts / path.name).write_bytes(path.read_bytes())
    return DifficultyProgress(**json.loads((saved.folder / STATE_FILE).read_text()))
