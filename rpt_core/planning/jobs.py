"""What the stages of a journey put through their models, read from recipes before anything is there.

Memory is for the longest documents and answers a recipe allows. Operations and hours are for mean lengths
where those are known: by the reader, by a recipe that sets them (RMT's budget), or because they were
measured (:data:`SAMPLE_WORLD`); else for the longest, which makes them upper bounds. What a recipe cannot
say is an assumption of :class:`Assumed`. Groups drawn again because their rewards are equal are not counted.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rpt_core.artifacts.build import GIGA
from rpt_core.artifacts.recipe import Recipe
from rpt_core.planning.load import Load
from rpt_core.planning.shape import Shape
from rpt_core.recipes.corpus import QualityRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.evaluation import EvaluationFields, EvaluationRecipe
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.objectives import NtpObjective, PretrainZeroObjective, RlpObjective, RmtObjective
from rpt_core.recipes.reinforce import PassRateRecipe, PolicyRecipe, RlptRecipe, RlRecipe, TextRlRecipe
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, ModelShape, Optimiser, SftRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """What no recipe says."""

    answer_tokens: int = 0
    """Mean length of an answer; 0 for the longest a recipe allows."""
    document_tokens: int = 0
    """Mean length of a document; 0 for the longest."""
    suffix: int = 64
    """Tokens of a prompt between a cut and its answers."""
    problem: int = 512
    """Of a problem with its instruction."""
    document: int = 1024
    """Of a document whose quality is scored, at 3,000 characters and three a token."""
    judged: int = 384
    """Of a prediction with the words around it, as a judge reads it."""


SOLVED_MODES = {"problems", "benchmarks", "choice-boxed"}
"""Modes of an evaluation whose questions are problems; those of all others stand in a text."""
SAMPLE_WORLD = Assumed(answer_tokens=12, document_tokens=88)
"""Of the sample world: its documents by the tokenizer trained on it, and the answers of ``tiny_rpt``, which
forwarded 335 thousand tokens in 48 steps of 256 answers."""


@dataclass(frozen=True, slots=True)
class StageJob:
    """A stage's work: steps of one load; an evaluation is one step of several draws."""

    load: Load
    steps: int
    """0 where a recipe does not say, because data decides."""
    draws: tuple[Load, ...] = ()
    """What is drawn in a step, at mean lengths."""
    update: Load | None = None
    """What is learnt from in a step, at mean lengths; None for a stage that does not train."""
    scored: Load | None = None
    """What is only read and scored, at mean lengths."""
    updates: int = 1
    """Optimiser steps on every batch."""
    judged_tokens: float = 0.0
    """A judge reads in a step."""
    most_flops: float = 0.0
    """The stage ends after the step that reaches so many operations; 0 for no such end. What a training
    counts towards it beside its own steps, such as its proxy's pass, is not taken off."""


def job_of(
    recipe: Recipe, judge: Shape | None = None, visited: int = 0, assumed: Assumed | None = None
) -> StageJob | None:
    """A stage's work; None where it holds no model, or one that is only copied.

    Args:
        recipe: Of the stage.
        judge: Sizes of the judge it asks in its own process.
        visited: Documents of the corpus, where a stage reads it once.
        assumed: What no recipe says.
    """
    given = assumed or Assumed()
    if isinstance(recipe, RlRecipe):
        found = _reinforced(recipe, judge, given)
        return replace(found, most_flops=GIGA * recipe.max_gflops)
    if isinstance(recipe, EvaluationFields):
        return _evaluated(recipe, judge, given)
    if isinstance(recipe, DifficultyRecipe):
        load = Load(documents=visited, trunk=recipe.context_tokens, trains=False, scores_document=True)
        return StageJob(load, 1 if visited else 0, scored=_at_mean(load, given))
    if isinstance(recipe, PassRateRecipe | QualityRecipe):
        return _answered(recipe, visited, given)
    learnt = _supervised(recipe, given)
    if learnt is None:
        return None
    most = GIGA * float(getattr(recipe, "max_gflops", 0.0))
    steps = int(getattr(recipe, "steps", 0))
    return StageJob(learnt, steps, update=_at_mean(learnt, given), most_flops=most)


def _at_mean(load: Load, assumed: Assumed) -> Load:
    """The same at mean lengths, as far as they are known and shorter."""
    trunk = min(load.trunk, assumed.document_tokens or load.trunk)
    return replace(load, trunk=trunk, answer=min(load.answer, assumed.answer_tokens or load.answer))


