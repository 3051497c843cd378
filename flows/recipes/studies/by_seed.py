"""Studies whose unit is the seed: arms from one start model a seed, tuned alike, compared by their outcomes.

A study is a :class:`SeedStudy`: its world, its arms with the settings each is tuned over, and the settings
that the tuning runs chose. What a page of it needs, and its tuning runs, follow from that alone.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flows.recipes.rmt import policy_of
from flows.recipes.trees import changed
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.outcomes import MeasureName, OutcomesRecipe, setting_words
from rpt_core.recipes.reinforce import PolicyRecipe, RlptRecipe, RlvrRecipe
from rpt_core.recipes.reports.outcomes_report import OutcomesReportRecipe, OutcomesStudyName, StudyArm
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.reports.rlpt_report import RlptReportRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe

UPDATES = 32
"""At which arms of reinforcement are also compared by updates: all of them come so far."""
SAMPLES, TUNING_SAMPLES, POSITIONS = 64, 8, 400
"""Answers to each question, and questions: pass@64 needs as many; an accuracy to choose by, 8."""
MEASURE: MeasureName = "second-world"
START = "start"
BASE = "base model"
"""What a seed's start was taught from, asked as the arms are: no arm, and on a page that names it."""
TUNING_SEEDS = (10, 11, 12)
"""Kept from every page."""
FIRST_RUNS = 5
"""Settings tried under the first tuning seed; the best of them goes on to the two others."""
Held = Literal["test", "tuning"]
"""What held-out documents ask: the test's questions, or those kept for tuning."""
Training = PolicyRecipe | RlptRecipe | ColdStartRecipe | RlvrRecipe
Arm = Callable[[Any], Training]
"""From a journey of the kind that the study is made for."""
Asked = EvaluationRecipe | JudgedEvaluationRecipe


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """One arm: how its training follows from the journey, and the settings it is tuned over."""

    make: Arm
    grid: tuple[Mapping[str, Any], ...] = ()
    """As many settings for each arm; none for one that takes another arm's."""
    tuned_as: str = ""
    """The arm whose settings it takes, so that it differs from that in one thing."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """Frozen setting of a training that another study tuned, and that this arm goes on from or is."""


def next_tokens(journey: ReportRecipe) -> EvaluationRecipe:
    """The journey's evaluation as the studies ask it: text as it is, and answers that may think."""
    after = journey.after
    assert isinstance(after, EvaluationRecipe)
    update = {
        "modes": ("plain", "reasoning"), "num_positions": POSITIONS, "temperature": 1.0, "text_nats": True,
    }  # fmt: skip
    return after.model_copy(update=update)


