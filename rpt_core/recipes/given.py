"""A model that somebody else made, by name and content."""

from typing import Any

from pydantic import Field

from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref


class GivenModel(Frozen):
    """A Hugging Face folder or hub id, taken as it is."""

    name: str
    """Folder, or hub id such as ``org/model``."""
    hub_revision: str = "main"
    num_parameters: float = Field(0, ge=0)
    """Known size, for the plan; 0 when it is to be read from the folder."""
    digest: str = ""
    """Content digest of the folder (or hub commit), filled in by ``resolve``."""


class AsksModel(Recipe):
    """A recipe that asks one model."""

    model: GivenModel | Ref | Artifact
    """A finished artifact with a model in it, or a Hugging Face folder or hub id, of which only the content
    counts."""

    def canonical(self) -> dict[str, Any]:
        """As of any recipe, with a given model by its content alone."""
        plain = super().canonical()
        if isinstance(self.model, GivenModel):
            plain["model"] = self.model.digest
        return plain
