"""Reinforcement with verifiable rewards (RLVR): on a problem set of the reader's, and from several starts.

The study asks whether RPT's checkpoint is the better start. Its arms end at the same number of operations
counted from the start model on: RPT and continual next-token training first spend their share on text, and
RLVR from the start model has the shares of both.
"""

from collections.abc import Sequence
from typing import Any

from flows.recipes.papers import SKYWORK
from flows.recipes.rlpt import INSTRUCTIONS
from flows.recipes.rmt import ntp_alone, policy_of
from flows.recipes.trees import rewritten
from rpt_core.errors import RecipeError
from rpt_core.policy.loading.families import given
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe, ProblemSampling
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import SHARED_WITH_FILTER, PassRateRecipe, RlvrRecipe, Selection
from rpt_core.recipes.reports.report import START, ReportRecipe
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe, SolvingModel
from rpt_core.recipes.supervised import BaseRecipe, Optimiser, SftRecipe

TEXT_GFLOPS, PROBLEM_GFLOPS = 800.0, 400.0
"""Operations on text and on problems of the tiny arms (1e9), about what tiny_rpt takes for each."""
MOST_STEPS = 400
FROM_RPT, FROM_START, FROM_NTP = "RLVR from RPT", "RLVR from the start model", "RLVR from continual NTP"
UNTAUGHT = "model before its lessons"
ARMS = (FROM_RPT, FROM_START, FROM_NTP)
OPTIMISER = Optimiser(learning_rate=1e-6, betas=(0.9, 0.999), weight_decay=0.01, grad_clip=1.0)
"""RLPT's, whose RLVR stage has the same settings (2509.19249, section 4.1)."""


def from_model(
    data: str,
    model: str,
    seed: int,
    *,
    prompts: int,
    tokens: int,
    steps: int,
    title: str,
    lessons: str = "",
) -> RlvrReportRecipe:
    """One training on the problems of a data folder, from a model as it is.

    GRPO on the policy that drew, no divergence from the start model, groups of 8 at temperature 1; problems
    that the start model never or always solves are left out, and so are answers that were cut off.

    Args:
        data: A problem set with verifiable answers, in any layout the reader knows.
        model: A hub id or a folder.
        seed: Of everything that is drawn.
        prompts: Problems a step.
        tokens: Longest answer.
        steps: Of the training.
        title: Of the page.
        lessons: Conversations that the model is fine-tuned on first, for one that cannot answer such
            problems at all; none for a model that can.
    """
    corpus = PrepareRecipe(documents=IngestRecipe(data=data), eval_share=0.05, seed=seed)
    base = BaseRecipe(corpus=corpus, model=given(model))
    start = SftRecipe(base=base, data=lessons, seed=seed) if lessons else base
    asked: dict[str, Any] = {
        "corpus": corpus, "objective": RlvrObjective(prompt="auto"), "temperature": 1.0,
        "reasoning_tokens": tokens, "context_tokens": 1024, "seed": seed,
    }  # fmt: skip
    training = RlvrRecipe(
        start=start, prompts_per_step=prompts, steps=steps, optimiser=OPTIMISER,
        pass_rates=PassRateRecipe(model=start, **asked),
        selection=Selection(max_refills=2, mask_truncated=True), **asked,
    )  # fmt: skip
    before, after, *untaught = (
        EvaluationRecipe(
            corpus=corpus, model=one, modes=("problems",), problems=training.objective,
            problem_sampling=ProblemSampling(samples=8, temperature=1.0, reasoning_tokens=tokens),
            num_problems=200, context_tokens=1024, seed=seed,
        )
        for one in (start, training, *((base,) if lessons else ()))
    )  # fmt: skip
    return _alone(before, after, training, title, tuple(untaught))


def filtered(journey: ReportRecipe) -> RlvrReportRecipe:
    """A journey's RLVR from its start model, on the problems that this model solves now and then."""
    own, policy = rlvr_of(journey), policy_of(journey)
    rates = {name: getattr(own, name) for name in ("corpus", *SHARED_WITH_FILTER)}
    update = {"start": policy.start, "pass_rates": PassRateRecipe(model=policy.start, **rates)}
    training = own.model_copy(update=update)
    before, after = (_solving(journey, model) for model in (policy.start, training))
    return _alone(before, after, training, f"{journey.title}: verifiable rewards with a difficulty filter")


def _alone(
    before: EvaluationRecipe,
    after: EvaluationRecipe,
    training: RlvrRecipe,
    title: str,
    untaught: tuple[EvaluationRecipe, ...] = (),
) -> RlvrReportRecipe:
    """One training beside the model it started from, and that model before its lessons."""
    arm = SolvingModel(name="RLVR", evaluations=(after,), trainings=(training,))
    first = (SolvingModel(name=UNTAUGHT, evaluations=untaught),) if untaught else ()
    models = SolvingModel(name=START, evaluations=(before,)), arm, *first
    return RlvrReportRecipe(title=title, seeds=(training.seed,), models=models, seed=training.seed)


