"""What must become of everything planted, in a form a test can check line by line."""

import json
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class ExpectedDrop:
    """A file, page or row that must be dropped."""

    stage: str
    """``ingest`` or ``prepare``."""
    origin: str
    """File below the data folder."""
    reason: str
    title: str = ""
    rows: int = 1
    """How many such rows the file must give."""


@dataclass(frozen=True, slots=True)
class ExpectedMask:
    """A document that stays, with a value in it that must not."""

    title: str
    mark: str
    secret: str


@dataclass
class Truth:
    """Collected while writing."""

    num_documents: int
    num_problems: int
    dropped: list[ExpectedDrop] = field(default_factory=list)
    masked: list[ExpectedMask] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Titles that must survive although something like them was dropped, or stands round a broken part."""
    never_trained: list[str] = field(default_factory=list)
    """Problems that must not stand in the training split."""
    planted_kept: int = 0
    """Planted documents beyond ``num_documents`` that must survive."""

    def drop(self, stage: str, origin: str, reason: str, title: str = "", rows: int = 1) -> None:
        """Record one expected drop."""
        self.dropped.append(ExpectedDrop(stage, origin, reason, title, rows))

    def to_json(self) -> str:
        """Readable, in order of planting."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"