@dataclass(frozen=True, slots=True)
class SeedStudy:
    """One study."""

    name: OutcomesStudyName
    title: str
    lay: Callable[[Any, Held], Any]
    """A named journey in the study's world, from its start model."""
    arms: Mapping[str, ArmPlan]
    """Beside the start model."""
    tuned: Mapping[str, Mapping[str, Any]]
    """By arm, the setting that the tuning runs chose; frozen in a commit before the first reported seed."""
    asked_for: Mapping[str, Arm] = field(default_factory=dict)
    """Arms that are run when they are named."""
    begins_from: str = "tiny_rpt"
    """The recipe it is made for."""
    samples: int = SAMPLES
    """Answers to each question of a reported run."""
    asked: Callable[[Any], Asked] = next_tokens
    """Of a journey in the study's world, what every model is asked; model and number of answers aside."""
    measure: MeasureName = MEASURE
    """What judges the answers."""
    ends_in: type[Recipe] = ReportRecipe
    """The kind of journey it is made for."""

    @property
    def is_tuned(self) -> bool:
        """Whether any of its arms has settings to try."""
        return any(plan.grid for plan in self.arms.values())

    def check_begins(self, name: str, journey: Recipe) -> None:
        """Refuse a recipe of another kind than the study is made for.

        Raises:
            RecipeError: naming the recipe that it begins from.
        """
        if not isinstance(journey, self.ends_in):
            raise RecipeError(
                f"the recipe {name!r} ends in {journey.stage}, and the study {self.name} is about another "
                f"kind of journey. Start from {self.begins_from}."
            )

    def training_of(self, journey: Recipe, name: str, setting: Mapping[str, Any]) -> Training:
        """One arm's training under one setting.

        Raises:
            RecipeError: there is no such arm.
        """
        if name in self.asked_for:
            return self.asked_for[name](journey)
        if name not in self.arms:
            known = "; ".join((*self.arms, *self.asked_for, BASE))
            raise RecipeError(f"the study {self.name} has no arm {name!r}; there are {known}.")
        return changed(self.arms[name].make(journey), dict(setting))

    def setting_of(self, name: str) -> Mapping[str, Any]:
        """The frozen setting of an arm; as written where none was chosen yet."""
        plan = self.arms.get(name)
        return self.tuned.get(plan.tuned_as or name, {}) if plan else {}

    def frozen_of(self, name: str) -> dict[str, Any]:
        """All that no field of a reader changes about an arm, by dotted names."""
        before = self.arms[name].before if name in self.arms else {}
        return dotted(before) | dotted(self.setting_of(name))

    def check_frozen(self, fields: Iterable[str], names: tuple[str, ...] = ()) -> None:
        """Refuse a reader's field that an arm's frozen setting would put back.

        Args:
            fields: Dotted names, as ``-p`` says them.
            names: Some of the arms; empty for all.

        Raises:
            RecipeError: naming the field, the arm and its setting.
        """
        for given in fields:
            kind, _, path = given.partition(".") if "." in given else (PolicyRecipe.kind, "", given)
            for name in names or tuple(self.arms):
                frozen = self.frozen_of(name)
                if kind in TRAINED and any(_overlap(path, one) for one in frozen):
                    raise RecipeError(
                        f"-p {given}: the arm {name!r} of {self.name} keeps the setting that its tuning runs "
                        f"chose ({setting_words(frozen)}), so this would change nothing. Leave it out, or "
                        "choose arms without a setting of their own."
                    )

    def compared(
        self, journeys: Mapping[int, Recipe], arms: Mapping[str, tuple[int, ...]]
    ) -> OutcomesReportRecipe:
        """The start under every seed and each arm under its own, for one page.

        Args:
            journeys: By seed.
            arms: By name, the seeds that it is run under.

        Raises:
            RecipeError: there is no arm of a name.
        """
        runs = {seed: self.lay(journey, "test") for seed, journey in journeys.items()}
        found = [self._arm(START, (self.outcomes_of(one, seed, START, None) for seed, one in runs.items()))]
        for name, seeds in arms.items():
            setting = self.setting_of(name)
            trained = (
                (seed, runs[seed], None if name == BASE else self.training_of(runs[seed], name, setting))
                for seed in seeds
            )
            found.append(
                self._arm(name, (self.outcomes_of(one, seed, name, made) for seed, one, made in trained))
            )
        return OutcomesReportRecipe(title=self.title, study=self.name, seeds=tuple(runs), arms=tuple(found))

    def tuning(
        self, journeys: Mapping[int, Recipe], best: Mapping[str, int], names: tuple[str, ...] = ()
    ) -> OutcomesReportRecipe:
        """The tuning runs: five settings of every arm under the first seed, then the best under the others.

        Args:
            journeys: By tuning seed, the first one first.
            best: By arm, the number of the best of the first five in its grid; none while those are to be
                made.
            names: Some of the arms; empty for all that are tuned.

        Raises:
            RecipeError: there is no such arm, or it is not tuned.
        """
        taught = {seed: self.lay(journey, "tuning") for seed, journey in journeys.items()}
        first, *others = taught
        arms = names or tuple(name for name, plan in self.arms.items() if plan.grid)
        if wrong := [name for name in arms if name not in self.arms or not self.arms[name].grid]:
            known = "; ".join(name for name, plan in self.arms.items() if plan.grid)
            raise RecipeError(f"the study {self.name} tunes no arm {wrong[0]!r}; it tunes {known}.")

        def run(seed: int, name: str, setting: Mapping[str, Any]) -> OutcomesRecipe:
            training = self.training_of(taught[seed], name, setting)
            return self.outcomes_of(taught[seed], seed, name, training, setting)

        found = []
        for name in arms:
            grid = self.arms[name].grid
            listed = [(first, one) for one in grid[:FIRST_RUNS]]
            listed += [(seed, grid[best[name]]) for seed in others if name in best]
            found.append(self._arm(name, (run(seed, name, setting) for seed, setting in listed)))
        start = self._arm(START, (self.outcomes_of(one, seed, START, None) for seed, one in taught.items()))
        return OutcomesReportRecipe(
            title=f"{self.title}: tuning", study=self.name, seeds=tuple(taught), arms=(start,),
            tuning=tuple(found),
        )  # fmt: skip

    def outcomes_of(
        self,
        journey: Recipe,
        seed: int,
        name: str,
        training: Training | None,
        setting: Mapping[str, Any] | None = None,
    ) -> OutcomesRecipe:
        """What is kept of one arm under one seed; of a tuning run, with the setting that it tries.

        Args:
            journey: In the study's world.
            seed: Its name.
            name: Of the arm.
            training: What makes its model; None for the start and for the base model.
            setting: Of a tuning run, which asks for fewer answers, and for none by tokens.

        Raises:
            RecipeError: there is no base model that was trained for the study.
        """
        taught = start_of(journey, self.name, self.begins_from)
        start = base_of(taught, self.name) if name == BASE else taught
        few = setting is not None or name == BASE
        by_updates = isinstance(training, PolicyRecipe) and bool(training.milestones)
        by_tokens = isinstance(training, RlptRecipe) and bool(training.milestones) and setting is None
        evaluation = self.asked(journey).model_copy(
            update={
                "model": training or start, "milestones": by_updates or by_tokens,
                "samples": TUNING_SAMPLES if few else self.samples,
            }
        )  # fmt: skip
        return OutcomesRecipe(
            study=self.name, arm=name, seed=seed, evaluation=evaluation, corpus=evaluation.corpus,
            start=start, training=training, measure=self.measure,
            at_updates=UPDATES if by_updates else 0, checkpoints=by_tokens,
            setting=dotted(setting or {}),
        )  # fmt: skip

    @staticmethod
    def _arm(name: str, outcomes: Iterable[OutcomesRecipe]) -> StudyArm:
        return StudyArm(name=name, outcomes=tuple(outcomes))


