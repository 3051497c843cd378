"""Fields that came later, and what a value explains of itself."""

import pytest

from rpt_core.artifacts.recipe import Frozen, later


class Later(Frozen):
    """A recipe to which fields were added."""

    share: float = later(1234.5, gt=0)
    """How much of it."""
    names: tuple[str, ...] = later(("one", "two"))
    first: int = 3


def test_a_later_field_at_its_default_is_left_out_wherever_the_value_comes_from():
    """Also one that is equal and another object, as every value is that was read from JSON."""
    read = Later.model_validate_json('{"share": 1234.5, "names": ["one", "two"]}')
    assert read.model_dump() == Later().model_dump() == {"first": 3}


@pytest.mark.parametrize(("name", "value"), [("share", 1234.25), ("names", ("one",)), ("names", ())])
def test_a_later_field_that_was_changed_is_recorded(name, value):
    assert Later(**{name: value}).model_dump() == {"first": 3, name: value}


def test_a_field_is_explained_by_the_words_below_it():
    """Schemas and `rpt explain` show them."""
    assert Later.model_fields["share"].description == "How much of it."
