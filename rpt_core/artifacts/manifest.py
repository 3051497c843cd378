"""What made an artifact: its manifest, written once, last, when everything else is in place."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from rpt_core.artifacts.names import check_distinct, checked_path
from rpt_core.artifacts.placement import Numerics, Placement
from rpt_core.artifacts.recipe import Artifact, Frozen, explain
from rpt_core.errors import IntegrityError

SCHEMA = 1
MANIFEST_FILE = "manifest.json"
"""Beside the files of an artifact in its local folder."""
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class FileEntry(Frozen):
    """One file of an artifact: ``path`` within it, its blob, its size, its logical digest."""

    path: Annotated[str, AfterValidator(checked_path)]
    """Relative, with ``/``, and below the artifact's folder whatever the system (:mod:`.names`)."""
    blob: Sha256
    """SHA-256 of the bytes, hex: where they lie in the store."""
    num_bytes: int = Field(ge=0)
    digest: Sha256
    """Logical digest: Arrow column content, tensors, canonical JSON, or else the bytes."""
    volatile: bool = False
    """Timings, logs, environment, views of the other files: stored, but outside the artifact's digest."""


class RowCounts(Frozen):
    """A closed balance: ``rows_in == kept + sum(dropped)``. Nothing is dropped without a reason."""

    rows_in: int = Field(0, ge=0)
    kept: int = Field(0, ge=0)
    dropped: dict[str, int] = {}
    """Reason -> rows; a reason is a short phrase with hyphens, such as ``too-short``."""
    by_source: dict[str, "RowCounts"] = {}
    """The same balance per source, where a stage has several."""

    @model_validator(mode="after")
    def _closed(self) -> "RowCounts":
        if self.rows_in != self.kept + sum(self.dropped.values()):
            raise IntegrityError(
                f"the balance does not close: {self.rows_in} rows in, {self.kept} kept and "
                f"{sum(self.dropped.values())} dropped ({self.dropped}); a row was lost or counted twice."
            )
        return self

    def __add__(self, other: "RowCounts") -> "RowCounts":
        reasons = {**self.dropped}
        for reason, rows in other.dropped.items():
            reasons[reason] = reasons.get(reason, 0) + rows
        sources = {**self.by_source}
        for source, balance in other.by_source.items():
            sources[source] = sources[source] + balance if source in sources else balance
        return RowCounts(
            rows_in=self.rows_in + other.rows_in,
            kept=self.kept + other.kept,
            dropped=dict(sorted(reasons.items())),
            by_source=dict(sorted(sources.items())),
        )


class Outcome(Frozen):
    """What a stage function reports when it is done."""

    rows: RowCounts = RowCounts()
    flops: float = Field(0.0, ge=0)
    """Floating-point operations of this stage by the accounting of :mod:`rpt_core.policy.work`."""
    tokens: int = Field(0, ge=0)
    """Tokens forwarded, trained on or generated."""
    summary: dict[str, float | int | str | bool | None] = {}
    """The handful of results a reader wants first; logical."""


class Attempt(Frozen):
    """One try at a build: how long it took, where, and how it ended."""

    started: str
    """UTC, ISO 8601."""
    seconds: float
    steps: tuple[int, int] = (0, 0)
    """First and last step of this try, where the stage has steps."""
    outcome: Literal["done", "stopped", "failed", "lost the race"]
    host: dict[str, str | int | float] = {}


class Manifest(Frozen):
    """What an artifact is. Created once, create-only-if-absent; readers look only at manifests."""

    schema_version: int = SCHEMA
    kind: str
    fingerprint: str
    digest: str
    recipe: dict[str, Any]
    """The resolved recipe, JSON form."""
    placement: Placement
    numerics: Numerics | None = None
    """None for exact artifacts; for replayable ones, the key under which the bytes repeat."""
    parents: dict[str, Artifact]
    files: tuple[FileEntry, ...]
    outcome: Outcome
    code: str
    """Digest of the project's own source files."""
    environment: dict[str, str]
    """Versions of Python and of the packages that matter."""
    created: str
    attempts: tuple[Attempt, ...]

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        check_distinct(entry.path for entry in self.files)
        return self

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Manifest":
        """A manifest from its bytes.

        Args:
            data: JSON as :meth:`model_dump_json` wrote it, or whatever lies there instead.
            where: Its key, for the message.

        Raises:
            IntegrityError: the bytes are no manifest that this version can read.
        """
        try:
            return cls.model_validate_json(data)
        except (ValidationError, IntegrityError) as error:
            why = explain(error) if isinstance(error, ValidationError) else str(error)
            raise IntegrityError(
                f"{where} is no manifest this version can read ({len(data)} bytes; {why[:300]}). Read it "
                "with the version that wrote it, or remove it and build the artifact again."
            ) from None

    @property
    def artifact(self) -> Artifact:
        """The address alone."""
        return Artifact(kind=self.kind, fingerprint=self.fingerprint, digest=self.digest)

    def file(self, path: str) -> FileEntry:
        """The entry of one file.

        Raises:
            IntegrityError: there is no such file.
        """
        for entry in self.files:
            if entry.path == path:
                return entry
        raise IntegrityError(
            f"artifact {self.artifact.short} has no file {path!r}; it has "
            f"{', '.join(sorted(f.path for f in self.files))}."
        )
