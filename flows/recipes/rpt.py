"""RPT's own comparisons, written as changes to its journey: table 1, its rewards, its choice of positions.

Every arm starts from its seed's start model, unless its name says otherwise, and may forward the same number
of tokens. All are judged alike: on the journey's own questions, by the prefix reward.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, get_args

from flows.recipes.rmt import ntp_alone, policy_of
from flows.recipes.trees import rewritten
from rpt_core.errors import RecipeError
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.objectives import Learnability, PromptName, RptObjective
from rpt_core.recipes.reports.report import ALWAYS_THINKS, START, ArmsRecipe, ReportRecipe, TextModel
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe

Study = Literal["table-1", "rewards", "positions"]
STUDIES: tuple[Study, ...] = get_args(Study)
Arm = Callable[[ReportRecipe], ReportRecipe]

TOKENS = 330_000
"""Tokens an arm may forward, drawn and updated on: what 48 steps of tiny_rpt take."""
MOST_STEPS = 400
TEMPLATES: tuple[PromptName, ...] = ("compact", "compact-fenced")
REWARDS = ("prefix", "first-token", "dense", "conditional-dense")
WIDE_FLOOR_NATS = 0.5
"""The papers' floor; in the sample world it lets free choices of wording in."""
SURPRISE_NATS = 2.5
FURTHER_TOKEN_BONUS = 0.25
"""The counter-measure against stubs: four further right tokens earn as much as the first."""


def _plain(journey: ReportRecipe) -> ReportRecipe:
    return journey


def _always(journey: ReportRecipe) -> ReportRecipe:
    """From a cold start that always thinks: what is gained there is no habit."""
    return rewritten(journey, "cold-start", {"think_share": 1.0})


def _rewarded(reward: str, template: PromptName) -> Arm:
    def arm(journey: ReportRecipe) -> ReportRecipe:
        return _trained(_worded(journey, template), {"reward": reward})

    return arm


def _worded(journey: ReportRecipe, template: PromptName) -> ReportRecipe:
    """Cold start, training and evaluation in a template's words."""
    if policy_of(journey).objective.prompt == template:
        return journey
    for kind, update in (
        ("cold-start", {"prompt": template}),
        ("policy", {"objective": {"prompt": template}}),
        ("evaluation", {"objective": {"prompt": template}}),
    ):
        journey = rewritten(journey, kind, update)
    return journey


def _trained(journey: ReportRecipe, objective: dict[str, Any]) -> ReportRecipe:
    """Another objective in training alone."""
    return rewritten(journey, "policy", {"objective": objective})


def _asking(**objective: Any) -> Arm:
    return lambda journey: _trained(journey, objective)


TABLE_ONE: dict[str, Arm] = {
    "NTP alone": ntp_alone,
    "RPT": _plain,
    f"RPT from a {ALWAYS_THINKS}": _always,
}
REWARD_ARMS: dict[str, Arm] = {
    **{f"{reward}, {template}": _rewarded(reward, template) for template in TEMPLATES for reward in REWARDS},
    f"prefix with bonus, {TEMPLATES[0]}": _asking(further_token_bonus=FURTHER_TOKEN_BONUS),
}
POSITION_ARMS: dict[str, Arm] = {
    "floor": _plain,
    "low floor": _asking(entropy_floor_nats=WIDE_FLOOR_NATS),
    "low floor, noise guard": _asking(
        entropy_floor_nats=WIDE_FLOOR_NATS, surprise_ceiling_nats=SURPRISE_NATS
    ),
    "low floor, learnable": _asking(entropy_floor_nats=WIDE_FLOOR_NATS, learnability=Learnability()),
    "top fifth": _asking(choose="top-share"),
    "random": _asking(choose="random"),
}
ARMS: dict[Study, dict[str, Arm]] = {
    "table-1": TABLE_ONE,
    "rewards": REWARD_ARMS,
    "positions": POSITION_ARMS,
}
BASELINES: dict[Study, dict[str, Callable[[ReportRecipe], EvaluationRecipe]]] = {
    "table-1": {
        "base model, before its cold start": lambda journey: _of(journey, BaseRecipe),
        ALWAYS_THINKS: lambda journey: _of(_always(journey), ColdStartRecipe),
    },
    "rewards": {
        "start model, compact-fenced": lambda journey: _of(
            _worded(journey, "compact-fenced"), ColdStartRecipe
        )
    },
    "positions": {},
}
TITLES: dict[Study, str] = {
    "table-1": "table 1, plain and reasoning at equal tokens",
    "rewards": "four rewards under two templates",
    "positions": "which positions are asked",
}


def compared(
    journeys: Sequence[ReportRecipe], seeds: tuple[int, ...], study: Study, names: tuple[str, ...] = ()
) -> ArmsRecipe:
    """All arms of a study, one journey per seed, for one report.

    Args:
        journeys: Of RPT, by seed.
        seeds: Their names.
        study: Which comparison.
        names: Some of its arms; empty for all.

    Raises:
        RecipeError: a journey trains something else than RPT, or the study has no arm of a name.
    """
    names = names or tuple(ARMS[study])
    if unknown := set(names) - set(ARMS[study]):
        raise RecipeError(
            f"the study {study} has no arm {min(unknown)!r}; there are {'; '.join(ARMS[study])}."
        )
    limited = [_limited(journey) for journey in journeys]
    trained = [
        TextModel(
            name=name,
            evaluations=tuple(_judged(one.after) for one in runs),
            trainings=tuple(policy_of(one) for one in runs),
        )
        for name, runs in ((name, [ARMS[study][name](one) for one in limited]) for name in names)
    ]
    baselines = [
        TextModel(name=name, evaluations=tuple(make(journey) for journey in limited))
        for name, make in BASELINES[study].items()
    ]
    starts = tuple(_judged(journey.before, "forced") for journey in limited)
    return ArmsRecipe(
        title=f"{journeys[0].title}: {TITLES[study]}",
        study=study,
        seeds=seeds,
        models=(TextModel(name=START, evaluations=starts), *trained, *baselines),
        corpora=tuple(policy_of(journey).corpus for journey in limited),
    )


def _limited(journey: ReportRecipe) -> ReportRecipe:
    """RPT by tokens instead of steps, without checkpoints on the way."""
    if not isinstance(policy_of(journey).objective, RptObjective):
        raise RecipeError(
            f"these arms are changes to RPT, and this journey trains {policy_of(journey).objective.name!r}. "
            "Start from tiny_rpt or rpt_small."
        )
    update = {"max_tokens": TOKENS, "steps": MOST_STEPS, "milestones": (), "evaluate_every": 0}
    return rewritten(journey, "policy", update)


def _of(journey: ReportRecipe, kind: type[BaseRecipe] | type[ColdStartRecipe]) -> EvaluationRecipe:
    """The evaluation of an earlier model of the journey.

    Raises:
        RecipeError: the journey has no such model.
    """
    model = next((found for found in _models(journey) if isinstance(found, kind)), None)
    if model is None:
        raise RecipeError(
            f"this study compares with a {kind.kind} model, and the journey {journey.title!r} has none. "
            "Start from tiny_rpt."
        )
    return _judged(journey.before).model_copy(update={"model": model})


def _models(journey: ReportRecipe) -> Iterator[Any]:
    start = policy_of(journey).start
    yield start
    if isinstance(start, ColdStartRecipe):
        yield start.base


def _judged(evaluation: Any, *more: str) -> EvaluationRecipe:
    """Only what the comparison reads."""
    assert isinstance(evaluation, EvaluationRecipe)
    return evaluation.model_copy(update={"modes": ("plain", "reasoning", *more), "milestones": False})
