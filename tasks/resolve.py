"""From what a person wrote to what can be fingerprinted: data and models by content, refs by address."""

import hashlib
from functools import cache
from pathlib import Path

from infra.store import Store
from rpt_core.artifacts.digest import file_sha256
from rpt_core.artifacts.recipe import Artifact, Recipe, Ref, canonical_json
from rpt_core.corpus.recipe import IngestRecipe, InputFile
from rpt_core.errors import RecipeError, SourceError
from rpt_core.train.supervised_recipe import BaseRecipe, GivenModel

_COMMIT_DIGITS = 40


def resolve_sources(recipe: Recipe) -> Recipe:
    """Fill in the content of what lies outside the store: the data of an ingest, the model of a base.

    Raises:
        SourceError: it is not there.
    """
    if isinstance(recipe, IngestRecipe) and recipe.data and not recipe.files:
        return recipe.model_copy(update={"files": input_files(Path(recipe.data))})
    if isinstance(recipe, BaseRecipe) and isinstance(recipe.model, GivenModel) and not recipe.model.digest:
        digest = model_digest(recipe.model)
        return recipe.model_copy(update={"model": recipe.model.model_copy(update={"digest": digest})})
    return recipe


def input_files(data: Path) -> tuple[InputFile, ...]:
    """Every file of a data file or folder by content, sorted by name; hidden files are not input.

    Raises:
        SourceError: there is nothing.
    """
    if not data.exists():
        raise SourceError(
            f"the data {str(data)!r} does not exist (seen from {Path.cwd()}). Name a file or folder."
        )
    if data.is_file():
        return (_input_file(data, data.name),)
    paths = sorted(path for path in data.rglob("*") if path.is_file() and not _hidden(path, data))
    if not paths:
        raise SourceError(f"the data folder {str(data)!r} holds no file. Put text, dumps or e-prints in it.")
    return tuple(_input_file(path, path.relative_to(data).as_posix()) for path in paths)


def _input_file(path: Path, name: str) -> InputFile:
    state = path.stat()
    sha256 = _sha256(path, state.st_mtime_ns, state.st_size)
    return InputFile(name=name, sha256=sha256, num_bytes=state.st_size)


@cache
def _sha256(path: Path, _mtime_ns: int, _num_bytes: int) -> str:
    """Hashed once a process while it does not change: a plan is printed before the flow plans again."""
    return file_sha256(path)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def model_digest(model: GivenModel) -> str:
    """Content of a Hugging Face folder, or the commit a hub id stands for now.

    Raises:
        SourceError: neither a folder nor a hub id that can be asked for.
    """
    folder = Path(model.name)
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise SourceError(
                f"the model folder {model.name!r} has no config.json; name a Hugging Face folder."
            )
        rows = [[file.name, file.sha256] for file in input_files(folder)]
        return hashlib.sha256(canonical_json(rows)).hexdigest()
    if model.name.startswith((".", "/", "~")) or model.name.count("/") != 1:
        raise SourceError(
            f"the model {model.name!r} is neither a folder here nor a hub id such as org/model."
        )
    return _hub_commit(model)


def _hub_commit(model: GivenModel) -> str:
    from huggingface_hub import HfApi

    try:
        commit = HfApi().model_info(model.name, revision=model.hub_revision, timeout=10).sha
    except Exception as error:  # noqa: BLE001  (any failure of the client means the same to the reader)
        raise SourceError(
            f"the hub could not say what {model.name!r} at {model.hub_revision!r} is: {error}. "
            "Check the name and the network, or download it and give the folder.",
            retryable=not isinstance(error, ValueError),
        ) from None
    if commit is None or len(commit) != _COMMIT_DIGITS:
        raise SourceError(f"the hub gave {commit!r} as the commit of {model.name!r}, which is no commit.")
    return commit


def resolve_input(value: Ref | Artifact, store: Store, wanted: str) -> Artifact:
    """The finished artifact behind a ref.

    Raises:
        RecipeError: the ref names nothing, or a thing of another kind.
    """
    if isinstance(value, Artifact):
        return value
    found = store.find(value.ref).artifact
    if wanted and found.kind not in wanted.split("|"):
        raise RecipeError(f"{value.ref!r} is of kind {found.kind!r}; {wanted!r} is wanted here.")
    return found
