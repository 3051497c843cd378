"""Arms beside RPT: rewards by likelihood, and the controls that tell what a reward is worth.

Each is a change to an RPT journey's training, or a supervised training in its place. All start from the
journey's start model, read the same corpus and are evaluated on the same questions (the journey's own).
"""

from collections.abc import Callable
from typing import Any

from flows.recipes.rmt import ntp_alone, policy_of
from flows.recipes.trees import rewritten
from rpt_core.errors import RecipeError
from rpt_core.recipes.objectives import (
    ExpectedPrefixObjective,
    JepoObjective,
    NextTokenSettings,
    NoverObjective,
    NrtObjective,
    OracleObjective,
    PretrainZeroObjective,
    RlpObjective,
    RlprObjective,
    RptObjective,
    TextObjective,
    VeriFreeObjective,
)
from rpt_core.recipes.reinforce import LossName
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.supervised import ColdStartRecipe, Optimiser

Arm = Callable[[ReportRecipe], ReportRecipe]
MORE_STEPS = 230
"""Of more supervised training, for arms that are not told how many."""
ROUNDS = 3
"""Of rejection sampling: answers are drawn, right ones are learnt, and the next are drawn."""
TRUTH_TOKENS = 4
"""True tokens that the likelihood arms look at."""


def _trained(objective: type[NextTokenSettings], loss: LossName, **fields: Any) -> Arm:
    """Another objective, asked at the same places in the same words; fields of the training by ``policy``."""

    def arm(journey: ReportRecipe) -> ReportRecipe:
        policy = fields.get("policy", {})
        own = {name: value for name, value in fields.items() if name != "policy"}
        found = objective(**{**_shared(journey), **own})
        update = {"objective": found, "loss": loss, "temperature": 1.0, **policy}
        return rewritten(journey, "policy", update)

    return arm


def _shared(journey: ReportRecipe) -> dict[str, Any]:
    """Where and in which words the journey asks."""
    given: TextObjective = policy_of(journey).objective
    if not isinstance(given, RptObjective):
        raise RecipeError(
            f"these arms are changes to RPT, and this journey trains {given.name!r}. Start from tiny_rpt or "
            "rpt_small."
        )
    return {name: getattr(given, name) for name in NextTokenSettings.model_fields if name != "reward"}


def _changed(**policy: Any) -> Arm:
    return lambda journey: rewritten(journey, "policy", policy)


def _with_optimiser(name: str) -> Arm:
    def arm(journey: ReportRecipe) -> ReportRecipe:
        return rewritten(ntp_alone(journey), "policy", {"optimiser": {"name": name}})

    return arm


def _in_rounds(journey: ReportRecipe) -> ReportRecipe:
    """As many answers as RPT draws, in few rounds, and as many updates on as many questions each."""
    policy = policy_of(journey)
    num_updates = policy.steps // ROUNDS
    update = {
        "loss": "rejection",
        "prompts_per_step": policy.prompts_per_step * num_updates,
        "minibatches": num_updates,
        "steps": ROUNDS,
        "milestones": (),
        "evaluate_every": 0,
        "optimiser": {"warmup_steps": 0},
    }
    return rewritten(journey, "policy", update)


LIKELIHOOD: dict[str, Arm] = {
    "RLP": _trained(RlpObjective, "rlp", target_tokens=TRUTH_TOKENS),
    "VeriFree": _trained(VeriFreeObjective, "rloo", target_tokens=TRUTH_TOKENS),
    "expected prefix": _trained(ExpectedPrefixObjective, "rloo", target_tokens=TRUTH_TOKENS),
    "JEPO": _trained(JepoObjective, "rloo", target_tokens=TRUTH_TOKENS),
    "RLPR": _trained(
        RlprObjective, "rlpr", target_tokens=TRUTH_TOKENS, policy={"selection": {"deviation_share": 0.5}}
    ),
    "NRT": _trained(NrtObjective, "grpo", target_tokens=TRUTH_TOKENS),
    "NOVER": _trained(NoverObjective, "nover", target_tokens=TRUTH_TOKENS),
}
"""Rewards that stand on the likelihood of the truth after a thought."""
CONTROLS: dict[str, Arm] = {
    "permuted reward": _changed(reward_control="permuted"),
    "random reward": _changed(reward_control="random"),
    "format reward": _changed(reward_control="format"),
    "random positions": _changed(objective={"choose": "random"}),
    "rejection SFT": _in_rounds,
    "NTP, AdamW": _with_optimiser("adamw"),
    "NTP, Muon": _with_optimiser("muon"),
    "oracle": _trained(OracleObjective, "grpo"),
    "learned masker": _trained(PretrainZeroObjective, "grpo", choose="random", match="covers"),
    "more SFT, then RPT": lambda journey: rewritten(journey, "policy", {"start": more_sft(journey)}),
}
"""What else the same start model could be trained by."""


def more_sft(journey: ReportRecipe, steps: int = MORE_STEPS) -> ColdStartRecipe:
    """More of the start model's own lessons."""
    return _again(journey, steps)


def mixed_sft(journey: ReportRecipe, plain_for_each: int, steps: int = MORE_STEPS) -> ColdStartRecipe:
    """More of its lessons, each beside one or several windows of plain text."""
    num = plain_for_each * _start(journey).documents_per_step
    return _again(journey, steps, plain_per_step=num)


SUPERVISED: dict[str, Callable[[ReportRecipe], ColdStartRecipe]] = {
    "more SFT": more_sft,
    "Mixed SFT 1:1": lambda journey: mixed_sft(journey, 1),
    "Mixed SFT 3:1": lambda journey: mixed_sft(journey, 3),
}
"""Supervised trainings in the policy's place: their model is what an evaluation asks."""


def _start(journey: ReportRecipe) -> ColdStartRecipe:
    start = policy_of(journey).start
    if not isinstance(start, ColdStartRecipe):
        raise RecipeError(
            f"these arms go on with the start model's lessons, and the journey {journey.title!r} has no cold "
            "start. Start from tiny_rpt."
        )
    return start


def _again(journey: ReportRecipe, steps: int, **fields: Any) -> ColdStartRecipe:
    start = _start(journey)
    optimiser: Optimiser = start.optimiser
    warm = min(optimiser.warmup_steps, steps // 10)
    update = {"base": start, "steps": steps, "optimiser": optimiser.model_copy(update={"warmup_steps": warm})}
    return ColdStartRecipe.parse({**dict(start), **update, **fields})
