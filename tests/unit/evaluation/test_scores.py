"""Scores of a table small enough to be added up by hand: four items of three documents."""

import numpy as np
import pyarrow as pa
import pytest

from rpt_core.errors import RecipeError
from rpt_core.evaluation.items import ItemRow, as_table, from_table
from rpt_core.evaluation.scores import (
    accuracy_given,
    bins,
    mode_scores,
    nested_tiers,
    outcomes,
    paired,
    pooled,
    tiers_of,
)
from rpt_core.evaluation.statistics.compare import compare, holm
from rpt_core.evaluation.versus import lines, modes_of

NATS = (0.5, 1.0, 1.5)
TIERS = {
    "a": ("x", "medium", 1.25),
    "b": ("y", "easy", 0.75),
    "c": ("x", "hard", 1.5),
    "d": ("z", "hard", 2.0),
}
"""Item -> its document, its own tier, its entropy in nats."""
ANSWERS = {
    "d": (
        ("correct", 1.0, 11, 12, True, 2), ("correct", 1.0, 13, 14, True, 5), ("wrong", 0.0, 0, 1, True, 1),
        ("wrong", 0.2, 2, 20, False, 7),
    ),
    "a": (("correct", 1.0, 3, 6, True, 2), ("correct", 0.8, 0, 2, True, 3), ("wrong", 0.0, 4, 10, False, 2)),
    "b": (("correct", 0.9, 5, 9, True, 2), ("wrong", 0.0, 0, 4, True, 1), ("truncated", 0.0, 7, 8, False, 0)),
    "c": (("wrong", 0.1, 0, 3, False, 4), ("unparsed", 0.0, 0, 5, True, 0), ("correct", 1.0, 0, 7, True, 2)),
}  # fmt: skip
"""Item -> of each sample the verdict, score, tokens of the thought and of the answer, first token, length."""


def rows(
    mode: str = "reasoning", checkpoint: str = "final", *, text: bool = True, gain: float = 0.0
) -> list[ItemRow]:
    return [
        ItemRow(
            checkpoint=checkpoint, step=None, gflops=None, mode=mode, item_id=name, doc_id=TIERS[name][0],
            position=3 if text else None, entropy_nats=TIERS[name][2] if text else None,
            tier=TIERS[name][1] if text else "", sample=sample, verdict=verdict, score=score + gain,
            thinks=thought > 0, thought_tokens=thought, answer_tokens=answer,
            first_token=first if text else None, prediction="p", truth="t", prediction_tokens=length,
        )
        for name, samples in ANSWERS.items()
        for sample, (verdict, score, thought, answer, first, length) in enumerate(samples)
    ]  # fmt: skip


OTHERS = rows("forced", gain=0.5) + rows("reasoning", "000007", gain=0.5)
TABLE = as_table(rows() + OTHERS)


def values(of_tiers: dict) -> dict[str, float]:
    return {tier: found["value"] for tier, found in of_tiers.items()}


def test_samples_of_an_item_are_added_up_in_order_of_ids():
    found = outcomes(TABLE, "reasoning")
    assert len(found) == 4
    assert found.item_ids.tolist() == ["a", "b", "c", "d"]
    assert found.documents.tolist() == ["x", "y", "x", "z"]
    assert found.tiers.tolist() == ["medium", "easy", "hard", "hard"]
    assert found.entropies_nats.tolist() == [1.25, 0.75, 1.5, 2.0]
    assert found.samples.tolist() == [3, 3, 3, 4]
    assert found.score.tolist() == pytest.approx([1.8, 0.9, 1.1, 2.2])
    assert found.correct.tolist() == [2, 1, 1, 2]
    assert found.thinks.tolist() == [2, 2, 0, 3]
    assert found.correct_and_thinks.tolist() == [1, 1, 0, 2]
    assert found.first_token.tolist() == [2, 2, 2, 3]
    assert found.thought_tokens.tolist() == [7, 12, 0, 26]
    assert found.answer_tokens.tolist() == [18, 21, 15, 47]
    assert found.scores() == {
        "a": (pytest.approx(0.6), "x"), "b": (pytest.approx(0.3), "y"), "c": (pytest.approx(1.1 / 3), "x"),
        "d": (pytest.approx(0.55), "z"),
    }  # fmt: skip
    assert found.above(1.5).item_ids.tolist() == ["c", "d"]
    assert found.of_tiers(["easy", "medium"]).item_ids.tolist() == ["a", "b"]


