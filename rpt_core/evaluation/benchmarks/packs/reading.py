"""A benchmark as it lies in a folder: read, and named by its content."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from rpt_core.artifacts.recipe import canonical_json
from rpt_core.evaluation.benchmarks.packs.files import folder_of, rows_in
from rpt_core.evaluation.benchmarks.packs.item import Item, Shot
from rpt_core.evaluation.benchmarks.packs.pack import Found, Mode, Pack


def read_folder(pack: Pack, folder: Path) -> Found:
    """The items of a benchmark's own folder."""
    return pack.read_rows(rows_in(folder, pack.csv_header, texts=pack.reads_texts))


def find_folder(pack: Pack, data: Path) -> Path | None:
    """The benchmark's folder below a folder of benchmarks; None where there is none."""
    return folder_of(data, pack.titles)


def prompt_digest(pack: Pack, found: Found, mode: Mode, num_shots: int) -> str:
    """SHA-256 over the words all items are put in, examples included, before any model's chat form; hex."""
    whole = hashlib.sha256()
    for item in sorted(found.items, key=lambda item: item.item_id):
        whole.update(canonical_json(words_of(pack, item, mode, pack.shots_for(item, found.shots, num_shots))))
    return whole.hexdigest()


def words_of(pack: Pack, item: Item, mode: Mode, shots: Sequence[Shot]) -> list[object]:
    """Everything that is said to a model about an item, as JSON."""
    if mode == "plain":
        return [item.item_id]
    if mode == "likelihood":
        ranked = pack.rankings(item, shots)
        return [item.item_id, *([one.context, list(one.continuations), list(one.modes)] for one in ranked)]
    words = pack.message(item, mode, shots)
    return [item.item_id, words.before, words.text, words.after, words.raw, list(words.stops)]
