"""What the prepare stage counts for the card, filled in while documents and problems pass."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from rpt_core.corpus.card.statistics import Lengths, Measured


@dataclass
class DocumentReport:
    """What the card tells about the documents."""

    languages: Counter[str] = field(default_factory=Counter)
    split: Counter[str] = field(default_factory=Counter)
    pii: Counter[str] = field(default_factory=Counter)
    lengths: defaultdict[str, Lengths] = field(default_factory=lambda: defaultdict(Lengths))
    """Of the kept documents of every source."""
    measured: Measured = field(default_factory=Measured)
    """Of all documents that could be measured."""
    cluster_sizes: Counter[int] = field(default_factory=Counter)
    """Documents in a cluster of duplicates -> clusters, from two documents on."""
    num_segments: int = 0
    num_cut: int = 0
    """Long documents that lost paragraphs to decontamination."""
    leaks: Counter[str] = field(default_factory=Counter)
    """Benchmark -> documents dropped or cut."""


@dataclass
class ProblemReport:
    """What happened to the problems."""

    split: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    """Held-out items per benchmark."""
