"""Both data stages in small shards, by Ray's workers or alone; each shard says which machine it was done on.

    python -c 'from tests.infra.ray_stages import main; main()' DATA FOLDER ray|processes SECONDS

``-c``, so that Ray's workers find :func:`marked` by this module's name. ``FOLDER/marks`` has a file for each
shard, ``FOLDER/digests.json`` what came of both stages.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from infra.runs.workers import workers
from rpt_core.artifacts.build import LocalBuild, Mapper
from rpt_core.artifacts.digest import logical_digest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus import batches
from rpt_core.corpus.files import parts as parts_of
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.wiki import multistream
from rpt_core.corpus.wiki import parts as wiki_parts
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe

TIMINGS = "timings.jsonl"
"""What differs from run to run."""


def marked(folder: Path, seconds: float, function: Callable[[Any], Any], item: Any) -> Any:
    """A shard's result, after as long as a larger one takes, with this machine's name put down."""
    result = function(item)
    time.sleep(seconds)
    (folder / f"{os.uname().nodename}-{uuid.uuid4().hex}").touch()
    return result


def marking(mapper: Mapper, folder: Path, seconds: float) -> Mapper:
    """A mapper whose shards are marked."""

    def mapped(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        return iter(mapper(partial(marked, folder, seconds, function), items))

    return mapped


def small_shards() -> None:
    """So many shards that every process has some; their sizes are the stages' side of the work alone."""
    wiki_parts.PAGES_BYTES, parts_of.FILES_BYTES, multistream.RUN_BYTES = 20_000, 3_000, 6_000
    batches.BATCH_ROWS = 30


def stages(data: Path, folder: Path, placement: Placement, seconds: float) -> dict[str, str]:
    """Read and prepare; the logical digest of every file of both."""
    marks, read, prepared = (folder / name for name in ("marks", "read", "prepared"))
    marks.mkdir(parents=True)
    for out, inputs, stage in (
        (read, {}, partial(ingest, IngestRecipe(data=str(data)))),
        (prepared, {"documents": read}, partial(prepare, PrepareRecipe(documents=Ref(ref="x")))),
    ):
        build = LocalBuild(inputs, out, folder / f"scratch-{out.name}")
        with workers(placement) as mapper:
            build.mapper = marking(mapper, marks, seconds)
            stage(build)
    files = sorted(path for out in (read, prepared) for path in out.iterdir() if path.name != TIMINGS)
    return {str(path.relative_to(folder)): logical_digest(path) for path in files}


def main() -> None:
    """By the words of the command line."""
    data, folder, on, seconds = sys.argv[1:]
    small_shards()
    placement = Placement(workers=2 if on == "ray" else 1, workers_on=on)
    digests = stages(Path(data), Path(folder), placement, float(seconds))
    (Path(folder) / "digests.json").write_text(json.dumps(digests))
