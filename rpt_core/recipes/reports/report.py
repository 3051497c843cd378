"""Recipes of the pages: one journey, the same journey under several seeds, and studies of several models."""

from collections import Counter
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref, later
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.scaling import ScalingRecipe

START = "start model"
ALWAYS_THINKS = "start that always thinks"
"""Name of the baseline that the last claim of table 1 is about."""

SAMPLE_WORLD = "the sample world"
"""What pages call the built-in text."""
PAGES = {
    "report": "rpt_core.report.journey:study",
    "report-seeds": "rpt_core.report.seeds:study",
    "report-rlpt": "rpt_core.report.rlpt:study",
    "report-rlvr": "rpt_core.report.rlvr:study",
    "leaderboard": "rpt_core.report.leaderboard:study",
}
"""By stage, the ``module:function`` that says what the page holds; pages of outcomes have their own table."""
STUDIES = {
    "mid-training": "rpt_core.report.rmt:study",
    "table-1": "rpt_core.report.rpt:table_one",
    "rewards": "rpt_core.report.rpt:rewards",
    "positions": "rpt_core.report.rpt:positions",
}
"""The same of comparisons of next-token trainings, by study."""


def short_name(place: str) -> str:
    """What a page calls somebody's data or model: the last part of its path or address, without a query.

    Example:
        >>> short_name("my/notes/"), short_name("https://host/a.bz2?k=1"), short_name("x.xml#yymm=1..2")
        ('notes', 'a.bz2', 'x.xml')
    """
    path = urlsplit(place).path if "://" in place else place.partition("#")[0]
    return PurePosixPath(path.replace("\\", "/")).name or place


def _known_study(name: str) -> str:
    if name not in STUDIES:
        raise ValueError(f"there are the studies {', '.join(STUDIES)}")
    return name


StudyName = Annotated[
    str, AfterValidator(_known_study), Field(json_schema_extra=lambda s: s.update(enum=list(STUDIES)))
]
Evaluation = TypeVar("Evaluation", bound=Recipe)
Training = TypeVar("Training", bound=Recipe)


class PageRecipe(Recipe):
    """A page about evaluations; every number links to its artifact."""

    reads_lineage: ClassVar[bool] = True

    title: str
    seed: int = 0
    """Of bootstrap resamples, and of what is shown by chance."""

    @property
    def page(self) -> str:
        """``module:function`` of rpt_core that says what the page holds."""
        return PAGES[self.stage]


class ReportRecipe(PageRecipe):
    """One page that says what was done and found in one journey."""

    kind: ClassVar[str] = "report"

    stage: Literal["report"] = "report"
    revision: int = 4
    title: str = "Reinforcement learning on plain text"
    method: str = later("RPT")
    """What the page calls the training between the two."""
    before: EvaluationRecipe | Ref | Artifact
    """The cold start."""
    after: EvaluationRecipe | Ref | Artifact
    """The trained policy, with its checkpoints."""
    finetuned: EvaluationRecipe | Ref | Artifact
    """After verifiable rewards."""
    scaling: ScalingRecipe | Ref | Artifact
    least_gain: float = Field(0.15, ge=0)
    """The gain in accuracy that the second claim asks for."""
    rollouts: int = Field(8, ge=0)
    """Questions shown with both models' answers, drawn by chance."""


class SeedsRecipe(PageRecipe):
    """The same journey under several seeds, compared: is the gain there every time?"""

    kind: ClassVar[str] = "seeds-report"

    stage: Literal["report-seeds"] = "report-seeds"
    revision: int = 4
    title: str = "The same journey, several seeds"
    method: str = later("RPT")
    """What the page calls the training between the two."""
    before: tuple[EvaluationRecipe | Ref | Artifact, ...]
    """The cold starts, one per seed."""
    after: tuple[EvaluationRecipe | Ref | Artifact, ...]
    """The trained policies, in the same order."""
    seeds: tuple[int, ...]
    """Their names in the page."""
    least_gain: float = Field(0.15, ge=0)
    """The mean gain in accuracy that the claim asks for."""

    @model_validator(mode="after")
    def _paired(self) -> "SeedsRecipe":
        if not len(self.before) == len(self.after) == len(self.seeds) or not self.seeds:
            raise ValueError(
                f"{len(self.seeds)} seeds, {len(self.before)} evaluations before and "
                f"{len(self.after)} after: give one of each per seed"
            )
        return self