TRAINED = (PolicyRecipe.kind, RlptRecipe.kind)
"""Kinds of the trainings whose settings are frozen."""


def reinforced(journey: Recipe) -> PolicyRecipe | RlptRecipe:
    """A journey's own training on text: next tokens, or segments."""
    if isinstance(journey, RlptReportRecipe):
        training = journey.model("RLPT").trainings[0]
        assert isinstance(training, RlptRecipe)
        return training
    assert isinstance(journey, ReportRecipe)
    return policy_of(journey)


def start_of(journey: Recipe, study: str, begins_from: str = "tiny_rpt") -> ColdStartRecipe:
    """The start model of a journey.

    Args:
        journey: Whose training goes on from it.
        study: Name of the study, for the error.
        begins_from: A recipe that it can be made for.

    Raises:
        RecipeError: it is no cold start of its own.
    """
    start = reinforced(journey).start
    if not isinstance(start, ColdStartRecipe):
        raise RecipeError(
            f"the study {study} goes on from a cold start, and {titled(journey)!r} begins with "
            f"{getattr(start, 'stage', 'a finished model')}. Start from {begins_from}."
        )
    return start


def base_of(start: ColdStartRecipe, study: str) -> BaseRecipe:
    """The base model that a start was taught from.

    Raises:
        RecipeError: it is a finished model that nothing here trains.
    """
    if not isinstance(start.base, BaseRecipe):
        raise RecipeError(
            f"the study {study} needs a base model that is trained here, and this start was taught from a "
            "finished model. Leave out `-p cold-start.base`, or the arm that needs it."
        )
    return start.base


def titled(journey: Recipe) -> str:
    """What a journey is called."""
    return str(getattr(journey, "title", journey.stage))


def rates(*given: float, **more: Any) -> tuple[Mapping[str, Any], ...]:
    """A setting for each learning rate, with the same further fields."""
    return tuple({"optimiser": {"learning_rate": rate}, **more} for rate in given)


def dotted(setting: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """A nested setting by dotted names, as ``-p`` says it."""
    found: dict[str, Any] = {}
    for name, value in setting.items():
        if isinstance(value, Mapping):
            found |= dotted(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = list(value) if isinstance(value, tuple) else value
    return found


def _overlap(one: str, other: str) -> bool:
    """Whether two dotted names are one field, or one of them holds the other."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
