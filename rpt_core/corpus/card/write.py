"""The corpus card: what came in, what stayed, what was dropped and why, in numbers and as pages.

``report.json`` and the short ``card.md`` are part of what a corpus is: its digest stands on them. The views
(:mod:`rpt_core.corpus.card.page`) show more and stand outside it, so a page may become better without making
every corpus, and whatever was trained on it, another one.
"""

import json
from pathlib import Path
from typing import Any

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.corpus.card.page import write_views
from rpt_core.corpus.card.report import DocumentReport, ProblemReport
from rpt_core.corpus.card.statistics import AXES, Lengths, Measured
from rpt_core.corpus.clean.quality import limits
from rpt_core.corpus.dedup.decontaminate import Contamination
from rpt_core.corpus.ledger import Ledger
from rpt_core.corpus.readers import origin_of
from rpt_core.corpus.reasons import REASONS
from rpt_core.recipes.corpus import PrepareRecipe


def write_card(
    out: Path,
    recipe: PrepareRecipe,
    ledger: Ledger,
    documents: DocumentReport,
    problems: ProblemReport,
    contamination: Contamination,
    duplicates: dict[str, int],
    traces: dict[str, int],
) -> dict[str, Any]:
    """Write ``report.json``, ``card.md`` and the views; no timings: equal corpora have equal cards."""
    counts = ledger.counts()
    report = {
        "rows": counts.model_dump(),
        "steps": {step: dict(sorted(reasons.items())) for step, reasons in sorted(ledger.steps.items())},
        "languages": dict(sorted(documents.languages.items())),
        "lengths": {source: found.summary() for source, found in sorted(documents.lengths.items())},
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
    more = {
        "stage": recipe.stage,
        "lengths": described(documents.lengths),
        "cluster_sizes": {str(size): num for size, num in sorted(documents.cluster_sizes.items())},
        "measures": _measures(documents.measured, rules=recipe.quality),
        "stem_min": recipe.stem_min,
        "scored": recipe.scores is not None,
        "min_score": recipe.min_score,
        "unread_scores": recipe.unread_scores,
    }
    write_views(out, {**report, **more})
    return report


def write_reading_card(
    out: Path, counts: RowCounts, lengths: dict[str, Lengths], found: dict[str, int], what: str
) -> None:
    """The views of what was read: no language, no duplicate and no leak is known yet.

    Args:
        out: The artifact's folder.
        counts: Rows per source.
        lengths: Of the documents, as read.
        found: Table -> rows.
        what: The kinds of files, in words.
    """
    write_views(
        out,
        {
            "stage": "ingest-corpus",
            "rows": counts.model_dump(),
            "reasons": {reason: REASONS[reason] for reason in counts.dropped},
            "lengths": described(lengths),
            "tables": found,
            "files": what,
        },
    )


def described(lengths: dict[str, Lengths]) -> dict[str, Any]:
    """The lengths of every source as a card tells them."""
    return {source: found.described() for source, found in sorted(lengths.items())}


def _measures(measured: Measured, *, rules: bool) -> dict[str, Any]:
    """Distributions and broken rules by source; without rules there is no limit."""
    allowed = {source: limits(origin_of(source).profile) if rules else {} for source in measured.counts}
    return {
        source: {
            "documents": measured.documents[source],
            "broken": dict(sorted(measured.broken[source].items())),
            "of": {
                name: {
                    "low": AXES[name].low,
                    "high": AXES[name].high,
                    "counts": counts,
                    "limits": allowed[source].get(name, (None, None)),
                }
                for name, counts in of_source.items()
                if sum(counts)
            },
        }
        for source, of_source in sorted(measured.counts.items())
    }


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
