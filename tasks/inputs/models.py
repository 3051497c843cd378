"""The model that a person names: a Hugging Face folder, an artifact of the store, or a hub id."""

from dataclasses import dataclass
from pathlib import Path

from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.stages import STAGES

CONFIG_FILE = "config.json"
"""Every Hugging Face folder has it."""
_INSIDE = "model"
"""Folder of the model inside an artifact."""
TRAINED_TO_THINK = frozenset({"cold-start", "policy", "rlpt", "rlvr", "checkpoint"})
"""Kinds of artifacts whose models learnt to answer inside a thought that the prompt opens."""
_KINDS = frozenset({"checkpoint", *(stage.recipe.kind for stage in STAGES.values())})


@dataclass(frozen=True, slots=True)
class FoundModel:
    """What a name stands for."""

    name: str
    """To be shown: the name as it was given, or kind and first digits of an artifact."""
    source: GivenModel | Artifact
    """How a recipe names it."""
    manifest: Manifest | None = None
    """Of an artifact."""


def find_model(name: str, store: Store) -> FoundModel:
    """A model by its Hugging Face folder, by an artifact's name, or by its hub id; looked for in this order.

    No weights are read or fetched: whether the hub has the model is seen when it is opened.

    Raises:
        RecipeError: nothing goes by this name, or it is an artifact that holds no model.
    """
    found = find_named(name, store)
    if found.manifest and not _holds_model(found.manifest):
        raise RecipeError(
            f"{name} is {found.name}, which holds no model. Name a base, cold-start, policy, rlvr or "
            "checkpoint; `rpt ls` lists them."
        )
    return found


def find_named(name: str, store: Store) -> FoundModel:
    """As :func:`find_model`, but an artifact may be of any kind.

    Raises:
        RecipeError: nothing goes by this name. What reads as a reference of the store, or as a path, is never
            taken for a hub id.
    """
    for folder in (name, str(Path(name) / _INSIDE)):
        if (Path(folder) / CONFIG_FILE).is_file():
            return FoundModel(name, GivenModel(name=folder))
    try:
        manifest = store.find(name)
    except RecipeError as unknown:
        if Path(name).exists() or _reads_as_path(name):
            raise RecipeError(
                f"{name!r} is no Hugging Face folder (it has no {CONFIG_FILE}), and {unknown}"
            ) from None
        if is_hub_id(name):
            return FoundModel(name, GivenModel(name=name))
        raise
    return FoundModel(manifest.artifact.short, manifest.artifact, manifest)


def is_hub_id(name: str) -> bool:
    """Whether a word reads as ``org/model``, and neither as a path nor as ``kind/ab12`` or ``name@3``.

    Example:
        >>> [is_hub_id(word) for word in ("Qwen/Qwen3-14B", "policy/1a2b", "org/model@3", "./model", "a/b/c")]
        [True, False, False, False, False]
    """
    owner, _, model = name.partition("/")
    plain = "/" not in model and "@" not in name and not _reads_as_path(name)
    return plain and bool(owner and model) and owner not in _KINDS


def local_folder(found: FoundModel, store: Store) -> Path:
    """The folder with the model's files; those of a hub id are fetched into the hub's own cache.

    Raises:
        RecipeError: the hub does not give them.
        IntegrityError: the artifact's files are damaged.
    """
    from rpt_core.policy.load import inside, model_folder

    if isinstance(found.source, GivenModel):
        return model_folder(found.source.name)
    return inside(store.materialise(found.source))


def _holds_model(manifest: Manifest) -> bool:
    return any(entry.path in {CONFIG_FILE, f"{_INSIDE}/{CONFIG_FILE}"} for entry in manifest.files)


def _reads_as_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or "\\" in name
