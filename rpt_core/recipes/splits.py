"""Held-out rows, chosen by a hash of their near-duplicate cluster: two like rows never part."""

import hashlib
from collections.abc import Iterator
from typing import Literal

from rpt_core.artifacts.recipe import Recipe
from rpt_core.recipes.corpus import PrepareRecipe

SPLIT_FIELDS = ("seed", "eval_share", "near_duplicate_jaccard", "num_permutations", "held_questions")
"""What decides on which side a row of given documents falls."""

TRAINED = "trained."
"""Prefix of the input folders that hold the corpora a model was trained on."""
EVALUATED = ("corpus", "problem_corpus")
"""Inputs of an evaluation whose held-out rows are asked about."""

Split = Literal["train", "eval"]


def split_of(cluster: str, seed: int, eval_share: float) -> Split:
    """The side of a cluster; independent of every other row of the corpus.

    Args:
        cluster: Id of the row that stands for it.
        seed: Another seed is another choice.
        eval_share: Expected share of clusters held out.

    Example:
        >>> split_of("ab", 0, 0.5) == split_of("ab", 0, 0.5)
        True
    """
    digest = hashlib.blake2b(f"split {seed} {cluster}".encode(), digest_size=8).digest()
    return "eval" if int.from_bytes(digest, "big") < eval_share * 2**64 else "train"


def corpora(recipe: object) -> Iterator[PrepareRecipe]:
    """Every corpus a recipe stands on, itself included, as far as its inputs are recipes."""
    if isinstance(recipe, PrepareRecipe):
        yield recipe
    if isinstance(recipe, Recipe):
        for below in recipe.inputs().values():
            yield from corpora(below)


def overlap(evaluated: PrepareRecipe, trained: PrepareRecipe) -> str:
    """Why what one corpus holds out may be what the other trains on; empty when it cannot.

    The same documents split by the same numbers fall on the same sides; split by others they do not.
    Which rows corpora of other documents share is known only by their content, when both are made:
    :mod:`rpt_core.corpus.dedup.overlap`.
    """
    if evaluated.documents != trained.documents:
        return ""
    differing = [name for name in SPLIT_FIELDS if getattr(evaluated, name) != getattr(trained, name)]
    shown = (f"{name} {getattr(evaluated, name)} and {getattr(trained, name)}" for name in differing)
    return ", ".join(shown)
