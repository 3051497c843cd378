"""The difficulty stage: entropy of every token of a corpus under a proxy model (RPT, section 3.3)."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
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
from rpt_core.policy.device import device_of
from rpt_core.policy.load import Precision, load_policy
from rpt_core.policy.model import Policy
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.train.backends.ranks import init_ranks, refuse_apart, weights_digest
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


Documents = list[tuple[str, list[int]]]
"""Ids and tokens."""


@dataclass(frozen=True, slots=True)
class ScoredPart:
    """What one part's documents of two tokens or more were given, and what it took."""

    entropies: list[Floats]
    nlls: list[Floats]
    windows: int
    long_documents: int
    forwarded: int
    flops: float


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

    def add(self, documents: Documents, part: ScoredPart) -> None:
        """Take in one more part."""
        kept = _scorable(documents)
        self.documents += len(documents)
        self.too_short += len(documents) - len(kept)
        self.windows += part.windows
        self.long_documents += part.long_documents
        self.tokens += sum(len(ids) - 1 for _, ids in kept)
        self.forwarded += part.forwarded
        self.flops += part.flops
        self.nll_nats += sum(float(nll[1:].sum(dtype=np.float64)) for nll in part.nlls)
        for i, tier in enumerate(TIERS_NATS):
            self.above[i] += sum(int((entropy[1:] >= tier).sum()) for entropy in part.entropies)
        self.parts += 1


def score_difficulty(recipe: DifficultyRecipe, build: Build) -> Outcome:
    """Write ``tokens.parquet``: ids, entropy and negative log-likelihood of every token.

    Documents of both splits are scored: held-out positions are classed by the same numbers. Ranks score one
    part each at a time and rank 0 writes; a part is scored as by one process, so the bytes are the same.

    Raises:
        RecipeError: the window does not fit the proxy's context, or has no new tokens.
        StarvedError: no document has two tokens.
    """
    ranks = init_ranks(build.numerics.world_size)
    policy = load_policy(
        build.inputs["proxy"] / "model", cast(Precision, build.numerics.dtype), device_of(build)
    )
    if ranks.world_size > 1:
        ranks.refuse_unequal(weights_digest(policy), "weights")
    _refuse_windows(recipe, policy)
    parts = build.scratch / "parts"
    parts.mkdir(exist_ok=True)
    tally = _resume(build, parts)
    refuse_apart(ranks.all_gather(tally.documents))
    saved = time.monotonic()
    total = pq.read_metadata(build.inputs["corpus"] / "documents.parquet").num_rows
    chunks = _chunks(build.inputs["corpus"], policy, skip=tally.documents)
    while some := list(islice(chunks, ranks.world_size)):
        mine = some[ranks.rank] if ranks.rank < len(some) else []
        tell = partial(_tell, build, tally, sum(map(len, some)), total)
        tell(0.0)
        scored = _scored(policy, mine, recipe, build.numerics.tokens_per_micro_batch, tell)
        for documents, part in zip(some, ranks.all_gather(scored), strict=False):
            tally.add(documents, part)
            if ranks.rank == 0:
                pq.write_table(_table(documents, part), parts / f"{tally.parts - 1:06d}.parquet")
        _tell(build, tally, 0, total, 0.0)
        stopping = any(ranks.all_gather(build.stopping()))
        due = ranks.all_gather(time.monotonic() - saved > build.placement.checkpoint_seconds)[0]
        if stopping or due:
            (parts / STATE_FILE).write_text(json.dumps(vars(tally)))
            build.save(tally.parts, parts)
            saved = time.monotonic()
            if stopping:
                raise Stopped(f"stopped after {tally.documents} documents; rerun to resume.")
    if tally.documents == tally.too_short:
        raise StarvedError(
            f"there is nothing to score: {tally.documents} documents, none of two tokens or more. Look at "
            "what prepare-corpus dropped, or give more text."
        )
    if ranks.rank == 0:
        _join(parts, tally.parts, build.out / "tokens.parquet", policy.codec.fingerprint())
    return _outcome(tally, policy)


def _tell(build: Build, tally: DifficultyProgress, at_hand: int, total: int, share: float) -> None:
    """Show the documents scored, and a share of those at hand: a small corpus is one part, minutes long."""
    build.progress(tally.documents + share * at_hand, total, f"{tally.tokens} tokens")


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


def _chunks(corpus: Path, policy: Policy, skip: int) -> Iterator[Documents]:
    """Documents of both splits, about :data:`PART_TOKENS` at a time, without the first ``skip``."""
    chunk: Documents = []
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


def _scored(
    policy: Policy, documents: Documents, recipe: DifficultyRecipe, budget: int, tell: Callable[[float], None]
) -> ScoredPart:
    """The scores of one part, telling the share of it that is done; of no documents, nothing."""
    kept = _scorable(documents)
    room = recipe.context_tokens - len(policy.begin_ids)
    windows = [list(spans(n, len(ids), room, recipe.stride_tokens)) for n, (_, ids) in enumerate(kept)]
    flat = [span for of in windows for span in of]
    before = policy.work.flops
    entropies, nlls, forwarded = score_documents(
        policy, [ids for _, ids in kept], flat, recipe.top_k, budget, lambda num: tell(num / len(flat))
    )
    long = sum(len(of) > 1 for of in windows)
    return ScoredPart(entropies, nlls, len(flat), long, forwarded, policy.work.flops - before)


def _scorable(documents: Documents) -> Documents:
    return [(doc_id, ids) for doc_id, ids in documents if len(ids) > 1]


def _table(documents: Documents, part: ScoredPart) -> pa.Table:
    kept = _scorable(documents)
    columns = [[doc_id for doc_id, _ in kept], [ids for _, ids in kept]]
    columns += [[[None, *row[1:].tolist()] for row in rows] for rows in (part.entropies, part.nlls)]
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
