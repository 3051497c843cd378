"""Which checkpoints of a store were evaluated, and what each was trained on: the recipe of a leaderboard."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from infra.storage.store import Store
from rpt_core.artifacts.lineage import ancestors
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.reports.leaderboard import Entry, LeaderboardRecipe
from tasks.inputs.models import find_named
from tasks.inputs.resolve import model_digest

ITEMS_FILE = "items.parquet"
"""The table of outcomes, by which an evaluation of any kind is known."""
ASKED_FROM = ("corpus", "problem_corpus")
"""Inputs of an evaluation that hold its questions."""
NAME = "store"
"""What a leaderboard is spoken of by: ``store-leaderboard@1``."""


def is_evaluation(manifest: Manifest) -> bool:
    """Whether an artifact holds a table of outcomes."""
    return any(entry.path == ITEMS_FILE for entry in manifest.files)


def leaderboard_recipe(refs: Sequence[str], store: Store, title: str = "Leaderboard") -> LeaderboardRecipe:
    """The recipe over what some names stand for; without names, over every evaluation of the store.

    Args:
        refs: Evaluations; models, folders and hub ids too, for all of their evaluations; reports and studies,
            for those they stand on.
        store: Where they lie.
        title: Of the page.

    Raises:
        RecipeError: a name stands for nothing that was evaluated, or nothing in the store was.
    """
    everything = [one for one in store.manifests() if is_evaluation(one)]
    if refs:
        chosen = {one.digest: one for ref in refs for one in _named(ref, store, everything)}
    else:
        chosen = {one.digest: one for one in everything}
    if not chosen:
        raise RecipeError(
            f"no evaluation lies in {store.objects.url}, so there is nothing to rank. `rpt eval MODEL --on "
            "gsm8k` makes one, and so does every journey."
        )
    by_model: dict[str, list[Manifest]] = {}
    for manifest in sorted(chosen.values(), key=lambda one: one.fingerprint):
        by_model.setdefault(_model_key(manifest), []).append(manifest)
    names = _names(store)
    entries = [_entry(several, names, store) for several in by_model.values()]
    return LeaderboardRecipe(title=title, entries=tuple(sorted(_distinct(entries), key=lambda one: one.name)))


def _named(ref: str, store: Store, everything: Iterable[Manifest]) -> list[Manifest]:
    named = find_named(ref, store)
    if isinstance(named.source, GivenModel):
        found = _of_given(named.source, everything)
    elif named.manifest and is_evaluation(named.manifest):
        return [named.manifest]
    else:
        found = [one for one in everything if _model(one) == named.source]
    if named.manifest and not found:
        found = [one for _, _, one in ancestors(named.manifest, store.load) if is_evaluation(one)]
    if not found:
        raise RecipeError(
            f"{ref} is {named.name}, which was never evaluated and stands on no evaluation. "
            "Name an evaluation, a model that has one, or a study; `rpt ls` lists what is there."
        )
    return found


def _of_given(model: GivenModel, everything: Iterable[Manifest]) -> list[Manifest]:
    """Evaluations of a model from elsewhere: of the folder's content, or of a hub id whatever its commit."""
    stated = [(one, one.recipe.get("model")) for one in everything if _model(one) is None]
    field, wanted = ("digest", model_digest(model)) if Path(model.name).is_dir() else ("name", model.name)
    return [one for one, given in stated if isinstance(given, dict) and given.get(field) == wanted]


def _model(manifest: Manifest) -> Artifact | None:
    return manifest.parents.get("model")


def _model_key(manifest: Manifest) -> str:
    """Evaluations of one model share it: its digest, or what the recipe says of a model from elsewhere."""
    model, given = _model(manifest), manifest.recipe.get("model")
    if model is not None:
        return model.digest
    return str(given.get("digest") or given["name"]) if isinstance(given, dict) else manifest.fingerprint


def _entry(several: Sequence[Manifest], names: dict[str, str], store: Store) -> Entry:
    model = _model(several[0])
    trained = list(_corpora(model, store)) if model else []
    asked = [one.parents[name] for one in several for name in ASKED_FROM if name in one.parents]
    return Entry(
        name=_called(several[0], names),
        evaluations=tuple(one.artifact for one in several),
        trained_on=tuple(_once(trained)),
        asked_from=tuple(_once(asked)),
    )


def _corpora(model: Artifact, store: Store) -> Iterator[Artifact]:
    """The prepared corpora a model stands on."""
    for _, _, manifest in ancestors(store.load(model), store.load):
        if manifest.kind == PrepareRecipe.kind:
            yield manifest.artifact


def _once(artifacts: Iterable[Artifact]) -> list[Artifact]:
    return list({one.digest: one for one in artifacts}.values())


def _names(store: Store) -> dict[str, str]:
    """Digest -> the latest name an artifact is spoken of by."""
    found: dict[str, str] = {}
    for name, versions in sorted(store.refs().items()):
        for number, artifact in sorted(versions.items()):
            found[artifact.digest] = f"{name}@{number}"
    return found


def _called(manifest: Manifest, names: dict[str, str]) -> str:
    model = _model(manifest)
    if model is not None:
        return names.get(model.digest, model.short)
    given = manifest.recipe.get("model")
    if not isinstance(given, dict):
        return manifest.artifact.short
    return str(given["name"]).rstrip("/").rpartition("/")[2]


def _distinct(entries: Sequence[Entry]) -> list[Entry]:
    """Entries under names of their own: two folders may be called alike."""
    names = [entry.name for entry in entries]
    return [
        entry
        if names.count(entry.name) == 1
        else entry.model_copy(update={"name": f"{entry.name} {_digits(entry)}"})
        for entry in entries
    ]


def _digits(entry: Entry) -> str:
    first = entry.evaluations[0]
    return first.fingerprint[:6] if isinstance(first, Artifact) else ""
