"""Which places of a scored corpus are worth asking about, and in which order they come up.

A position t asks for token t of a document given the tokens before it. It is eligible when the proxy
model was uncertain enough there, a character begins there, and what follows is not part of an answer
marker. Training may put a ceiling above the floor: mere noise cannot be thought out. Every token refused
is counted under the first rule that refused it.

Long documents are cut into overlapping windows; each position belongs to exactly one of them, the one
that shows it the most of what came before. What is kept in memory is one count per window; the tokens
are read again, a row group at a time, when their window's turn comes.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import RecipeError
from rpt_core.objectives.next_token.prefix import BOX
from rpt_core.objectives.next_token.results import begins_result
from rpt_core.objectives.verdicts import END_OF_THOUGHT
from rpt_core.objectives.windows import CODEC_KEY, contexts_of, stride, window_of
from rpt_core.policy.codec import Codec

MARKERS = (b"<think>", END_OF_THOUGHT, BOX)
"""The answer format's own words. A text that holds them would be mistaken for an answer."""


BIN_NATS, MOST_NATS = 1e-4, 16.0
"""Resolution of the floor that a share of all tokens reaches."""

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scored:
    """One document's tokens as the proxy saw them."""

    doc_id: str
    ids: Ids
    entropies_nats: Floats
    nlls_nats: Floats
    """Negative log-probability of each token itself."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes a position eligible."""

    entropy_floor_nats: float
    window_tokens: int
    """Document tokens a trunk may hold."""
    entropy_ceiling_nats: float = math.inf
    """Noise guard: more uncertain positions are refused."""
    surprise_ceiling_nats: float = math.inf
    """Noise guard: positions whose true token surprised the proxy more are refused."""
    top_share: float | None = None
    """Replaces the floor by the one that this share of the split's tokens reaches."""
    problem_is_context: bool = True
    """Whether a document's ``context_chars`` are refused."""
    results_only: bool = False
    """Whether whatever begins no result (:mod:`rpt_core.objectives.next_token.results`) is refused."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a document and the eligible positions that belong to it."""

    doc_id: str
    start: int
    """First document token of the window."""
    end: int
    document_ids: Ids
    """All tokens of the document: a truth may run past the window."""
    positions: NDArray[np.int64]
    """Eligible positions, counted from the document's beginning, ascending."""
    entropies_nats: NDArray[np.float32]

    @property
    def key(self) -> str:
        """Names the window in random streams."""
        return f"{self.doc_id}@{self.start}"