def documents_visited(recipes: Iterable[Recipe]) -> int:
    """Documents a journey's trainings look at, at most: each visit another one; 0 where nothing is said."""
    return max((r.steps * _documents(r) for r in recipes if isinstance(r, TextRlRecipe)), default=0)


def _documents(recipe: RlRecipe) -> int:
    return math.ceil(recipe.prompts_per_step / _cuts(recipe))


def _cuts(recipe: RlRecipe) -> int:
    """Questions about a document and visit; a learned masker asks about as many spans as it names."""
    if not isinstance(recipe, TextRlRecipe):
        return 1
    masks = isinstance(recipe, PolicyRecipe) and isinstance(recipe.objective, PretrainZeroObjective)
    return 1 + recipe.group_size if masks else recipe.cuts_per_document


def _reinforced(recipe: RlRecipe, judge: Shape | None, assumed: Assumed) -> StageJob:
    text = isinstance(recipe, TextRlRecipe)
    objective = getattr(recipe, "objective", None)
    watched = isinstance(recipe, TextRlRecipe) and recipe.ntp_weight > 0
    raw = isinstance(recipe, TextRlRecipe) and recipe.ntp_text == "raw"
    load = Load(
        documents=_documents(recipe),
        trunk=recipe.context_tokens if text else min(recipe.context_tokens, assumed.problem),
        cuts=_cuts(recipe),
        suffix=_suffix(recipe, assumed),
        group=recipe.group_size,
        answer=recipe.reasoning_tokens,
        draws=True,
        scores_document=watched and not raw,
        raw_documents=watched and raw,
        muon=_muon(recipe.optimiser),
        references=(recipe.kl_weight > 0) + isinstance(objective, RlpObjective),
        judge=judge,
    )
    mean = replace(
        _at_mean(load, assumed if text else replace(assumed, document_tokens=0)),
        answer=_mean_answer(recipe, assumed),
    )
    steps = recipe.steps
    most = recipe.max_tokens if isinstance(recipe, TextRlRecipe) else 0
    if most:
        steps = min(steps, math.ceil(most / (2 * mean.documents * mean.tree)))
    if isinstance(objective, NtpObjective):  # nothing is asked
        load, mean = (replace(one, group=0, answer=0, suffix=0, draws=False) for one in (load, mean))
        return StageJob(load, steps, update=mean, updates=recipe.updates_per_batch)
    if isinstance(
        objective, PretrainZeroObjective
    ):  # a second pass over the documents: spans are named first
        draws = (replace(mean, cuts=1), replace(mean, cuts=recipe.group_size))
        return StageJob(load, steps, draws, update=mean, updates=recipe.updates_per_batch)
    read = mean.answers * assumed.judged if isinstance(recipe, RlptRecipe) and judge else 0
    return StageJob(load, steps, (mean,), update=mean, updates=recipe.updates_per_batch, judged_tokens=read)


def _mean_answer(recipe: RlRecipe, assumed: Assumed) -> int:
    """The reader's figure, the mean of RMT's budget with room for the answer, or the longest."""
    objective = recipe.objective if isinstance(recipe, PolicyRecipe) else None
    mean = float(assumed.answer_tokens or recipe.reasoning_tokens)
    if not assumed.answer_tokens and isinstance(objective, RmtObjective) and objective.budget:
        budget = objective.budget
        mean = budget.first * (1 + budget.decay) / 2 + budget.answer_tokens
    return min(recipe.reasoning_tokens, round(mean))


def _suffix(recipe: Recipe, assumed: Assumed) -> int:
    """Compact prompts are a few control tokens, the brief one ten; a segment after a gap is shown in full."""
    objective = getattr(recipe, "objective", None)
    if getattr(objective, "prompt", "") in {"auto", "compact", "compact-fenced"}:
        return 4
    if getattr(objective, "prompt", "") == "brief":
        return 10
    return assumed.suffix + int(getattr(objective, "segment_tokens_max", 0))


def _muon(optimiser: Optimiser) -> bool:
    return optimiser.name == "muon"


