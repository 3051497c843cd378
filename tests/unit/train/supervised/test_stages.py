"""Whole stages on very little: a judge from scratch, a given model that is copied, documents streamed."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.manifest import Outcome
from rpt_core.policy.load import load_policy
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.supervised import ModelShape, Optimiser
from rpt_core.train.backends.ranks import Ranks
from rpt_core.train.supervised import base, judge
from rpt_core.train.supervised.windows import BATCH_ROWS, texts_of, tokenised
from tests.toys import save_tiny_model

SHAPE = ModelShape(
    hidden_size=16, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=8, intermediate_size=24,
    vocab_size=400, context_tokens=200,
)  # fmt: skip

SAID = ["yes", "no", "unparsed", "no", "yes"] * 20


def build_in(folder, **inputs) -> LocalBuild:
    return LocalBuild(inputs, folder / "out", folder / "scratch")


def test_a_judge_is_trained_measured_and_written(tmp_path, monkeypatch):
    monkeypatch.setattr(judge, "TOKENIZER_PAIRS", 40)
    asked = []

    class Asked:
        def __init__(self, policy):
            self.policy = policy

        def ask(self, pairs):
            asked.append(pairs)
            return SAID

    monkeypatch.setattr(judge, "LocalJudge", Asked)
    recipe = JudgeRecipe(
        model=SHAPE, steps=2, pairs_per_step=3, drills_per_step=2, held_out_pairs=100, seed=6,
        optimiser=Optimiser(learning_rate=1e-3),
    )  # fmt: skip
    build = build_in(tmp_path)
    outcome = judge.train_judge(recipe, build)
    held_out = [judge._pair(recipe, judge.HELD_OUT_FROM + number) for number in range(100)]
    assert asked == [judge.as_asked(held_out)]
    expected = judge.agree(SAID, [one.is_right for one in held_out])
    policy = load_policy(build.out / "model")
    rows = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert outcome.summary == {
        "parameters": policy.num_parameters, "final_nll_nats": rows[-1]["answer_nll_nats"],
        "held_out_pairs": 100, "balanced_accuracy": expected.balanced_accuracy,
        "false_accepts": expected.false_accepts,
        "false_rejects": expected.false_rejects, "unread": expected.unread,
    }  # fmt: skip
    assert (outcome.rows.rows_in, outcome.rows.kept) == (6, 6)
    assert outcome.tokens == rows[-1]["tokens"]
    assert outcome.flops == pytest.approx(rows[-1]["gflops_total"] * 1e9)
    text = " ".join(judge._texts(held_out[0]))
    assert policy.codec.decode(policy.codec.encode(text)) == text


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    save_tiny_model(folder)
    (folder / "notes.txt").write_text("not of the model")
    return folder


@pytest.mark.parametrize("free", [10**12, 1000])
def test_a_given_model_is_copied_file_by_file(given, tmp_path, monkeypatch, free):
    loads = []
    monkeypatch.setattr(base.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    load = base.load_policy
    monkeypatch.setattr(base, "load_policy", lambda folder: loads.append(folder) or load(folder))
    build = build_in(tmp_path)
    outcome = base._take(GivenModel(name=str(given)), build)
    policy = load(given)
    assert outcome == Outcome(
        summary={"parameters": policy.num_parameters, "vocabulary": len(policy.codec), "trained": False}
    )
    assert loads == ([build.out / "model"] if free > 1000 else [])
    copied = {path.name: path.read_bytes() for path in (build.out / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= copied.keys()
    assert "notes.txt" not in copied
    assert all((given / name).read_bytes() == content for name, content in copied.items())


def test_a_model_is_loaded_where_it_takes_half_of_the_free_memory_at_most(given, tmp_path, monkeypatch):
    loads = []
    size = 4 * load_policy(given).num_parameters
    monkeypatch.setattr(base, "load_policy", lambda folder: loads.append(folder) or load_policy(folder))
    for name, free in (("tight", 2 * size), ("loose", 2 * size + 2)):
        monkeypatch.setattr(base.psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free))
        base._take(GivenModel(name=str(given)), build_in(tmp_path / name))
    assert loads == [tmp_path / "loose" / "out" / "model"]


def test_other_ranks_copy_nothing(given, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "init_ranks", lambda world_size: Ranks(1, 2))
    build = build_in(tmp_path)
    assert base._take(GivenModel(name=str(given)), build) == Outcome()
    assert not list(build.out.iterdir())


@pytest.mark.parametrize("rank", [0, 1])
def test_rank_0_writes_and_all_are_told_where(tmp_path, monkeypatch, rank):
    told = []

    class Several(Ranks):
        def all_gather(self, value):
            told.append(value)
            return ["of rank 0", value] if value else [None, None]

    monkeypatch.setattr(base, "init_ranks", lambda world_size: Several(rank, world_size))
    build = SimpleNamespace(scratch=tmp_path, numerics=SimpleNamespace(world_size=2))
    wrote = []
    assert str(base.by_rank_0(build, wrote.append)) == "of rank 0"
    assert [str(folder) for folder in wrote] == ["of rank 0"] * (rank == 0)
    assert told == [str(tmp_path / "start"), None]


def test_documents_of_a_split_are_streamed_in_order(tmp_path):
    num = BATCH_ROWS + 9
    rows = [
        {"doc_id": f"d{i}", "text": f"t{i}", "split": "eval" if i % 7 == 3 else "train"} for i in range(num)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "documents.parquet")
    codec = SimpleNamespace(encode_all=lambda texts: [[int(text[1:])] for text in texts])
    of_eval = [i for i in range(num) if i % 7 == 3]
    assert list(texts_of(tmp_path, "eval")) == [f"t{i}" for i in of_eval]
    assert list(tokenised(tmp_path, "eval", codec)) == [(f"d{i}", [i]) for i in of_eval]
    assert list(tokenised(tmp_path, None, codec)) == [(f"d{i}", [i]) for i in range(num)]
