"""The study of an imperfect teacher: its world, its budget, its arms and the settings they are tuned over.

A teacher that mostly errs shows how to think, so the start model always thinks and is right about as often as
its teacher. Every arm goes on from its seed's start model and ends at the first update that reaches
:data:`BUDGET_GFLOPS`, the proxy's pass counted where an arm asks at positions that the proxy chose.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flows.recipes.controls import CONTROLS, LIKELIHOOD, ROUNDS
from flows.recipes.rmt import policy_of
from flows.recipes.studies.by_seed import UPDATES, Arm, ArmPlan, Held, SeedStudy, rates, start_of, titled
from flows.recipes.trees import Journey, changed, rewritten, stage
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.objectives import NextTokenSettings, NtpObjective
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.outcomes_report import IMPERFECT_TEACHER
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe
from rpt_core.recipes.world import KindName, SecondEdition

BUDGET_GFLOPS = 1_700.0
"""What RPT takes for 48 steps (1,154) and the proxy's pass over the corpus (544), in 1e9; measured before the
first reported seed, and frozen with it."""
MOST_STEPS = 800
ROUND_UPDATES = 15
"""Updates of a round of rejection sampling, of which there are three, each on as many questions as RPT's:
three rounds of 27 took 2,100 GFLOP, and the budget leaves 1,156 beside the proxy."""
LESSONS = 4
"""Times the journey's steps of the base model and of the cold start: this world has six phrases a kind where
the first edition has three or four. After tiny_rpt's own 100 and 400 steps 91 % of the thoughts were nothing
that was taught; after four times as many the start was right in 36 % of held-out questions of 2 to 4 steps,
with a true chain in 31 % (tuning questions, seed 10)."""
FEW_KINDS: tuple[KindName, ...] = ("week", "compass")
"""Seven and eight values: 90 facts where all kinds have 570."""
DEMO: dict[str, dict[str, Any]] = {
    "cold-start": {"steps": 700, "problems_per_step": 1},
    "evaluation": {"modes": ("plain", "reasoning", "problems"), "num_positions": 400},
    "report": {"title": "RPT from an imperfect teacher, on the sample world"},
}
"""What the demo changes beside its world. With four kinds, or with 400 steps and three problems in each, a
start had learnt nothing (docs/tuning.md)."""
SEEN_SHARE = 0.02
"""Of the documents that show no held-out question, held out for the row of questions that training shows."""
REINFORCED = (
    *rates(1e-4, 2e-4, 4e-4, ntp_weight=0.1),
    *rates(2e-4, ntp_weight=0.0),
    *rates(2e-4, ntp_weight=0.1, loss="dr_grpo"),
)
"""Rate, weight of the next-token loss, and normalisation."""
LEAVE_ONE_OUT = (*rates(1e-4, 2e-4, 4e-4, ntp_weight=0.1), *rates(2e-4, 4e-4, ntp_weight=0.0))
"""Of objectives whose loss is theirs."""
_ADAMW, _MUON = (
    {"name": "adamw", "betas": (0.9, 0.95), "weight_decay": 0.0},
    {"name": "muon", "betas": (0.9, 0.95), "weight_decay": 0.05},
)
SUPERVISED = (
    *({"optimiser": {**_ADAMW, "learning_rate": rate}} for rate in (2e-4, 1e-3)),
    *({"optimiser": {**_MUON, "learning_rate": rate}} for rate in (1e-3, 2e-3, 4e-3)),
)
"""Optimiser and rate of the arms that reinforce nothing."""
MIXED = (
    *({**setting, "plain_per_step": 6} for setting in SUPERVISED[1:]),
    {**SUPERVISED[3], "plain_per_step": 18},
)
"""The same with windows of plain text beside the lessons, 1:1 and 3:1."""


def teacher(
    journey: Journey,
    held: Held = "test",
    study: str = IMPERFECT_TEACHER,
    begins_from: str = "tiny_rpt",
    lessons: int = LESSONS,
) -> Journey:
    """The journey in the second edition's world, from a cold start that always thinks.

    Args:
        journey: Of RPT, or of what the study is about, on the sample world.
        held: What held-out documents ask: the test's questions, or those kept for tuning.
        study: Its name, for errors.
        begins_from: A recipe that it can be made for.
        lessons: Times the journey's steps of the base model and of the cold start.

    Raises:
        RecipeError: the journey reads another text, in which no teacher errs by design.
    """
    documents = stage(journey, "ingest-corpus")
    assert isinstance(documents, IngestRecipe)
    if documents.sample is None:
        raise RecipeError(
            f"the study {study} is about the sample world, and {titled(journey)!r} reads {documents.data!r}. "
            f"Start from {begins_from}, without data."
        )
    world = documents.sample.second or SecondEdition()
    journey = with_edition(journey, {"held": held})
    journey = rewritten(journey, "corpus", {"held_questions": world.salt, "eval_share": SEEN_SHARE})
    base, start = stage(journey, "train-base"), start_of(journey, study, begins_from)
    assert isinstance(base, BaseRecipe)
    journey = rewritten(journey, "base", {"steps": lessons * base.steps})
    school = {"think_share": 1.0, "problems_per_step": 0, "direct_answers": False}  # always thinks, as taught
    return rewritten(journey, "cold-start", {**school, "steps": lessons * start.steps})


def with_edition(journey: Journey, changes: Mapping[str, Any]) -> Journey:
    """The journey in the second edition, some fields changed; one that reads another text stays as it is.

    Args:
        journey: Of RPT, or of what a study is about.
        changes: Fields of :class:`rpt_core.recipes.world.SecondEdition`.
    """
    documents = stage(journey, "ingest-corpus")
    assert isinstance(documents, IngestRecipe)
    if documents.sample is None:
        return journey
    edition = (documents.sample.second or SecondEdition()).model_copy(update=dict(changes))
    sample = documents.sample.model_copy(update={"second": edition})
    return rewritten(journey, "documents", {"sample": sample})


def in_minutes(journey: ReportRecipe) -> ReportRecipe:
    """The journey at the demo's cost: two of the eight kinds, which fewer lessons teach, and planted faults.

    The start always thinks; it is made to think beside, so that the page can say that no gain is habit.

    Raises:
        RecipeError: it reads another text than the sample world's.
    """
    journey = teacher(with_edition(journey, {"kinds": FEW_KINDS, "planted": True}), lessons=1)
    for kind, update in DEMO.items():
        journey = rewritten(journey, kind, update)
    assert isinstance(journey.before, EvaluationRecipe)
    forced = journey.before.model_copy(update={"modes": (*journey.before.modes, "forced")})
    return journey.model_copy(update={"before": forced})


def budget_of(journey: ReportRecipe) -> float:
    """Operations of every arm (1e9): the study's, or for a trial a reader's own (`policy.max_gflops`)."""
    return policy_of(journey).max_gflops or BUDGET_GFLOPS


def limited(journey: ReportRecipe, **more: Any) -> PolicyRecipe:
    """RPT's training by operations instead of steps."""
    update = {
        "max_gflops": budget_of(journey), "count_proxy": True, "steps": MOST_STEPS, "milestones": (UPDATES,),
        "evaluate_every": 0,
    }  # fmt: skip
    return changed(policy_of(journey), update | more)


