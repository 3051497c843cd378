"""What people call a stage of a journey: by recipe, role and seed. Nothing of it is in an artifact."""

from dataclasses import dataclass

from infra.storage.store import Store
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

    def __str__(self) -> str:
        """In one line, for a list of runs."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"{self.recipe}-{self.role}{seed}"

    def tags(self) -> dict[str, str]:
        """As MLflow tags, to search and group runs by."""
        named = {"rpt.recipe": self.recipe, "rpt.role": self.role}
        seed = {} if self.seed is None else {"rpt.seed": str(self.seed)}
        return {name: value for name, value in {**named, **seed}.items() if value}


UNSPOKEN = Spoken()


def role(recipe: Recipe) -> str:
    """What a journey calls a thing: its kind, and for an evaluation also the kind of model it judges."""
    model = recipe.inputs().get("model")
    return _role(recipe.kind, model.kind if isinstance(model, Recipe | Artifact) else "")


def _role(kind: str, of: str) -> str:
    return f"{kind}-of-{of}" if of else kind


def spoken_of(manifest: Manifest, store: Store) -> Spoken:
    """How a finished artifact is spoken of: by a name that the store keeps for it."""
    model = manifest.parents.get("model")
    called = _role(manifest.kind, model.kind if model else "")
    given = manifest.recipe.get("seed")
    seed = given if isinstance(given, int) else None
    for name, versions in store.refs().items():
        if name.endswith(f"-{called}") and manifest.artifact in versions.values():
            return Spoken(name.removesuffix(f"-{called}"), called, seed)
    return Spoken("", called, seed)