def _supervised(recipe: Recipe, assumed: Assumed) -> Load | None:
    """What a step of supervised training learns from; answers are given."""
    if isinstance(recipe, BaseRecipe):
        shape = recipe.model
        if not isinstance(shape, ModelShape):
            return None
        return Load(
            documents=recipe.documents_per_step, trunk=shape.context_tokens, scores_document=True,
            muon=_muon(recipe.optimiser),
        )  # fmt: skip
    if isinstance(recipe, ColdStartRecipe):
        documents = recipe.documents_per_step + recipe.problems_per_step + recipe.plain_per_step
        return Load(
            documents=documents, trunk=recipe.context_tokens,
            suffix=_suffix(recipe, assumed), group=1, answer=recipe.thought_tokens_max,
            scores_document=recipe.ntp_weight > 0, muon=_muon(recipe.optimiser),
        )  # fmt: skip
    if isinstance(recipe, SftRecipe):
        half = recipe.max_tokens // 2
        return Load(
            documents=recipe.conversations_per_step, trunk=half, group=1, answer=half,
            muon=_muon(recipe.optimiser),
        )  # fmt: skip
    if isinstance(recipe, JudgeRecipe):
        half = recipe.model.context_tokens // 2
        return Load(
            documents=recipe.pairs_per_step + recipe.drills_per_step, trunk=half, group=1, answer=half,
            muon=_muon(recipe.optimiser),
        )  # fmt: skip
    return None


def _answered(recipe: PassRateRecipe | QualityRecipe, visited: int, assumed: Assumed) -> StageJob | None:
    if isinstance(recipe, PassRateRecipe):
        return _solved(recipe, assumed)
    return _rated(recipe, visited, assumed) if recipe.model is not None else None


def _rated(recipe: QualityRecipe, visited: int, assumed: Assumed) -> StageJob:
    load = Load(
        documents=visited, trunk=assumed.document, suffix=0, group=1, answer=recipe.reply_tokens,
        trains=False, draws=True,
    )  # fmt: skip
    return StageJob(load, 1 if visited else 0, (load,))


def _solved(recipe: PassRateRecipe, assumed: Assumed) -> StageJob:
    load = Load(
        documents=recipe.num_problems, trunk=min(recipe.context_tokens, assumed.problem),
        suffix=_suffix(recipe, assumed), group=recipe.samples, answer=recipe.reasoning_tokens,
        trains=False, draws=True,
    )  # fmt: skip
    mean = _at_mean(load, replace(assumed, document_tokens=0))
    return StageJob(load, 1 if recipe.num_problems else 0, (mean,))


def _evaluated(recipe: EvaluationFields, judge: Shape | None, assumed: Assumed) -> StageJob:
    """An evaluation is one step; the modes of milestones are repeated for each of them."""
    text = Load(
        documents=_asked(recipe), trunk=recipe.context_tokens, suffix=_suffix(recipe, assumed),
        group=recipe.samples, answer=recipe.reasoning_tokens, trains=False, draws=True, judge=judge,
    )  # fmt: skip
    sampling = recipe.problem_sampling
    solved = replace(
        text,
        documents=recipe.num_problems,
        trunk=min(recipe.context_tokens, assumed.problem),
        suffix=0,
        group=sampling.samples if sampling else recipe.samples,
        answer=sampling.reasoning_tokens if sampling else recipe.reasoning_tokens,
    )
    marks = len(getattr(recipe.model, "milestones", ())) if recipe.milestones else 0
    mean = _at_mean(text, assumed)
    again = getattr(recipe, "milestone_modes", ()) or ("reasoning", "judged")
    times = {mode: 1 + marks * (mode in again) for mode in ("reasoning", "judged", "forced", "judged-forced")}
    draws = tuple(mean for mode in recipe.modes for _ in range(times.get(mode, 0)))
    solves = SOLVED_MODES & set(recipe.modes)
    if solves:
        draws = (*draws, _at_mean(solved, replace(assumed, document_tokens=0)))
    asked = [text] if set(recipe.modes) - solves or not solves else []
    longest = max([*asked, *([solved] if solves else [])], key=lambda load: load.answer)
    read = sum(load.answers for load in draws if load is mean) * assumed.judged if judge else 0
    return StageJob(longest, 1, draws, judged_tokens=read)


def _asked(recipe: EvaluationFields) -> int:
    """Questions on text; each segment is asked both ways."""
    if isinstance(recipe, JudgedEvaluationRecipe):
        return 2 * recipe.num_targets
    return recipe.num_positions if isinstance(recipe, EvaluationRecipe) else 0
