"""The flows that make one stage of a named recipe, and first whatever it stands on.

What the stages of a journey are, and with which numbers, is written out in ``flows/recipes``: a flow only
says which of them to make.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

from prefect import flow

from flows.make import make
from flows.recipes import Overrides
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

DEFAULTS = Overrides()
ANYWHERE = Placement()
ARGUMENTS = """

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
"""What every flow here is given. Prefect reads it from the docstring and shows it in the form of a run."""
Function = TypeVar("Function", bound=Callable[..., Artifact])


def documented(function: Function) -> Function:
    """The function with :data:`ARGUMENTS` in its docstring."""
    function.__doc__ = f"{function.__doc__}{ARGUMENTS}"
    return function


@flow(name="ingest-corpus", persist_result=False)
@documented
def ingest_corpus(
    recipe: str = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Read dumps, e-prints, problem sets and plain text into documents."""
    return make(recipe, "ingest-corpus", overrides, placement)


@flow(name="prepare-corpus", persist_result=False)
@documented
def prepare_corpus(
    recipe: str = "tiny_rpt", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Clean, filter, de-duplicate, decontaminate, mask, split and segment what was read."""
    return make(recipe, "prepare-corpus", overrides, placement)


@flow(name="score-quality", persist_result=False)
@documented
def score_quality(
    recipe: str = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Let a language model score every document, where the recipe of the corpus asks for it."""
    return make(recipe, "score-quality", overrides, placement)


@flow(name="score-difficulty", persist_result=False)
@documented
def score_difficulty(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Give every token of the corpus its entropy under the proxy model (RPT, section 3.3)."""
    return make(recipe, "score-difficulty", overrides, placement)


@flow(name="cold-start", persist_result=False)
def cold_start(
    recipe: str = "tiny_rpt",
    kind: Literal["base", "cold-start"] = "cold-start",
    overrides: Overrides = DEFAULTS,
    placement: Placement = ANYWHERE,
) -> Artifact:
    """A model to start from: the base (from scratch or given), or the base with supervised traces.

    Args:
        recipe: Name of a recipe; ``rpt ls --recipes`` lists them.
        kind: Which of the two.
        overrides: Your own data, model, seed or single fields in place of the recipe's.
        placement: Where and how it runs; ``auto`` fits the machine.
    """
    return make(recipe, "train-base" if kind == "base" else "cold-start", overrides, placement)


@flow(name="train-rpt", persist_result=False)
@documented
def train_rpt(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Reinforcement pre-training: think before every hard token, rewarded for the truth (RPT, section 3)."""
    return make(recipe, "train-rpt", overrides, placement)


@flow(name="train-rlpt", persist_result=False)
@documented
def train_rlpt(
    recipe: str = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Next-segment reasoning: think, write the next or missing segment, be judged (RLPT, section 3)."""
    return make(recipe, "train-rlpt", overrides, placement)


@flow(name="train-judge", persist_result=False)
@documented
def train_judge(
    recipe: str = "tiny_rlpt", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """The sample world's own judge, taught from pairs whose truth is known."""
    return make(recipe, "train-judge", overrides, placement)


@flow(name="sft", persist_result=False)
@documented
def sft(
    recipe: str = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Supervised fine-tuning on conversations: the cold start of RLPT's paper."""
    return make(recipe, "sft", overrides, placement)


@flow(name="score-pass-rate", persist_result=False)
@documented
def score_pass_rate(
    recipe: str = "rlvr_small", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """How often the start model solves each training problem: the difficulty filter of finetune-rlvr."""
    return make(recipe, "score-pass-rate", overrides, placement)


@flow(name="finetune-rlvr", persist_result=False)
@documented
def finetune_rlvr(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Reinforcement learning with verifiable rewards, from the pre-trained policy (RPT, section 4.3)."""
    return make(recipe, "finetune-rlvr", overrides, placement)


@flow(name="evaluate", persist_result=False)
@documented
def evaluate(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Next-token accuracy by difficulty and exact answers on held-out problems, with intervals."""
    return make(recipe, "evaluate", overrides, placement)


@flow(name="evaluate-judged", persist_result=False)
@documented
def evaluate_judged(
    recipe: str = "rlpt_4b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Next and missing segments of held-out text by a judge's word, and exact answers to problems."""
    return make(recipe, "evaluate-judged", overrides, placement)


@flow(name="fit-scaling", persist_result=False)
@documented
def fit_scaling(
    recipe: str = "rpt_14b", overrides: Overrides = DEFAULTS, placement: Placement = ANYWHERE
) -> Artifact:
    """Fit accuracy over training compute, P(C) = A / C^alpha + P* (RPT, section 4.2)."""
    return make(recipe, "fit-scaling", overrides, placement)
