"""What of a build, and of the journey it is part of, MLflow is asked to show."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpt_core.artifacts.recipe import Artifact

RECIPE_TAG, ROLE_TAG, SEED_TAG, ARM_TAG = "rpt.recipe", "rpt.role", "rpt.seed", "rpt.arm"
"""Recipe, part in the journey, seed and arm of a study, to search and to group runs by."""
_VALUE_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Journey:
    """A journey or study: one MLflow run, with all that was made for it as its children."""

    key: str
    """Equal for the same recipes, whether they are still to be made or read from what was made."""
    name: str
    """What its run is called."""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """What of one build is shown in MLflow."""

    group: str
    """``train``, ``eval``, ``scaling``, ``report`` or ``data``."""
    kind: str
    fingerprint: str
    recipe: Mapping[str, Any]
    """The resolved recipe, JSON form; flattened into params."""
    folder: Path
    """Where ``metrics.jsonl`` is, whole or still growing."""
    started: str
    """UTC, ISO 8601."""
    tags: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, float] = field(default_factory=dict)
    """Single numbers of a finished artifact."""
    digest: str = ""
    """Digest of a finished artifact; empty while the build runs."""
    journey: Journey | None = None
    root: bool = False
    """Whether it is what the journey is made for: it is then shown as the journey's own run."""
    pictures: tuple[Path, ...] = ()
    """Files to add to the run of a finished artifact."""

    @property
    def name(self) -> str:
        """Of the run: what people call it, else its kind and the beginning of its fingerprint."""
        if self.root and self.journey is not None:
            return self.journey.name
        recipe, role, seed, arm = (
            self.tags.get(tag, "") for tag in (RECIPE_TAG, ROLE_TAG, SEED_TAG, ARM_TAG)
        )
        if not recipe:
            return f"{self.kind}-{self.fingerprint[:8]}"
        return f"{recipe}-{role}" + (f" {arm}" if arm else "") + (f" seed {seed}" if seed else "")

    @property
    def params(self) -> dict[str, str]:
        """The recipe, flat; with seed and arm where only tags know them: MLflow groups by params, too."""
        spoken = {"seed": self.tags.get(SEED_TAG, ""), "arm": self.tags.get(ARM_TAG, "")}
        told = {**{name: value for name, value in spoken.items() if value}, **flat(self.recipe)}
        return {plain_name(name): value[:_VALUE_CHARACTERS] for name, value in told.items()}


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """A recipe as flat text: nested fields by dots, an input as the artifact it is.

    Example:
        >>> flat({"steps": 3, "optimiser": {"name": "muon"}, "modes": ["plain", "forced"],
        ...       "corpus": {"kind": "corpus", "fingerprint": "ab" * 32, "digest": "cd" * 32}})
        {'steps': '3', 'optimiser.name': 'muon', 'modes': 'plain, forced', 'corpus': 'corpus/abababababab'}
    """
    if isinstance(value, Mapping):
        if set(value) == {"kind", "fingerprint", "digest"}:
            return {prefix: Artifact.model_validate(value).short}
        joined = {}
        for name, item in value.items():
            joined.update(flat(item, f"{prefix}.{name}" if prefix else str(name)))
        return joined
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            return flat({str(i): item for i, item in enumerate(value)}, prefix)
        return {prefix: ", ".join(map(str, value))}
    return {prefix: str(value)}


def plain_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as MLflow takes them."""
    return {plain_name(name): str(value)[:_VALUE_CHARACTERS] for name, value in tags.items()}


def plain_name(name: str) -> str:
    """A name as MLflow allows it."""
    return re.sub(r"[^\w\-. :/]", "_", name)[:240]
