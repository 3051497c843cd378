"""Where the numbers of a page came from: the artifacts it stands on, and a row for each stage."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpt_core.artifacts.build import GIGA
from rpt_core.artifacts.manifest import MANIFEST_FILE, Manifest
from rpt_core.artifacts.recipe import Artifact
from rpt_core.recipes.stages import STAGES

LINEAGE = "lineage"
"""Input folder with one manifest per ancestor, where whoever runs the stage supplies it."""

TITLES = {stage.recipe.kind: stage.title for stage in STAGES.values() if stage.title}
"""Kinds in the order of the journey."""


@dataclass(frozen=True, slots=True)
class SourceArtifact:
    """One artifact a page draws on."""

    kind: str
    fingerprint: str
    """Empty where the folder does not say."""
    digest: str = ""
    manifest: Manifest | None = None

    @property
    def known(self) -> bool:
        """Whether numbers can be linked to it."""
        return bool(self.fingerprint)

    @property
    def short(self) -> str:
        """``kind/12 hex digits``, as the command line takes it."""
        return f"{self.kind}/{self.fingerprint[:12]}" if self.known else self.kind

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return f"artifact-{self.kind}-{self.fingerprint[:12]}"

    @property
    def command(self) -> str:
        """What to type to see all of it."""
        return f"rpt show {self.fingerprint[:12]}"


def source_of(folder: Path, kind: str) -> SourceArtifact:
    """The artifact an input folder holds; one without a manifest is named by its kind alone."""
    path = folder / MANIFEST_FILE
    if not path.exists():
        return SourceArtifact(kind, "")
    return _source(Manifest.model_validate_json(path.read_text()))


def lineage(inputs: Mapping[str, Path]) -> list[SourceArtifact]:
    """Everything the inputs stand on and the inputs themselves, in the order of the journey.

    The order depends on what was made of what and never on when, so that a page made again is the same
    page. Without a ``lineage`` folder only the inputs are known.
    """
    found: dict[str, SourceArtifact] = {}
    for path in _manifests(inputs):
        source = _source(Manifest.model_validate_json(path.read_text()))
        found[source.fingerprint] = source
    order = list(TITLES)
    depths = _depths(found)

    def place(source: SourceArtifact) -> tuple[int, int, str]:
        rank = order.index(source.kind) if source.kind in order else len(order)
        return rank, depths[source.fingerprint], source.fingerprint

    return sorted(found.values(), key=place)


def _depths(found: Mapping[str, SourceArtifact]) -> dict[str, int]:
    """How many artifacts lie, at most, between each one and the beginning."""
    depths: dict[str, int] = {}

    def depth(fingerprint: str) -> int:
        if fingerprint not in depths:
            manifest = found[fingerprint].manifest
            parents = manifest.parents.values() if manifest else ()
            depths[fingerprint] = max(
                (1 + depth(each.fingerprint) for each in parents if each.fingerprint in found), default=0
            )
        return depths[fingerprint]

    for fingerprint in found:
        depth(fingerprint)
    return depths


def charged(training: Path, known: Mapping[str, Path]) -> float:
    """Operations of other models that a training could not do without: its proxy's, and its judge's.

    The proxy's pass over the whole corpus is charged to every training that is asked at the positions it
    chose: not to next-token training, nor to random positions. A judge that runs in the training's process
    counts its own; of one behind an address nothing is known.

    Args:
        training: The training's folder.
        known: The page's inputs; the difficulty's manifest is among them or in ``lineage``.
    """
    manifest = source_of(training, "policy").manifest
    if manifest is None:
        return 0.0
    proxy = proxy_of(manifest)
    return judge_flops(manifest) + sum(
        source.manifest.outcome.flops
        for source in lineage(known)
        if source.manifest and proxy is not None and source.fingerprint == proxy.fingerprint
    )


def judge_flops(manifest: Manifest) -> float:
    """Operations of a judge that ran in a training's process."""
    return GIGA * float(manifest.outcome.summary.get("judge_gflops") or 0.0)


def proxy_of(manifest: Manifest) -> Artifact | None:
    """The difficulties that a training could not do without; None where it asks nothing, or anywhere."""
    objective = manifest.recipe.get("objective", {})
    chosen = objective.get("name") != "ntp" and objective.get("choose", "floor") != "random"
    return manifest.parents.get("difficulty") if chosen else None


def _manifests(inputs: Mapping[str, Path]) -> Iterator[Path]:
    for name, folder in inputs.items():
        if name == LINEAGE:
            yield from sorted(folder.glob("*.json"))
        elif (folder / MANIFEST_FILE).exists():
            yield folder / MANIFEST_FILE


def _source(manifest: Manifest) -> SourceArtifact:
    return SourceArtifact(manifest.kind, manifest.fingerprint, manifest.digest, manifest)


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage of the journey, as a row."""

    name: str
    source: SourceArtifact
    manifest: Manifest


def journey(sources: list[SourceArtifact], roles: Mapping[str, str]) -> list[StageRow]:
    """A row per artifact.

    Args:
        sources: In the order wanted.
        roles: Fingerprint -> what the page calls it (``Evaluated: cold start``).
    """
    return [
        StageRow(roles.get(one.fingerprint, _stage_name(one)), one, one.manifest)
        for one in sources
        if one.manifest
    ]


def _stage_name(source: SourceArtifact) -> str:
    """What a stage is called; a training on text by its objective."""
    if source.kind == "policy" and source.manifest:
        objective = source.manifest.recipe.get("objective", {})
        return str(objective.get("name", TITLES["policy"])).upper()
    return TITLES.get(source.kind, source.kind)


def fact(value: Any) -> str:
    r"""A summary's value, short.

    Example:
        >>> fact(0.123456), fact(True), fact(None), fact(643136)
        ('0.123', 'yes', '-', '643\u2009136')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else str(value)