@dataclass
class Positions:
    """The eligible positions of one split of a scored corpus."""

    tokens: Path
    """``tokens.parquet`` of a difficulty artifact."""
    rules: Rules
    codec: Codec
    groups: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """By window: row group of the table, row in it, window number in the document, eligible positions."""
    rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    windows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    counts: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    balance: RowCounts = field(default_factory=RowCounts)
    """Tokens in, eligible, and refused by reason."""
    contexts: dict[str, int] = field(default_factory=dict)
    """Leading code points that are no targets, by document that has some."""

    def __post_init__(self) -> None:
        self._begins_inside = np.array(
            [bool(b) and b[0] & 0xC0 == 0x80 for b in map(self.codec.token_bytes, range(len(self.codec)))]
        )
        self._group = lru_cache(maxsize=4)(self._read_group)

    @classmethod
    def open(
        cls, corpus: Path, difficulty: Path, codec: Codec, rules: Rules, split: Literal["train", "eval"]
    ) -> "Positions":
        """Look through all tokens once and keep a count per window.

        Args:
            corpus: Folder of a corpus artifact; says which documents are held out.
            difficulty: Folder of a difficulty artifact.
            codec: The policy's codec.
            rules: What makes a position eligible.
            split: Documents to look at. Documents of ``eval`` never train anything.

        Raises:
            RecipeError: the corpus was scored with another tokenizer than the policy's.
        """
        found = cls(difficulty / "tokens.parquet", rules, codec)
        found._refuse_other_tokenizer()
        wanted = contexts_of(corpus, split)
        if rules.problem_is_context:
            found.contexts = {doc_id: chars for doc_id, chars in wanted.items() if chars}
        if rules.top_share is not None:
            floor = found._floor_of_share(wanted, rules.top_share)
            found.rules = replace(rules, entropy_floor_nats=floor)
        columns: list[tuple[int, int, int, int]] = []
        refused: dict[str, int] = {}
        num_tokens = 0
        for group, row, document in found._documents(wanted):
            num_tokens += len(document.ids)
            owners = window_of(found._eligible(document, refused), rules.window_tokens)
            for window, count in zip(*np.unique(owners, return_counts=True), strict=True):
                columns.append((group, row, int(window), int(count)))
        table = np.array(columns, np.int32).reshape(-1, 4)
        found.groups, found.rows, found.windows, found.counts = table.T.copy()
        found.balance = RowCounts(rows_in=num_tokens, kept=found.num, dropped=refused)
        return found

    @property
    def num(self) -> int:
        """Eligible positions."""
        return int(self.counts.sum())

    def read(self, index: int) -> Window:
        """The window at ``index``, 0 to ``len(counts) - 1``."""
        document = self._group(int(self.groups[index]))[int(self.rows[index])]
        window, size = int(self.windows[index]), self.rules.window_tokens
        start = window * stride(size)
        eligible = self._eligible(document, {})
        mine = eligible[window_of(eligible, size) == window]
        end = min(start + size, len(document.ids))
        return Window(document.doc_id, start, end, document.ids, mine, document.entropies_nats[mine])

    def why_none(self) -> str:
        """One sentence: how many tokens were looked at and which rules refused them."""
        refused = ", ".join(f"{n} {reason}" for reason, n in sorted(self.balance.dropped.items()))
        return (
            f"{self.balance.rows_in} tokens were looked at and none is eligible "
            f"({refused or 'no document'}); the entropy floor is {self.rules.entropy_floor_nats} nats"
        )

    def _refuse_other_tokenizer(self) -> None:
        stored = (pq.read_schema(self.tokens).metadata or {}).get(CODEC_KEY, b"").decode()
        if stored != self.codec.fingerprint():
            raise RecipeError(
                f"the difficulty was scored with another tokenizer ({stored[:12] or 'unnamed'}) than the "
                f"policy's ({self.codec.fingerprint()[:12]}): its token ids mean other words here. Score the "
                "corpus with a proxy model of the policy's own vocabulary."
            )

    def _documents(self, wanted: Mapping[str, int]) -> Iterator[tuple[int, int, Scored]]:
        """Row group, row in it, and document, for every wanted one."""
        for group in range(pq.ParquetFile(self.tokens).num_row_groups):
            for row, document in enumerate(self._read_group(group)):
                if document.doc_id in wanted:
                    yield group, row, document

    def _read_group(self, group: int) -> list[Scored]:
        names = ("token_ids", "entropy_nats", "nll_nats")
        table = pq.ParquetFile(self.tokens).read_row_group(group, ["doc_id", *names])
        ids, entropies, nlls = (table[name].combine_chunks() for name in names)

        def floats(column: pa.ListArray, row: int) -> Floats:
            return column[row].values.to_numpy(zero_copy_only=False).astype(np.float32)

        return [
            Scored(
                doc_id, ids[i].values.to_numpy(zero_copy_only=False), floats(entropies, i), floats(nlls, i)
            )
            for i, doc_id in enumerate(table["doc_id"].to_pylist())
        ]

    def _floor_of_share(self, wanted: Mapping[str, int], share: float) -> float:
        """The entropy that ``share`` of the split's scored tokens reaches, to within :data:`BIN_NATS`."""
        counts = np.zeros(round(MOST_NATS / BIN_NATS) + 1, np.int64)
        for _, _, document in self._documents(wanted):
            scored = document.entropies_nats[~np.isnan(document.entropies_nats)]
            bins = np.clip(scored / BIN_NATS, 0, len(counts) - 1).astype(np.int64)
            counts += np.bincount(bins, minlength=len(counts))
        above = np.cumsum(counts[::-1])[::-1]  # (bins,): tokens at or above each bin
        return float(np.flatnonzero(above >= share * counts.sum())[-1] * BIN_NATS)

    def _eligible(self, document: Scored, refused: dict[str, int]) -> NDArray[np.int64]:
        """Eligible positions of one document; what is refused is added up in ``refused``."""
        ids, nats = document.ids, document.entropies_nats
        left = np.ones(len(ids), bool)
        rules = {
            "no-token-before": np.arange(len(ids)) == 0,
            "problem-statement": self._is_context(document),
            "no-result": self._is_no_result(document),
            # not `nats < floor`: a token that was never scored has NaN, and is refused by this spelling
            "below-the-floor": ~(nats >= self.rules.entropy_floor_nats),
            "above-the-ceiling": nats > self.rules.entropy_ceiling_nats,
            "too-surprising": document.nlls_nats > self.rules.surprise_ceiling_nats,
            "inside-a-character": self._begins_inside[ids],
            "answer-marker": _in_marker(ids, self.codec),
        }
        for reason, refuses in rules.items():
            if num := int((left & refuses).sum()):
                refused[reason] = refused.get(reason, 0) + num
            left &= ~refuses
        return np.flatnonzero(left)

    def _is_no_result(self, document: Scored) -> NDArray[np.bool_]:
        """Tokens that begin no result, where only results are asked about."""
        if not self.rules.results_only:
            return np.zeros(len(document.ids), bool)
        return ~begins_result(document.ids.tolist(), self.codec)

    def _is_context(self, document: Scored) -> NDArray[np.bool_]:
        """Tokens that begin in the part of a document that is no target."""
        chars = self.contexts.get(document.doc_id, 0)
        if not chars:
            return np.zeros(len(document.ids), bool)
        starts = self.codec.byte_starts(document.ids.tolist())[:-1]
        head = len(self.codec.to_bytes(document.ids.tolist()).decode()[:chars].encode())
        return starts < head


