"""Problem sets on their way through prepare: one of each kind, split by cluster, clear of what is held out.

Items are split before anything else happens to them, by a hash of their near-duplicate cluster; two
items are duplicates only when their answers agree too (the same question with another number is
another question, but must stand on the same side).
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rpt_core.artifacts.build import Build
from rpt_core.corpus.batches import by_size
from rpt_core.corpus.card.report import ProblemReport
from rpt_core.corpus.clean.cleaning import normalise
from rpt_core.corpus.dedup.decontaminate import Contamination, HeldOutItem, Leaks, canonical
from rpt_core.corpus.dedup.duplicates import EXACT, KEPT, SAME_ID, DuplicateFinder, Resolution
from rpt_core.corpus.dedup.sketch import sketch
from rpt_core.corpus.ledger import Ledger
from rpt_core.corpus.sides import side_of
from rpt_core.corpus.tables import BENCHMARKS, CORPUS_PROBLEMS, TableWriter, read_rows
from rpt_core.corpus.text.words import split_words
from rpt_core.recipes.corpus import PrepareRecipe

REASONS = {EXACT: "exact-duplicate", SAME_ID: "exact-duplicate"}
"""Verdict -> reason, else ``near-duplicate``. A problem's id is its content: equal ids are equal items."""
HELD_OUT = "held-out"
SAME_FOR_ALL = 0.9
"""Share of a set's rows with one and the same text from which that text is not the problem."""
ROWS_MIN = 20
"""Rows of a set below which nothing is said about shares."""


def prepare_problems(
    recipe: PrepareRecipe, build: Build, ledger: Ledger
) -> tuple[Contamination, ProblemReport]:
    """Split, de-duplicate and decontaminate all problem sets; write ``problems`` and ``benchmarks``.

    Returns:
        The index of everything held out, for the documents to be checked against.
    """
    folder = build.inputs["documents"]
    resolution = _resolve(recipe, folder / "problems.parquet", build.scratch / "problem-duplicates")
    report = ProblemReport()
    shared = _shared_texts(folder / "problems.parquet")
    benchmarks = list(_benchmarks(folder / "benchmarks.parquet", build.out, ledger))
    own = [
        item for item in _held_out(recipe, folder / "problems.parquet", resolution)
        if item.problem not in {text for _, text in shared}
    ]  # fmt: skip
    further = _further(build.inputs["held_out"]) if recipe.held_out is not None else ()
    contamination = Contamination.index([*benchmarks, *further, *own], recipe.decontaminate_ngram)
    for item in contamination.items:
        report.items[item.benchmark] += 1
    leaks = _scan(folder / "problems.parquet", recipe, resolution, contamination)
    with TableWriter(build.out / "problems.parquet", CORPUS_PROBLEMS) as writer:
        for number, row in enumerate(_normalised(folder / "problems.parquet")):
            named = {**row, "native_id": row["problem_id"]}
            if (row["source"], row["problem"]) in shared:
                ledger.drop(row["source"], named, "one-text-for-all", "read", row["problem"])
                continue
            verdict = int(resolution.verdict[number])
            split = side_of(recipe, resolution.cluster_of(number), row["problem"])
            if verdict != KEPT:
                ledger.drop(
                    row["source"],
                    named,
                    REASONS.get(verdict, "near-duplicate"),
                    _step(verdict),
                    row["problem"],
                )
            elif number in leaks and split == "train":
                ledger.drop(row["source"], named, "benchmark-leak", "decontaminate", row["problem"])
            else:
                ledger.count(row["source"])
                report.split[split] += 1
                writer.add({**row, "split": split, "cluster": resolution.cluster_of(number)})
    return contamination, report


