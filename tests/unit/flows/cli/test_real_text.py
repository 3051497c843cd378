"""`rpt study --about real-text`: the words that reach its flow, and its check of held-out problems."""

import json
from contextlib import nullcontext

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.cli.app import app


def test_recipe_and_placement_of_the_study_reach_its_flow(monkeypatch, tmp_path):
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    monkeypatch.setattr("infra.local.own_server.prefect_at_hand", lambda _: nullcontext(lambda: None))
    given = []
    monkeypatch.setattr("flows.cli.commands.run.run_study", lambda *words, **more: given.append(words))
    placed = "tokens_per_micro_batch=1500,checkpoint_seconds=300"
    words = [
        "study",
        "--about",
        "real-text",
        "--seeds",
        "0",
        "--placement",
        placed,
        "--keep-outcomes",
        "here",
    ]
    app(words, standalone_mode=False)
    [(name, seeds, arms, _, about, _, outcomes, placement)] = given
    assert (name, seeds, arms, about, outcomes) == ("smollm2_gsm8k", (0,), (), "real-text", "here")
    assert (placement.tokens_per_micro_batch, placement.checkpoint_seconds) == (1500, 300)


@pytest.mark.parametrize("planted", [False, True])
def test_held_out_problems_in_what_trains_end_the_check_with_1(tmp_path, capsys, planted):
    problems = [
        {"problem_id": "h", "problem": "How many apples has Ann?", "split": "eval"},
        {"problem_id": "t", "problem": "How many pears has Bob?", "split": "train"},
    ]
    pq.write_table(pa.Table.from_pylist(problems), tmp_path / "problems.parquet")
    answers = [{"doc_id": "h" if planted else "t", "prompt_tail": "x"}]
    pq.write_table(pa.Table.from_pylist(answers), tmp_path / "rollouts.parquet")
    words = ["study", "--about", "real-text", "--check-holdout", str(tmp_path)]
    found = app([*words, "--json"], standalone_mode=False)
    said = json.loads(capsys.readouterr().out)
    assert said["is_clean"] is not planted
    assert (said["held_out"], found) == (1, 1 if planted else None)
    app(words, standalone_mode=False)
    assert f"Held out and found in training: {int(planted)} rows" in " ".join(capsys.readouterr().out.split())
