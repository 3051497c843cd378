"""Which segments of a corpus are worth asking about, and where a document is cut to ask.

A target is a segment with text before it and after it (RLPT, section 3.1). The cut before it is the first
token border at or after the end of the sentence before; what lies between must be white space or closing
punctuation, else a token spans both sentences and there is no place to cut. Every segment
that is no target is counted under the first rule that refused it.

What is kept in memory is the borders of segments and a count per window; texts are read again when their
turn comes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.errors import RecipeError
from rpt_core.objectives.next_segment.guards import MARKERS, imitates_judge
from rpt_core.objectives.topics import topic_ranks
from rpt_core.objectives.windows import CODEC_KEY, contexts_of, stride, window_of
from rpt_core.policy.codec import Codec
from rpt_core.recipes.rlpt_objective import RlptObjective

Ints = NDArray[np.int64]
Spans = Sequence[tuple[int, int]]

CLOSING = frozenset(")]}\u00bb\u201d\u2019\u300d\u300f\uff09\"'*_$.!?\u3002\uff01\uff1f")
"""What may stand between a sentence's end and the next token without being part of either's sense."""


@dataclass(frozen=True, slots=True)
class Target:
    """One segment asked about."""

    ordinal: int
    position: int
    """Document tokens before it."""
    prefixes: tuple[str, ...]
    """The segment; the segment and the next; and so on, as the text has them."""
    following: str
    """The segment after it."""
    span: tuple[int, int]
    """Where it stands in the document, in code points."""
    is_spaced: bool = True
    """Whether white space stands after it; Chinese and Japanese have none."""
    num_tokens: int = 0
    """Document tokens from ``position`` to the next segment's beginning."""

    @property
    def shown(self) -> str:
        """The segment after it as a gap's other side shows it: with a space before it, where there is one."""
        return f" {self.following}" if self.is_spaced else self.following


@dataclass(frozen=True, slots=True)
class TargetWindow:
    """A stretch of a document and the targets that belong to it."""

    doc_id: str
    start: int
    """First document token of the window."""
    document_ids: tuple[int, ...]
    """Tokens of the window."""
    targets: tuple[Target, ...]

    @property
    def key(self) -> str:
        """Names the window in random streams."""
        return f"{self.doc_id}@{self.start}"


@dataclass(frozen=True, slots=True)
class _Document:
    doc_id: str
    text: str
    spans: Spans