def _shared_texts(path: Path) -> set[tuple[str, str]]:
    """Set and text where nearly all rows of a set have that one text as their problem."""
    seen: dict[str, Counter[bytes]] = {}
    for row in _normalised(path):
        digest = hashlib.blake2b(row["problem"].encode(), digest_size=16).digest()
        seen.setdefault(row["source"], Counter())[digest] += 1
    suspects = {
        source: counts.most_common(1)[0][0]
        for source, counts in seen.items()
        if counts.total() >= ROWS_MIN and counts.most_common(1)[0][1] >= SAME_FOR_ALL * counts.total()
    }
    return {
        (row["source"], row["problem"])
        for row in (_normalised(path) if suspects else ())
        if suspects.get(row["source"]) == hashlib.blake2b(row["problem"].encode(), digest_size=16).digest()
    }


def _step(verdict: int) -> str:
    return "exact" if verdict in REASONS else "near-duplicate"


def _normalised(path: Path) -> Iterator[dict[str, Any]]:
    for row in read_rows(path):
        yield {**row, **{name: normalise(row[name] or "") for name in ("problem", "solution", "answer")}}


def _resolve(recipe: PrepareRecipe, path: Path, folder: Path) -> Resolution:
    finder = DuplicateFinder(folder, recipe.num_permutations, recipe.near_duplicate_jaccard)
    for batch in by_size(_normalised(path), "problem"):
        texts = [row["problem"] for row in batch]
        finder.add(
            sketch(
                [row["problem_id"] for row in batch],
                [0] * len(batch),
                texts,
                split_words([canonical(text) for text in texts]),
                recipe.num_permutations,
                guards=[_hash64(canonical(row["answer"])) for row in batch],
            )
        )
    return finder.resolve()


def _hash64(text: str) -> int:
    squeezed = "".join(text.split()).lower()
    return int.from_bytes(hashlib.blake2b(squeezed.encode(), digest_size=8).digest(), "big")


def _benchmarks(path: Path, out: Path, ledger: Ledger) -> Iterator[HeldOutItem]:
    """Items of known benchmarks: passed on as they are, never split, never trained on."""
    with TableWriter(out / "benchmarks.parquet", BENCHMARKS) as writer:
        for row in read_rows(path):
            writer.add(row)
            ledger.count(row["source"])
            yield HeldOutItem(
                row["problem_id"], row["benchmark"], normalise(row["problem"]), normalise(row["answer"])
            )


def _further(folder: Path) -> Iterator[HeldOutItem]:
    """Items of benchmarks in use elsewhere: read for the check alone, no rows of this corpus."""
    for table in ("benchmarks", "problems"):
        for row in read_rows(folder / f"{table}.parquet"):
            name = row.get("benchmark") or row["source"]
            yield HeldOutItem(row["problem_id"], name, normalise(row["problem"]), normalise(row["answer"]))


def _held_out(recipe: PrepareRecipe, path: Path, resolution: Resolution) -> Iterator[HeldOutItem]:
    for number, row in enumerate(_normalised(path)):
        split = side_of(recipe, resolution.cluster_of(number), row["problem"])
        if split == "eval" and resolution.verdict[number] == KEPT:
            yield HeldOutItem(row["problem_id"], HELD_OUT, row["problem"], row["answer"])


def _scan(
    path: Path, recipe: PrepareRecipe, resolution: Resolution, contamination: Contamination
) -> set[int]:
    """Numbers of the training problems that leak a held-out one."""
    numbered = ({**row, "number": number} for number, row in enumerate(_normalised(path)))
    training = (
        row
        for row in numbered
        if resolution.verdict[row["number"]] == KEPT
        and side_of(recipe, resolution.cluster_of(row["number"]), row["problem"]) == "train"
    )
    leaks = Leaks()
    for batch in by_size(training, "problem"):
        # A problem names its own answer nowhere, so its text is followed by it for items matched whole.
        texts = [canonical(f"{row['problem']}\n{row['answer']}") for row in batch]
        leaks.take(contamination.scan(split_words(texts)), [row["number"] for row in batch])
    return set(leaks.by_row())
