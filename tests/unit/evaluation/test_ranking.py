"""Places on a leaderboard: models that the questions cannot tell apart share one."""

import numpy as np
import pytest

from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import as_table
from rpt_core.evaluation.ranking import Rank, rank
from rpt_core.evaluation.scores import Outcomes, outcomes
from rpt_core.evaluation.statistics.compare import holm, sign_flip_p
from tests.unit.evaluation.test_items import item


def answered(right: list[bool]) -> Outcomes:
    return outcomes(as_table([item(f"{n:03d}", right=one) for n, one in enumerate(right)]), "mmlu")


def first(num: int, of: int = 60) -> Outcomes:
    """Right on the first so many questions."""
    return answered([number < num for number in range(of)])


def test_models_far_apart_have_places_of_their_own():
    found = rank({"weak": first(5), "strong": first(55), "middle": first(30)})
    assert list(found.ranks) == ["strong", "middle", "weak"]
    assert [str(place) for place in found.ranks.values()] == ["1", "2", "3"]
    assert all(one.separated for one in found.pairings)


def test_models_that_cannot_be_told_apart_share_a_place():
    found = rank({"a": first(30), "b": first(33), "c": first(5)})
    assert {name: str(place) for name, place in found.ranks.items()} == {"b": "1–2", "a": "1–2", "c": "3"}
    assert not found.pairing("b", "a").separated
    assert found.pairing("a", "a") is None


def test_being_told_apart_is_no_chain():
    """The outer ones differ, the middle one differs from neither: three ranges of places, no groups."""
    found = rank({"low": first(20), "mid": first(24), "high": first(28)})
    assert [one.separated for one in found.pairings] == [False, True, False]
    assert found.ranks == {"high": Rank(1, 2), "mid": Rank(1, 3), "low": Rank(2, 3)}


def test_pairs_are_held_to_one_error_rate():
    rng = np.random.default_rng(0)
    chances = {"a": 0.2, "b": 0.4, "c": 0.6, "d": 0.8}
    models = {name: answered(list(rng.random(40) < chance)) for name, chance in chances.items()}
    found = rank(models)
    p_values = [
        sign_flip_p(models[one.second].score - models[one.first].score) for one in found.pairings
    ]  # fmt: skip
    assert [one.adjusted_p_value for one in found.pairings] == pytest.approx(holm(p_values))


def test_one_model_alone_is_first_and_other_questions_are_refused():
    assert rank({"a": first(3)}).ranks == {"a": Rank(1, 1)}
    with pytest.raises(RecipeError, match="cannot be paired: 60 and 50 items"):
        rank({"a": first(3), "b": first(3, of=50)})