class Targets:
    """The targets of one split of a segmented corpus."""

    def __init__(
        self, corpus: Path, difficulty: Path | None, codec: Codec, settings: RlptObjective,
        window_tokens: int, split: Literal["train", "eval"],
    ) -> None:  # fmt: skip
        """Look through all segments once and keep a count per window.

        Args:
            corpus: Folder of a corpus artifact.
            difficulty: Folder of a difficulty artifact, where the settings have a floor.
            codec: The policy's codec.
            settings: What makes a target.
            window_tokens: Document tokens a trunk may hold.
            split: Documents to look at. Documents of ``eval`` never train anything.

        Raises:
            RecipeError: there is a floor but no difficulty, or one scored with another tokenizer.
        """
        self._file, self._codec = pq.ParquetFile(corpus / "documents.parquet"), codec
        self._settings, self._window_tokens = settings, window_tokens
        self._spans = _Spans(corpus, settings.unit)
        self._entropies = _Entropies(difficulty, codec) if settings.entropy_floor_nats else None
        self._texts = lru_cache(maxsize=2)(self._read_group)
        self._pages = lru_cache(maxsize=64)(self._lay_out)
        wanted = contexts_of(corpus, split)
        rows: list[tuple[int, int, int, int]] = []
        refused: dict[str, int] = {}
        seen, tokens_D = 0, list[NDArray[np.int32]]()
        for group in range(self._file.num_row_groups):
            for row, document in enumerate(self._texts(group)):
                if document.doc_id not in wanted:
                    continue
                seen += len(document.spans)
                ids, found = self._targets(document, refused)
                owners = window_of(np.array([t.position for t in found], np.int64), window_tokens)
                for window, count in zip(*np.unique(owners, return_counts=True), strict=True):
                    rows.append((group, row, int(window), int(count)))
                    if settings.order == "topics":
                        tokens_D.append(np.unique(np.array(ids, np.int32)))
        self._owners = np.array(rows, np.int32).reshape(-1, 4)
        self.counts: NDArray[np.int32] = self._owners[:, 3].copy()
        """Targets by window."""
        self.ranks = topic_ranks(tokens_D, len(codec)) if settings.order == "topics" else None
        """Windows in the order of their documents' topics; None where they are visited at random."""
        self.balance = RowCounts(rows_in=seen, kept=self.num, dropped=dict(sorted(refused.items())))
        """Segments in, targets, and refused by reason."""

    @property
    def num(self) -> int:
        """All targets."""
        return int(self.counts.sum())

    def read(self, index: int) -> TargetWindow:
        """The window at ``index``, 0 to ``len(counts) - 1``."""
        group, row, window, _ = self._owners[index].tolist()
        document = self._texts(group)[row]
        ids, found = self._pages(group, row)
        size = self._window_tokens
        owners = window_of(np.array([t.position for t in found], np.int64), size)
        start = window * stride(size)
        mine = tuple(target for target, owner in zip(found, owners, strict=True) if owner == window)
        return TargetWindow(document.doc_id, start, tuple(ids[start : start + size]), mine)

    def why_none(self) -> str:
        """One sentence: how many segments were looked at and which rules refused them."""
        refused = ", ".join(f"{num} {reason}" for reason, num in self.balance.dropped.items())
        seen = self.balance.rows_in
        return f"{seen} segments were looked at and none is a target ({refused or 'no document'})"

    def _read_group(self, group: int) -> list[_Document]:
        table = self._file.read_row_group(group, ["doc_id", "text"])
        return [
            _Document(doc_id, text, self._spans(doc_id, text))
            for doc_id, text in zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True)
        ]

    def _lay_out(self, group: int, row: int) -> tuple[list[int], list[Target]]:
        return self._targets(self._texts(group)[row], {})

    def _targets(self, document: _Document, refused: dict[str, int]) -> tuple[list[int], list[Target]]:
        """Tokens and targets of one document; what is refused is added up in ``refused``."""
        ids = self._codec.encode(document.text)
        places = cuts(document.text, document.spans, self._codec.char_offsets(ids))
        ends = [*(place if place >= 0 else None for place in places[1:]), len(ids)]
        found = []
        for ordinal in range(len(document.spans)):
            reason = self._refused(document, ordinal, places[ordinal], ends[ordinal])
            if reason:
                refused[reason] = refused.get(reason, 0) + 1
            else:
                found.append(self._target(document, ordinal, places, (ends[ordinal] or 0) - places[ordinal]))
        return ids, found

    def _refused(self, document: _Document, ordinal: int, position: int, end: int | None) -> str:
        """The first rule against a segment; empty when it is a target."""
        settings, spans = self._settings, document.spans
        if not settings.min_before <= ordinal < len(spans) - 1:
            return "too-few-before" if ordinal < settings.min_before else "none-after"
        truth, following = (_segment(document.text, span) for span in spans[ordinal : ordinal + 2])
        num_tokens = 0 if position < 0 or end is None else end - position
        rules = (
            ("no-token-border", num_tokens <= 0),
            ("too-short", len(truth) < settings.min_chars),
            ("too-long", num_tokens > settings.segment_tokens_max),
            ("answer-marker", any(mark.decode() in text for mark in MARKERS for text in (truth, following))),
            ("judge-marker", imitates_judge(truth)),
            ("below-the-floor", self._is_easy(document.doc_id, position, num_tokens)),
        )
        return next((reason for reason, refuses in rules if refuses), "")

    def _is_easy(self, doc_id: str, position: int, num_tokens: int) -> bool:
        if self._entropies is None or num_tokens <= 0:
            return False
        peak = self._entropies.peak(doc_id, position, position + num_tokens)
        return not peak >= self._settings.entropy_floor_nats

    def _target(self, document: _Document, ordinal: int, places: Sequence[int], num_tokens: int) -> Target:
        settings, spans, text = self._settings, document.spans, document.text
        most = settings.reference_segments if settings.rule == "prefix" else 1
        prefixes: list[str] = []
        for last in range(ordinal, min(ordinal + most, len(spans))):
            after = places[last + 1] if last + 1 < len(places) else -1
            if prefixes and after - places[ordinal] > settings.reference_tokens:
                break
            prefixes.append(_segment(text, (spans[ordinal][0], spans[last][1])))
        following = _segment(text, spans[ordinal + 1])
        is_spaced = text[spans[ordinal][1] - 1].isspace()
        at, span = places[ordinal], spans[ordinal]
        return Target(ordinal, at, tuple(prefixes), following, span, is_spaced, num_tokens)


