"""A journey or study as MLflow shows it: one run, with all that was made for it below.

It is known by its *design*: the recipe as if the content of every input were the input's own design. So the
same journey has the same run while it is being made, when it is made again with parts from earlier ones, and
when it is shown from nothing but the store.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

from infra.metrics.tracking import Told, journeys_of, track_all
from infra.metrics.views import RECIPE_TAG, Journey
from infra.storage.store import Store
from rpt_core.artifacts.design import designed
from rpt_core.artifacts.lineage import foundations
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.errors import IntegrityError, RecipeError
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe
from rpt_core.recipes.reports.report import ReportRecipe, SeedsRecipe, StudyRecipe
from rpt_core.recipes.stages import STAGES
from tasks.shown.intervals import has_intervals, intervals_of
from tasks.shown.learning_curve import draw_learning_curve
from tasks.shown.spoken import Spoken, role, spoken_of

Input = Recipe | Artifact | Ref
_ELSEWHERE = "data"
"""Group of a stage that this version does not know."""


@dataclass
class Designs:
    """What recipes and artifacts are by design, and what each is made of."""

    store: Store
    _known: dict[str, str] = field(default_factory=dict)
    _parts: dict[str, frozenset[str]] = field(default_factory=dict)

    def of(self, value: Input) -> str:
        """The design of a recipe or of a finished artifact, hex; equal for a recipe and what it made."""
        value = self.store.find(value.ref).artifact if isinstance(value, Ref) else value
        key = value.fingerprint if isinstance(value, Artifact) else value.model_dump_json()
        if key not in self._known:
            self._known[key], parts = self._designed(value)
            self._parts[self._known[key]] = parts | {self._known[key]}
        return self._known[key]

    def parts(self, value: Input) -> frozenset[str]:
        """The designs of a thing and of everything it stands on."""
        return self._parts[self.of(value)]

    def recipe(self, artifact: Artifact) -> Recipe | None:
        """The recipe an artifact was made by; None where it cannot be read."""
        try:
            recipe = self.store.load(artifact).recipe
            stage = STAGES.get(str(recipe.get("stage")))
            return None if stage is None else stage.recipe.parse(recipe)
        except (RecipeError, IntegrityError):  # of an earlier version, or not in this store
            return None

    def _designed(self, value: Recipe | Artifact) -> tuple[str, frozenset[str]]:
        recipe = self.recipe(value) if isinstance(value, Artifact) else value
        if recipe is None:
            assert isinstance(value, Artifact), "a recipe is its own"
            return value.digest, frozenset()
        inputs = recipe.inputs()
        below = {place: self.of(value) for place, value in inputs.items()}
        parts = frozenset[str]().union(*(self._parts[design] for design in below.values()))
        return designed(recipe, below), parts


@dataclass(frozen=True)
class ShownJourney:
    """A journey with what its parts are called."""

    journey: Journey
    designs: Designs
    root: str
    """Design of what it is made for."""
    arms: Mapping[str, str]
    """Of designs that belong to one model of a study, the model's name."""
    seed: int | None = None
    """That all its trainings share; fits and pages have another of their own, for resampling."""

    def spoken(self, part: Input, spoken: Spoken) -> Spoken:
        """How a part of the journey is spoken of."""
        design = self.designs.of(part)
        arm = self.arms.get(design, "")
        seed = spoken.seed if self.seed is None else self.seed
        return replace(spoken, seed=seed, arm=arm, journey=self.journey, is_root=design == self.root)

    def show(self, root: Artifact, *, strict: bool = False) -> int:
        """Show what MLflow lacks of the finished journey; how many artifacts that were.

        Raises:
            ServiceError: ``strict``, and the MLflow server does not take it.
            SourceError: ``strict``, and the local database cannot be read.
        """
        store, name = self.designs.store, self.journey.tags.get(RECIPE_TAG, "")
        refs = cache(store.refs)

        def told(manifest: Manifest) -> Told:
            called = spoken_of(manifest, refs())
            part = self.spoken(manifest.artifact, replace(called, recipe=called.recipe or name))
            return told_of(manifest, part)

        def manifests() -> Iterator[Manifest]:
            return foundations(store.load(root), store.load)

        return track_all(store, self.journey, manifests, told, strict=strict)


