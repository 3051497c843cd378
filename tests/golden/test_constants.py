"""Numbers that no fingerprint tells of are what they were: results change with them and nothing says so."""

import json

import pytest

from tests.golden.constants import RECORD, constants_of, modules

HINT = "meant to change? run python -m tests.golden.constants and read the difference"
KNOWN = json.loads(RECORD.read_text())


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_constants_and_defaults_are_what_they_were(name):
    assert constants_of(name) == KNOWN[name], HINT


def test_there_is_no_module_that_the_record_lacks():
    assert sorted(modules()) == sorted(KNOWN), HINT
