"""RLPT's recipes, from text to a comparison of arms, and the numbers of the paper (2509.19249, section 3.4).

An arm is one training from the same cold start at the same number of forwarded tokens.
"""

from collections.abc import Callable, Sequence
from typing import Any

from flows.recipes import tiny
from rpt_core.artifacts.recipe import Recipe
from rpt_core.errors import RecipeError
from rpt_core.policy.loading.families import given
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, QualityRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import ProblemSampling
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import RlptRecipe, RlvrRecipe
from rpt_core.recipes.reports.rlpt_report import (
    COLD_START,
    RLVR_ALONE,
    SUPERVISED,
    THEN_RLVR,
    JudgedModel,
    RlptReportRecipe,
)
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import (
    BaseRecipe,
    ColdStartRecipe,
    ModelShape,
    Optimiser,
    SftRecipe,
)

WEB = "web-text"
"""Where the paper's kind of corpus is looked for unless ``data`` names another folder."""
PROBLEMS = "maths-problems"
"""Where the problems of the reinforcement with verifiable rewards are looked for, with the paper's text."""
JUDGES_7B = ("Qwen/Qwen2.5-7B-Instruct", "allenai/OLMo-2-1124-7B-Instruct")
JUDGES_32B = ("Qwen/Qwen2.5-32B-Instruct", "allenai/OLMo-2-0325-32B-Instruct")
"""Judges of a training and of its evaluation. They are of two makers: what a policy learnt to please the one
with is not what the other likes."""
INSTRUCTIONS = "instructions"
"""Where conversations for the cold start are looked for."""
TRAINER, EXAMINER = 0, 1
"""Seeds of the judge a model is trained by and of the one that evaluates it: the same two under every seed of
the journey, as a judge is given and not part of what is compared."""
TINY_TOKENS = 400_000
"""Tokens an arm on the sample world may forward, drawn and updated on."""
SFT_STEPS = 275
"""Of the control that goes on with supervised training: its steps forward about 1,460 tokens each."""

ARMS: dict[str, dict[str, Any]] = {
    "RLPT": {},
    "strict rule": {"rule": "strict"},
    "ASR alone": {"msr_share": 0.0},
    "MSR alone": {"msr_share": 1.0},
    "paragraphs": {"unit": "paragraph"},
}
"""What an arm changes about the objective."""
FURTHER: dict[str, dict[str, Any]] = {
    "judge errs 5 %": {"judge_errs_share": 0.05},
    "judge errs 20 %": {"judge_errs_share": 0.2},
    "order of topics": {"order": "topics"},
}
"""Arms that are compared when they are asked for by name: a training's judge that errs on purpose, and like
documents side by side. What judges them afterwards errs no more than before."""


def tiny_rlpt(*, data: str = "", model: str = "", seed: int = 0) -> RlptReportRecipe:
    """RLPT on the built-in sample world, judged by a tiny judge of our own.

    Sizes and rates are those of ``tiny_rpt`` carried over; one run on a tuning seed chose the tokens.
    """
    defaults = tiny.defaults(model)
    corpus = tiny.corpus(data, model, seed, quality=bool(data), min_segment_chars=8)
    base = BaseRecipe(
        corpus=corpus,
        model=tiny.model(model, ModelShape(vocab_size=768, prediction_marks=True)),
        steps=100,
        documents_per_step=8,
        optimiser=tiny.MUON,
        seed=seed,
    )
    difficulty = DifficultyRecipe(corpus=corpus, proxy=base)
    start = ColdStartRecipe(
        corpus=corpus, base=base, form="segments", reword="" if data else "sample-world", steps=400,
        documents_per_step=6, problems_per_step=3, ntp_weight=0.3, optimiser=defaults.cold, seed=seed,
    )  # fmt: skip
    objective = RlptObjective(
        prompt=defaults.prompt, entropy_floor_nats=1.5, min_before=1, min_chars=8, min_tokens=3,
        reference_segments=2, segment_tokens_max=64, audit="" if data else "sample-world",
    )  # fmt: skip
    training = RlptRecipe(
        corpus=corpus,
        difficulty=difficulty,
        start=start,
        judge=JudgeRecipe(seed=TRAINER),
        objective=objective,
        prompts_per_step=32,
        cuts_per_document=4,
        reasoning_tokens=64,
        context_tokens=512,
        steps=400,
        max_tokens=TINY_TOKENS,
        evaluate_every=10,
        ntp_weight=0.1,
        optimiser=defaults.reinforce,
        seed=seed,
    )
    rlvr = tiny.rlvr(corpus, training, data=data, model=model, seed=seed)
    asked = objective.model_copy(update={"rule": "prefix", "unit": "segment"})
    evaluation = JudgedEvaluationRecipe(
        corpus=corpus, difficulty=difficulty, model=training, judge=JudgeRecipe(seed=EXAMINER),
        objective=asked, problems=rlvr.objective, num_targets=150, samples=8, reasoning_tokens=64,
        context_tokens=512, seed=seed,
    )  # fmt: skip
    gentle = start.optimiser.model_copy(update={"learning_rate": defaults.cold.learning_rate / 4})
    again = start.model_copy(
        update={"base": start, "steps": SFT_STEPS, "seed": seed + 1000, "optimiser": gentle}
    )
    return _report("RLPT on the sample world", evaluation, training, rlvr, again, seed)


