"""RMT's recipes, written as changes to RPT's, and the arms of their comparison.

An arm is the same journey with another training stage: all start from the same model, ask about the same
corpus and may forward the same number of tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flows.recipes.tiny import OWN as OWN_DEFAULTS
from flows.recipes.tiny import ModelDefaults
from flows.recipes.trees import rewritten, stage
from rpt_core.errors import RecipeError
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.objectives import (
    Budget,
    Curriculum,
    NextTokenSettings,
    NtpObjective,
    RmtObjective,
    RptObjective,
    TextObjective,
)
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.report import START, ArmsRecipe, ReportRecipe, TextModel

TINY_BUDGET = Budget(first=32, decay=0.4, schedule_steps=48, weight=0.25, paid="when-right")
TINY_CURRICULUM = Curriculum(tiers_nats=(1.5, 2.0, 2.5), schedule_steps=48)
WAIT_SHARE = 0.6
"""Of the mean thought, below which a waiting budget does not fall."""
TINY_TOKENS = 400_000
"""Tokens an arm of the toy comparison may forward, drawn and updated on."""


def tiny(rpt: ReportRecipe, defaults: ModelDefaults = OWN_DEFAULTS) -> ReportRecipe:
    """RMT on the sample world.

    The start model thinks longer than it must, so that a budget has something to cut.

    Args:
        rpt: Its text, its models and the stages after training.
        defaults: How the model that stands in it is trained.
    """
    shared = _shared(rpt)
    # at a constant rate some seeds lose in the last steps what they had (docs/tuning.md)
    falling = {
        "schedule": "linear",
        "final_share": 0.1,
        "learning_rate": 2 * defaults.reinforce.learning_rate,
    }
    changes: dict[str, dict[str, Any]] = {
        "cold-start": {
            "steps": 600,
            "long_share": 0.8,
            "long_passes": (2, 6),
            "budget_words": (6, 48),
        },
        "policy": {
            "objective": RmtObjective(
                **shared, reward="token", budget=TINY_BUDGET, curriculum=TINY_CURRICULUM
            ),
            "ntp_weight": 0.1,
            # smaller batches: the budget falls by steps, and the model has more of them to follow it
            "prompts_per_step": 16,
            "loss": "dr_grpo",
            "reasoning_tokens": 112,
            "steps": 64,
            "max_tokens": TINY_TOKENS,
            "optimiser": falling,
            "milestones": (8, 16, 24, 32, 48, 64),
        },
        "rlvr": {"reasoning_tokens": 112},
        "evaluation": {"reasoning_tokens": 112, "num_positions": 300, "samples": 4},
        "report": {"title": "RMT on the sample world", "method": "RMT"},
    }
    return _changed(rpt, changes)


def paper(
    rpt: ReportRecipe, *, title: str, steps: int, prompts: int, tokens: int, budget: Budget
) -> ReportRecipe:
    """The paper's numbers (2509.24375; docs/methods.md), on RPT's journey.

    Args:
        rpt: Corpus, proxy, base model and the stages after training.
        title: Of the report.
        steps: 32 steps an epoch of 4051 documents, 10 epochs, in the paper. It takes one position of each
            document an epoch; here several come from one visit, and share its trunk.
        prompts: 128 in the paper.
        tokens: Longest answer, 2048 in the paper; post-training may use twice as many.
        budget: 800 falling to 160 in the paper.
    """
    marks = tuple(steps * tenth // 10 for tenth in (1, 2, 4, 6, 8, 10))
    changes: dict[str, dict[str, Any]] = {
        "policy": {
            "objective": RmtObjective(**_shared(rpt), budget=budget),
            "ntp_weight": 0.1,
            "ntp_text": "raw",
            "prompts_per_step": prompts,
            "reasoning_tokens": tokens,
            "steps": steps,
            "milestones": marks,
            # from which step on equal groups are dropped is not told
            "selection": {"drop_equal_from_step": 0},
        },
        "rlvr": {"reasoning_tokens": 2 * tokens},
        "evaluation": {
            "reasoning_tokens": tokens,
            "problem_sampling": {"reasoning_tokens": 2 * tokens},
        },
        "report": {"title": title, "method": "RMT"},
    }
    return _changed(rpt, changes)


def _changed(journey: ReportRecipe, changes: dict[str, dict[str, Any]]) -> ReportRecipe:
    for kind, update in changes.items():
        journey = rewritten(journey, kind, update)
    return with_objective(journey, policy_of(journey).objective)


def with_objective(journey: ReportRecipe, objective: TextObjective) -> ReportRecipe:
    """The journey trained on ``objective``, and judged in its words by RPT's rule.

    One rule for every arm: RMT is paid for the exact token, but a right prefix is no error of it.
    """
    judged = objective.model_copy(update={"reward": "prefix"})
    journey = rewritten(journey, "policy", {"objective": objective})
    return rewritten(journey, "evaluation", {"objective": judged})


def policy_of(journey: ReportRecipe) -> PolicyRecipe:
    """The training of a journey."""
    found = stage(journey, "train-rpt")
    assert isinstance(found, PolicyRecipe)
    return found


def _shared(journey: ReportRecipe) -> dict[str, Any]:
    """Fields of the objective that say nothing about RPT or RMT; an arm that changes one is no ablation."""
    given = policy_of(journey).objective
    return {name: getattr(given, name) for name in NextTokenSettings.model_fields if name != "reward"}


def _rpt(rmt: ReportRecipe) -> ReportRecipe:
    """RPT: no budget, no curriculum, no loss on other tokens, paid for a right prefix."""
    bare = rewritten(rmt, "policy", {"ntp_weight": 0.0})
    return with_objective(bare, RptObjective(**_shared(rmt)))


def _without(part: str) -> Callable[[ReportRecipe], ReportRecipe]:
    def ablated(rmt: ReportRecipe) -> ReportRecipe:
        return with_objective(rmt, policy_of(rmt).objective.model_copy(update={part: None}))

    return ablated


def _waiting(rmt: ReportRecipe) -> ReportRecipe:
    objective = policy_of(rmt).objective
    assert isinstance(objective, RmtObjective)
    assert objective.budget
    budget = objective.budget.model_copy(update={"wait_share": WAIT_SHARE})
    return with_objective(rmt, objective.model_copy(update={"budget": budget}))


def _without_ntp(rmt: ReportRecipe) -> ReportRecipe:
    return rewritten(rmt, "policy", {"ntp_weight": 0.0})


def ntp_alone(rmt: ReportRecipe) -> ReportRecipe:
    """The control: all tokens go to the documents. Eight times as many of them a step, for as many tokens."""
    prompts = 8 * policy_of(rmt).prompts_per_step
    alone = rewritten(rmt, "policy", {"ntp_weight": 1.0, "prompts_per_step": prompts})
    return with_objective(alone, NtpObjective(**_shared(rmt)))


ARMS: dict[str, Callable[[ReportRecipe], ReportRecipe]] = {
    "RPT": _rpt,
    "RMT": lambda rmt: rmt,
    "RMT without budget": _without("budget"),
    "RMT without curriculum": _without("curriculum"),
    "RMT without NTP": _without_ntp,
    "NTP alone": ntp_alone,
}
"""Arms of the comparison: how each follows from RMT's journey."""

