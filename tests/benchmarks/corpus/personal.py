"""Personal data on gold spans, beside presidio's patterns."""

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rpt_core.corpus.clean.pii import find
from tests.benchmarks.table import Table

TYPES = {"EMAIL": "EMAIL_ADDRESS", "CARD": "CREDIT_CARD", "IBAN": "IBAN_CODE", "IP": "IP_ADDRESS"}
Span = tuple[int, str, int, int]
"""Document, type, start, end."""


def meet(one: Span, other: Span) -> bool:
    """Whether two spans of one type overlap."""
    return one[:2] == other[:2] and one[2] < other[3] and other[2] < one[3]


def beside_presidio(
    table: Table, data: Path | None, ask: Callable[[str, list[str]], tuple[float, np.ndarray]]
) -> None:
    """Precision and recall by type, of both sides; whether presidio finds any type better."""
    if data is None:
        table.not_run.append("personal data: --data names no folder of real data with gold spans")
        return
    (path,) = (data / "pii").glob("synth_dataset_v2*")
    samples = json.loads(gzip.decompress(path.read_bytes()))
    documents = [sample["full_text"] for sample in samples]
    started = time.process_time()
    mine = [
        (number, TYPES[hit.name], hit.start, hit.end)
        for number, text in enumerate(documents)
        for hit in find(text)
        if hit.name in TYPES
    ]
    seconds = time.process_time() - started
    peer_seconds, rows = ask("personal", documents)
    names = list(TYPES.values())
    theirs = [(int(n), names[int(kind)], int(start), int(end)) for n, kind, start, end in rows]
    gold = {
        (number, span["entity_type"], span["start_position"], span["end_position"])
        for number, sample in enumerate(samples)
        for span in sample["spans"]
        if span["entity_type"] in names
    }
    num = Counter(kind for _, kind, _, _ in gold)
    for kind in names:
        (p, r), (peer_p, peer_r) = (_scores(found, gold, kind) for found in (mine, theirs))
        print(
            f"{kind:14} {num[kind]:4} gold: precision {p:.3f}, recall {r:.3f}; "
            f"presidio {peer_p:.3f}, {peer_r:.3f}"
        )
        table.unequal += [f"presidio finds {kind} better"] if p < peer_p or r < peer_r else []
    print(f"personal data: {seconds:.2f} s, all types of ours; presidio's four {peer_seconds:.2f} s")


def _scores(found: list[Span], gold: set[Span], kind: str) -> tuple[float, float]:
    """Precision and recall of one type."""
    hits = [hit for hit in found if hit[1] == kind]
    spans = [span for span in gold if span[1] == kind]
    right = sum(any(meet(hit, span) for span in spans) for hit in hits)
    met = sum(any(meet(hit, span) for hit in hits) for span in spans)
    return right / max(len(hits), 1), met / len(spans)
