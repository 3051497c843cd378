"""From what a person wrote to what can be fingerprinted: data and models by content, refs by address."""

import hashlib
import sys
import time
from functools import cache
from pathlib import Path

from infra.local.state import made_state_folder
from infra.network.download import download, is_remote, parse_address
from infra.network.polite import PoliteServer
from rpt_core.addresses import without_password
from rpt_core.artifacts.digest import file_sha256
from rpt_core.artifacts.recipe import Recipe, canonical_json
from rpt_core.errors import SourceError
from rpt_core.recipes.corpus import IngestRecipe, InputFile, QualityRecipe
from rpt_core.recipes.given import AsksModel, GivenModel
from rpt_core.recipes.supervised import BaseRecipe, SftRecipe
from tasks.inputs.models import is_hub_id

_COMMIT_DIGITS = 40
_LISTS = (".urls", _PAPERS := ".arxiv")
"""Files that name data by address, or e-prints by number, one a line."""
_TELL_SECONDS = 5.0


def resolve_sources(recipe: Recipe) -> Recipe:
    """Fill in the content of what lies outside the store: the data of an ingest, the model of a base.

    Data named by address is downloaded first: only its content says what it is.

    Raises:
        SourceError: it is not there, or the system cannot read it.
    """
    try:
        return _resolved(recipe)
    except OSError as error:
        named = str(error.filename or getattr(recipe, "data", "") or recipe.kind)[:200]
        raise SourceError(f"{named!r} cannot be read: {error.strerror or error}. Name another.") from None


def _resolved(recipe: Recipe) -> Recipe:
    if isinstance(recipe, IngestRecipe | SftRecipe) and recipe.data and not recipe.files:
        data = fetched(recipe.data)
        return recipe.model_copy(update={"data": str(data), "files": input_files(data)})
    if isinstance(recipe, BaseRecipe | QualityRecipe | AsksModel) and isinstance(recipe.model, GivenModel):
        digest = recipe.model.digest or model_digest(recipe.model)
        return recipe.model_copy(update={"model": recipe.model.model_copy(update={"digest": digest})})
    return recipe


def fetched(data: str) -> Path:
    """Where data lies on this machine: a path as it is, an address or a list after its download.

    Lists are ``.urls`` (addresses), ``.arxiv`` (numbers of e-prints), and a bulk manifest of arXiv with the
    months wanted (``arXiv_src_manifest.xml#yymm=2301..2303``).

    Raises:
        SourceError: an address gives nothing, or two of a list name files alike.
    """
    if is_remote(data):
        return download(data, _download_folder(parse_address(data)[0]), progress=_Teller(data))
    from tasks.inputs import arxiv

    bare, _, months = data.partition("#yymm=")
    if months and Path(bare).is_file():
        first, _, last = months.partition("..")
        return _listed(data, arxiv.bulk_addresses(Path(bare).read_bytes(), first, last or first))
    path = Path(data)
    if path.suffix not in _LISTS or not path.is_file():
        return path
    lines = (line.strip() for line in path.read_text().splitlines())
    found = [line for line in lines if line and not line.startswith("#")]
    if path.suffix == _PAPERS and found:
        folder = _download_folder("\n".join(sorted(found)))
        return arxiv.fetch_papers(PoliteServer(arxiv.API), found, folder)
    return _listed(data, found)


def _listed(data: str, addresses: list[str]) -> Path:
    """All files of a list of addresses, in one folder."""
    names = [parse_address(address)[1] for address in addresses]
    for address, name in zip(addresses, names, strict=True):
        if not is_remote(address) or names.count(name) > 1:
            raise SourceError(
                f"{data} lists {address!r}, but every line must be an address (https://.., s3://..) "
                "and every file name in it another."
            )
    if not addresses:
        raise SourceError(f"{data} lists no address; write one a line.")
    folder = _download_folder("\n".join(sorted(parse_address(address)[0] for address in addresses)))
    for address in addresses:
        download(address, folder, progress=_Teller(address))
    return folder


def _download_folder(what: str) -> Path:
    return made_state_folder() / "downloads" / hashlib.sha256(what.encode()).hexdigest()[:16]


class _Teller:
    """Says now and then, on the terminal, how far a download is."""

    def __init__(self, address: str) -> None:
        self._address, self._told = without_password(address), time.monotonic()

    def __call__(self, have: int, total: int) -> None:
        if time.monotonic() - self._told < _TELL_SECONDS:
            return
        self._told = time.monotonic()
        of = f" of {total / 1e6:,.1f}" if total else ""
        sys.stderr.write(f"{self._address}: {have / 1e6:,.1f}{of} MB\n")


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
    """Hashed once a process while it does not change: an ingest stands in a journey many times."""
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
    if not is_hub_id(model.name):
        raise SourceError(
            f"the model {model.name!r} is neither a folder here nor a hub id such as org/model. "
            "Give the folder that holds config.json and model.safetensors."
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
