"""The clean-up of a folder of dumps: megabytes per processor second, whole and by step."""

import functools
import shutil
import statistics
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus import document_shards as shards
from rpt_core.corpus import documents as documents_stage
from rpt_core.corpus import ingest as ingest_stage
from rpt_core.corpus import prepare as prepare_stage
from rpt_core.corpus import tables
from rpt_core.corpus.dedup import decontaminate
from rpt_core.corpus.files.streams import open_chunks
from rpt_core.corpus.readers import find_sources
from rpt_core.corpus.segments import splitter as segments
from rpt_core.corpus.wiki import dump as wikipedia
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from tests.benchmarks.table import Row, Table


class Steps:
    """Processor seconds by step: functions of the two stages, each charged for what no inner one takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._open: list[str] = []
        self._since = 0.0

    def timed(self, stack: ExitStack, owner: object, name: str, step: str) -> None:
        """Charge a function to a step until the stack closes."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def charged(*args: Any, **kwargs: Any) -> Any:
            self._switch()
            self._open.append(step)
            try:
                return function(*args, **kwargs)
            finally:
                self._switch()
                self._open.pop()

        stack.enter_context(mock.patch.object(owner, name, charged))

    def _switch(self) -> None:
        now = time.process_time()
        if self._open:
            self.seconds[self._open[-1]] = self.seconds.get(self._open[-1], 0.0) + now - self._since
        self._since = now


STEPS = (
    (ingest_stage, "ingest", "read: unpack, cut into pages, write"),
    (ingest_stage, "write_reading_card", "cards"),
    (wikipedia, "parse_page", "read: XML"),
    (wikipedia, "to_prose", "read: wikitext to prose"),
    (prepare_stage, "prepare", "prepare: the rest"),
    (shards, "normalise", "prepare: normal form"),
    (shards, "filtered", "prepare: measure, language, filter"),
    (shards, "sketch", "prepare: words, signatures, n-grams"),
    (shards, "split_words", "prepare: words, signatures, n-grams"),
    (decontaminate.Contamination, "scan", "prepare: words, signatures, n-grams"),
    (documents_stage.DuplicateFinder, "resolve", "prepare: duplicates"),
    (segments, "learn", "prepare: Punkt learns"),
    (shards, "mask", "prepare: personal data"),
    (segments.Splitter, "split", "prepare: sentences"),
    (prepare_stage, "write_card", "cards"),
    (tables.TableWriter, "_pack", "Parquet"),
    (tables.TableWriter, "_flush", "Parquet"),
)


def clean_up(data: Path, folder: Path) -> tuple[float, dict[str, float]]:
    """Both stages over a folder: MB of unpacked input per processor second, and the seconds by step."""
    steps = Steps()
    with ExitStack() as stack:
        for owner, name, step in STEPS:
            steps.timed(stack, owner, name, step)
        started = time.process_time()
        ingest_stage.ingest(IngestRecipe(data=str(data)), LocalBuild({}, folder / "a", folder / "b"))
        build = LocalBuild({"documents": folder / "a"}, folder / "c", folder / "d")
        prepare_stage.prepare(PrepareRecipe(documents=Ref(ref="documents")), build)
        seconds = time.process_time() - started
    return raw_megabytes(data) / seconds, steps.seconds


def raw_megabytes(data: Path) -> float:
    """What the files of a folder hold, unpacked, in MB."""
    return sum(len(piece) for source in find_sources(data) for piece in open_chunks(source.path)) / 1e6


def by_step(table: Table, data: Path, folder: Path, rounds: int) -> None:
    """The clean-up several times, the first discarded: medians, whole and by step."""
    runs = []
    for number in range(rounds + 1):
        runs.append(clean_up(data, folder / f"clean-{number}"))
        shutil.rmtree(folder / f"clean-{number}")
    speeds = [speed for speed, _ in runs[1:]]
    found = statistics.median(speeds)
    print(
        f"clean-up of {raw_megabytes(data):.1f} MB, {rounds} rounds: "
        f"{min(speeds):.2f} to {max(speeds):.2f} MB/s"
    )
    for step in runs[0][1]:
        print(f"    {step:40} {statistics.median(steps[step] for _, steps in runs[1:]):6.2f} s")
    table.add(Row("clean-up of the real Wikipedia folder, MB/s", f"{found:.2f} MB/s", "", found, 1.2))
