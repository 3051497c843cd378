"""Two real processes over gloo train as one does: reinforcement, supervised stages, difficulty, resumes."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.policy.codec import Codec
from rpt_core.policy.load import save_policy
from rpt_core.train.supervised.base import initialise
from rpt_core.train.supervised.windows import texts_of
from tests.contracts import two_ranks
from tests.contracts.two_ranks import run, run_ranks
from tests.toys import save_tiny_model
from tests.unit.corpus.small_corpus import write_corpus

pytestmark = pytest.mark.timeout(1200)
RL = ("recorded", "drawn", "judged")
TOGETHER = ("loss", "ntp_loss", "reward_mean", "entropy", "grad_norm", "kept_fraction")
PADDED = ("gflops_total", "tokens_total", "update_tokens")
"""Padding counts, and differs with what shares a micro-batch."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A corpus and a proxy model that stages read."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "corpus").mkdir()
    write_corpus(folder / "corpus", 40)
    save_policy(save_tiny_model(folder / "start"), folder / "proxy" / "model")
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory, shared) -> tuple[Path, Path]:
    """Folders of one process and of two, after all scenarios and the first leg of a resume."""
    folder = tmp_path_factory.mktemp("ranks")
    names = [*RL, "base_and_difficulty", "resumed::2"]
    codes = run_ranks(folder / "two", names, RPT_TEST_SHARED=str(shared))
    logs = [(folder / "two" / f"log-{rank}.txt").read_text() for rank in (0, 1)]
    assert codes == [0, 0], "\n".join(logs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RPT_TEST_SHARED", str(shared))
        for name in [*RL, "base_and_difficulty", "resumed::999"]:
            run(name, folder / "one")
    return folder / "one", folder / "two"


def told(folder: Path, name: str):
    return json.loads((folder / f"{name}.json").read_text())


def furthest(one: Path, other: Path) -> float:
    left, right = load_file(one), load_file(other)
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


@pytest.mark.parametrize(("name", "within"), [("recorded", 1e-5), ("drawn", 1e-4), ("judged", 1e-4)])
def test_two_ranks_train_as_one(both, name, within):
    one, two = both
    ours, theirs = told(two / "rank-0", name), told(one, name)
    assert [row["step"] for row in ours["rows"]] == [row["step"] for row in theirs["rows"]]
    for row, alone in zip(ours["rows"], theirs["rows"], strict=True):
        assert row.keys() == alone.keys()
        for key in set(TOGETHER) & row.keys():
            assert row[key] == pytest.approx(alone[key], rel=within, abs=within), (row["step"], key)
        for key in set(PADDED) & row.keys():
            assert row[key] == pytest.approx(alone[key], rel=0.03), (row["step"], key)
    for key in ("step", "cursor", "asked", "used", "empty_steps"):
        assert ours["progress"][key] == theirs["progress"][key]
    assert furthest(one / f"{name}.safetensors", two / "rank-0" / f"{name}.safetensors") < within
    assert any(row["kept_fraction"] < 1 for row in ours["rows"] if "kept_fraction" in row)


@pytest.mark.parametrize("name", RL)
def test_ranks_never_part(both, name):
    _, two = both
    left, right = told(two / "rank-0", name), told(two / "rank-1", name)
    assert left == right
    assert furthest(two / "rank-0" / f"{name}.safetensors", two / "rank-1" / f"{name}.safetensors") == 0


def test_every_answer_is_judged_once(both):
    one, two = both
    for ours, theirs in zip(told(two / "rank-0", "judged")["rows"], told(one, "judged")["rows"], strict=True):
        assert ours["judge/asked"] == theirs["judge/asked"] == theirs["judge/busiest"]
        assert ours["judge/busiest"] <= 0.75 * ours["judge/asked"]


def test_a_supervised_stage_trains_the_same_on_two_ranks(both):
    one, two = both
    ours, theirs = told(two / "rank-0", "base_and_difficulty"), told(one, "base_and_difficulty")
    for row, alone in zip(ours["rows"], theirs["rows"], strict=True):
        for key, within in (("loss", 1e-5), ("gradient_norm", 1e-5), ("gflops_total", 0.03)):
            assert row[key] == pytest.approx(alone[key], rel=within)
    weights = Path("base") / "out" / "model" / "model.safetensors"
    assert furthest(one / weights, two / "rank-0" / weights) < 1e-5
    assert not (two / "rank-1" / weights).exists()


def test_difficulty_on_two_ranks_has_the_bytes_of_one(both):
    one, two = both
    scored = Path("difficulty") / "out" / "tokens.parquet"
    assert (two / "rank-0" / scored).read_bytes() == (one / scored).read_bytes()
    assert not (two / "rank-1" / scored).exists()
    found = [
        told(folder, "base_and_difficulty")["scored"] for folder in (one, two / "rank-0", two / "rank-1")
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["summary"]["windows"] > 3 * 13  # several parts, of several windows each


def test_a_training_goes_on_at_another_number_of_ranks(both, tmp_path):
    """Two steps on two ranks, two on one, two on two: as six on one."""
    one, two = both
    first = Path((two / "rank-0" / "left-2").read_text())
    assert (two / "rank-1" / "left-2").read_text() != "None"
    run(f"resumed:{first}:4", tmp_path / "alone")
    second = Path((tmp_path / "alone" / "left-4").read_text())
    assert run_ranks(tmp_path / "two", [f"resumed:{second}:999"]) == [0, 0]
    ours, theirs = told(tmp_path / "two" / "rank-0", "resumed"), told(one, "resumed")
    padded = {"gflops": 0, "tokens": 0}
    assert {**ours["progress"], **padded} == {**theirs["progress"], **padded}
    assert furthest(tmp_path / "two" / "rank-0" / "resumed.safetensors", one / "resumed.safetensors") < 1e-5
    torn = tmp_path / "two" / "rank-1" / "resumed.safetensors"
    assert furthest(tmp_path / "two" / "rank-0" / "resumed.safetensors", torn) == 0


@pytest.fixture
def schooled(shared) -> Path:
    """A judge and a start model of a few steps, segments, and conversations, beside the corpus."""
    from tests.unit.train import test_rlpt_stages as stages

    documents = pq.read_table(shared / "corpus" / "documents.parquet").to_pylist()
    splitter = Splitter.train({"en": [row["text"] for row in documents]})
    spans = [
        {"doc_id": row["doc_id"], "ordinal": ordinal, "start": start, "end": end}
        for row in documents
        for ordinal, (start, end) in enumerate(splitter.split(row["text"], "en", 8))
    ]
    pq.write_table(pa.Table.from_pylist(spans), shared / "corpus" / "segments.parquet")
    for name, marks in (("base", True), ("start", True), ("judge", False)):
        model = shared / name / "model"
        texts = texts_of(shared / "corpus", "train")
        codec = Codec.train(texts, 512, model, 256, marks=marks)
        initialise(stages.SHAPE, len(codec), codec, 0, model)
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two three"}]
    lines = [json.dumps({"messages": turns * (1 + number % 3)}) for number in range(12)]
    (shared / "talk.jsonl").write_text("\n".join(lines))
    return shared


@pytest.mark.long
def test_every_training_stage_is_the_same_on_two_ranks(schooled, tmp_path, monkeypatch):
    assert run_ranks(tmp_path / "two", ["stages"], RPT_TEST_SHARED=str(schooled)) == [0, 0]
    monkeypatch.setenv("RPT_TEST_SHARED", str(schooled))
    run("stages", tmp_path / "one")
    for name in ("judge", "cold_start", "sft", "rlpt"):
        ours, other = (told(tmp_path / "two" / f"rank-{rank}", f"stage-{name}") for rank in (0, 1))
        theirs = told(tmp_path / "one", f"stage-{name}")
        assert ours["rows"] == other["rows"] == theirs["rows"], name
        assert ours["summary"].keys() == theirs["summary"].keys(), name
        weights = Path(f"stage-{name}") / "out" / "model" / "model.safetensors"
        assert furthest(tmp_path / "one" / weights, tmp_path / "two" / "rank-0" / weights) < 1e-4, name


@pytest.mark.slow
def test_other_weights_on_a_rank_and_an_error_of_one_end_all_with_its_words(tmp_path):
    for name, error, said in (
        ("unequal", "EngineError", "rank 1 holds other weights than rank 0 (SHA-256 "),
        ("judge_away", "JudgeError", "the judge stayed away (rank 1)"),
    ):
        assert 0 not in run_ranks(tmp_path / name, [name])
        for file in ("outcome.json", "outcome.1.json"):
            outcome = json.loads((tmp_path / name / file).read_text())
            assert outcome["error"] == error
            assert said in outcome["message"]
    for rank in (0, 1):  # both took the step before it, and saved it
        assert json.loads((tmp_path / "judge_away" / f"rank-{rank}" / "judge_away.saves").read_text()) == [1]


def test_scenarios_have_unequal_groups(both):
    """Else nothing above says anything of ranks with shares of their own size."""
    one, _ = both
    kept = [row["groups_kept"] for row in told(one, "recorded")["rows"] if "groups_kept" in row]
    assert len(set(kept)) > 1
    assert torch.isfinite(torch.tensor(kept)).all()
    assert two_ranks.SECONDS == 60
