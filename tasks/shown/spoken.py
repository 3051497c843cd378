"""What people call a stage of a journey: by recipe, role and seed. Nothing of it is in an artifact."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.metrics.views import ARM_TAG, RECIPE_TAG, ROLE_TAG, SEED_TAG, Journey
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact, Recipe


@dataclass(frozen=True, slots=True)
class Spoken:
    """How one stage is spoken of."""

    recipe: str = ""
    """Name of the recipe."""
    role: str = ""
    """In the journey (:func:`role`)."""
    seed: int | None = None
    arm: str = ""
    """Of the study, where it is one."""
    journey: Journey | None = None
    """What it is made for."""
    is_root: bool = False
    """Whether it is the last stage of the journey."""

    def __str__(self) -> str:
        """In one line, for a list of runs."""
        arm = f" {self.arm}" if self.arm else ""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.recipe}-{self.role}{arm}{seed}"

    def tags(self) -> dict[str, str]:
        """As MLflow tags, to search and group runs by."""
        named = {RECIPE_TAG: self.recipe, ROLE_TAG: self.role, ARM_TAG: self.arm}
        seed = {} if self.seed is None else {SEED_TAG: str(self.seed)}
        return {name: value for name, value in {**named, **seed}.items() if value}


UNSPOKEN = Spoken()


def role(recipe: Recipe) -> str:
    """What a journey calls a thing: its kind, and for an evaluation also the kind of model it judges."""
    model = recipe.inputs().get("model")
    return _role(recipe.kind, model.kind if isinstance(model, Recipe | Artifact) else "")


def _role(kind: str, of: str) -> str:
    return f"{kind}-of-{of}" if of else kind


def spoken_of(manifest: Manifest, refs: Mapping[str, Mapping[int, Artifact]]) -> Spoken:
    """How a finished artifact is spoken of: by one of the names that the store keeps.

    Args:
        manifest: Of the artifact.
        refs: The store's names (:meth:`infra.storage.store.Store.refs`).
    """
    model = manifest.parents.get("model")
    called = _role(manifest.kind, model.kind if model else "")
    given = manifest.recipe.get("seed")
    seed = given if isinstance(given, int) else None
    for name, versions in refs.items():
        if name.endswith(f"-{called}") and manifest.artifact in versions.values():
            return Spoken(name.removesuffix(f"-{called}"), called, seed)
    return Spoken("", called, seed)
