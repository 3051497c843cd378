"""The corpus card: what came in, what stayed, what was dropped and why, as JSON and as a page."""

import json
from pathlib import Path
from typing import Any

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.corpus.decontaminate import Contamination
from rpt_core.corpus.documents import DocumentReport
from rpt_core.corpus.ledger import Ledger
from rpt_core.corpus.problem_sets import ProblemReport
from rpt_core.corpus.reasons import REASONS


def write_card(
    out: Path,
    ledger: Ledger,
    documents: DocumentReport,
    problems: ProblemReport,
    contamination: Contamination,
    duplicates: dict[str, int],
    traces: dict[str, int],
) -> dict[str, Any]:
    """Write ``report.json`` and ``card.md``; no timings, so that equal corpora have equal cards."""
    counts = ledger.counts()
    report = {
        "rows": counts.model_dump(),
        "steps": {step: dict(sorted(reasons.items())) for step, reasons in sorted(ledger.steps.items())},
        "languages": dict(sorted(documents.languages.items())),
        "lengths": documents.lengths(),
        "splits": {
            "documents": dict(sorted(documents.split.items())),
            "problems": dict(sorted(problems.split.items())),
            "traces": traces,
        },
        "segments": documents.num_segments,
        "pii": dict(sorted(documents.pii.items())),
        "duplicates": duplicates,
        "contamination": {
            benchmark: {
                "items": items,
                "items_too_short": contamination.num_uncovered[benchmark],
                "documents_dropped_or_cut": documents.leaks[benchmark],
            }
            for benchmark, items in sorted(problems.items.items())
        },
        "documents_cut": documents.num_cut,
        "reasons": {reason: REASONS[reason] for reason in counts.dropped},
    }
    (out / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    (out / "card.md").write_text(_page(report, counts))
    return report


def _page(report: dict[str, Any], counts: RowCounts) -> str:
    lines = ["# Corpus card", "", "| source | in | kept | dropped |", "|---|---:|---:|---|"]
    for source, rows in counts.by_source.items():
        why = ", ".join(f"{reason} {num}" for reason, num in rows.dropped.items()) or "-"
        lines.append(f"| {source} | {rows.rows_in} | {rows.kept} | {why} |")
    lines += [f"| **all** | {counts.rows_in} | {counts.kept} | {sum(counts.dropped.values())} |", ""]
    for title, key in (
        ("Languages", "languages"),
        ("Personal data masked", "pii"),
        ("Duplicates", "duplicates"),
    ):
        shown = ", ".join(f"{name} {num}" for name, num in report[key].items()) or "none"
        lines += [f"## {title}", "", shown, ""]
    lines += ["## Contamination", "", "| benchmark | items | too short | documents |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {row['items']} | {row['items_too_short']} | {row['documents_dropped_or_cut']} |"
        for name, row in report["contamination"].items()
    ]
    lines += ["", "## Reasons", ""]
    lines += [f"- **{reason}**: {meaning}" for reason, meaning in report["reasons"].items()]
    return "\n".join(lines) + "\n"
