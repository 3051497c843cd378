"""Alarms of a training: at what they should be raised, and that noise raises none."""

import json
import random
from pathlib import Path

import pytest

from rpt_core.errors import RecipeError
from rpt_core.train.rl import alarms as module
from rpt_core.train.rl.alarms import WINDOW_STEPS, Rule, alarms, parse_rules

LIMIT = 0.5
ANSWERS = 32


def training(chances: list[float], seed: int = 0, **more: float) -> list[dict[str, float]]:
    """Steps of a training whose answers are right by these chances."""
    rng = random.Random(seed)
    rows = []
    for step, chance in enumerate(chances, start=1):
        reward = sum(rng.random() < chance for _ in range(ANSWERS)) / ANSWERS
        rows.append({"step": step, "reward_mean": reward, "mismatch_nats": 1e-4, **more})
    return rows


def first(rows: list[dict[str, float]], limit: float = LIMIT) -> tuple[str, int] | None:
    """Kind and step of the first alarm, looked for after every step as a watcher does."""
    for end in range(1, len(rows) + 1):
        for alarm in alarms(rows[:end], limit):
            return alarm.kind, alarm.step
    return None


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.1, 0.5, 0.95, 1.0])
def test_noise_raises_none(chance):
    assert not [seed for seed in range(20) if first(training([chance] * 80, seed))]


def test_a_reward_that_rises_and_one_that_ebbs_raise_none():
    assert first(training([0.1 + 0.8 * i / 120 for i in range(120)])) is None
    assert first(training([0.8 - 0.3 * i / 120 for i in range(120)])) is None


@pytest.mark.parametrize("seed", range(10))
def test_a_collapse_is_told_within_a_window(seed):
    kind, step = first(training([0.1 + 0.5 * i / 40 for i in range(40)] + [0.02] * 30, seed))
    assert kind == "reward-collapse"
    assert 40 < step <= 40 + WINDOW_STEPS


def test_a_collapse_says_both_values():
    (alarm,) = alarms(training([0.8] * 30 + [0.0] * 10), LIMIT)
    assert alarm.value == 0.0
    assert 0.3 < alarm.bound < 0.5
    assert "fell to 0 (mean of 10 steps) from 0.8" in alarm.text


def test_an_engine_that_drifts_is_told_before_the_training_ends():
    rows = [{"step": step, "reward_mean": 0.5, "mismatch_nats": 0.01 * 1.1**step} for step in range(1, 60)]
    kind, step = first(rows)
    assert kind == "engine-drift"
    assert 0.25 <= sum(row["mismatch_nats"] for row in rows[step - WINDOW_STEPS : step]) / WINDOW_STEPS < 0.5
    assert first(rows, limit=1e9) is None


def test_steps_without_an_update_have_no_mismatch_and_count_for_nothing():
    rows = training([0.5] * 40)
    for row in rows[20:]:
        del row["mismatch_nats"]
    assert first(rows) is None


def test_rules_of_the_user_are_bounds_on_means():
    rules = parse_rules(" answer_tokens>400  reward_mean<.05 eval/accuracy<1e-2")
    assert rules == (
        Rule("answer_tokens", False, 400.0),
        Rule("reward_mean", True, 0.05),
        Rule("eval/accuracy", True, 0.01),
    )
    rows = training([0.5] * 12, answer_tokens=401.0)
    assert [(each.kind, each.metric, each.value) for each in alarms(rows, LIMIT, rules)] == [
        ("threshold", "answer_tokens", 401.0)
    ]
    assert not alarms(rows[: WINDOW_STEPS - 1], LIMIT, rules)
    assert not alarms([], LIMIT, rules)


@pytest.mark.parametrize(
    "text", ["reward", "reward_mean<", "reward_mean=1", "reward_mean < 1", "<3", "a<nan"]
)
def test_what_is_no_rule_is_named_with_what_is_one(text):
    with pytest.raises(RecipeError, match=r"is no rule\. Write METRIC<NUMBER"):
        parse_rules(text)


def test_every_metric_that_alarms_read_is_written_by_a_training():
    source = Path(module.__file__).with_name("metrics.py").read_text()
    assert json.dumps("reward_mean") in source
    assert json.dumps("mismatch_nats") in source
