"""Where `make test-mutants` plants faults, and where there is nothing to plant."""

import pytest

pytest.importorskip("cosmic_ray")

from tests.mutation.sites import mutants_of, mutated

SIGNATURES = (
    "def scaled(value, *, by=2):\n    return value\n",
    "def scaled(value, /, by=2):\n    return value\n",
    "scaled = lambda value, *, by=2: value\n",
)


def _faults(source: str) -> set[str]:
    return {text for mutant in mutants_of("scaled.py", source) if (text := mutated(mutant, source))}


@pytest.mark.parametrize("source", SIGNATURES)
def test_the_marker_of_a_signature_is_no_operator(source: str) -> None:
    faults = _faults(source)
    assert source.replace("by=2", "by= 3") in faults  # a default decides something
    assert all("value, *," in text or "value, /," in text for text in faults)
    assert all(("*," in text) == ("*," in source) for text in faults)


def test_operators_beside_a_marker_are_mutated_in_their_own_place() -> None:
    """Places are numbered as Cosmic Ray numbers them, markers included."""
    faults = _faults("def scaled(value, *, by=2):\n    return value * by\n")
    assert "def scaled(value, *, by=2):\n    return value + by\n" in faults
    assert "def scaled(value, *, by=2):\n    return value / by\n" in faults
    assert all(text.startswith("def scaled(value, *, by=") for text in faults)


def test_operators_in_a_default_are_mutated() -> None:
    assert "def f(a, *, b=2 / 3):\n    return b\n" in _faults("def f(a, *, b=2 * 3):\n    return b\n")