def _controlled(arm: Callable[[ReportRecipe], ReportRecipe], **more: Any) -> Arm:
    """An arm of :mod:`flows.recipes.controls` by operations; it asks where RPT does."""
    return lambda journey: limited(arm(journey), **more)


def _rejection(journey: ReportRecipe) -> PolicyRecipe:
    """Rejection sampling in three rounds, of more questions than RPT: it learns from right answers alone."""
    prompts = ROUND_UPDATES * policy_of(journey).prompts_per_step
    arm = CONTROLS["rejection SFT"](journey)
    return limited(arm, steps=ROUNDS, prompts_per_step=prompts, minibatches=ROUND_UPDATES, milestones=())


def next_token(journey: ReportRecipe, **more: Any) -> PolicyRecipe:
    """All operations on the text: eight times as many documents a step, none asked about.

    Args:
        journey: Of RPT.
        more: Further fields of its training.
    """
    given = policy_of(journey)
    shared = {
        name: getattr(given.objective, name) for name in NextTokenSettings.model_fields if name != "reward"
    }
    update = {
        "objective": NtpObjective(**shared), "ntp_weight": 1.0, "count_proxy": False, "milestones": (),
        "prompts_per_step": 8 * given.prompts_per_step,
    }  # fmt: skip
    return limited(journey, **{**update, **more})


