"""A pretrained model on a real text: SmolLM2-135M on GSM8K's solutions, asked for the numbers after "=".

An existence proof on one seed and no study of seeds: no claim is fixed before, no verdict comes out, and the
intervals are over documents alone. The model has probably read rewordings of these problems in its own
training. Lessons come from the calculator notes that the text is stripped of, and half of them slip.

Every arm goes on from one start model and ends at the first update that reaches :data:`BUDGET_GFLOPS`, as in
the other studies: drawing without gradient, thoughts without a prediction (RLP, VeriFree) and lessons cost
different amounts a step, so equal steps would give the costliest arm the most. RPT takes about 40 steps.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flows.recipes import tiny
from flows.recipes.controls import CONTROLS, LIKELIHOOD
from flows.recipes.papers import report
from flows.recipes.rmt import policy_of
from flows.recipes.studies.by_seed import START, start_of
from flows.recipes.studies.imperfect_teacher import more_lessons
from flows.recipes.trees import changed, stage
from rpt_core.errors import RecipeError
from rpt_core.policy.loading.families import given
from rpt_core.recipes.corpus import CalculatorTeacher, IngestRecipe, PrepareRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.objectives import RptObjective
from rpt_core.recipes.outcomes import OutcomesRecipe
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.reports.outcomes_report import REAL_TEXT, OutcomesReportRecipe, StudyArm
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe

GSM8K = "gsm8k"
"""Where GSM8K's training file is looked for unless ``data`` names another folder."""
SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"
BEGINS_FROM = "smollm2_gsm8k"
PROBLEM_SHARE = 0.125
"""Of 7,473 problems: 300 to test, 200 for lessons, and 430 more to ask about; further ones would only be
scored, which takes a second of a core each."""
EVAL_SHARE, LESSON_SHARE = 0.322, 0.316
"""Of the problems read: those held out, and those whose notes are lessons unless they are held out."""
STEPS = 40
ANSWER_TOKENS, THOUGHT_TOKENS = 24, 12
"""Longest answer; and the longest thought that leaves room for the frame's nine tokens and the number."""
BUDGET_GFLOPS = 165_000.0
"""1e9 operations of every arm: what RPT takes for :data:`STEPS` steps of answers as long as those of lessons,
20 tokens. Measured with the real model: 4,547 for a step of answers of 23 tokens, nearly all cut off."""
MOST_STEPS = 400
QUESTIONS, SAMPLES, SHOWN = 300, 4, 20
"""Held-out questions, answers to each, and answers that are kept as texts for a reader."""
BEFORE = "before lessons"
"""The pretrained model as it is."""
RPT = "RPT"
Arm = Callable[[ReportRecipe], PolicyRecipe | ColdStartRecipe]


def smollm2_gsm8k(*, data: str = GSM8K, model: str = SMOLLM2, seed: int = 0) -> ReportRecipe:
    """RPT from a pretrained model of 135 M parameters on GSM8K's results: two hours on two CPU cores."""
    documents = IngestRecipe(
        data=data, problem_share=PROBLEM_SHARE, calculator=CalculatorTeacher(lesson_share=LESSON_SHARE)
    )
    corpus = PrepareRecipe(documents=documents, eval_share=EVAL_SHARE, solutions_as_documents=True, seed=seed)
    base = BaseRecipe(corpus=corpus, model=given(model), seed=seed)
    difficulty = DifficultyRecipe(corpus=corpus, proxy=base)
    start = ColdStartRecipe(
        corpus=corpus,
        base=base,
        steps=STEPS,
        documents_per_step=12,
        problems_per_step=0,
        think_share=1.0,
        direct_answers=False,
        whole_answers=True,
        thought_tokens_max=THOUGHT_TOKENS,
        prompt="brief",
        ntp_weight=0.3,
        optimiser=tiny.GIVEN.cold,
        seed=seed,
    )
    policy = PolicyRecipe(
        corpus=corpus,
        difficulty=difficulty,
        start=start,
        # at any result: the proxy's entropies choose nothing, so no arm is charged with them
        objective=RptObjective(prompt="brief", asked="results", choose="random", entropy_floor_nats=0.0),
        prompts_per_step=16,
        cuts_per_document=4,
        temperature=1.0,
        reasoning_tokens=ANSWER_TOKENS,
        context_tokens=512,
        steps=STEPS,
        milestones=(10, 20, 30, 40),
        ntp_weight=0.1,
        optimiser=tiny.GIVEN.reinforce,
        seed=seed,
    )
    rlvr = tiny.rlvr(corpus, policy, data=data, model=model, seed=seed)
    return report(
        "A pretrained model on GSM8K's results",
        difficulty,
        start,
        policy,
        rlvr,
        temperature=1.0,
        reasoning_tokens=ANSWER_TOKENS,
        seed=seed,
        num_positions=QUESTIONS,
        samples=SAMPLES,
        tiers_nats=(0.0, 0.5, 1.0),
    )


