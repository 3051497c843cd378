"""Sizes of published models, and what follows from sizes alone."""

import pytest

from flows.recipes import NAMED
from flows.recipes.trees import walk
from rpt_core.errors import RecipeError
from rpt_core.planning.published import SHAPES, TABLE, published_shape
from rpt_core.planning.shape import Shape
from rpt_core.policy.loading.families import PARAMETERS
from rpt_core.policy.work import Work
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.supervised import ModelShape
from tests.toys import SHAPES as KINDS
from tests.toys import tiny_policy

STATED = {
    "Qwen/Qwen3-0.6B": 596_049_920,
    "Qwen/Qwen3-1.7B": 1_720_574_976,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "Qwen/Qwen3-14B": 14_768_307_200,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
}
"""As the Qwen3 presets of keras-hub and the weights of SmolLM2 (tests/tools/real_model.py) state them."""


def test_parameters_follow_from_the_published_sizes():
    assert {name: SHAPES[name].parameters for name in STATED} == STATED
    for name, shape in SHAPES.items():
        if name in PARAMETERS:  # rounded in the models' own names and cards
            assert shape.parameters == pytest.approx(PARAMETERS[name], rel=0.03), name


def test_every_model_a_named_recipe_starts_from_has_a_row_with_a_source():
    named = [make() for name, make in NAMED.items() if name != "tiny_real"]
    models = {
        model.name
        for journey in named
        for recipe in walk(journey)
        if isinstance(model := getattr(recipe, "model", None), GivenModel)
    }
    assert len(models) > 8
    assert models <= set(SHAPES)
    assert all(row.source and row.names for row in TABLE)


def test_nothing_is_guessed_from_a_name():
    assert published_shape("org/Another-14B") is None


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_counts_as_the_model_does(kind, tied):
    policy = tiny_policy(kind, tied=tied, vocab=300)
    shape = Shape.of_config(policy.config.to_dict(), kind)
    work = Work.of(policy.model, policy.config)
    assert shape.parameters == policy.num_parameters
    assert (shape.flops_per_token, shape.flops_per_pair) == (work.per_token, work.per_pair)
    assert shape.flops_per_score == work.per_score


def test_sizes_of_a_recipe_are_those_of_the_model_it_makes():
    shape = Shape.of_recipe(ModelShape(vocab_size=768))
    assert shape.parameters == 768 * 128 + 3 * (196_608 + 2 * 128 + 2 * 32) + 128


def test_a_configuration_that_says_too_little_or_too_much_is_refused():
    with pytest.raises(RecipeError, match="layers are of type 'mamba'"):
        Shape.of_config({"model_type": "mamba"}, "a folder")
    with pytest.raises(RecipeError, match="does not give the size 'num_attention_heads'"):
        Shape.of_config({"model_type": "llama", "hidden_size": 8}, "a folder")
