"""How often a model solves each training problem: counted, killed and resumed, a part of more."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.errors import StarvedError, Stopped
from rpt_core.evaluation import pass_rates
from rpt_core.evaluation.pass_rates import score_pass_rate, summary_of
from rpt_core.objectives.objective import Verdict
from rpt_core.objectives.problems.pass_rates import RATES_FILE, SCHEMA, RateRange, read_rates
from rpt_core.objectives.problems.question import Problem, Solve
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import PassRateRecipe
from tests.unit.evaluation.folders import write_corpus, write_model

NOWHERE = Ref(ref="x@1")
RECIPE = PassRateRecipe(
    corpus=NOWHERE, model=NOWHERE, objective=RlvrObjective(prompt="compact"), samples=4, temperature=1.0,
    reasoning_tokens=8, context_tokens=128,
)  # fmt: skip


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("rates")
    write_corpus(root / "corpus", write_model(root / "start" / "model"), num_problems=12)
    return {"corpus": root / "corpus", "model": root / "start"}


@pytest.fixture
def graded(monkeypatch):
    """Problem i of the corpus is solved by its first i answers, of any length the model draws."""

    def judge_all(self, answered):
        counts: dict[str, int] = {}
        found = []
        for question, sample in answered:
            number = counts[question.document] = counts.get(question.document, -1) + 1
            right = number < int(question.truth)
            found.append(
                Verdict(float(right), "correct" if right else "wrong", 0, len(sample.token_ids))
            )  # fmt: skip
        return found

    monkeypatch.setattr(Solve, "judge_all", judge_all)


class StopsAfter(LocalBuild):
    """A build that is asked to stop after some parts."""

    def progress(self, done, total, note=""):
        self.stop = done >= 1


def run(inputs, folder: Path, recipe=RECIPE, build=LocalBuild):
    made = build(inputs, folder / "out", folder / "scratch")
    return score_pass_rate(recipe, made), made


def test_every_problem_of_the_training_split_is_counted(inputs, tmp_path, graded):
    outcome, build = run(inputs, tmp_path)
    rows = pq.read_table(build.out / RATES_FILE).to_pylist()
    assert {row["problem_id"]: row["correct"] for row in rows} == {
        f"problem{i}": min(i, 4) for i in range(0, 12, 2)
    }
    assert {row["samples"] for row in rows} == {4}
    assert all(1 <= row["mean_tokens"] <= 8 for row in rows)
    assert outcome.summary["never_solved"] == 1
    assert outcome.summary["always_solved"] == 4
    assert outcome.summary["pass_rate"] == pytest.approx((0 + 2 + 4 * 4) / 24)
    assert (outcome.rows.rows_in, outcome.rows.kept, outcome.rows.dropped) == (6, 6, {})
    assert outcome.flops > 0
    assert outcome.tokens > 0


def test_a_stopped_run_goes_on_in_the_same_bytes_and_costs_the_same(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(pass_rates, "ANSWERS_AT_ONCE", 8)  # two problems a part, three parts
    whole, first = run(inputs, tmp_path / "whole")
    build = StopsAfter(inputs, tmp_path / "cut" / "out", tmp_path / "cut" / "scratch")
    with pytest.raises(Stopped, match="after 1 of 3 parts"):
        score_pass_rate(RECIPE, build)
    again = LocalBuild(inputs, tmp_path / "again" / "out", tmp_path / "again" / "scratch", saves=build.saves)
    asked = []
    one = pass_rates.Solving.rates
    monkeypatch.setattr(
        pass_rates.Solving, "rates", lambda self, some: (asked.extend(some), one(self, some))[1]
    )
    resumed = score_pass_rate(RECIPE, again)
    assert len(asked) == 4  # what was answered is not asked again
    assert (again.out / RATES_FILE).read_bytes() == (first.out / RATES_FILE).read_bytes()
    assert resumed == whole


def test_fewer_problems_are_a_part_of_more_with_the_same_rates(inputs, tmp_path):
    _, all_of_them = run(inputs, tmp_path / "all")
    outcome, some = run(inputs, tmp_path / "some", RECIPE.model_copy(update={"num_problems": 2}))
    rows = pq.read_table(some.out / RATES_FILE).to_pylist()
    assert rows == pq.read_table(all_of_them.out / RATES_FILE).to_pylist()[:2]
    assert outcome.rows.dropped == {"not-drawn": 4}


def test_no_problem_that_fits_is_a_named_end(inputs, tmp_path):
    with pytest.raises(StarvedError, match=r"6 training problems .* none of which fits into 4 tokens"):
        run(inputs, tmp_path, RECIPE.model_copy(update={"context_tokens": 4}))


def test_a_range_of_rates_keeps_its_ends(tmp_path):
    rows = [
        {"problem_id": name, "samples": 8, "correct": num, "truncated": 0, "unread": 0, "mean_tokens": 3.0}
        for name, num in (("never", 0), ("once", 1), ("half", 4), ("often", 7), ("always", 8))
    ]
    made = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(made, tmp_path / RATES_FILE)
    rates = read_rates(tmp_path)
    why = RateRange(rates, 0.125, 0.5)
    said = {name: why(Problem(name, "", "", "")) for name in (*rates, "unknown")}
    assert said == {
        "never": "too-hard", "once": "", "half": "", "often": "too-easy", "always": "too-easy",
        "unknown": "no-pass-rate",
    }  # fmt: skip
    assert summary_of(made) == {
        "problems": 5, "pass_rate": 0.5, "never_solved": 1, "always_solved": 1, "answer_tokens": 3.0,
    }  # fmt: skip
