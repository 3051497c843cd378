"""What a page is about: which text and which model ran, and what it took; read from the manifests."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rpt_core.artifacts.manifest import Manifest
from rpt_core.pages.words import count_of, duration, flops_of, short_number
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.outcomes import KeptOutcomesRecipe
from rpt_core.recipes.reports.report import SAMPLE_WORLD, short_name
from rpt_core.recipes.supervised import BaseRecipe
from rpt_core.report.sources import SourceArtifact

TAKEN = KeptOutcomesRecipe.model_fields["stage"].default
"""The stage that reads outcomes from a file."""
MOST_NAMED = 4
"""Texts or models that are named one by one; more are counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line under a page's title."""

    name: str
    text: str


def what_ran(sources: Sequence[SourceArtifact]) -> list[Line]:
    """Text, model and operations of everything a page stands on; equal for equal artifacts.

    Args:
        sources: Everything, as :func:`rpt_core.report.sources.lineage` gives it; empty lines are left out.
    """
    made = [source.manifest for source in sources if source.manifest]
    texts = [_text(one) for one in made if one.kind == IngestRecipe.kind]
    models = [_model(one) for one in made if one.kind == BaseRecipe.kind and not _only_a_proxy(one, made)]
    flops, tokens = (sum(getattr(one.outcome, name) for one in made) for name in ("flops", "tokens"))
    cost = f"{flops_of(flops)} operations, {count_of(tokens)} tokens" if flops else ""
    lines = Line("Text", _listed(texts, "texts")), Line("Model", _listed(models, "models"))
    return [line for line in (*lines, Line("Compute", cost)) if line.text]


def what_it_took(sources: Sequence[SourceArtifact]) -> list[Line]:
    """Hours of all stages, attempts that failed included; they differ from run to run."""
    attempts = [attempt for one in sources if one.manifest for attempt in one.manifest.attempts]
    if not attempts:
        return []
    seconds = sum(attempt.seconds for attempt in attempts)
    hosts = sorted({str(one.host["name"]) for one in attempts if "name" in one.host})
    numerics = [one.manifest.numerics for one in sources if one.manifest]
    devices = sorted({one.device for one in numerics if one})
    where = f", on {len(hosts)} machine{'s' if len(hosts) > 1 else ''}" if hosts else ""
    device = f" ({_listed(devices, 'kinds of device')})" if devices else ""
    tries = f"{len(attempts)} attempts" if len(attempts) > 1 else "one attempt"
    taken = sum(one.manifest.recipe.get("stage") == TAKEN for one in sources if one.manifest)
    less = f"; the trainings behind {count_of(taken)} taken outcomes are not among them" if taken else ""
    return [Line("Time", f"{duration(seconds)} of all stages together, {tries}{where}{device}{less}")]


def _text(manifest: Manifest) -> str:
    recipe = manifest.recipe
    if sample := recipe.get("sample"):
        return f"{SAMPLE_WORLD}, seed {sample.get('seed', 0)}"
    files = recipe.get("files") or ()
    num_bytes = sum(int(one.get("num_bytes", 0)) for one in files)
    held = f" ({len(files)} file{'s' * (len(files) != 1)}, {short_number(num_bytes)}B)" if files else ""
    return f"{short_name(str(recipe.get('data', '')))}{held}"


def _model(manifest: Manifest) -> str:
    model: dict[str, Any] = manifest.recipe.get("model") or {}
    parameters = manifest.outcome.summary.get("parameters")
    size = f"{short_number(float(parameters))} parameters" if isinstance(parameters, int | float) else ""
    if name := model.get("name"):
        return ", ".join(filter(None, (short_name(str(name)), size)))
    return ", ".join(filter(None, ("trained here from scratch", size)))


def _only_a_proxy(base: Manifest, made: Iterable[Manifest]) -> bool:
    """Whether a model was only asked how hard positions are."""
    uses = [
        name for one in made for name, parent in one.parents.items() if parent.fingerprint == base.fingerprint
    ]
    return bool(uses) and set(uses) == {"proxy"}


def _listed(names: Sequence[str], noun: str) -> str:
    """Names, each once; their number where they are many."""
    found = list(_merged(list(dict.fromkeys(names))))
    return "; ".join(found) if len(found) <= MOST_NAMED else f"{len(found)} {noun}"


def _merged(names: Sequence[str]) -> Iterator[str]:
    """Sample worlds that differ in their seed alone, as one."""
    start = f"{SAMPLE_WORLD}, seed "
    seeds = [name.removeprefix(start) for name in names if name.startswith(start)]
    if seeds:
        yield f"{SAMPLE_WORLD}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
    yield from (name for name in names if not name.startswith(start))
