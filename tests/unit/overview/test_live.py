"""`rpt watch`: what a stage that runs has done, without a server; and what became of it."""

import fcntl
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.runs.attempt import PROGRESS_FILE, Job
from infra.storage.store import Store
from rpt_core.artifacts.build import METRICS_FILE
from rpt_core.artifacts.placement import Numerics, Placement
from rpt_core.overview.live import read_metrics
from rpt_core.train.rl.record import SCHEMA
from tasks.commands.live import LOCK_DIGITS, NUM_ROLLOUTS
from tests.chromium import LAYOUT, ask, needs_browser
from tests.unit.flows.cli.test_copy_and_compare import put, run, said

NUMERICS = Numerics(
    backend="torch", engine="torch", layout="two-pass", dtype="float32", world_size=1,
    tokens_per_micro_batch=16, torch="2", device="cpu", threads=1,
)  # fmt: skip
METRICS = [
    {"step": step, "reward_mean": 0.1 * step, "answer_tokens": 9.0 + step, "thought_tokens": 4.0}
    for step in range(1, 6)
]


def rollouts(path, steps: int):
    rows = [
        {"step": step, "doc_id": f"d{question}", "position": 3, "prompt_tail": f"tail {step}",
         "thought": "<b>hm</b>", "prediction": " x", "truth": " y", "verdict": "wrong", "reward": 0.0,
         "tokens": 4}
        for step in range(1, steps + 1) for question in (0, 1) for _ in (0, 1)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return path


@pytest.fixture
def attempt(store: Store, tmp_path):
    """An attempt at a policy as the launcher leaves it on disk, with one checkpoint."""
    home = tmp_path / "home"
    folder = home / "scratch" / ("e" * 24) / "abc"
    job = Job(
        function="f", recipe_class="r", recipe={"stage": "train-rpt"}, kind="policy", fingerprint="e" * 64,
        parents={}, inputs={}, folder=folder, placement=Placement(), numerics=NUMERICS,
        store=store.objects.url, cache=store.cache, code="c", environment={},
        started=(datetime.now(UTC) - timedelta(seconds=90)).isoformat(timespec="seconds"),
    )  # fmt: skip
    job.out.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_dump_json())
    state = {"done": 5, "total": 20, "note": "reward 0.500", "resumed_at": None}
    (folder / PROGRESS_FILE).write_text(json.dumps(state))
    lines = [json.dumps(row) for row in METRICS]
    (job.out / METRICS_FILE).write_text("\n".join([*lines, '{"step": 6, "rew']))
    bundle = tmp_path / "bundle"
    (bundle / "state").mkdir(parents=True)
    rollouts(bundle / "state" / "rollouts.parquet", 4)
    store.save_progress(job.fingerprint, job.key, 4, bundle, {"attempts": []})
    (home / "locks").mkdir()
    return job


@pytest.fixture
def runs(attempt, tmp_path):
    """The lock that its builder holds."""
    with (tmp_path / "home" / "locks" / attempt.fingerprint[:LOCK_DIGITS]).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield attempt


def page(tmp_path):
    return tmp_path / "home" / "watch" / "policy-eeeeeeeeeeee.html"


@pytest.mark.parametrize("ref", ["", "policy", "policy/eeee", "eeeeee"])
def test_a_training_is_seen_while_it_runs(runs, tmp_path, capsys, ref):
    assert run("watch", *([ref] if ref else []), "--once") == 0
    assert "train-rpt, policy/eeeeeeeeeeee: runs, 5 of 20, reward 0.500 (1 min 3" in capsys.readouterr().out
    html = page(tmp_path).read_text()
    assert '<meta http-equiv="refresh" content="5">' in html
    assert "step 5, reward, mean of a step: 0.5" in html
    assert html.count('class="card rollout"') == NUM_ROLLOUTS
    assert "tail 4" in html
    assert "&lt;b&gt;hm&lt;/b&gt;" in html, "what a model writes is text"


def test_one_that_was_stopped_is_not_said_to_run(attempt, tmp_path, capsys):
    assert run("watch", "policy") == 0
    assert "stopped; the same command resumes it" in capsys.readouterr().out
    assert "http-equiv" not in page(tmp_path).read_text()


def test_one_that_ends_is_shown_whole(runs, store, tmp_path, capsys):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / METRICS_FILE).write_text("".join(json.dumps(row) + "\n" for row in METRICS))
    rollouts(folder / "rollouts.parquet", 5)
    put(store, folder, "policy", "e", recipe={"stage": "train-rpt"})
    assert run("watch", "policy", "--every", "1") == 0
    assert "done, 5 of 5" in capsys.readouterr().out
    html = page(tmp_path).read_text()
    assert "http-equiv" not in html
    assert "tail 5" in html


def test_nothing_runs_is_a_sentence(store, capsys):
    assert run("watch") == 2
    assert "nothing runs on this machine" in said(capsys)
    assert run("watch", "nosuch") == 2


def test_a_half_written_line_is_left_for_the_next_look(attempt):
    assert [row["step"] for row in read_metrics(attempt.out / METRICS_FILE)] == [1, 2, 3, 4, 5]
    assert read_metrics(attempt.out / "absent.jsonl") == []


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_of_the_page_is_cut_or_written_over(runs, tmp_path, width):
    assert run("watch", "--once") == 0
    found = ask(page(tmp_path), LAYOUT, width=width, folder=tmp_path)
    assert found == {"width": width, "wide": [], "cut": [], "overlapping": []}
