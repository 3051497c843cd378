"""From what a person asks of a model and some benchmarks to recipes that can be fingerprinted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.state import made_state_folder
from infra.machine import numerics_of
from infra.network.download import download
from infra.storage.store import Store
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError, SourceError
from rpt_core.evaluation.benchmarks.packs.item import items_digest
from rpt_core.evaluation.benchmarks.packs.pack import DefaultSampling, Form, Found, Mode, Pack
from rpt_core.evaluation.benchmarks.packs.reading import find_folder, prompt_digest, read_folder
from rpt_core.evaluation.benchmarks.packs.registry import PACKS, pack_called
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions, BenchmarkRecipe
from rpt_core.recipes.given import GivenModel
from tasks.inputs.models import TRAINED_TO_THINK
from tasks.inputs.resolve import input_files, resolve_sources
from tasks.planning import capacity

if TYPE_CHECKING:
    from rpt_core.policy.codec import Codec

ALL = "all"
"""In place of names: every benchmark that the folder has."""
DRAWN: tuple[Mode, ...] = ("reasoning", "few-shot")


@dataclass(frozen=True, slots=True)
class Held:
    """A benchmark whose items are at hand."""

    pack: Pack
    folder: Path
    found: Found


def packs_called(names: Sequence[str], data: str) -> list[Pack]:
    """The packs of some names, each once; of a folder, those that have a folder in it. No item is read.

    Raises:
        RecipeError: a benchmark is unknown, or the folder has none for it.
        SourceError: the folder is not there.
    """
    if list(names) == [ALL]:
        if not data:
            raise RecipeError("--on all asks what a folder has: name it with --data FOLDER.")
        packs = [pack for pack in PACKS.values() if find_folder(pack, Path(data))]
        if not packs:
            raise RecipeError(f"--data {data}: no folder in it is named as a benchmark: {', '.join(PACKS)}.")
        return packs
    if not names:
        raise RecipeError(f"--on names no benchmark; there are {', '.join(PACKS)}.")
    packs = list({pack.name: pack for pack in map(pack_called, names)}.values())
    if data and (missing := [pack.name for pack in packs if find_folder(pack, Path(data)) is None]):
        raise RecipeError(
            f"--data {data} holds no folder for {', '.join(missing)}, so there is nothing to ask. Put its "
            f"files into {Path(data) / missing[0]}, or leave --data out to fetch them from the hub."
        )
    return packs


def benchmarks_at_hand(names: Sequence[str], data: str) -> list[Held]:
    """The named benchmarks with their items: from their folders below ``data``, or from the hub without one.

    Raises:
        RecipeError: as :func:`packs_called`, or a named benchmark has no item.
        SourceError: the folder is not there, or the hub does not give a file.
    """
    held = [_held(pack, data) for pack in packs_called(names, data)]
    if list(names) == [ALL]:
        return [one for one in held if one.found.items]
    for one in held:
        if not one.found.items:
            raise RecipeError(
                f"{one.folder} holds no item of {one.pack.name} ({one.found.rows_in} rows, "
                f"{_told(one.found)}). Put the published files there: {', '.join(one.pack.published.files)}."
            )
    return held


def _told(found: Found) -> str:
    return ", ".join(f"{num} {reason}" for reason, num in found.refused.items()) or "none refused"


def _held(pack: Pack, data: str) -> Held:
    folder = find_folder(pack, Path(data)) if data else fetched(pack)
    assert folder is not None, "looked for before"
    states = ((path, path.stat()) for path in sorted(folder.rglob("*")))
    stamp = tuple((str(path), state.st_mtime_ns, state.st_size) for path, state in states)
    return Held(pack, folder.absolute(), _read(pack.name, folder, stamp))


@lru_cache(maxsize=2 * len(PACKS))
def _read(name: str, folder: Path, _stamp: tuple[tuple[str, int, int], ...]) -> Found:
    """Read once a process while its files do not change: a command checks them before its flow asks them."""
    return read_folder(PACKS[name], folder)


def fetched(pack: Pack) -> Path:
    """The benchmark's published files, downloaded once.

    Raises:
        SourceError: the hub does not give one; where access is granted on request, put them into a folder.
    """
    from huggingface_hub import hf_hub_url

    folder = made_state_folder() / "downloads" / "benchmarks" / pack.name
    for file in pack.published.files:
        place = folder / file
        address = hf_hub_url(pack.published.hub, file, repo_type="dataset")
        try:
            download(address, place.parent, name=place.name)
        except SourceError as error:
            raise SourceError(
                f"{pack.name} could not be fetched from the hub's data set {pack.published.hub}: {error} Or "
                f"put its files into a folder {pack.name} below one you name with --data.",
                retryable=error.retryable,
            ) from None
    return folder


def benchmark_recipe(
    model: GivenModel | Artifact, held: Held, options: BenchmarkOptions, placement: Placement, store: Store
) -> BenchmarkRecipe:
    """The resolved recipe of one benchmark, with the earlier evaluations it can take samples from.

    Raises:
        RecipeError: the benchmark cannot be asked in this mode.
        SourceError: the model is not there.
    """
    pack, found = held.pack, held.found
    form = form_of(model, options, store)
    mode, usual, shots = settings_of(held, options, form)
    recipe = BenchmarkRecipe.parse({
        **_sampling(mode, usual, options),
        "model": model,
        "benchmark": pack.name,
        "mode": mode,
        "shots": shots,
        "form": form if mode == "reasoning" else "plain",
        "limit": options.limit,
        "seed": options.seed,
        "items": items_digest(found.items),
        "prompt": prompt_digest(pack, found, mode, shots),
        "data": str(held.folder),
        "files": input_files(held.folder),
    })  # fmt: skip
    numerics = numerics_of(placement, capacity.num_parameters(recipe) or None, many_ranks=False)
    recipe = recipe.model_copy(update={"engine": numerics.engine, "dtype": numerics.dtype})
    resolved = resolve_sources(recipe)
    assert isinstance(resolved, BenchmarkRecipe)
    if mode not in DRAWN:
        return resolved
    same = [one.artifact for one in _earlier(resolved, store) if one.numerics == numerics]
    return resolved.model_copy(update={"earlier": tuple(same)})


def form_of(model: GivenModel | Artifact, options: BenchmarkOptions, store: Store) -> Form:
    """The form of a model's prompts: the one that is asked for, or what fits the model.

    Raises:
        RecipeError: the model's tokenizer cannot be read, or a chat form is asked for that it does not have.
    """
    if options.prompt == "auto" and isinstance(model, Artifact) and model.kind in TRAINED_TO_THINK:
        return "think"
    if options.prompt in ("think", "plain"):
        return options.prompt
    from rpt_core.evaluation.benchmarks.suite.prompts import usual_form

    codec = _codec(model, store)
    if options.prompt == "chat" and codec.chat_template is None:
        raise RecipeError(
            "--prompt chat asks in the model's chat template, and its tokenizer has none. Take --prompt "
            "plain, or put chat_template into its tokenizer_config.json."
        )
    return usual_form(codec) if options.prompt == "auto" else options.prompt


def _codec(model: GivenModel | Artifact, store: Store) -> "Codec":
    """A model's tokenizer; of a hub id its files alone are fetched."""
    from rpt_core.policy.codec import Codec
    from rpt_core.policy.load import inside, model_folder
    from rpt_core.policy.tokens.vocabulary import TOKENIZER_FILES

    if isinstance(model, Artifact):
        return Codec.load(inside(store.materialise(model)))
    files = (*TOKENIZER_FILES, "config.json")
    return Codec.load(model_folder(model.name, model.hub_revision, files=files))


