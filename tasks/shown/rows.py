"""What became of the rows a stage was given, in words: said when it is done, where its results are shown."""

from rpt_core.artifacts.manifest import Manifest

FEW = 0.5
"""Share of rows kept under which a reader is warned."""


def balance(manifest: Manifest) -> list[str]:
    """Lines about a stage that reads rows: what was found, in, kept and dropped by reason; none for others.

    Example lines::

        1 Markdown file, 3 plain text files, 2 unread files (3,471 bytes)
        9 in, 6 kept, 3 dropped: bad-json 1, empty-file 1, unrecognised-format 1
    """
    rows = manifest.outcome.rows
    if not rows.rows_in:
        return []
    found = manifest.outcome.summary.get("found")
    lines = [str(found)] if found else []
    dropped = sorted(rows.dropped.items(), key=lambda pair: (-pair[1], pair[0]))
    reasons = ": " + ", ".join(f"{reason} {count:,}" for reason, count in dropped) if dropped else ""
    lines.append(f"{rows.rows_in:,} in, {rows.kept:,} kept, {sum(rows.dropped.values()):,} dropped{reasons}")
    if rows.kept < FEW * rows.rows_in:
        lines.append(
            f"warning: under half was kept. To read what was dropped: "
            f"rpt show {manifest.artifact.short} --dropped {dropped[0][0]}"
        )
    return lines