def _limited(journey: ReportRecipe) -> PolicyRecipe:
    """The journey's training by operations instead of steps."""
    update = {"max_gflops": budget_of(journey), "steps": MOST_STEPS, "milestones": (), "evaluate_every": 0}
    return changed(policy_of(journey), update)


def budget_of(journey: ReportRecipe) -> float:
    """Operations of every arm (1e9): the study's, or for a trial a reader's own (``policy.max_gflops``)."""
    return policy_of(journey).max_gflops or BUDGET_GFLOPS


def _trained(arm: Callable[[ReportRecipe], ReportRecipe]) -> Arm:
    return lambda journey: _limited(arm(journey))


def _more_lessons(journey: ReportRecipe) -> ColdStartRecipe:
    """More of the cold start's lessons, from the start model on."""
    start = start_of(journey, REAL_TEXT, BEGINS_FROM)
    return more_lessons(start, budget_of(journey), steps=MOST_STEPS)


ARMS: Mapping[str, Arm] = {
    RPT: _limited,
    "permuted reward": _trained(CONTROLS["permuted reward"]),
    "RLP": _trained(LIKELIHOOD["RLP"]),
}
"""Beside the model before lessons and the start model; none is tuned, all learn at the same rate."""
FURTHER: Mapping[str, Arm] = {
    "VeriFree": _trained(LIKELIHOOD["VeriFree"]),
    "more SFT": _more_lessons,
}
"""Run when they are asked for by name."""


def compared(
    journeys: Sequence[ReportRecipe], seeds: tuple[int, ...], names: tuple[str, ...] = ()
) -> OutcomesReportRecipe:
    """The pretrained model, the start and all arms under one seed, for one page.

    Args:
        journeys: By seed, one.
        seeds: Its name.
        names: Some of the arms; empty for all but those that are run by name.

    Raises:
        RecipeError: there are several seeds, the journey asks for something else, or there is no such arm.
    """
    if len(seeds) != 1:
        raise RecipeError(
            f"the study {REAL_TEXT} is an existence proof on one seed, and {len(seeds)} are asked for: hours "
            "of a real model, and still no study of seeds. Give one, such as --seeds 0."
        )
    (journey,), (seed,) = journeys, seeds
    _refuse_other(journey)
    known = {**ARMS, **FURTHER}
    if unknown := [name for name in names if name not in known]:
        raise RecipeError(f"the study {REAL_TEXT} has no arm {unknown[0]!r}; there are {'; '.join(known)}.")
    start = start_of(journey, REAL_TEXT, BEGINS_FROM)
    assert isinstance(start.base, BaseRecipe)
    models: dict[str, tuple[BaseRecipe | ColdStartRecipe, PolicyRecipe | ColdStartRecipe | None]] = {
        BEFORE: (start.base, None),
        START: (start, None),
        **{name: (start, known[name](journey)) for name in names or tuple(ARMS)},
    }
    arms = [
        StudyArm(name=name, outcomes=(_outcomes(journey, seed, name, *model),))
        for name, model in models.items()
    ]
    return OutcomesReportRecipe(title=journey.title, study=REAL_TEXT, seeds=seeds, arms=tuple(arms))


def _refuse_other(journey: ReportRecipe) -> None:
    documents, policy = stage(journey, "ingest-corpus"), policy_of(journey)
    assert isinstance(documents, IngestRecipe)
    if documents.calculator is None or getattr(policy.objective, "asked", "") != "results":
        raise RecipeError(
            f"the study {REAL_TEXT} asks for results and learns from calculator notes, and {journey.title!r} "
            f"does not. Start from {BEGINS_FROM}, with -p data=FOLDER and -p model=FOLDER."
        )


def _outcomes(
    journey: ReportRecipe,
    seed: int,
    name: str,
    start: BaseRecipe | ColdStartRecipe,
    training: PolicyRecipe | ColdStartRecipe | None,
) -> OutcomesRecipe:
    after = journey.after
    assert isinstance(after, EvaluationRecipe)
    asked: dict[str, Any] = {"model": training or start, "modes": ("plain", "reasoning"), "milestones": False}
    evaluation = after.model_copy(update=asked)
    return OutcomesRecipe(
        study=REAL_TEXT, arm=name, seed=seed, evaluation=evaluation, corpus=evaluation.corpus, start=start,
        training=training, measure="calculator", shown=SHOWN,
    )  # fmt: skip


NAMED: dict[str, Callable[..., ReportRecipe]] = {BEGINS_FROM: smollm2_gsm8k}
