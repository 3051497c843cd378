"""On which side of the split a row falls: by the hash of its cluster, or by what it asks."""

from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.splits import Split, split_of
from rpt_core.sample.second.reading import shows_reserved


def side_of(recipe: PrepareRecipe, cluster: str, text: str) -> Split:
    """The side of a row.

    Args:
        recipe: Its ``held_questions`` hold out every row that shows a question held out under that salt.
        cluster: Id of the row that stands for its near-duplicates.
        text: Of the row: a document's, or a problem's question.
    """
    if recipe.held_questions and shows_reserved(text, recipe.held_questions):
        return "eval"
    return split_of(cluster, recipe.seed, recipe.eval_share)
