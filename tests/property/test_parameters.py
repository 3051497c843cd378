"""Any text after ``-p`` ends in a recipe or in a RecipeError, never in another exception."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.cli.parameters import KNOWN, literal, parse
from flows.recipes import Overrides, any_journey
from flows.recipes.trees import walk
from rpt_core.errors import RecipeError

NAMES = st.sampled_from(
    [
        "policy.steps", "steps", "policy.objective.entropy_floor_nats", "policy.optimiser.betas", "seed",
        "policy.temperature", "evaluation.tiers_nats", "documents.sample.num_documents", "policy.objective",
        "policy.seed", "corpus.documents", "report.title", "policy.milestones", "base.model.hidden_size",
    ]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=60),
    st.sampled_from(
        ["NaN", "-Infinity", "1e999", "inf", "nan", "[NaN, 1]", '{"a": 1e400}', '"\\ud800"', "9" * 5000]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ).map(json.dumps),
)


def planned(words: list[str]) -> None:
    """What ``rpt plan`` does with ``-p`` before any input is looked at."""
    recipe = any_journey("tiny_rpt", Overrides.parse_words(*parse(words)))
    for found in walk(recipe):
        found.model_dump_json()


@settings(deadline=None)
@given(st.lists(st.builds("{}={}".format, NAMES | st.text(max_size=20), TEXTS), max_size=3))
@example(["policy.objective=3", "policy.objective.reward=prefix"])
@example(["policy.objective.reward=prefix", "policy.objective=3"])
@example(["."])
@example([".=1", "..=2", "policy.=3", "=4"])
@example(["seed=" + "9" * 5000])
@example(["policy.steps=" + "[" * 3999])
@example(["report.title=\udcff"])
@example(["documents.data=a\0b"])
def test_any_words_give_a_recipe_or_a_sentence(words):
    with suppress(RecipeError):
        planned(words)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("NaN", "nan is no number"),
        ("-Infinity", "-inf is no number"),
        ("1e999", "inf is no number"),
        ('{"deep": [1, [2, {"a": 1e999}]]}', "inf is no number"),
        ("9" * 3999, "outside"),
        ("9" * 5000, "5,000 characters"),
        ("[" * 100_000, "100,000 characters"),
        ("x" * 5000, "5,000 characters"),
        ('"\\ud800"', "not valid Unicode"),
        ("\udcff", "not valid Unicode"),
        ("a\0b", "NUL"),
    ],
)
def test_what_no_recipe_can_hold_is_refused_by_name(text, says):
    with pytest.raises(RecipeError, match=r"-p 'policy\.temperature'") as raised:
        literal("policy.temperature", text)
    assert says in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(
    "word",
    [
        "policy.temperature=inf",
        'policy.optimiser.betas=["nan", 1]',
        "seed=-1",
        "policy.seed=-1",
        "documents.sample.num_documents=1000000000000",
        "policy.seed=4294967296",
    ],
)
def test_numbers_in_disguise_and_out_of_range_are_refused(word):
    with pytest.raises(RecipeError, match="given"):
        planned([word])


def test_a_folder_may_be_called_like_a_number():
    assert parse(["data=3", "seed=3", "steps=3"]) == ({"data": "3", "seed": 3}, {"steps": 3})
    assert {"data", "model", "seed"} == KNOWN
