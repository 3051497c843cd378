"""How a cold start shows documents: thoughts that take detours, words about a budget."""

import numpy as np
import pytest
from pydantic import ValidationError

from rpt_core.artifacts.recipe import Artifact
from rpt_core.objectives.prompts import Prompt
from rpt_core.recipes.supervised import ColdStartRecipe
from rpt_core.train.supervised.lessons import ThoughtStyle

NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
USUAL = Prompt((1,), (2, 3))
BUDGETED = tuple(Prompt((1,), (2, number, 3)) for number in range(10, 14))


def test_the_usual_manner_draws_no_number():
    """So a cold start without detours shows what it showed before there were any."""
    rng, untouched = np.random.default_rng(5), np.random.default_rng(5)
    assert ThoughtStyle().thought((1, 2), rng) == (1, 2)
    assert ThoughtStyle().prompt(USUAL, rng) == USUAL
    assert rng.random() == untouched.random()


def test_detours_go_over_the_steps_again_and_end_where_they_should():
    rng, style = np.random.default_rng(0), ThoughtStyle(share=0.5, passes=(2, 4))
    passes = [len(style.thought((7, 8, 9), rng)) // 3 for _ in range(400)]
    assert set(passes) == {1, 2, 3, 4}
    assert passes.count(1) / 400 == pytest.approx(0.5, abs=0.08)
    assert style.thought((7, 8), rng)[-2:] == (7, 8)


def test_every_second_document_names_some_budget():
    rng, style = np.random.default_rng(0), ThoughtStyle(budgeted=BUDGETED)
    shown = [style.prompt(USUAL, rng) for _ in range(400)]
    assert shown.count(USUAL) / 400 == pytest.approx(0.5, abs=0.08)
    assert set(shown) == {USUAL, *BUDGETED}


@pytest.mark.parametrize(
    ("fields", "says"),
    [({"long_passes": (4, 2)}, "smaller number first"), ({"budget_words": (9, 3)}, "smaller number first")],
)
def test_ranges_run_upwards(fields, says):
    with pytest.raises(ValidationError, match=says):
        ColdStartRecipe(corpus=NOWHERE, base=NOWHERE, **fields)
