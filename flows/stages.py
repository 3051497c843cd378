"""The flows that make one stage of a named recipe, and first whatever it stands on.

What the stages of a journey are, and with which numbers, is written out in ``flows/recipes``: a flow only
says which of them to make.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from prefect import Flow, flow

from flows.make import ANYWHERE, make
from flows.names import run_name
from flows.recipes import Overrides
from flows.recipes.choices import (
    AnyRecipe,
    EvaluatedRecipe,
    FilteredRecipe,
    JudgedRecipe,
    RatedRecipe,
    ScoredRecipe,
    SegmentRecipe,
    TokenRecipe,
)
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import EXIT_YOUR_INPUT

DEFAULTS = Overrides()
ARGUMENTS = """

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; None takes all of it from the machine.
    """
"""What every flow here is given. Prefect reads it from the docstring and shows it in the form of a run."""
Function = TypeVar("Function", bound=Callable[..., Artifact])


def documented(function: Function) -> Function:
    """The function with :data:`ARGUMENTS` in its docstring."""
    function.__doc__ = f"{function.__doc__}{ARGUMENTS}"
    return function


@flow(name="ingest-corpus", flow_run_name=run_name, persist_result=False)
@documented
def ingest_corpus(
    recipe: AnyRecipe = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Read dumps, e-prints, problem sets and plain text into documents."""
    return make(recipe, "ingest-corpus", overrides, placement or ANYWHERE)


@flow(name="prepare-corpus", flow_run_name=run_name, persist_result=False)
@documented
def prepare_corpus(
    recipe: AnyRecipe = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Clean, filter, de-duplicate, decontaminate, mask, split and segment what was read."""
    return make(recipe, "prepare-corpus", overrides, placement or ANYWHERE)


@flow(name="score-quality", flow_run_name=run_name, persist_result=False)
@documented
def score_quality(
    recipe: AnyRecipe = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Let a language model score every document, where the recipe of the corpus asks for it."""
    return make(recipe, "score-quality", overrides, placement or ANYWHERE)


@flow(name="score-difficulty", flow_run_name=run_name, persist_result=False)
@documented
def score_difficulty(
    recipe: ScoredRecipe = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Give every token of the corpus its entropy under the proxy model (RPT, section 3.3)."""
    return make(recipe, "score-difficulty", overrides, placement or ANYWHERE)


@flow(name="cold-start", flow_run_name=run_name, persist_result=False)
def cold_start(
    recipe: AnyRecipe = "tiny_rpt",
    kind: Literal["base", "cold-start"] = "cold-start",
    overrides: Overrides = DEFAULTS,
    placement: Placement | None = None,
) -> Artifact:
    """A model to start from: the base (from scratch or given), or the base with supervised traces.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        kind: Which of the two.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; None takes all of it from the machine.
    """
    return make(recipe, "train-base" if kind == "base" else "cold-start", overrides, placement or ANYWHERE)


@flow(name="train-rpt", flow_run_name=run_name, persist_result=False)
@documented
def train_rpt(
    recipe: TokenRecipe = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Reinforcement pre-training: think before every hard token, rewarded for the truth (RPT, section 3)."""
    return make(recipe, "train-rpt", overrides, placement or ANYWHERE)


@flow(name="train-rlpt", flow_run_name=run_name, persist_result=False)
@documented
def train_rlpt(
    recipe: SegmentRecipe = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Next-segment reasoning: think, write the next or missing segment, be judged (RLPT, section 3)."""
    return make(recipe, "train-rlpt", overrides, placement or ANYWHERE)


@flow(name="train-judge", flow_run_name=run_name, persist_result=False)
@documented
def train_judge(
    recipe: JudgedRecipe = "tiny_rlpt", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """The sample world's own judge, taught from pairs whose truth is known."""
    return make(recipe, "train-judge", overrides, placement or ANYWHERE)


@flow(name="sft", flow_run_name=run_name, persist_result=False)
@documented
def sft(
    recipe: RatedRecipe = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Supervised fine-tuning on conversations: the cold start of RLPT's paper."""
    return make(recipe, "sft", overrides, placement or ANYWHERE)


@flow(name="score-pass-rate", flow_run_name=run_name, persist_result=False)
@documented
def score_pass_rate(
    recipe: FilteredRecipe = "rlvr_small", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """How often the start model solves each training problem: the difficulty filter of finetune-rlvr."""
    return make(recipe, "score-pass-rate", overrides, placement or ANYWHERE)


@flow(name="finetune-rlvr", flow_run_name=run_name, persist_result=False)
@documented
def finetune_rlvr(
    recipe: AnyRecipe = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Reinforcement learning with verifiable rewards, from the pre-trained policy (RPT, section 4.3)."""
    return make(recipe, "finetune-rlvr", overrides, placement or ANYWHERE)


@flow(name="evaluate", flow_run_name=run_name, persist_result=False)
@documented
def evaluate(
    recipe: EvaluatedRecipe = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Next-token accuracy by difficulty and exact answers on held-out problems, with intervals."""
    return make(recipe, "evaluate", overrides, placement or ANYWHERE)


@flow(name="evaluate-judged", flow_run_name=run_name, persist_result=False)
@documented
def evaluate_judged(
    recipe: SegmentRecipe = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Next and missing segments of held-out text by a judge's word, and exact answers to problems."""
    return make(recipe, "evaluate-judged", overrides, placement or ANYWHERE)


@flow(name="fit-scaling", flow_run_name=run_name, persist_result=False)
@documented
def fit_scaling(
    recipe: TokenRecipe = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement | None = None
) -> Artifact:
    """Fit accuracy over training compute, P(C) = A / C^alpha + P* (RPT, section 4.2)."""
    return make(recipe, "fit-scaling", overrides, placement or ANYWHERE)


def main(words: Sequence[str]) -> None:
    """``python -m flows.stages train-rpt [RECIPE] [OPTIONS of rpt run]``, with the flow's own default recipe.

    Never returns.
    """
    from flows.cli.__main__ import as_run

    flows = {one.name: one for one in globals().values() if isinstance(one, Flow)}
    if not words or words[0] not in flows:
        known = ", ".join(flows)
        print(f"usage: python -m flows.stages STAGE [RECIPE] [OPTIONS]; STAGE: {known}.", file=sys.stderr)
        raise SystemExit(EXIT_YOUR_INPUT)
    name = words[0]
    as_run(name, str(flows[name].parameters.properties["recipe"]["default"]), words[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
