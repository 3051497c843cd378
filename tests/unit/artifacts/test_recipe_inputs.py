"""Inputs of a recipe by place, what is fingerprinted of them, and errors in one clause."""

from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from rpt_core.artifacts.recipe import SEED_MAX, Artifact, Frozen, Recipe, Ref, canonical_json, explain
from rpt_core.errors import RecipeError


def made(digit: str) -> Artifact:
    return Artifact(kind="toy", fingerprint=digit * 64, digest=f"digest-{digit}")


class Arm(Frozen):
    name: str
    trainings: tuple[Ref | Artifact, ...] = ()


class Toy(Recipe):
    kind: ClassVar[str] = "toy"
    location_fields: ClassVar[frozenset[str]] = frozenset({"where"})
    stage: Literal["make-toy"] = "make-toy"
    corpus: Ref | Artifact
    before: tuple[Ref | Artifact, ...] = ()
    arms: tuple[Arm, ...] = ()
    where: str = "here"
    seed: int = 0


TOY = Toy(
    corpus=made("1"), before=(made("2"), made("3")), arms=(Arm(name="RPT", trainings=(made("4"), made("5"))),)
)


def test_inputs_have_places_and_tuples_are_told_apart_by_name_or_number():
    assert TOY.inputs() == {
        "corpus": made("1"), "before.0": made("2"), "before.1": made("3"), "arms.RPT.trainings.0": made("4"),
        "arms.RPT.trainings.1": made("5"),
    }  # fmt: skip


def test_an_input_is_replaced_at_its_place_alone():
    other = TOY.with_inputs({"before.1": made("8"), "arms.RPT.trainings.0": made("9")})
    assert other.inputs() == TOY.inputs() | {"before.1": made("8"), "arms.RPT.trainings.0": made("9")}
    assert TOY.with_inputs({}) is TOY
    assert TOY.with_inputs({"nowhere": made("9")}) is TOY


def test_what_is_fingerprinted_are_digests_and_no_places():
    assert TOY.canonical() == {
        "revision": 1, "stage": "make-toy", "corpus": "digest-1", "before": ["digest-2", "digest-3"],
        "arms": [{"name": "RPT", "trainings": ["digest-4", "digest-5"]}], "seed": 0,
    }  # fmt: skip
    named = TOY.with_inputs({"corpus": Ref(ref="a@1"), "before.1": Ref(ref="b@2")})
    with pytest.raises(RecipeError, match=r"the make-toy recipe's inputs corpus, before\.1 are not resolved"):
        named.canonical()


@pytest.mark.parametrize("seed", [0, SEED_MAX])
def test_a_seed_is_what_every_generator_takes(seed: int):
    assert SEED_MAX == 4_294_967_295
    assert Toy(corpus=made("1"), seed=seed).seed == seed
    for wrong in (-1, SEED_MAX + 1):
        with pytest.raises(RecipeError, match=r"seed: a seed is a whole number from 0 to 4,294,967,295"):
            Toy.parse({"corpus": made("1").model_dump(), "seed": wrong})


def said(**fields: object) -> str:
    with pytest.raises(ValidationError) as raised:
        Toy.model_validate({"corpus": made("1"), **fields})
    return explain(raised.value, Toy)


def test_a_problem_is_named_by_its_field_with_what_was_given():
    assert said(sead=3) == "toy.sead: there is no such field; did you mean toy.seed?"
    assert "there are arms, before, corpus, revision, seed, stage, where" in said(qqqqqqqq=3)
    assert said(where=7) == "toy.where: input should be a valid string (given 7)"
    shown = said(seed="x" * 100)
    assert shown.endswith(f"(given '{'x' * 79}...)")
    assert said(seed="x" * 78).endswith(f"(given '{'x' * 78}')")
    assert said(arms=[{"name": 3}]) == "toy.arms.0.name: input should be a valid string (given 3)"
    assert said(where=1, sead=2).count("; ") == 2


def test_an_artifact_is_shown_by_twelve_digits():
    assert made("7").short == "toy/777777777777"
    assert canonical_json({"b": 1.5, "a": "é"}) == '{"a":"é","b":1.5}'.encode()
