"""Our engine behind lm-evaluation-harness's interface, held to its own model; `make test-harness`.

The harness's own definitions (MMLU, GSM8K, WikiText) read local rows of their published columns, and a model
with random weights answers: both must say the same of every item, for the prompts are the same token ids.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from flows import harness
from flows.cli.commands import eval as command
from infra.storage.store import Store
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import RecipeError, Stopped
from rpt_core.evaluation.harness import stage
from rpt_core.evaluation.harness.jobs import run_job
from rpt_core.evaluation.harness.local import data_folder, local_splits, write_splits
from rpt_core.evaluation.harness.stage import evaluate_harness
from rpt_core.evaluation.harness.worker import RECORDS_FILE, Ask
from rpt_core.evaluation.items import ITEMS_FILE
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.harness_evaluation import HarnessOptions, HarnessRecipe, HarnessTask
from tasks import build as build_module
from tests.benchmarks.harness import choices_beside, compare, described, own_evaluation
from tests.flows.test_eval import in_process
from tests.unit.evaluation.folders import texts, write_model

pytestmark = [pytest.mark.harness, pytest.mark.timeout(900)]
TASKS = ("mmlu_anatomy", "gsm8k_cot", "wikitext")
TOKENS = 12
HOW = {"shots": 2, "max_new_tokens": TOKENS}


@dataclass(frozen=True)
class World:
    """A model, local data, and the harness's descriptions of the tasks that read them."""

    root: Path
    tasks: dict[str, HarnessTask]

    @property
    def model(self) -> Path:
        return self.root / "model"

    def splits(self, name: str):
        task = self.tasks[name]
        return task, local_splits(data_folder(self.root / "data", task.dataset), task)