def test_what_is_said_of_text_is_what_the_rows_add_up_to():
    told = mode_scores(TABLE, "reasoning", "final", NATS)
    assert (told["num_items"], told["num_documents"], told["samples_per_item"]) == (4, 3, 3)
    easy, medium, hard = (0.6 + 0.3 + 1.1 / 3 + 0.55) / 4, (0.6 + 1.1 / 3 + 0.55) / 3, (1.1 / 3 + 0.55) / 2
    assert values(told["accuracy"]) == pytest.approx({"easy": easy, "medium": medium, "hard": hard})
    assert [(e["num_items"], e["num_clusters"]) for e in told["accuracy"].values()] == [
        (4, 3),
        (3, 2),
        (2, 2),
    ]
    assert values(told["bins"]) == pytest.approx({"0.5-1 nats": 0.3, "1-1.5 nats": 0.6, "1.5+ nats": hard})
    assert values(told["think_share"]) == pytest.approx({"easy": 7 / 13, "medium": 5 / 10, "hard": 3 / 7})
    assert values(told["accuracy_given_thinking"]) == pytest.approx(
        {"easy": 4 / 7, "medium": 3 / 5, "hard": 2 / 3}
    )
    assert values(told["accuracy_given_direct"]) == pytest.approx(
        {"easy": 2 / 6, "medium": 2 / 5, "hard": 1 / 4}
    )
    assert values(told["thought_tokens"]) == pytest.approx(
        {"easy": 45 / 13, "medium": 33 / 10, "hard": 26 / 7}
    )
    assert values(told["answer_tokens"]) == pytest.approx(
        {"easy": 101 / 13, "medium": 80 / 10, "hard": 62 / 7}
    )
    assert values(told["first_token_accuracy"]) == pytest.approx(
        {"easy": 9 / 13, "medium": 7 / 10, "hard": 5 / 7}
    )
    assert told["pass_at"].keys() == {"1", "2"}
    assert told["pass_at"]["1"]["hard"]["value"] == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert told["pass_at"]["2"]["easy"]["value"] == pytest.approx((1 + 2 / 3 + 2 / 3 + 5 / 6) / 4)
    assert told["pass_at"]["2"]["easy"]["high"] <= 1
    assert told["verdicts"] == {"correct": 6, "wrong": 5, "unparsed": 1, "timed out": 0, "truncated": 1}
    assert told["prediction_lengths"] == pytest.approx({"1": 2 / 11, "2": 5 / 11, "3": 1 / 11, "4+": 3 / 11})
    for name in ("accuracy", "think_share", "accuracy_given_thinking", "first_token_accuracy"):
        found = told[name]["easy"]
        assert 0 <= found["low"] < found["value"] < found["high"] <= 1, name
    length = told["answer_tokens"]["easy"]  # no proportion: Student's interval lies evenly around it
    assert length["high"] - length["value"] == pytest.approx(length["value"] - length["low"])
    assert length["low"] < 0


def test_problems_are_one_tier_and_have_no_first_token():
    table = as_table(rows(text=False))
    told = mode_scores(table, "reasoning", "final", NATS)
    assert list(told["accuracy"]) == list(told["pass_at"]["2"]) == ["all"]
    assert not {"bins", "first_token_accuracy"} & told.keys()
    found = outcomes(table, "reasoning")
    assert np.isnan(found.entropies_nats).all()
    assert found.first_token.tolist() == [0, 0, 0, 0]


def test_of_one_greedy_answer_only_accuracy_is_told():
    told = mode_scores(TABLE, "reasoning", "final", NATS, sampled=False)
    assert list(told) == ["num_items", "num_documents", "samples_per_item", "accuracy", "bins"]
    assert mode_scores(TABLE, "nobody", "final", NATS) == {"num_items": 0}
    assert "think_share" in mode_scores(TABLE, "reasoning", "000007", NATS)


def test_a_tier_without_items_is_not_told():
    table = as_table([row for row in rows() if row.item_id in ("a", "b")])
    told = mode_scores(table, "reasoning", "final", NATS)
    assert list(told["accuracy"]) == ["easy", "medium"]
    assert list(told["bins"]) == ["0.5-1 nats", "1-1.5 nats"]
    only = [row for row in rows() if row.item_id == "c"]
    assert mode_scores(as_table(only), "reasoning", "final", NATS)["accuracy_given_thinking"]["hard"] is None
    assert accuracy_given(outcomes(as_table(only), "reasoning"), thinking=False).value == pytest.approx(1 / 3)


