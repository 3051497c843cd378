"""One model and one benchmark: every item accounted for, samples that do not depend on how many there are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact
from rpt_core.errors import RecipeError, SourceError, Stopped
from rpt_core.evaluation.answers import next_token_guesses
from rpt_core.evaluation.benchmarks.likelihood import (
    SHARED_LEAST,
    continuation_nats,
    nats_after,
    shared_beginnings,
)
from rpt_core.evaluation.benchmarks.packs.knowledge.choices import BY_BYTE, LETTER, TEXT
from rpt_core.evaluation.benchmarks.suite import drawn, stage
from rpt_core.evaluation.benchmarks.suite.drawn import ROUND, parts_of
from rpt_core.evaluation.benchmarks.suite.stage import evaluate_benchmark
from rpt_core.evaluation.items import ITEMS_FILE, SCHEMA
from rpt_core.evaluation.touched import asked_items
from rpt_core.objectives.objective import Asked, Question
from rpt_core.objectives.outcomes import VERDICTS
from rpt_core.policy.load import load_policy
from rpt_core.policy.trunk import Cut, Trunk
from rpt_core.recipes.benchmark_evaluation import BenchmarkRecipe
from tests.unit.evaluation.folders import write_model

MODEL = Artifact(kind="base", fingerprint="0" * 64, digest="0" * 64)
OFTEN = Placement(checkpoint_seconds=1e-9)
PROBLEMS = [{"question": f"the clock shows {n}. then?", "answer": f"it moves\n#### {n}"} for n in range(7)]
CHOICES = [
    {"question": f"it shows {n}?", "choice0": "the clock", "choice1": "noon", "choice2": "it", "choice3": "a",
     "answer": n % 4}
    for n in range(5)
]  # fmt: skip
TEXTS = [{"text": "the clock shows three. it moves on."}, {"text": "noon"}]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("suite")
    write_model(folder / "model")
    write_lines(folder / "gsm8k" / "test.jsonl", [*PROBLEMS, {"question": "no answer?"}])
    write_lines(folder / "mmlu" / "test" / "astronomy_test.jsonl", CHOICES)
    write_lines(folder / "mmlu" / "dev" / "astronomy_dev.jsonl", CHOICES[:2])
    write_lines(folder / "next-token" / "texts.jsonl", TEXTS)
    return folder


def recipe_of(root: Path, benchmark: str = "gsm8k", folder: str = "", **changed: Any) -> BenchmarkRecipe:
    usual: dict[str, Any] = {"samples": 2, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6}
    where = str(root / (folder or benchmark))
    return BenchmarkRecipe(model=MODEL, benchmark=benchmark, data=where, **{**usual, **changed})


def run(
    root: Path, out: Path, recipe: BenchmarkRecipe, **inputs: Path
) -> tuple[Any, pa.Table, dict[str, Any]]:
    build = LocalBuild({"model": root / "model", **inputs}, out, out.with_name(f"{out.name}-scratch"))
    outcome = evaluate_benchmark(recipe, build)
    return outcome, pq.read_table(out / ITEMS_FILE), json.loads((out / "scores.json").read_text())


def test_every_row_of_the_file_is_asked_or_left_out_for_a_reason(root, tmp_path):
    outcome, table, scores = run(root, tmp_path / "out", recipe_of(root, limit=4))
    assert outcome.rows.model_dump(exclude={"by_source"}) == {
        "rows_in": 8, "kept": 4, "dropped": {"missing-column": 1, "not-drawn": 3},
    }  # fmt: skip
    assert len(table) == 4 * 2 == scores["answered"] + scores["unread"]
    assert outcome.summary["asked"] == 4
    assert set(table["verdict"].to_pylist()) <= set(VERDICTS)
    assert table.schema.names[: len(SCHEMA)] == SCHEMA.names
    assert len(set(table["item_id"].to_pylist())) == len(set(table["prompt_digest"].to_pylist())) == 4
    assert len(set(table["sample_seed"].to_pylist())) == len(table)
    assert set(table["engine"].to_pylist()) == {"torch"}
    assert scores["items"]["kept"] == scores["modes"]["reasoning"]["num_items"] == 4
    assert all(table["answer"].to_pylist())
    brought = {one.item_id: one for one in asked_items(tmp_path / "out", table)}
    assert set(brought) == set(table["item_id"].to_pylist())  # what was asked, and nothing else
    assert {one.benchmark for one in brought.values()} == {"gsm8k"}
    assert {(one.problem, one.answer) for one in brought.values()} <= {
        (f"the clock shows {n}. then?", str(n)) for n in range(7)
    }


def keyed(table: pa.Table) -> dict[tuple[str, int], dict[str, Any]]:
    return {(row["item_id"], row["sample"]): row for row in table.to_pylist()}


def test_fewer_samples_and_fewer_items_are_the_first_of_more(root, tmp_path):
    _, few, _ = run(root, tmp_path / "few", recipe_of(root, samples=ROUND, limit=3))
    _, many, scores = run(root, tmp_path / "many", recipe_of(root, samples=ROUND + 3, limit=5))
    few_rows, many_rows = keyed(few), keyed(many)
    assert len(many_rows) == 5 * (ROUND + 3)
    assert few_rows.items() <= many_rows.items() or all(
        many_rows[key] == row for key, row in few_rows.items()
    )
    assert set(scores["modes"]["reasoning"]["pass_at"]) >= {"1", "8"}
    answers = {row["answer"] for row in many_rows.values()}
    assert len(answers) > 5 * ROUND / 2  # samples differ


@pytest.mark.parametrize("after", [1, 3])
def test_an_evaluation_that_was_stopped_goes_on_and_ends_in_the_same_bytes(
    root, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(drawn, "ANSWERS_AT_ONCE", 4)
    recipe = recipe_of(root, samples=ROUND + 1, limit=4)
    run(root, tmp_path / "whole", recipe)
    done = list[int]()

    class Stopping(LocalBuild):
        def progress(self, done_parts: float, total: float, note: str = "") -> None:
            done.append(int(done_parts))
            self.stop = done_parts == after

    first = Stopping({"model": root / "model"}, tmp_path / "first", tmp_path / "scratch", OFTEN)
    with pytest.raises(Stopped, match=f"stopped after {after} of"):
        evaluate_benchmark(recipe, first)
    again = LocalBuild(
        {"model": root / "model"}, tmp_path / "again", tmp_path / "scratch2", saves=first.saves
    )
    calls: list[int] = []
    monkeypatch.setattr(drawn.Drawing, "_drawn", counted(drawn.Drawing._drawn, calls))
    evaluate_benchmark(recipe, again)
    total = len(list(parts_of([object()] * 4, recipe.samples)))  # type: ignore[list-item]
    assert len(calls) == total - after
    for name in (ITEMS_FILE, "scores.json"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def counted(function: Any, calls: list[int]) -> Any:
    def count(self, asked, part):
        calls.append(len(asked) * part.num_samples)
        return function(self, asked, part)

    return count


def test_samples_of_an_earlier_evaluation_are_taken_over_and_said_to_be(root, tmp_path, monkeypatch):
    few = recipe_of(root, samples=3, limit=3)
    run(root, tmp_path / "few", few)
    whole, table, _ = run(root, tmp_path / "whole", recipe_of(root, samples=ROUND + 2, limit=4))
    calls: list[int] = []
    monkeypatch.setattr(drawn.Drawing, "_drawn", counted(drawn.Drawing._drawn, calls))
    known = Artifact(kind=few.kind, fingerprint="ab" * 32, digest="0" * 64)
    more = recipe_of(root, samples=ROUND + 2, limit=4, earlier=(known,))
    outcome, again, _ = run(root, tmp_path / "more", more, **{"earlier.0": tmp_path / "few"})
    assert again.equals(table)
    assert outcome.summary["reused_from_abababababab"] == 3 * 3
    assert "reused_from_abababababab" not in whole.summary
    assert more.fingerprint() == recipe_of(root, samples=ROUND + 2, limit=4).fingerprint()
    assert more.drawing() == few.drawing()
    complete = recipe_of(root, samples=2, limit=3, earlier=(known,))
    calls.clear()
    run(root, tmp_path / "less", complete, **{"earlier.0": tmp_path / "few"})
    assert calls == []


def test_nothing_is_taken_over_under_another_prompt(root, tmp_path, monkeypatch):
    run(root, tmp_path / "few", recipe_of(root, limit=2))
    known = Artifact(kind="benchmark-evaluation", fingerprint="ab" * 32, digest="0" * 64)
    other = recipe_of(root, limit=2, form="plain", mode="few-shot", shots=1, earlier=(known,))
    outcome, _, _ = run(root, tmp_path / "other", other, **{"earlier.0": tmp_path / "few"})
    assert not [name for name in outcome.summary if name.startswith("reused")]
    assert other.drawing() != recipe_of(root).drawing()


def test_choices_are_ranked_by_letter_by_text_and_by_byte(root, tmp_path):
    recipe = recipe_of(root, "mmlu", mode="likelihood", shots=2)
    outcome, table, scores = run(root, tmp_path / "out", recipe)
    assert set(scores["modes"]) == {LETTER, TEXT, BY_BYTE}
    assert len(table) == 3 * len(CHOICES)
    assert outcome.tokens > 0
    by_mode = {mode: table.filter(pc.equal(table["mode"], mode)).to_pylist() for mode in scores["modes"]}
    texts = [CHOICES[0][f"choice{n}"] for n in range(4)]
    for total, by_byte in zip(by_mode[TEXT], by_mode[BY_BYTE], strict=True):
        nats = total["option_nats"]
        assert nats == by_byte["option_nats"]
        assert "ABCD"[max(range(4), key=nats.__getitem__)] == total["prediction"]
        per_byte = [one / len(f" {text}".encode()) for one, text in zip(nats, texts, strict=True)]
        assert "ABCD"[max(range(4), key=per_byte.__getitem__)] == by_byte["prediction"]
    assert {row["subject"] for row in table.to_pylist()} == {"astronomy"}


def test_next_tokens_are_those_of_the_plain_text(root, tmp_path):
    recipe = recipe_of(root, "next_token", "next-token", mode="plain")
    outcome, table, scores = run(root, tmp_path / "out", recipe)
    policy = load_policy(root / "model")
    ids = tuple(policy.codec.encode(TEXTS[0]["text"]))
    cuts = tuple(Cut(place) for place in range(1, len(ids)))
    trunk = Trunk("t", policy.begin_ids, ids, cuts)
    questions = tuple(Question("t", cut.position, "") for cut in cuts)
    (guessed,) = next_token_guesses(policy, [Asked(trunk, questions)], instructed=False)
    longest = max(table["doc_id"].to_pylist(), key=table["doc_id"].to_pylist().count)
    rows = {row["position"]: row for row in table.to_pylist() if row["doc_id"] == longest}
    assert [rows[place]["prediction"] for place in sorted(rows)] == [
        policy.codec.decode([t]) for t in guessed
    ]
    assert [rows[place]["truth"] for place in sorted(rows)] == [policy.codec.decode([t]) for t in ids[1:]]
    assert outcome.rows.kept == 2
    accuracy = scores["modes"]["plain"]["accuracy"]["over 0"]
    assert accuracy["num_items"] == len(table)
    assert accuracy["value"] == pytest.approx(sum(table["score"].to_pylist()) / len(table))


def test_items_that_do_not_fit_are_counted(root, tmp_path, monkeypatch):
    monkeypatch.setattr(stage.Asking, "places", property(lambda self: 40))
    outcome, table, scores = run(root, tmp_path / "out", recipe_of(root, max_new_tokens=100, form="plain"))
    assert outcome.rows.kept + outcome.rows.dropped.get("prompt-too-long", 0) == len(PROBLEMS)
    assert scores["sampling"]["max_new_tokens"] == 20
    assert len(table) == 2 * outcome.rows.kept


def test_changed_files_and_another_engine_are_refused(root, tmp_path):
    with pytest.raises(SourceError, match="changed after the evaluation was planned"):
        run(root, tmp_path / "a", recipe_of(root, items="0" * 64))
    with pytest.raises(RecipeError, match="planned for vllm in float32"):
        run(root, tmp_path / "b", recipe_of(root, engine="vllm"))


def test_contexts_that_begin_alike_are_ranked_as_each_by_itself(root):
    policy = load_policy(root / "model")
    rng = np.random.default_rng(0)

    def ids(num: int) -> tuple[int, ...]:
        return tuple(rng.integers(10, 200, num).tolist())

    examples = ids(SHARED_LEAST + 40)
    contexts = [examples + ids(num) for num in (9, 30, 0)] + [ids(20), ids(90)]
    options = [[ids(num) for num in (1, 3, 2)] for _ in contexts]
    groups = shared_beginnings(contexts)
    assert sorted(len(some) for _, some in groups) == [1, 1, 3]
    found, forwarded = nats_after(policy, contexts, options)
    for context, of, nats in zip(contexts, options, found, strict=True):
        (alone,), _ = continuation_nats(policy, [Trunk("t", context, (), (Cut(0),))], [of])
        assert nats == pytest.approx(alone, abs=1e-4)
    assert forwarded < sum(map(len, contexts)) + 5 * 6 - len(examples)
