"""RPT's journey with the numbers of its paper, at any size; RMT's recipes are changes to it.

What the paper leaves out, and where a recipe departs from it, stands in ``docs/methods.md``.
"""

from typing import Any

from rpt_core.policy.loading.families import given, proxy_for
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe, ProblemSampling
from rpt_core.recipes.objectives import PromptName, RptObjective
from rpt_core.recipes.reinforce import PolicyRecipe, RlvrRecipe, Selection
from rpt_core.recipes.reports.report import ReportRecipe
from rpt_core.recipes.scaling import ScalingRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, Optimiser

OMNI_MATH = "omni-math"
"""Where the papers' corpus is looked for unless ``data`` names another folder."""
SKYWORK = "skywork-or1"
"""Where the problems of the papers' reinforcement with verifiable rewards are looked for: 256 to train on and
200 to test, chosen by difficulty (section 4.3). With a folder of the reader's own, its problems are used."""


def rpt(
    title: str, data: str, model: str, seed: int, *,
    steps: int, prompts: int, tokens: int, prompt: PromptName, milestones: tuple[int, ...],
    dynamic_from: int, solved_tokens: int,
) -> ReportRecipe:  # fmt: skip
    """The paper's journey (2506.08007, table 5, sections 3.3 and 4).

    Args:
        title: Of the report.
        data: Text and problems; the paper's corpus is :data:`OMNI_MATH`.
        model: The base model, a hub id or a folder.
        seed: Of everything that is drawn.
        steps: Of the training; the scaling law reads 1200, the main run ends at 1000.
        prompts: Positions a step, 256 in the paper.
        tokens: Longest answer, 8192 in the paper.
        prompt: The template; the paper trained with ``v0``.
        milestones: Steps the scaling law is fitted on.
        dynamic_from: First step of dynamic sampling, 500 in the paper.
        solved_tokens: Longest answer to a problem in the evaluation, 32,000 in the paper.
    """
    corpus, problems = _corpora(data, seed)
    start = BaseRecipe(corpus=corpus, model=given(model))
    proxy = BaseRecipe(corpus=corpus, model=proxy_for(model))
    difficulty = DifficultyRecipe(corpus=corpus, proxy=proxy, context_tokens=4096, stride_tokens=2048)
    optimiser = Optimiser(learning_rate=1e-6, betas=(0.9, 0.999), weight_decay=0.01, grad_clip=0.2)
    policy = PolicyRecipe(
        corpus=corpus,
        difficulty=difficulty,
        start=start,
        objective=RptObjective(prompt=prompt, entropy_floor_nats=0.5),
        prompts_per_step=prompts,
        temperature=0.8,
        reasoning_tokens=tokens,
        steps=steps,
        milestones=milestones,
        selection=Selection(drop_equal_from_step=dynamic_from, max_refills=10),
        optimiser=optimiser,
        seed=seed,
    )
    rlvr = RlvrRecipe(
        corpus=problems, start=policy, prompts_per_step=64, steps=60, temperature=0.8,
        reasoning_tokens=tokens, optimiser=optimiser, seed=seed,
    )  # fmt: skip
    return report(
        title,
        # section 4.1 classes positions by the 14 B model, not by the proxy that chose what is trained on
        difficulty.model_copy(update={"proxy": start}),
        start,
        policy,
        rlvr,
        temperature=0.8,
        reasoning_tokens=tokens,
        seed=seed,
        num_problems=200,
        problem_sampling=ProblemSampling(samples=8, temperature=0.6, reasoning_tokens=solved_tokens),
        **({} if problems is corpus else {"problem_corpus": problems}),
    )


def _corpora(data: str, seed: int) -> tuple[PrepareRecipe, PrepareRecipe]:
    """What is trained on, and what problems are drawn from: the same, but for the paper's own data."""
    corpus = PrepareRecipe(
        documents=IngestRecipe(data=data), eval_share=0.045, solutions_as_documents=True, seed=seed
    )
    if data != OMNI_MATH:
        return corpus, corpus
    return corpus, PrepareRecipe(documents=IngestRecipe(data=SKYWORK), eval_share=0.44, seed=seed)


def report(
    title: str,
    difficulty: DifficultyRecipe,
    start: ColdStartRecipe | BaseRecipe,
    policy: PolicyRecipe,
    rlvr: RlvrRecipe,
    **asked: Any,
) -> ReportRecipe:
    """The end of a journey: three models evaluated alike, the scaling law, the page.

    Args:
        title: Of the report.
        difficulty: By which held-out positions are classed.
        start: The model before training.
        policy: After it.
        rlvr: After verifiable rewards too.
        asked: Further fields of the evaluation.
    """

    def evaluation(model: Any, *, milestones: bool = False) -> EvaluationRecipe:
        return EvaluationRecipe(
            corpus=policy.corpus,
            difficulty=difficulty,
            model=model,
            objective=policy.objective,
            problems=rlvr.objective,
            context_tokens=policy.context_tokens,
            milestones=milestones,
            **asked,
        )

    after = evaluation(policy, milestones=True)
    return ReportRecipe(
        title=title,
        before=evaluation(start),
        after=after,
        finetuned=evaluation(rlvr),
        scaling=ScalingRecipe(evaluation=after, seed=policy.seed),
    )