def write_rows(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_data(folder: Path) -> None:
    words = [one.split() for one in texts(40, seed=3)]
    for split, rows in (("test", words[:9]), ("dev", words[9:15])):
        write_rows(folder / "mmlu" / f"anatomy_{split}.jsonl", [
            {"question": " ".join(row[:9]), "choices": row[9:13], "answer": at % 4}
            for at, row in enumerate(rows)
        ])  # fmt: skip
    problems = [
        {"question": f"{' '.join(row[:9])} é\u3042 {row[9]}", "answer": f"so\n#### {at}"}
        for at, row in enumerate(words[:8])
    ]
    write_rows(folder / "gsm8k" / "test.jsonl", problems)
    # three pages: one shorter than a window of the model, one of many windows, one that is nearly empty
    pages = [" ".join(words[20]), "\n\n".join(texts(12, seed=4)), "noon"]
    for split in ("train", "validation", "test"):
        rows = [{"page": page} for page in pages]
        write_rows(folder / "wikitext_document_level" / "wikitext-2-raw-v1" / f"{split}.jsonl", rows)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    root = tmp_path_factory.mktemp("harness")
    write_model(root / "model", seed=6)  # whose greedy answers differ from item to item
    config = json.loads((root / "model" / "config.json").read_text())
    config["max_position_embeddings"] = 512
    (root / "model" / "config.json").write_text(json.dumps(config))
    write_data(root / "data")
    return World(root, described(TASKS, root))


@pytest.fixture(scope="module")
def both(world: World) -> dict[str, dict]:
    """What the harness says of every item of all tasks, by our engine and by its own model."""
    found = {}
    for by in ("rpt", "hf"):
        out = world.root / by
        splits = [world.splits(name) for name in TASKS]
        files = tuple((task, write_splits(one, out / "data" / task.name)) for task, one in splits)
        job = Ask(
            tasks=files, model=world.model, scored_by=by, shots=2, max_new_tokens=TOKENS, out=out / "out"
        )
        run_job(job, out)
        records = [json.loads(line) for line in (job.out / RECORDS_FILE).read_text().splitlines()]
        found[by] = {(one["task"], one["doc_id"], one["filter"]): one for one in records}
    return found


def test_every_item_is_the_same_by_our_engine_and_by_the_harness_own_model(both):
    compared = compare(both["rpt"], both["hf"])
    assert {mode: one.items for mode, one in compared.items()} == {
        "mmlu_anatomy, none": 9, "gsm8k_cot, strict-match": 8, "gsm8k_cot, flexible-extract": 8,
        "wikitext, none": 3,
    }  # fmt: skip
    assert compared["mmlu_anatomy, none"].nats_max < 1e-4
    assert compared["wikitext, none"].nats_max < 1e-3  # sums over hundreds of tokens
    assert compared["mmlu_anatomy, none"].same_choice == 9
    for mode in ("gsm8k_cot, strict-match", "gsm8k_cot, flexible-extract"):
        assert compared[mode].same_text == 8, compared[mode].others
        assert compared[mode].same_metrics == 8


def test_the_answers_are_not_all_alike(both):
    """Else an agreement would say nothing."""
    texts_of = {one["resps"][0][0] for key, one in both["rpt"].items() if key[0] == "gsm8k_cot"}
    nats = {one["resps"][0][0][0] for key, one in both["rpt"].items() if key[0] == "mmlu_anatomy"}
    assert len(texts_of) > 1
    assert len(nats) == 9
    greedy = [
        said[0][1] for key, one in both["hf"].items() if key[0] == "mmlu_anatomy" for said in one["resps"]
    ]
    ours = [
        said[0][1] for key, one in both["rpt"].items() if key[0] == "mmlu_anatomy" for said in one["resps"]
    ]
    assert ours == greedy


def test_rpt_eval_asks_mmlu_in_the_same_token_ids_and_finds_the_same_numbers(world: World, both):
    own = own_evaluation(
        world.model, world.root / "data", "mmlu", world.root / "own", mode="likelihood", shots=2
    )
    mine = {key: one for key, one in both["rpt"].items() if key[0] == "mmlu_anatomy"}
    found = choices_beside(mine, own)
    assert (found.items, found.same_choice, found.same_metrics, found.others) == (9, 9, 9, ())
    assert found.nats_max < 1e-4


def recipe_of(world: World, name: str, **options) -> HarnessRecipe:
    return HarnessRecipe(
        model=GivenModel(name=str(world.model), digest="0" * 64), benchmark=name, tasks=(world.tasks[name],),
        harness="0.4.13", options=HarnessOptions(**options), data=str(world.root / "data"), files=(),
    )  # fmt: skip


def test_the_stage_writes_the_table_of_outcomes_and_resumes_from_what_was_answered(
    world: World, both, tmp_path, monkeypatch
):
    recipe = recipe_of(world, "gsm8k_cot", limit=4, **HOW)
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch", Placement(checkpoint_seconds=1e-9))
    outcome = evaluate_harness(recipe, build)
    rows = pq.read_table(build.out / ITEMS_FILE).to_pylist()
    assert sorted({row["mode"] for row in rows}) == [
        "exact_match, flexible-extract",
        "exact_match, strict-match",
    ]
    assert (outcome.rows.rows_in, outcome.rows.kept, outcome.rows.dropped) == (8, 4, {"not-drawn": 4})
    expected = {at: both["rpt"]["gsm8k_cot", at, "strict-match"]["resps"][0][0] for at in range(4)}
    assert [row["answer"] for row in rows if row["mode"].endswith("strict-match")] == list(expected.values())
    assert all(0 < row["answer_tokens"] <= 2 * TOKENS for row in rows)
    scores = json.loads((build.out / "scores.json").read_text())
    assert scores["harness"]["version"] == "0.4.13"
    assert scores["answered"] + scores["unread"] == 4

    # the answers were saved on the way: whoever resumes draws no more than was missing, and says the same
    again = LocalBuild({}, tmp_path / "again", tmp_path / "more", saves=dict(build.saves))
    resumed = evaluate_harness(recipe, again)
    for name in (ITEMS_FILE, RECORDS_FILE, "scores.json"):
        assert (again.out / name).read_bytes() == (build.out / name).read_bytes()
    assert 0 < outcome.tokens <= resumed.tokens < 2 * outcome.tokens or not build.saves


def test_a_stage_that_is_stopped_ends_the_harness_at_once(world: World, tmp_path):
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch", stop=True)
    with pytest.raises(Stopped):
        evaluate_harness(recipe_of(world, "gsm8k_cot", max_new_tokens=TOKENS), build)


def test_another_version_of_the_harness_is_refused(world: World, tmp_path, monkeypatch):
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    monkeypatch.setattr(stage, "run_job", lambda *_: {"version": "0.5.0", "work": {}})
    with pytest.raises(RecipeError, match=r"planned with lm-evaluation-harness 0\.4\.13, and 0\.5\.0"):
        evaluate_harness(recipe_of(world, "gsm8k_cot"), build)


def test_an_unknown_task_is_refused_with_what_is_near(tmp_path):
    with pytest.raises(RecipeError, match=r"no task 'gsm8k_cott'; near it are .*gsm8k"):
        described(["gsm8k_cott"], tmp_path)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A state folder; stages are built in this process, without Prefect and MLflow."""
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RPT_STORE", raising=False)
    monkeypatch.setattr(build_module, "track", lambda *_, **__: "")
    monkeypatch.setattr(build_module, "launch", in_process)
    return tmp_path / "home"


def test_from_the_words_of_a_command_to_an_artifact_and_a_line(world: World, home, monkeypatch, capsys):
    def make(recipe, name, placement):
        return build_module.build_here(recipe, placement, Store(str(home / "store"), home / "cache"))

    monkeypatch.setattr(harness, "make_recipe", make)
    monkeypatch.setattr(harness, "evaluate_harness", harness.evaluate_harness.fn)
    model, data = str(world.model), str(world.root / "data")
    options = command.options_of(HarnessOptions, limit=4, shots=1)
    names = command.checked_tasks(model, "mmlu_anatomy", data, options, Placement())
    command.run_harness(model, names, data, options, Placement(), lambda: None, as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "asked 4 of 9 items (5 not-drawn left out), answered 4, unread 0."
    assert any("mmlu_anatomy" in line and " acc " in line for line in told)
    command.run_harness(model, names, data, options, Placement(), lambda: None, as_json=True)
    (manifest,) = Store(str(home / "store"), home / "cache").manifests()  # nothing was made twice
    assert manifest.kind == "harness-evaluation"
    assert {entry.path for entry in manifest.files} >= {
        ITEMS_FILE, "questions.parquet", RECORDS_FILE, "scores.json",
    }  # fmt: skip