def cuts(text: str, spans: Spans, char_offsets: Ints) -> list[int]:
    """The token before which each segment begins; -1 where no token border will do.

    Args:
        text: A document.
        spans: Its segments, in code points, without gaps.
        char_offsets: :meth:`Codec.char_offsets` of its tokens.

    Example:
        >>> text = "One. Two."
        >>> cuts(text, [(0, 5), (5, 9)], np.array([0, 3, 4, 8]))
        [0, 2]
        >>> cuts(text, [(0, 5), (5, 9)], np.array([0, 2, 6]))
        [0, -1]
    """
    whole = np.flatnonzero(char_offsets >= 0)
    starts = char_offsets[whole]
    found = [0] if spans else []
    for (begin, end), _ in pairwise(spans):
        content = begin + len(text[begin:end].rstrip())
        at = int(np.searchsorted(starts, content))
        swallowed = text[content : starts[at]] if at < len(starts) else "?"
        fits = all(letter.isspace() or letter in CLOSING for letter in swallowed)
        found.append(int(whole[at]) if fits else -1)
    return found


def paragraphs(text: str, spans: Spans) -> list[tuple[int, int]]:
    r"""Segments joined up to each paragraph's end.

    Example:
        >>> paragraphs("One. Two.\n\nThree.", [(0, 5), (5, 11), (11, 17)])
        [(0, 11), (11, 17)]
    """
    joined: list[tuple[int, int]] = []
    begin: int | None = None
    for start, end in spans:
        begin = start if begin is None else begin
        if text[start:end].endswith("\n"):
            joined.append((begin, end))
            begin = None
    return joined if begin is None else [*joined, (begin, spans[-1][1])]


def _segment(text: str, span: tuple[int, int]) -> str:
    return text[span[0] : span[1]].strip()


class _Spans:
    """The segments of every document, as borders in flat arrays."""

    def __init__(self, corpus: Path, unit: str) -> None:
        table = pq.read_table(corpus / "segments.parquet", columns=["doc_id", "start", "end"])
        self._unit = unit
        self._starts = table["start"].to_numpy().astype(np.int32)
        self._ends = table["end"].to_numpy().astype(np.int32)
        self._rows: dict[str, tuple[int, int]] = {}
        names = table["doc_id"].to_pylist()
        borders = [i for i in range(len(names)) if not i or names[i] != names[i - 1]] + [len(names)]
        for first, end in pairwise(borders):
            self._rows[names[first]] = (first, end)

    def __call__(self, doc_id: str, text: str) -> Spans:
        first, end = self._rows.get(doc_id, (0, 0))
        spans = list(zip(self._starts[first:end].tolist(), self._ends[first:end].tolist(), strict=True))
        return paragraphs(text, spans) if self._unit == "paragraph" else spans


class _Entropies:
    """The proxy model's uncertainty by document and token."""

    def __init__(self, difficulty: Path | None, codec: Codec) -> None:
        if difficulty is None:
            raise RecipeError(
                "the objective has an entropy floor but the recipe names no difficulty to take entropies "
                "from: give one, or set entropy_floor_nats=0 to ask about every segment."
            )
        self._file = pq.ParquetFile(difficulty / "tokens.parquet")
        stored = (self._file.schema_arrow.metadata or {}).get(CODEC_KEY, b"").decode()
        if stored != codec.fingerprint():
            raise RecipeError(
                f"the difficulty was scored with another tokenizer ({stored[:12] or 'unnamed'}) than the "
                f"policy's ({codec.fingerprint()[:12]}). Score the corpus with a proxy model of the policy's "
                "own vocabulary."
            )
        self._read = lru_cache(maxsize=2)(self._group)
        groups = range(self._file.num_row_groups)
        self._groups = {name: group for group in groups for name in self._names(group)}

    def peak(self, doc_id: str, position: int, end: int) -> float:
        """Largest entropy over some tokens of a document, nats; minus infinity for an unknown document."""
        group = self._groups.get(doc_id)
        if group is None:
            return float("-inf")
        return float(np.nanmax(self._read(group)[doc_id][position:end], initial=-np.inf))

    def _names(self, group: int) -> Iterator[str]:
        yield from self._file.read_row_group(group, ["doc_id"])["doc_id"].to_pylist()

    def _group(self, group: int) -> Mapping[str, NDArray[np.float32]]:
        table = self._file.read_row_group(group, ["doc_id", "entropy_nats"])
        columns = table["entropy_nats"].combine_chunks()
        return {
            name: columns[i].values.to_numpy(zero_copy_only=False).astype(np.float32)
            for i, name in enumerate(table["doc_id"].to_pylist())
        }
