"""Look at the text of a journey before it is made."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from rpt_core.artifacts.recipe import Recipe
from rpt_core.corpus.peek import MOST_ROWS, Looked, look
from rpt_core.errors import RecipeError
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from tasks.inputs.resolve import resolve_sources

EXAMPLES = 3
"""Rows shown of everything."""


def peek(recipes: Sequence[Recipe]) -> list[Looked]:
    """What reading and cleaning do with the first rows of a journey's text; the store is not touched.

    Args:
        recipes: Of the journey, inputs before what needs them.

    Raises:
        RecipeError: the journey reads no text.
        SourceError: there is no data, or nothing of it can be used.
    """
    ingest = next((one for one in recipes if isinstance(one, IngestRecipe)), None)
    if ingest is None:
        raise RecipeError("this journey reads no text of its own: there is nothing to look at.")
    prepare = next(
        (one for one in recipes if isinstance(one, PrepareRecipe) and one.documents == ingest), None
    )
    read = resolve_sources(ingest)
    assert isinstance(read, IngestRecipe)
    with tempfile.TemporaryDirectory(prefix="rpt-peek-") as folder:
        return list(look(read, prepare, Path(folder), MOST_ROWS, EXAMPLES))