def places_of(window: Window, span: bytes, longest: int, codec: Codec) -> list[tuple[int, int]]:
    """Where a span stands in a window as whole tokens from an eligible position on: position and tokens.

    Args:
        window: A stretch of a document.
        span: What is looked for.
        longest: Most tokens it may have.
        codec: Of the window's tokens.
    """
    ids = window.document_ids[window.start : window.end].tolist()
    starts = codec.byte_starts(ids)
    eligible = set(window.positions.tolist())
    found = []
    for at in _occurrences(codec.to_bytes(ids), span) if span else ():
        begin, end = np.searchsorted(starts, [at, at + len(span)]).tolist()
        position, num = window.start + begin, end - begin
        is_whole = starts[begin] == at and starts[end] == at + len(span) and num <= longest
        if is_whole and position in eligible and len(truth_ids(window, position, num, codec)) == num:
            found.append((position, num))
    return found


def _in_marker(ids: Ids, codec: Codec) -> NDArray[np.bool_]:
    """Whether a token shares a byte with one of the answer format's own words."""
    hit = np.zeros(len(ids), bool)
    content = codec.to_bytes(ids.tolist())
    spans = [(at, at + len(marker)) for marker in MARKERS for at in _occurrences(content, marker)]
    if spans:
        starts = codec.byte_starts(ids.tolist())
        for begin, end in spans:
            hit |= (starts[:-1] < end) & (starts[1:] > begin)
    return hit


def _occurrences(content: bytes, marker: bytes) -> Iterator[int]:
    at = content.find(marker)
    while at >= 0:
        yield at
        at = content.find(marker, at + 1)


def truth_ids(window: Window, position: int, num: int, codec: Codec) -> tuple[int, ...]:
    """Up to ``num`` true tokens from ``position`` on, stopping before an answer marker."""
    ids = window.document_ids[position : position + num]
    marked = np.flatnonzero(_in_marker(ids, codec))
    return tuple(ids[: marked[0] if len(marked) else len(ids)].tolist())
