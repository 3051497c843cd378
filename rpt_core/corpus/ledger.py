"""The balance of a corpus stage: every row that came in is kept or has a reason, and can be read."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from rpt_core.artifacts.manifest import RowCounts
from rpt_core.corpus.clean.pii import mask
from rpt_core.corpus.reasons import known
from rpt_core.corpus.rows import preview, printable
from rpt_core.corpus.tables import TableWriter


class Balance:
    """Rows kept and dropped, per source."""

    def __init__(self) -> None:
        self._kept: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = defaultdict(Counter)

    def count(self, source: str, reason: str | None = None, rows: int = 1) -> None:
        """Rows of a source that were kept, or dropped for a reason."""
        if reason is None:
            self._kept[source] += rows
        else:
            self._reasons[source][known(reason)] += rows

    def counts(self) -> RowCounts:
        """The closed balance, whole and per source."""
        parts = {
            source: RowCounts(
                rows_in=self._kept[source] + self._reasons[source].total(),
                kept=self._kept[source],
                dropped=dict(sorted(self._reasons[source].items())),
            )
            for source in sorted({*self._kept, *self._reasons})
        }
        return sum(parts.values(), RowCounts()).model_copy(update={"by_source": parts})


class Ledger(Balance):
    """A balance, and the table of the dropped rows."""

    def __init__(self, dropped: TableWriter) -> None:
        super().__init__()
        self._dropped = dropped
        self.steps: dict[str, Counter[str]] = defaultdict(Counter)
        """Step -> reason -> rows."""

    def drop(self, source: str, row: Mapping[str, Any], reason: str, step: str, text: str) -> None:
        """One row that ends here.

        Args:
            source: Whose balance it belongs to.
            row: Its columns; ``native_id``, ``title`` and ``origin`` are recorded where it has them.
            reason: From the closed list.
            step: Which step dropped it.
            text: Shown in part, with personal data masked: a table of rejects must not collect it.
        """
        self.count(source, reason)
        self.steps[step][reason] += 1
        names = {name: printable(str(row.get(name) or "")) for name in ("native_id", "title", "origin")}
        shown = preview(mask(text[:1000], phones=True)[0])
        self._dropped.add({"source": source, **names, "reason": reason, "step": step, "preview": shown})
