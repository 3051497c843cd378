"""The page of the study of a real text, of answers whose shares are known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.evaluation.kept.arm import Answers, ArmOutcomes, Questions, Shown
from rpt_core.evaluation.kept.calculator import EVALUATES, NEW, OPERANDS
from rpt_core.evaluation.statistics.intervals import clustered_mean
from rpt_core.recipes.reports.outcomes_report import REAL_TEXT
from rpt_core.report.outcomes.real_text import difference, mean_of
from rpt_core.report.study import write_report
from tests.unit.report.outcomes.simulated import DESIGN, page_of

NUM, SAMPLES = 120, 4


def answered(arm: str, share: float, *, plain: float = 0.45, digest: str = "0" * 16) -> ArmOutcomes:
    rng = np.random.default_rng(sum(map(ord, arm)))
    right = rng.random((NUM, SAMPLES)) < share
    comes, stands = rng.random(right.shape) < 0.6, rng.random(right.shape) < 0.9
    own = {} if arm in ("before lessons", "start") else {"training": 165_000.0}
    lessons = 0.0 if arm == "before lessons" else 60_000.0
    tails = [Shown(at, f"he has {at}/2 = ", str(at), f"{at}/2=1", "1", "wrong") for at in range(20)]
    return ArmOutcomes(
        study=REAL_TEXT, arm=arm, seed=0, design=DESIGN,
        questions=Questions(
            digest=digest, rows_I=np.full(NUM, NEW), steps_I=np.zeros(NUM, int),
            kinds_I=np.array([f"{1 + at % 3} digits" for at in range(NUM)]), documents_I=np.arange(NUM) // 2,
        ),
        answers=Answers(
            right_IS=right, thinks_I=np.full(NUM, SAMPLES), thought_tokens_I=np.full(NUM, 7 * SAMPLES),
            verified_IS=right & comes & stands, checks_IS={EVALUATES: comes, OPERANDS: stands},
        ),
        gflops={"base": 0.0, "cold start": lessons} | own, steps=40, plain_I=rng.random(NUM) < plain,
        shown=tuple(tails),
    )  # fmt: skip


def made(tmp_path, outcomes):
    recipe, inputs = page_of(tmp_path, outcomes, study=REAL_TEXT, title="A real text")
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    return write_report(recipe, build).summary, build.out


@pytest.fixture(scope="module")
def arms():
    shares = {"before lessons": 0.0, "start": 0.3, "RPT": 0.45, "permuted reward": 0.29, "RLP": 0.4}
    return [answered(name, share) for name, share in shares.items()]


def test_every_number_is_there_with_what_was_expected_and_nothing_is_claimed(tmp_path, arms):
    summary, out = made(tmp_path, arms)
    text, said = (out / "report.md").read_text(), json.loads((out / "report.json").read_text())
    by_name = {one.arm: one for one in arms}
    for name, one in by_name.items():
        assert summary[f"right: {name}"] == pytest.approx(one.answers.right_IS.mean())
        assert summary[f"plain: {name}"] == pytest.approx(one.plain_I.mean())
    gains = {name for name in by_name if f"over the start: {name}" in summary}
    assert gains == {"RPT", "permuted reward", "RLP"}
    assert "+5 to +12 points, at or under plain" in text
    assert "existence proof" in text
    assert not said.get("claims")
    assert "comes to what is boxed" in text
    assert "cold start 60T." in text, "the model as it was given had none"
    assert "60T of their start models" in text
    assert "165.0T" in text.replace(" ", "") or "165T" in text.replace(" ", "")


def test_intervals_are_over_documents(arms):
    start, after = arms[1], arms[2]
    found = difference(after, start)
    values = after.answers.right_IS.mean(axis=1) - start.answers.right_IS.mean(axis=1)
    assert found == clustered_mean(values, np.arange(NUM) // 2).within(-1, 1)
    assert found.num_clusters == NUM // 2
    assert mean_of(start, None) is None
    assert mean_of(start, start.plain_I).value == pytest.approx(start.plain_I.mean())


def test_twenty_answers_of_start_and_rpt_stand_on_the_page_by_a_rule(tmp_path, arms):
    _, out = made(tmp_path, arms)
    text, page = (out / "report.md").read_text(), (out / "report.html").read_text()
    shown = text.partition("## Answers to read")[2].partition("## ")[0]
    assert shown.count("(wrong)") == 40
    assert "| start | RPT |" in shown
    assert "17/2=1" in page
    assert " nats</span>" not in page.partition("Answers to read")[2].partition("<h2>")[0]


def test_a_page_of_what_is_there_so_far_says_what_is_missing(tmp_path, arms):
    summary, out = made(tmp_path, [arms[0], replace(arms[1], shown=())])
    assert "The start model or RPT is missing" in (out / "report.md").read_text()
    assert "over the start: RPT" not in summary


def test_other_questions_are_refused(tmp_path, arms):
    with pytest.raises(RecipeError, match="asked different questions"):
        made(tmp_path, [arms[1], answered("RPT", 0.4, digest="1" * 16)])
