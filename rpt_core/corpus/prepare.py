"""The prepare stage: from documents as read to a corpus fit to train on, every drop explained."""

import time

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.manifest import Outcome
from rpt_core.corpus.card.write import write_card
from rpt_core.corpus.documents import DocumentPasses
from rpt_core.corpus.ledger import Ledger
from rpt_core.corpus.problem_sets import prepare_problems
from rpt_core.corpus.tables import DROPPED, TableWriter
from rpt_core.corpus.traces import align_traces
from rpt_core.errors import SourceError
from rpt_core.recipes.corpus import PrepareRecipe


def prepare(recipe: PrepareRecipe, build: Build) -> Outcome:
    """Normalise, filter, de-duplicate, decontaminate, mask, split, segment; align the traces.

    Problems come first: what is held out of them is what documents are checked against. Text is read
    in batches of bounded size and held nowhere; hashes and signatures lie on disk.

    Raises:
        SourceError: documents came in and not one was kept.
        Stopped: somebody asked the stage to stop; it keeps no state and starts again.
    """
    clock = _Clock(build)
    with TableWriter(build.out / "dropped.parquet", DROPPED) as dropped:
        ledger = Ledger(dropped)
        contamination, problems = prepare_problems(recipe, build, ledger)
        clock.lap("problems")
        documents = DocumentPasses(recipe, build, ledger, contamination)
        report = documents.run()
        clock.lap("documents")
        splits = align_traces(
            build.inputs["documents"] / "traces.parquet",
            build.out / "documents.parquet",
            build.out / "traces.parquet",
            ledger,
        )
        clock.lap("traces")
    counts = ledger.counts()
    num_kept = sum(report.split.values())
    if (
        counts.rows_in
        and not num_kept
        and any(step for step in ledger.steps if step != "align")
        and not problems.split
    ):
        raise SourceError(
            f"of {counts.rows_in} rows none was kept: {counts.dropped}. Look at dropped rows, "
            "then lower min_words, set quality=false, or give other data."
        )
    found = documents.resolution
    duplicates = (
        {
            "pairs_compared": found.num_pairs,
            "pairs_alike": found.num_edges,
            "buckets_capped": found.num_capped,
        }
        if found
        else {}
    )
    traces = dict(sorted(splits.items()))
    write_card(build.out, recipe, ledger, report, problems, contamination, duplicates, traces)
    summary: dict[str, float | int | str | bool | None] = {
        "documents": num_kept,
        "documents_eval": report.split["eval"],
        "problems": sum(problems.split.values()),
        "problems_eval": problems.split["eval"],
        "traces": sum(splits.values()),
        "segments": report.num_segments,
        "pii_masked": sum(report.pii.values()),
    }
    if recipe.held_out is not None:
        summary |= {
            "held_out_items": len(contamination.items),
            "leaks": counts.dropped.get("benchmark-leak", 0),
        }
    return Outcome(rows=counts, summary=summary)


class _Clock:
    """Seconds of every step, told to the build's timings."""

    def __init__(self, build: Build) -> None:
        self._build, self._step, self._started = build, 0, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._step += 1
        self._build.log(self._step, {}, {f"seconds_{name}": round(now - self._started, 3)})
        self._started = now