def test_tiers_nest_and_bins_do_not():
    assert nested_tiers((0.25, 2.0)) == {"over 0.25": ["over 0.25", "over 2"], "over 2": ["over 2"]}
    assert bins((0.25, 2.0)) == {"0.25-2 nats": ["over 0.25"], "2+ nats": ["over 2"]}
    found = outcomes(TABLE, "reasoning")
    assert {name: part.item_ids.tolist() for name, part in tiers_of(found, NATS).items()} == {
        "easy": ["a", "b", "c", "d"], "medium": ["a", "c", "d"], "hard": ["c", "d"],
    }  # fmt: skip
    assert tiers_of(found.where(np.zeros(4, bool)), NATS) == {}


def test_several_worlds_are_pooled_without_a_name_twice():
    one = outcomes(TABLE, "reasoning")
    both = pooled([one, one.of_tiers(["hard"])])
    assert both.item_ids.tolist() == ["0 a", "0 b", "0 c", "0 d", "1 c", "1 d"]
    assert both.documents.tolist() == ["0 x", "0 y", "0 x", "0 z", "1 x", "1 z"]
    assert both.answer_tokens.tolist() == [18, 21, 15, 47, 15, 47]
    assert both.tiers.tolist() == ["medium", "easy", "hard", "hard", "hard", "hard"]


def test_a_table_gives_its_items_back():
    some = rows()[:5]
    assert from_table(as_table(some)) == some
    assert as_table([]).num_rows == 0
    assert as_table([]).schema == as_table(some).schema


def test_two_evaluations_are_compared_in_the_modes_and_tiers_of_the_first():
    first = as_table(rows("plain") + rows("reasoning") + rows("forced"))
    second = as_table(rows("forced", gain=-0.05) + rows("reasoning", gain=0.1))
    found = lines(first, second, NATS)
    assert [(line.mode, line.tier) for line in found] == [
        (mode, tier) for mode in ("reasoning", "forced") for tier in ("easy", "medium", "hard")
    ]
    assert [line.comparison.difference.value for line in found] == pytest.approx([0.1] * 3 + [-0.05] * 3)
    ps = [line.comparison.p_value for line in found]
    assert [line.adjusted_p_value for line in found] == pytest.approx(holm(ps))
    assert ps == pytest.approx([0.25, 0.5, 0.5] * 2)  # 2 of 2^3, and of 2^2, patterns are as far out
    assert {line.verdict for line in found} == {"undecided"}
    pair = paired(outcomes(first, "reasoning"), outcomes(second, "reasoning"))
    assert found[0].comparison == compare(pair)
    assert pair.before.tolist() == pytest.approx([0.6, 0.3, 1.1 / 3, 0.55])


@pytest.mark.parametrize(("gain", "verdict"), [(0.25, "better"), (-0.25, "worse"), (0.0, "undecided")])
def test_a_line_says_which_way_the_second_model_moved(gain: float, verdict: str):
    def many(gain: float) -> pa.Table:
        row = rows(text=False)[0]
        fields = {name: getattr(row, name) for name in row.__dataclass_fields__}
        ids = [f"p{number:02d}" for number in range(12)]
        return as_table([ItemRow(**{**fields, "item_id": i, "doc_id": i, "score": 0.5 + gain}) for i in ids])

    (line,) = lines(many(0.0), many(gain), NATS)
    assert (line.mode, line.tier, line.verdict) == ("reasoning", "all", verdict)


def test_tiers_are_those_of_the_first_evaluation():
    moved = [
        ItemRow(**{**{n: getattr(r, n) for n in r.__dataclass_fields__}, "tier": "easy"}) for r in rows()
    ]
    found = lines(as_table(rows()), as_table(moved), NATS)
    assert [(line.tier, line.comparison.after.num_items) for line in found] == [
        ("easy", 4), ("medium", 3), ("hard", 2),
    ]  # fmt: skip


def test_evaluations_without_a_common_mode_or_question_are_refused():
    with pytest.raises(
        RecipeError, match=r"the modes plain, forced, the second in reasoning: none is in both"
    ):
        lines(as_table(rows("plain") + rows("forced")), as_table(rows()), NATS)
    fewer = as_table([row for row in rows() if row.item_id != "b"])
    with pytest.raises(RecipeError, match=r"4 and 3 items, 1 of them in one only \(such as b\)"):
        lines(as_table(rows()), fewer, NATS)


def test_modes_stand_in_the_order_they_were_asked():
    table = as_table(rows("plain", "000007") + rows("reasoning") + rows("forced") + rows("reasoning"))
    assert modes_of(table) == ["reasoning", "forced"]


def test_an_entropy_that_is_no_number_is_in_no_tier():
    assert outcomes(as_table(rows(text=False)), "reasoning").above(0.0).item_ids.tolist() == []
