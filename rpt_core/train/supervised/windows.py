"""Training documents as token windows on disk: read once, drawn in random order, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rpt_core.policy.codec import Codec

BATCH_ROWS = 256
"""Documents held as text at a time."""


@dataclass(frozen=True)
class Windows:
    """Documents cut into windows of at most so many tokens; every token is in exactly one."""

    token_ids: NDArray[np.int32]
    """All documents' tokens, one after the other, mapped from disk."""
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    num_documents: int
    num_too_short: int
    """Documents with fewer than two tokens: nothing in them can be predicted."""
    num_long_documents: int
    """Documents that needed more than one window."""

    @classmethod
    def build(cls, corpus: Path, split: str, codec: Codec, window_tokens: int, file: Path) -> "Windows":
        """Tokenise a split's documents into ``file``.

        Args:
            corpus: Folder of a corpus artifact.
            split: ``train`` or ``eval``.
            codec: The policy's codec.
            window_tokens: Longest window.
            file: Scratch file for the tokens.
        """
        spans: list[NDArray[np.int64]] = []
        at = documents = short = long = 0
        with file.open("wb") as stream:
            for _, ids in tokenised(corpus, split, codec):
                documents += 1
                short += len(ids) < 2
                long += len(ids) > window_tokens
                stream.write(np.asarray(ids, np.int32).tobytes())
                spans.append(at + _cut(len(ids), window_tokens))
                at += len(ids)
        table = np.concatenate(spans) if spans else np.zeros((0, 2), np.int64)
        ids_on_disk = np.memmap(file, np.int32, "r") if at else np.zeros(0, np.int32)
        return cls(ids_on_disk, table[:, 0], table[:, 1], documents, short, long)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> tuple[int, ...]:
        return tuple(self.token_ids[self.starts[index] : self.ends[index]].tolist())


def tokenised(corpus: Path, split: str | None, codec: Codec) -> Iterator[tuple[str, list[int]]]:
    """Ids and tokens of a split's documents (of all with None), streamed."""
    for ids, texts in _batches(corpus, split):
        yield from zip(ids, codec.encode_all(texts), strict=True)


def texts_of(corpus: Path, split: str) -> Iterator[str]:
    """The documents of a split, streamed."""
    for _, texts in _batches(corpus, split):
        yield from texts


def _batches(corpus: Path, split: str | None) -> Iterator[tuple[list[str], list[str]]]:
    table = pq.ParquetFile(corpus / "documents.parquet")
    for batch in table.iter_batches(BATCH_ROWS, columns=["doc_id", "text", "split"]):
        rows = [row for row in batch.to_pylist() if split in (None, row["split"])]
        if rows:
            yield [row["doc_id"] for row in rows], [row["text"] for row in rows]


def _cut(num_tokens: int, window_tokens: int) -> NDArray[np.int64]:
    """Spans of one document; a last token alone predicts nothing and goes with its neighbour."""
    starts = np.arange(0, max(num_tokens - 1, 0), window_tokens, dtype=np.int64)
    ends = np.append(starts[1:], num_tokens) if len(starts) else starts
    return np.stack([starts, ends], axis=1)


def shuffled(num: int, per_step: int, step: int, seed: int) -> NDArray[np.int64]:
    """Which of ``num`` items step 1, 2, ... uses: every epoch a new random order, without replacement."""
    first = (step - 1) * per_step
    wanted = np.arange(first, first + per_step)
    chosen = np.empty(per_step, np.int64)
    for epoch in np.unique(wanted // num):
        order = np.random.default_rng([seed, int(epoch)]).permutation(num)
        here = wanted // num == epoch
        chosen[here] = order[wanted[here] % num]
    return chosen