def rlpt_small(*, data: str = WEB, model: str = "Qwen/Qwen3-0.6B-Base", seed: int = 0) -> RlptReportRecipe:
    """RLPT at a size one 80 GB GPU trains: a 0.6 B base model, a 4 B judge, short thoughts."""
    judges = ("Qwen/Qwen3-4B-Instruct-2507", "Qwen/Qwen2.5-7B-Instruct")
    return _paper(
        "RLPT, small", data, model, seed, judges=judges, steps=300, prompts=64, tokens=1024,
        solved_tokens=4096,
    )  # fmt: skip


def rlpt_3b(*, data: str = WEB, model: str = "meta-llama/Llama-3.2-3B", seed: int = 0) -> RlptReportRecipe:
    """RLPT with the paper's numbers on its 3 B base model, Llama-3.2-3B (section 3.4)."""
    return _paper("RLPT, 3B", data, model, seed, judges=JUDGES_7B)


def rlpt_4b(*, data: str = WEB, model: str = "Qwen/Qwen3-4B-Base", seed: int = 0) -> RlptReportRecipe:
    """RLPT with the paper's numbers on its 4 B base model (section 3.4)."""
    return _paper("RLPT, 4B", data, model, seed, judges=JUDGES_7B)


def rlpt_8b(*, data: str = WEB, model: str = "Qwen/Qwen3-8B-Base", seed: int = 0) -> RlptReportRecipe:
    """RLPT with the paper's numbers on its 8 B base model (section 3.4)."""
    return _paper("RLPT, 8B", data, model, seed, judges=JUDGES_32B)