def settings_of(held: Held, options: BenchmarkOptions, form: Form) -> tuple[Mode, DefaultSampling, int]:
    """Mode, its usual sampling, and the number of solved examples.

    Raises:
        RecipeError: the benchmark has no such mode, or too few examples; or what is given with solved
            examples is to have another form than plain.
    """
    pack = held.pack
    mode = _usual_mode(held, form) if options.mode == "auto" else options.mode
    if mode not in pack.modes:
        raise RecipeError(
            f"{pack.name} is not asked in the mode {mode}; it has {', '.join(pack.modes)}. Name the "
            "benchmarks of another mode in a command of their own."
        )
    if options.mode in ("few-shot", "likelihood") and options.prompt in ("think", "chat"):
        raise RecipeError(
            f"--mode {options.mode} is asked in plain text, and --prompt {options.prompt} is another form. "
            "Leave one of the two out."
        )
    return mode, pack.modes[mode], _shots(held, mode, options)


def _usual_mode(held: Held, form: Form) -> Mode:
    """A benchmark's first mode; solved examples where a base model is asked and they are at hand."""
    pack, found = held.pack, held.found
    if form == "plain" and "few-shot" in pack.modes:
        given = pack.shots_for(found.items[0], found.shots, pack.num_shots)
        if len(given) == pack.num_shots:
            return "few-shot"
    return next(iter(pack.modes))


def _shots(held: Held, mode: Mode, options: BenchmarkOptions) -> int:
    if mode not in ("few-shot", "likelihood"):
        return 0
    wanted = held.pack.num_shots if options.shots == "auto" else options.shots
    given = len(held.pack.shots_for(held.found.items[0], held.found.shots, wanted))
    if given < wanted and (mode == "few-shot" or options.shots != "auto"):
        raise RecipeError(
            f"{held.pack.name} has {given} solved examples in {held.folder}, and {wanted} are asked for. Put "
            f"the split that holds them there ({', '.join(held.pack.published.files)}), or give "
            f"--shots {given}."
        )
    return given


def _sampling(mode: Mode, usual: DefaultSampling, options: BenchmarkOptions) -> dict[str, Any]:
    names = ("samples", "temperature", "top_p", "max_new_tokens")
    if mode not in DRAWN:
        return {name: getattr(usual, name) for name in names}
    asked = {name: getattr(options, name) for name in names}
    return {name: getattr(usual, name) if one == "auto" else one for name, one in asked.items()}


def _earlier(recipe: BenchmarkRecipe, store: Store) -> Iterator[Manifest]:
    """Finished evaluations that differ in the number of samples or items alone."""
    own, drawing = recipe.fingerprint(), recipe.drawing()
    for manifest in store.manifests():
        if manifest.kind != recipe.kind or manifest.fingerprint == own:
            continue
        try:
            other = BenchmarkRecipe.parse(manifest.recipe)
        except RecipeError:
            continue  # written by another version: none of its samples are this one's
        if other.drawing() == drawing:
            yield manifest