class StudyModel(Frozen, Generic[Evaluation, Training]):
    """One model of a study under every seed."""

    name: str = Field(min_length=1)
    evaluations: tuple[Evaluation | Ref | Artifact, ...]
    """By seed."""
    trainings: tuple[Training | Ref | Artifact, ...] = ()
    """What it was trained by, by seed: for tokens and compute. None for a model that is no arm."""


class StudyRecipe(PageRecipe):
    """Several models, each under every seed, that answered the same questions."""

    least_arms: ClassVar[int] = 1

    seeds: tuple[int, ...] = Field((0,), min_length=1)
    models: tuple[StudyModel[Any, Any], ...]
    """The start model first, then its arms (those with trainings) in order, and further models."""

    @property
    def arms(self) -> tuple[StudyModel[Any, Any], ...]:
        """The models that a training of this study made."""
        return tuple(model for model in self.models if model.trainings)

    def model(self, name: str) -> StudyModel[Any, Any]:
        """The model of a name."""
        return next(model for model in self.models if model.name == name)

    @model_validator(mode="after")
    def _complete(self) -> "StudyRecipe":
        wanted = len(self.seeds)
        for model in self.models:
            given = len(model.evaluations), len(model.trainings)
            if given not in ((wanted, wanted), (wanted, 0)):
                raise ValueError(
                    f"the model {model.name} has {given[0]} evaluations and {given[1]} trainings: give one "
                    f"evaluation per seed, of which there are {wanted}, and as many trainings or none"
                )
        twice = [name for name, num in Counter(model.name for model in self.models).items() if num > 1]
        if twice or len(self.arms) < self.least_arms or self.models[0].trainings:
            raise ValueError(
                f"the models are {[model.name for model in self.models]}, {len(self.arms)} of them with "
                f"trainings: give a start model first, then {self.least_arms} or more with trainings, each "
                "under a name of its own"
            )
        return self


TextModel = StudyModel[EvaluationRecipe, PolicyRecipe]


class ArmsRecipe(StudyRecipe):
    """Several trainings from one start model, at equal training tokens: which part of a method does what?

    The first arm is the reference, the second the method, the others what is left of it without a part.
    """

    kind: ClassVar[str] = "arms-report"
    least_arms: ClassVar[int] = 2

    stage: Literal["report-arms"] = "report-arms"
    revision: int = 4
    title: str = "One start model, several trainings"
    models: tuple[TextModel, ...]
    study: StudyName = "mid-training"
    """What is claimed. ``mid-training``: RMT's goals. ``table-1``: the baselines of RPT's table 1; the arms
    are continual next-token training, RPT, and RPT from a start that always thinks. ``rewards``,
    ``positions``: every arm beside the first."""
    corpora: tuple[PrepareRecipe | Ref | Artifact, ...] = ()
    """By seed, the corpus; of the sample world's, the page says how much of its headroom is closed."""
    tolerated_loss: float = Field(0.05, ge=0)
    """How much less accurate than the reference the method may be and still be called as accurate."""
    short_share: float = Field(0.5, gt=0, le=1)
    """The method's goal: thoughts of at most this share of the reference's length."""

    @property
    def page(self) -> str:
        """See :class:`PageRecipe`."""
        return STUDIES[self.study]

    @model_validator(mode="after")
    def _corpora_by_seed(self) -> "ArmsRecipe":
        if len(self.corpora) not in (0, len(self.seeds)):
            raise ValueError(
                f"{len(self.corpora)} corpora for {len(self.seeds)} seeds: give one per seed or none"
            )
        return self