def _paper(
    title: str, data: str, model: str, seed: int, *,
    judges: tuple[str, str], steps: int = 1000, prompts: int = 512, tokens: int = 8192,
    solved_tokens: int = 32_768,
) -> RlptReportRecipe:  # fmt: skip
    """The paper's journey at a given size; its judges, mix, reference length and data are not published.

    Args:
        title: Of the report.
        data: Text; with a folder of the reader's own its problems are used too.
        model: The base model.
        seed: Of everything that is drawn.
        judges: Of the training, which also scores the text's quality, and of the evaluation.
        steps: Of the training.
        prompts: Segments a step.
        tokens: Longest answer.
        solved_tokens: Longest answer to a problem in the evaluation.
    """
    trainer, examiner = (given(name) for name in judges)
    documents = IngestRecipe(data=data)
    scores = QualityRecipe(documents=documents, model=trainer)
    corpus = PrepareRecipe(documents=documents, scores=scores, min_score=3.0, seed=seed)
    problems = corpus
    if data == WEB:
        problems = PrepareRecipe(documents=IngestRecipe(data=PROBLEMS), eval_share=0.2, seed=seed)
    base = BaseRecipe(corpus=corpus, model=given(model))
    start = SftRecipe(base=base, data=INSTRUCTIONS, seed=seed)
    optimiser = Optimiser(learning_rate=1e-6)
    training = RlptRecipe(
        corpus=corpus,
        start=start,
        judge=BaseRecipe(corpus=corpus, model=trainer),
        prompts_per_step=prompts,
        reasoning_tokens=tokens,
        steps=steps,
        milestones=tuple(steps * tenth // 10 for tenth in (1, 2, 4, 6, 8, 10)),
        optimiser=optimiser,
        seed=seed,
    )
    rlvr = RlvrRecipe(
        corpus=problems, start=training, prompts_per_step=prompts, temperature=1.0, reasoning_tokens=tokens,
        optimiser=optimiser, seed=seed,
    )  # fmt: skip
    evaluation = JudgedEvaluationRecipe(
        corpus=corpus,
        problem_corpus=None if problems is corpus else problems,
        model=training,
        judge=BaseRecipe(corpus=corpus, model=examiner),
        objective=training.objective,
        temperature=0.6,
        top_p=0.95,
        reasoning_tokens=tokens,
        problem_sampling=ProblemSampling(
            samples=64, temperature=0.6, top_p=0.95, reasoning_tokens=solved_tokens
        ),
        seed=seed,
    )
    return _report(title, evaluation, training, rlvr, None, seed, milestones=True)


def _report(
    title: str,
    evaluation: JudgedEvaluationRecipe,
    training: RlptRecipe,
    rlvr: RlvrRecipe,
    again: ColdStartRecipe | None,
    seed: int,
    *,
    milestones: bool = False,
) -> RlptReportRecipe:
    def of(model: Any, **update: Any) -> JudgedEvaluationRecipe:
        return evaluation.model_copy(update={"model": model, **update})

    alone = rlvr.model_copy(update={"start": training.start})
    controls = {SUPERVISED: again, THEN_RLVR: rlvr, RLVR_ALONE: alone}
    after = of(training, milestones=milestones)
    return RlptReportRecipe(
        title=title,
        models=(
            JudgedModel(name=COLD_START, evaluations=(of(training.start),)),
            JudgedModel(name="RLPT", evaluations=(after,), trainings=(training,)),
            *(JudgedModel(name=name, evaluations=(of(model),)) for name, model in controls.items() if model),
        ),
        seeds=(seed,),
        seed=seed,
    )


def compared(
    journeys: Sequence[Recipe], seeds: tuple[int, ...], arms: tuple[str, ...] = ()
) -> RlptReportRecipe:
    """Several seeds of one journey, each with every arm: all start from their seed's cold start.

    Args:
        journeys: The same recipe under several seeds.
        seeds: Their names.
        arms: Names of :data:`ARMS` or :data:`FURTHER`, ``RLPT`` first; empty for all of the former.

    Raises:
        RecipeError: a journey trains something else than RLPT, or there is no such arm.
    """
    arms = arms or tuple(ARMS)
    runs = [journey for journey in journeys if isinstance(journey, RlptReportRecipe)]
    known = ARMS | FURTHER
    if len(runs) < len(journeys) or not set(arms) <= set(known) or arms[0] != "RLPT":
        raise RecipeError(
            f"arms {list(arms)} of a recipe that ends in {journeys[0].stage} are no study of RLPT: take a "
            f"recipe such as tiny_rlpt, and arms out of {list(known)}, RLPT first."
        )
    first = runs[0].models
    controls = [model.name for model in first if not model.trainings]
    start, *rest = (
        JudgedModel(name=name, evaluations=tuple(run.model(name).evaluations[0] for run in runs))
        for name in controls
    )
    return RlptReportRecipe(
        title=f"{runs[0].title}: arms under seeds {', '.join(map(str, seeds))}",
        models=(start, *(_arm(runs, name) for name in arms), *rest),
        seeds=seeds,
    )


def _arm(runs: Sequence[RlptReportRecipe], name: str) -> JudgedModel:
    """One arm under every seed, judged as its journey's RLPT is."""
    trainings = [arm(run.model("RLPT").trainings[0], name) for run in runs]
    judged = [run.model("RLPT").evaluations[0] for run in runs]
    return JudgedModel(
        name=name,
        evaluations=tuple(
            one.model_copy(update={"model": training})
            for one, training in zip(judged, trainings, strict=True)
        ),
        trainings=tuple(trainings),
    )


def arm(training: Any, name: str) -> RlptRecipe:
    """One arm's training: the same journey with another objective."""
    assert isinstance(training, RlptRecipe)
    return training.model_copy(
        update={"objective": training.objective.model_copy(update=(ARMS | FURTHER)[name])}
    )


NAMED: dict[str, Callable[..., RlptReportRecipe]] = {
    "tiny_rlpt": tiny_rlpt,
    "rlpt_small": rlpt_small,
    "rlpt_3b": rlpt_3b,
    "rlpt_4b": rlpt_4b,
    "rlpt_8b": rlpt_8b,
}