def rlvr_small(
    *, data: str = SKYWORK, model: str = "Qwen/Qwen3-0.6B-Base", seed: int = 0
) -> RlvrReportRecipe:
    """RLVR at a size one 80 GB GPU trains: any problem set, a 0.6 B model, a filter by its own pass rate."""
    return from_model(
        data, model, seed, prompts=128, tokens=4096, steps=200, title="Verifiable rewards, small"
    )


def compared(
    journeys: Sequence[ReportRecipe], seeds: tuple[int, ...], names: tuple[str, ...] = ()
) -> RlvrReportRecipe:
    """RLVR from RPT, from the start model and from continual next-token training, at equal operations.

    Args:
        journeys: Of RPT, by seed.
        seeds: Their names.
        names: Some of the arms; empty for all.

    Raises:
        RecipeError: there is no arm of a name.
    """
    if unknown := set(names) - set(ARMS):
        raise RecipeError(f"the study rlvr has no arm {min(unknown)!r}; there are {'; '.join(ARMS)}.")
    limited = [_limited(journey) for journey in journeys]
    trained = {name: [_arm(journey, name) for journey in limited] for name in names or ARMS}
    policies = {"RPT": limited, "continual NTP": [ntp_alone(one) for one in limited]}
    wanted = {"RPT": FROM_RPT, "continual NTP": FROM_NTP}
    models = [
        SolvingModel(
            name=START, evaluations=tuple(_solving(one, policy_of(one).start) for one in limited)
        ),
        *(
            SolvingModel(
                name=name, trainings=tuple(runs),
                evaluations=tuple(_solving(one, run) for one, run in zip(limited, runs, strict=True)),
            )
            for name, runs in trained.items()
        ),
        *(
            SolvingModel(
                name=name,
                evaluations=tuple(
                    _solving(one, policy_of(run)) for one, run in zip(limited, runs, strict=True)
                ),
            )
            for name, runs in policies.items()
            if wanted[name] in trained
        ),
    ]  # fmt: skip
    title = f"{journeys[0].title}: verifiable rewards from several starts"
    return RlvrReportRecipe(title=title, seeds=seeds, models=tuple(models))


def _limited(journey: ReportRecipe) -> ReportRecipe:
    """Both trainings by operations instead of steps; a limit of the reader's own stays."""
    for kind, gflops, own in (
        ("policy", TEXT_GFLOPS, policy_of(journey).max_gflops),
        ("rlvr", PROBLEM_GFLOPS, rlvr_of(journey).max_gflops),
    ):
        update = {"max_gflops": own or gflops, "steps": MOST_STEPS, "evaluate_every": 0}
        more: dict[str, Any] = {"milestones": ()} if kind == "policy" else {}
        journey = rewritten(journey, kind, update | more)
    return journey


def _arm(journey: ReportRecipe, name: str) -> RlvrRecipe:
    policy = policy_of(journey)
    if name == FROM_NTP:
        return rlvr_of(ntp_alone(journey))
    own = rlvr_of(journey)
    if name == FROM_RPT:
        return own
    whole = {"start": policy.start, "max_gflops": own.max_gflops + policy.max_gflops}
    return own.model_copy(update=whole)


def rlvr_of(journey: ReportRecipe) -> RlvrRecipe:
    """A journey's own training with verifiable rewards."""
    assert isinstance(journey.finetuned, EvaluationRecipe)
    found = journey.finetuned.model
    assert isinstance(found, RlvrRecipe)
    return found


def _solving(journey: ReportRecipe, model: Any) -> EvaluationRecipe:
    """Held-out problems, eight tries each."""
    evaluation = journey.before
    assert isinstance(evaluation, EvaluationRecipe)
    own = evaluation.problem_sampling
    sampling = own or ProblemSampling(
        samples=max(8, evaluation.samples),
        temperature=evaluation.temperature,
        reasoning_tokens=evaluation.reasoning_tokens,
    )
    update = {"model": model, "modes": ("problems",), "milestones": False, "difficulty": None}
    return evaluation.model_copy(update=update | {"problem_sampling": sampling})


def rlvr_small_sft(
    *, data: str = SKYWORK, model: str = "Qwen/Qwen3-0.6B-Base", seed: int = 0
) -> RlvrReportRecipe:
    """The same after fine-tuning on conversations (``sft.data``), for a model that solves nothing yet."""
    return from_model(
        data, model, seed, prompts=128, tokens=4096, steps=200, lessons=INSTRUCTIONS,
        title="Verifiable rewards after lessons, small",
    )  # fmt: skip


NAMED = {"rlvr_small": rlvr_small, "rlvr_small_sft": rlvr_small_sft}
