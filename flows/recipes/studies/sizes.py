"""The study of sizes: three models of one shape, six points of compute each, with thoughts and without.

The world is the imperfect teacher's. Every size has a base model, a start that thinks, RPT from that start,
and next-token training from the base: the same text, never a lesson, no thought. All sizes of a seed are
asked the same questions, found by the base model of the smallest. No claim is decided by three seeds: a page
fits laws and compares at equal operations.
"""

from collections.abc import Sequence
from typing import Any

from flows.recipes.rmt import policy_of
from flows.recipes.studies.by_seed import MEASURE, POSITIONS, START, Training, base_of, start_of
from flows.recipes.studies.imperfect_teacher import STUDY, limited, next_token, teacher
from flows.recipes.trees import rewritten
from rpt_core.errors import RecipeError
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.outcomes_report import SIZES, OutcomesReportRecipe, StudyArm
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.supervised import ModelShape

TITLE = "Three sizes: accuracy over compute, and thinking against size"
BEGINS_FROM = "tiny_rpt"
TUNED_WIDTH = 128
"""Of the model whose settings were tuned."""
SAMPLES = 8
"""Answers to each question: an accuracy is the mean of eight, and no claim is about coverage."""
MARKS = (3, 6, 12, 24, 48, 96)
"""Steps of RPT after which its model is asked, each twice the compute of the one before: the rate is constant
after five, so that every one is a finished training."""
NEXT_TOKEN_MARKS = (2, 4, 8, 16, 32, 64)
"""Of next-token training: a step takes half as many operations again, and more once all text was read."""


def _shape(width: int) -> ModelShape:
    """The sample world's shape at another width: three layers, four heads, three times as wide inside."""
    return ModelShape(vocab_size=768, hidden_size=width, head_dim=width // 4, intermediate_size=3 * width)


SHAPES: dict[str, ModelShape] = {"0.3 M": _shape(80), "1 M": _shape(160), "3 M": _shape(288)}
"""By name, the smallest first: 0.28, 1.02 and 3.17 million numbers, for the tokenizer ends at 620 tokens."""
BASE, METHOD, WITHOUT = "base", "RPT", "NTP"
ARMS = (BASE, START, METHOD, WITHOUT)


def compared(
    journeys: Sequence[ReportRecipe], seeds: tuple[int, ...], names: tuple[str, ...] = ()
) -> OutcomesReportRecipe:
    """Base, start, RPT and next-token training of every size, under some seeds.

    Args:
        journeys: Of RPT, by seed.
        seeds: Their names.
        names: Some of the sizes; empty for all.

    Raises:
        RecipeError: there is no size of a name, or a journey's model is a reader's own.
    """
    if unknown := [name for name in names if name not in SHAPES]:
        raise RecipeError(f"the study {SIZES} has no size {unknown[0]!r}; there are {'; '.join(SHAPES)}.")
    laid = [teacher(journey, "test", SIZES, BEGINS_FROM) for journey in journeys]
    arms = [
        StudyArm(
            name=arm_name(size, name),
            outcomes=tuple(
                _outcomes(of_size(journey, size), seed, size, name)
                for journey, seed in zip(laid, seeds, strict=True)
            ),
        )
        for size in names or tuple(SHAPES)
        for name in ARMS
    ]
    return OutcomesReportRecipe(title=TITLE, study=SIZES, seeds=seeds, arms=tuple(arms))


def arm_name(size: str, name: str) -> str:
    """What an arm of a size is called."""
    return f"{size}: {name}"


def of_size(journey: ReportRecipe, size: str) -> ReportRecipe:
    """The journey with models of a size, asked where the smallest size's base model is uncertain.

    Args:
        journey: In the study's world.
        size: A name of :data:`SHAPES`.

    Raises:
        RecipeError: its model is a reader's own.
    """
    base = base_of(start_of(journey, SIZES, BEGINS_FROM), SIZES)
    if not isinstance(base.model, ModelShape):
        raise RecipeError(
            f"the study {SIZES} trains models of three sizes itself, and {journey.title!r} has the model "
            f"{base.model.name!r}. Start from {BEGINS_FROM}, without model."
        )
    smallest = next(iter(SHAPES.values()))
    sized = rewritten(journey, "base", {"model": SHAPES[size]})
    return rewritten(sized, "difficulty", {"proxy": base.model_copy(update={"model": smallest})})


def rate_of(journey: ReportRecipe) -> float:
    """RPT's learning rate at the journey's width: the tuned one, less in the proportion of wider models.

    The rate of AdamW for matrices in maximal update parametrisation (Yang et al. 2022, table 3). No size was
    tuned.
    """
    shape = base_of(start_of(journey, SIZES, BEGINS_FROM), SIZES).model
    assert isinstance(shape, ModelShape)
    tuned: float = STUDY.setting_of(METHOD)["optimiser"]["learning_rate"]
    return tuned * TUNED_WIDTH / shape.hidden_size


def training_of(journey: ReportRecipe, name: str) -> Training | None:
    """What makes an arm's model; None where it is the base model or the start.

    The settings are those frozen for the imperfect teacher, but for the rate of RPT (:func:`rate_of`). A
    reader's `policy.max_gflops` ends it sooner, for a trial.
    """
    if name in (BASE, START):
        return None
    setting = dict(STUDY.setting_of(METHOD if name == METHOD else "NTP tuned"))
    ends = {"max_gflops": policy_of(journey).max_gflops, "count_proxy": False}
    if name == METHOD:
        optimiser = {**setting.pop("optimiser"), "learning_rate": rate_of(journey)}
        return limited(journey, **setting, **ends, optimiser=optimiser, steps=MARKS[-1], milestones=MARKS)
    more = {
        "start": base_of(start_of(journey, SIZES, BEGINS_FROM), SIZES),
        "steps": NEXT_TOKEN_MARKS[-1],
        "milestones": NEXT_TOKEN_MARKS,
    }
    return next_token(journey, **setting, **ends, **more)


def _outcomes(journey: ReportRecipe, seed: int, size: str, name: str) -> OutcomesRecipe:
    after = journey.after
    assert isinstance(after, EvaluationRecipe)
    taught = start_of(journey, SIZES, BEGINS_FROM)
    start = base_of(taught, SIZES) if name in (BASE, WITHOUT) else taught
    training = training_of(journey, name)
    asked: dict[str, Any] = {"milestones": False}
    if isinstance(training, PolicyRecipe):
        modes = ("plain", "reasoning") if name == METHOD else ("plain",)
        asked = {"milestones": True, "milestone_modes": modes}
    evaluation = after.model_copy(
        update={
            **asked, "model": training or start, "modes": ("plain", "reasoning"), "samples": SAMPLES,
            "num_positions": POSITIONS, "temperature": 1.0, "text_nats": True,
        }
    )  # fmt: skip
    return OutcomesRecipe(
        study=SIZES, arm=arm_name(size, name), seed=seed, evaluation=evaluation, corpus=evaluation.corpus,
        start=start, training=training, measure=MEASURE, course=True,
    )  # fmt: skip
