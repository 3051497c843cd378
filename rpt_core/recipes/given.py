"""A model that somebody else made, by name and content."""

from pydantic import Field

from rpt_core.artifacts.recipe import Frozen


class GivenModel(Frozen):
    """A Hugging Face folder or hub id, taken as it is."""

    name: str
    """Folder, or hub id such as ``org/model``."""
    hub_revision: str = "main"
    num_parameters: float = Field(0, ge=0)
    """Known size, for the plan; 0 when it is to be read from the folder."""
    digest: str = ""
    """Content digest of the folder (or hub commit), filled in by ``resolve``."""
