"""Documents on their way through prepare: two passes over the text, nothing of it held.

The first pass normalises, measures, filters, and notes what the later decisions need: hashes, signatures,
runs of words shared with held-out items. Then duplicates are resolved. The second pass drops, masks,
splits and cuts into sentences. Order: filter, exact, near-duplicate, decontaminate, PII, split, segment.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.artifacts.build import Build
from rpt_core.corpus.batches import by_size
from rpt_core.corpus.card.report import DocumentReport
from rpt_core.corpus.clean.scores import with_scores
from rpt_core.corpus.clean.solved import solution_documents
from rpt_core.corpus.dedup.decontaminate import Contamination, Hit, Leaks, canonical
from rpt_core.corpus.dedup.duplicates import EXACT, KEPT, SAME_ID, DuplicateFinder, Resolution
from rpt_core.corpus.document_shards import Cleaned, Finished, clean, finish
from rpt_core.corpus.ledger import Ledger
from rpt_core.corpus.segments.splitter import PunktSample, Splitter
from rpt_core.corpus.sides import side_of
from rpt_core.corpus.tables import (
    CONTEXT_CHARS,
    CORPUS_DOCUMENTS,
    DOCUMENTS,
    HITS,
    SEGMENTS,
    TableWriter,
    read_rows,
)
from rpt_core.corpus.text.words import ngrams, split_words
from rpt_core.errors import Stopped
from rpt_core.recipes.corpus import PrepareRecipe

CUT_CHARS_MIN = 20_000
"""A longer document loses the paragraphs that leak; a shorter one is dropped."""
REASONS = {EXACT: ("exact-duplicate", "exact"), SAME_ID: ("same-id", "exact")}
_CLEAN = (
    DOCUMENTS.append(pa.field("lang", pa.string()))
    .append(pa.field("lang_score", pa.float32()))
    .append(pa.field("metrics", pa.string()))
)


class DocumentPasses:
    """The document passes of one run."""

    def __init__(
        self, recipe: PrepareRecipe, build: Build, ledger: Ledger, contamination: Contamination
    ) -> None:
        self._recipe = recipe
        self._build = build
        self._ledger = ledger
        self._contamination = contamination
        self._finder = DuplicateFinder(
            build.scratch / "duplicates", recipe.num_permutations, recipe.near_duplicate_jaccard
        )
        self._sample = PunktSample()
        self._clean = build.scratch / "clean.parquet"
        self._leaks = Leaks()
        self._num_clean = 0
        self.report = DocumentReport()
        self.resolution: Resolution | None = None

    def run(self) -> DocumentReport:
        """Both passes; writes ``documents``, ``segments`` and ``hits``."""
        self._first_pass(self._build.inputs["documents"] / "documents.parquet")
        self.resolution = self._finder.resolve()
        self.report.cluster_sizes = cluster_sizes(self.resolution)
        self._second_pass(self.resolution, Splitter.train(self._sample.texts()))
        return self.report

    def _first_pass(self, path: Path) -> None:
        done, total = 0, pq.read_metadata(path).num_rows
        rows = with_scores(read_rows(path), self._build.inputs.get("scores"))
        work = partial(clean, self._recipe, self._contamination)
        shards = self._build.map(work, by_size(rows, "text"))
        with TableWriter(self._clean, _CLEAN) as writer:
            for shard in shards:
                self._go_on("cleaning", done, total)
                done += shard.num_rows
                self.report.measured.merge(shard.measured)
                for end in shard.refused:
                    self._ledger.drop(end.row["source"], end.row, end.reason, end.step, end.text)
                for row in shard.kept:
                    writer.add(row)
                self._note(shard)

    def _go_on(self, doing: str, done: int, total: int) -> None:
        """Tell a watcher how far this is; end here when somebody asked for it."""
        self._build.progress(done, total, f"{doing} documents")
        if self._build.stopping():
            raise Stopped(f"stopped while {doing} documents; rerun to start this stage again.")

    def _note(self, shard: Cleaned) -> None:
        """What later decisions need to know of rows that passed the filter."""
        first, self._num_clean = self._num_clean, self._num_clean + len(shard.kept)
        self._finder.add(shard.sketches)
        self._leaks.take(shard.hits, range(first, self._num_clean))
        for row in shard.kept:
            self._sample.offer(row["doc_id"], row["lang"], row["text"])

    def _second_pass(self, resolution: Resolution, splitter: Splitter) -> None:
        leaks = self._leaks.by_row()
        out, solved = self._build.out, self._recipe.solutions_as_documents
        schema = CORPUS_DOCUMENTS.append(CONTEXT_CHARS) if solved else CORPUS_DOCUMENTS
        kept = by_size(self._kept(resolution, leaks), "text")
        done = 0
        with (
            TableWriter(out / "documents.parquet", schema) as documents,
            TableWriter(out / "segments.parquet", SEGMENTS) as segments,
        ):
            for shard in self._build.map(partial(finish, self._recipe, splitter), kept):
                self._go_on("masking and segmenting", done, self._num_clean)
                done += len(shard)
                for finished in shard:
                    self._tell(finished)
                    documents.add(finished.row)
                    self._add_segments(finished.row["doc_id"], finished.segments, segments)
            for row in solution_documents(out / "problems.parquet") if solved else ():
                documents.add(row)
                found = splitter.split(row["text"], row["lang"], self._recipe.min_segment_chars)
                self._add_segments(row["doc_id"], found, segments)
                self.report.split[row["split"]] += 1
                self.report.lengths[row["source"]].add(len(row["text"]))
        self._write_hits(leaks, resolution)

    def _add_segments(self, doc_id: str, found: list[tuple[int, int]], segments: TableWriter) -> None:
        for ordinal, (start, end) in enumerate(found):
            segments.add({"doc_id": doc_id, "ordinal": ordinal, "start": start, "end": end})
        self.report.num_segments += len(found)

    def _kept(self, resolution: Resolution, leaks: dict[int, list[Hit]]) -> Iterator[dict[str, Any]]:
        """Rows that are no duplicates and leak nothing, with their side and cluster; the others end here."""
        for number, row in enumerate(read_rows(self._clean)):
            found = int(resolution.verdict[number])
            if found != KEPT:
                reason, step = REASONS.get(found, ("near-duplicate", "near-duplicate"))
                self._ledger.drop(row["source"], row, reason, step, row["text"])
                continue
            text = self._cut(row["text"], leaks[number]) if number in leaks else row["text"]
            if not text:
                self._ledger.drop(row["source"], row, "benchmark-leak", "decontaminate", row["text"])
                continue
            cluster = resolution.cluster_of(number)
            yield {**row, "text": text, "split": side_of(self._recipe, cluster, text), "cluster": cluster}

    def _tell(self, finished: Finished) -> None:
        row = finished.row
        self._ledger.count(row["source"])
        self.report.languages[row["lang"]] += 1
        self.report.split[row["split"]] += 1
        self.report.pii.update(finished.pii)
        self.report.lengths[row["source"]].add(len(row["text"]))

    def _cut(self, text: str, hits: list[Hit]) -> str:
        """A long text without the paragraphs that leak; nothing of a short one."""
        for benchmark in {self._contamination.items[hit.item].benchmark for hit in hits}:
            self.report.leaks[benchmark] += 1
        if len(text) < CUT_CHARS_MIN:
            return ""
        runs = {int(run) for hit in hits for run in hit.runs}
        lengths = {self._contamination.run_words(hit.item) for hit in hits}
        cleared = cut_paragraphs(text, runs, lengths)
        self.report.num_cut += 1
        return cleared

    def _write_hits(self, leaks: dict[int, list[Hit]], resolution: Resolution) -> None:
        with TableWriter(self._build.out / "hits.parquet", HITS) as writer:
            for hit in sorted(self._leaks.hits, key=lambda hit: (hit.row, hit.item)):
                item = self._contamination.items[hit.item]
                writer.add(
                    {
                        "doc_id": resolution.id_of(hit.row), "kind": "document", "benchmark": item.benchmark,
                        "item_id": item.item_id, "num_shared": len(hit.runs),
                        "coverage": round(hit.coverage, 4),
                        "removed": hit.row in leaks and resolution.verdict[hit.row] == KEPT,
                    }
                )  # fmt: skip


def cluster_sizes(resolution: Resolution) -> Counter[int]:
    """How many clusters there are of every size, from two rows on."""
    sizes = np.unique(resolution.cluster, return_counts=True)[1]
    distinct, counts = np.unique(sizes[sizes > 1], return_counts=True)
    return Counter(dict(zip(distinct.tolist(), counts.tolist(), strict=True)))


def cut_paragraphs(text: str, runs: set[int], lengths: set[int]) -> str:
    """The text without paragraphs that hold, alone or with the next one, any of the runs of words."""
    paragraphs = text.split("\n\n")
    pairs = [*("\n".join(pair) for pair in pairwise(paragraphs)), paragraphs[-1]]
    alone, joined = _holding(paragraphs, runs, lengths), _holding(pairs, runs, lengths)
    lost = set(alone)
    for number in joined:
        if number not in alone and number + 1 not in alone:
            lost |= {number, number + 1}
    return "\n\n".join(paragraph for number, paragraph in enumerate(paragraphs) if number not in lost)


def _holding(texts: list[str], runs: set[int], lengths: set[int]) -> set[int]:
    words = split_words([canonical(text) for text in texts])
    found: set[int] = set()
    for length in lengths:
        hashes, offsets = ngrams(words, length)
        for number in range(len(texts)):
            if not runs.isdisjoint(hashes[offsets[number] : offsets[number + 1]].tolist()):
                found.add(number)
    return found
