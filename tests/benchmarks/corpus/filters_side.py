"""Our filter and sentence splitter over a folder of JSON lines, in one process.

    python -m tests.benchmarks.corpus.filters_side FOLDER

The functions are those of the prepare stage: normal form, measures, language, quality rules, Punkt learned
from what is kept, sentences. Prints what :class:`tests.benchmarks.corpus.filters.Told` holds.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.batches import by_size
from rpt_core.corpus.document_shards import Row, filtered
from rpt_core.corpus.segments.splitter import PunktSample, Splitter
from rpt_core.recipes.corpus import PrepareRecipe


def rows(folder: Path) -> Iterator[Row]:
    """The rows of our ingest, as both sides were given them."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as stream:
            for line in stream:
                yield json.loads(line)["row"]


def main() -> None:
    """Do all of it."""
    recipe = PrepareRecipe(documents=Ref(ref="documents"))
    started = time.process_time()
    kept: list[Row] = []
    dropped: dict[str, str] = {}
    num_chars, sample = 0, PunktSample()
    for batch in by_size(rows(Path(sys.argv[1])), "text"):
        num_chars += sum(len(row["text"]) for row in batch)
        good, refused, _ = filtered(recipe, batch)
        kept += good
        dropped |= {found.row["doc_id"]: found.reason for found in refused}
        for row in good:
            sample.offer(row["doc_id"], row["lang"], row["text"])
    splitter = Splitter.train(sample.texts())
    sentences = {
        row["doc_id"]: len(splitter.split(row["text"], row["lang"], recipe.min_segment_chars)) for row in kept
    }
    seconds = time.process_time() - started
    print(json.dumps({"seconds": seconds, "num_chars": num_chars, "kept": sentences, "dropped": dropped}))


if __name__ == "__main__":
    main()