FURTHER: dict[str, Callable[[ReportRecipe], ReportRecipe]] = {"RMT with a waiting budget": _waiting}
"""Arms that are compared when they are asked for by name."""


def arm(rmt: ReportRecipe, name: str) -> ReportRecipe:
    """One arm of RMT's comparison.

    Raises:
        RecipeError: the journey trains something else, or no arm has that name.
    """
    known = ARMS | FURTHER
    if name not in known:
        raise RecipeError(f"no arm is called {name!r}; there are {', '.join(known)}.")
    if not isinstance(policy_of(rmt).objective, RmtObjective):
        raise RecipeError(
            f"the arms are changes to RMT, and this journey trains {policy_of(rmt).objective.name!r}. Start "
            "from tiny_rmt, rmt_small or rmt_14b."
        )
    return known[name](rmt)


TIMED = ("RPT", "RMT", *FURTHER)
"""Arms whose checkpoints are evaluated too, to see how soon one is as good as the other in the end."""


_CONSTANT = {"schedule": "constant", "final_share": 0.0}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "tiny_rmt": {
        "RPT": {
            "prompts_per_step": 32,
            "loss": "grpo",
            "steps": 400,
            "optimiser": {"learning_rate": 2e-4, **_CONSTANT},
        },
        "NTP alone": {"steps": 400, "optimiser": _CONSTANT},
    },
}
"""By recipe and arm: what its training keeps of its own, so that it is compared at its best. RPT has no
next-token loss that holds it: at RMT's rate it loses what it knew, and a falling rate makes it worse
(docs/tuning.md). The control takes more steps for as many tokens."""


def compared(
    journeys: Sequence[ReportRecipe],
    seeds: tuple[int, ...],
    arms: tuple[str, ...],
    own: Mapping[str, dict[str, Any]],
) -> ArmsRecipe:
    """All arms of RMT's journeys, one journey per seed, for one report.

    Args:
        journeys: Of RMT, by seed.
        seeds: Their names.
        arms: Names of :data:`ARMS` or :data:`FURTHER`.
        own: Changes to the training of single arms, by name (:data:`OWN`).
    """
    made = {
        name: [rewritten(arm(rmt, name), "policy", own.get(name, {})) for rmt in journeys] for name in arms
    }
    # asked in RPT's words: a start model that was never told of a budget
    starts = tuple(_judged(_start(_rpt(rmt)), forced=True) for rmt in journeys)
    trained = [
        TextModel(
            name=name,
            evaluations=tuple(_judged(_after(one), milestones=name in TIMED) for one in runs),
            trainings=tuple(policy_of(one) for one in runs),
        )
        for name, runs in made.items()
    ]
    return ArmsRecipe(
        title=f"{journeys[0].title}: {len(arms)} trainings from one start model",
        seeds=seeds,
        models=(TextModel(name=START, evaluations=starts), *trained),
    )


def _start(journey: ReportRecipe) -> EvaluationRecipe:
    assert isinstance(journey.before, EvaluationRecipe)
    return journey.before


def _after(journey: ReportRecipe) -> EvaluationRecipe:
    assert isinstance(journey.after, EvaluationRecipe)
    return journey.after


def _judged(
    evaluation: EvaluationRecipe, *, forced: bool = False, milestones: bool = False
) -> EvaluationRecipe:
    """Only what the comparison reads."""
    modes = ("plain", "reasoning", *(("forced",) if forced else ()))
    return evaluation.model_copy(update={"modes": modes, "milestones": milestones})