def more_lessons(start: ColdStartRecipe, gflops: float, **more: Any) -> ColdStartRecipe:
    """More of the cold start's lessons, from the start model on, by operations (1e9)."""
    update = {"base": start, "steps": MOST_STEPS, "max_gflops": gflops}
    constant = {"warmup_steps": 5, "schedule": "constant", "final_share": 0.0}
    return changed(start, {**update, "optimiser": constant, **more})


def _lessons(**more: Any) -> Arm:
    """More of the cold start's lessons."""
    return lambda journey: more_lessons(start_of(journey, IMPERFECT_TEACHER), budget_of(journey), **more)


def _lessons_then_rpt(journey: ReportRecipe) -> PolicyRecipe:
    """Half of the budget on more lessons, as that arm's tuning chose them, the other half on RPT."""
    half = budget_of(journey) / 2
    taught = changed(_lessons()(journey), {**STUDY.setting_of("more SFT"), "max_gflops": half})
    return limited(journey, start=taught, max_gflops=half)


NEVER_STARVED = {"max_empty_steps": MOST_STEPS, "when_starved": "pass-on"}
"""Of rewards by which few groups differ: as many steps as there are may draw nothing to learn from."""
ARMS: dict[str, ArmPlan] = {
    "RPT": ArmPlan(limited, REINFORCED),
    "more SFT": ArmPlan(_lessons(), SUPERVISED),
    "rejection SFT": ArmPlan(_rejection, LEAVE_ONE_OUT),
    "permuted reward": ArmPlan(_controlled(CONTROLS["permuted reward"]), tuned_as="RPT"),
    **{name: ArmPlan(_controlled(arm), LEAVE_ONE_OUT) for name, arm in LIKELIHOOD.items()},
    "more SFT, then RPT": ArmPlan(_lessons_then_rpt, REINFORCED),
    "NTP tuned": ArmPlan(next_token, SUPERVISED),
    "Mixed SFT": ArmPlan(_lessons(), MIXED),
    "RPT, random positions": ArmPlan(
        _controlled(CONTROLS["random positions"], count_proxy=False), REINFORCED
    ),
    "random reward": ArmPlan(_controlled(CONTROLS["random reward"]), tuned_as="RPT"),
    "format reward": ArmPlan(_controlled(CONTROLS["format reward"], selection=NEVER_STARVED), tuned_as="RPT"),
    "oracle": ArmPlan(_controlled(CONTROLS["oracle"], objective={"chains": "world"}), tuned_as="RPT"),
    "learned masker": ArmPlan(_controlled(CONTROLS["learned masker"], count_proxy=False), REINFORCED),
}
"""The arms beside the start model: those of the claims, rewards by likelihood, other controls."""
TUNED: dict[str, Mapping[str, Any]] = {
    "RPT": REINFORCED[2], "more SFT": SUPERVISED[0], "rejection SFT": LEAVE_ONE_OUT[2],
    "RLP": LEAVE_ONE_OUT[2], "VeriFree": LEAVE_ONE_OUT[4], "expected prefix": LEAVE_ONE_OUT[4],
    "JEPO": LEAVE_ONE_OUT[0], "RLPR": LEAVE_ONE_OUT[2], "NRT": LEAVE_ONE_OUT[2], "NOVER": LEAVE_ONE_OUT[4],
    "more SFT, then RPT": REINFORCED[2], "NTP tuned": SUPERVISED[2], "Mixed SFT": MIXED[1],
    "RPT, random positions": REINFORCED[0], "learned masker": REINFORCED[3],
}  # fmt: skip
"""By arm, the setting that the tuning runs chose; frozen in a commit before the first reported seed."""

STUDY = SeedStudy(
    name=IMPERFECT_TEACHER,
    title="Better thinking from an imperfect teacher",
    lay=teacher,
    arms=ARMS,
    tuned=TUNED,
)