def shown_journey(target: Recipe | Artifact, name: str, store: Store) -> ShownJourney:
    """The journey that makes a recipe, or made an artifact.

    Args:
        target: What it is made for; its recipe's data and models are known by content.
        name: Of the recipe.
        store: Where finished parts are looked up.
    """
    designs = Designs(store)
    recipe = designs.recipe(target) if isinstance(target, Artifact) else target
    root = designs.of(target)
    seed = _seed(recipe, designs)
    title, tags = _title(recipe, name, seed)
    return ShownJourney(
        Journey(root, title, {RECIPE_TAG: name, **tags} if name else tags), designs, root,
        _arms(recipe, designs), seed,
    )  # fmt: skip


def show_again(manifest: Manifest, store: Store) -> list[str]:
    """Show an artifact and all it stands on in MLflow; an artifact that is shown is shown where it stands.

    Returns:
        Names of the journeys it is shown in.

    Raises:
        ServiceError: the MLflow server does not take it.
        SourceError: the local database cannot be read.
    """
    called = spoken_of(manifest, store.refs())
    own = shown_journey(manifest.artifact, called.recipe, store)
    found = journeys_of(manifest.fingerprint)
    if not found or own.journey.key in [known.key for known, _ in found]:
        own.show(manifest.artifact, strict=True)
        return [own.journey.name]
    for known, is_root in found:
        part = replace(own.spoken(manifest.artifact, called), journey=known, is_root=is_root)
        track_all(store, known, lambda: [manifest], partial(told_of, spoken=part), strict=True)
    return [known.name for known, _ in found]


def told_of(manifest: Manifest, spoken: Spoken, tags: Mapping[str, str] | None = None) -> Told:
    """What MLflow is told of a finished artifact."""
    stage = STAGES.get(str(manifest.recipe.get("stage")))
    group = stage.group if stage else _ELSEWHERE
    return Told(
        group,
        {**spoken.tags(), **(tags or {})},
        spoken.journey,
        spoken.is_root,
        draw_learning_curve if group == "train" else None,
        partial(intervals_of, stage=str(stage.name)) if stage and has_intervals(manifest) else None,
    )


def _seed(recipe: Recipe | None, designs: Designs) -> int | None:
    """The one seed of all trainings below; without any training the recipe's own."""
    found, left, seen = set[int](), list[Input]([recipe] if recipe else []), set[str]()
    while left:
        one = left.pop()
        below = designs.recipe(one) if isinstance(one, Artifact) else one
        if not isinstance(below, Recipe) or (key := below.model_dump_json()) in seen:
            continue
        seen.add(key)
        stage, seed = STAGES.get(str(getattr(below, "stage", ""))), getattr(below, "seed", None)
        if stage is not None and stage.group == "train" and isinstance(seed, int):
            found.add(seed)
        left += below.inputs().values()
    if not found:
        return getattr(recipe, "seed", None)
    return found.pop() if len(found) == 1 else None


def _title(recipe: Recipe | None, name: str, seed: int | None) -> tuple[str, dict[str, str]]:
    """What a journey is called, and the tags of its run."""
    if isinstance(recipe, SeedsRecipe | StudyRecipe | OutcomesReportRecipe):
        seeds = " ".join(map(str, recipe.seeds))
        what = str(getattr(recipe, "study", role(recipe).removesuffix("-report")))
        return f"{name} {what}, seeds {seeds}", {"rpt.seeds": seeds}
    if recipe is None:
        return name or "artifacts", {}
    what = name if isinstance(recipe, ReportRecipe) and name else f"{name}-{role(recipe)}".removeprefix("-")
    return what + ("" if seed is None else f" seed {seed}"), {}


def _arms(recipe: Recipe | None, designs: Designs) -> dict[str, str]:
    if isinstance(recipe, StudyRecipe):
        made = {model.name: (*model.evaluations, *model.trainings) for model in recipe.models}
    elif isinstance(recipe, OutcomesReportRecipe):
        made = {arm.name: arm.outcomes for arm in recipe.arms}
    else:
        return {}
    parts = {name: frozenset[str]().union(*map(designs.parts, own)) for name, own in made.items()}
    shared = {
        design
        for name, own in parts.items()
        for other, theirs in parts.items()
        if name != other
        for design in own & theirs
    }
    return {design: name for name, own in parts.items() for design in own - shared}
