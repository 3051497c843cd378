"""Defaults, bounds and named recipes are what they were: a form, an old manifest and a store hang on them."""

import json

import pytest

from tests.golden.recipes import RECORD, fields, stages

HINT = "meant to change? run python -m tests.golden.recipes and read the difference"
KNOWN = json.loads(RECORD.read_text())


@pytest.mark.parametrize("name", sorted(KNOWN["fields"]))
def test_fields_have_the_defaults_and_bounds_they_had(name):
    assert fields()[name] == KNOWN["fields"][name], HINT


def test_there_is_no_class_that_the_record_lacks():
    assert sorted(fields()) == sorted(KNOWN["fields"]), HINT


@pytest.mark.parametrize("name", sorted(KNOWN["stages"]))
def test_a_named_recipe_makes_what_it_made(name):
    assert stages()[name] == KNOWN["stages"][name], HINT


def test_there_is_no_named_recipe_that_the_record_lacks():
    assert sorted(stages()) == sorted(KNOWN["stages"]), HINT
