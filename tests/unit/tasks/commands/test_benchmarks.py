"""From what a person asks to a recipe: whose items, in which mode, by which identity."""

import json
from pathlib import Path

import pytest

from infra.storage.store import Store
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import RecipeError, SourceError
from rpt_core.evaluation.benchmarks.packs.registry import PACKS
from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions, BenchmarkRecipe
from tasks.commands import benchmarks
from tasks.commands.benchmarks import benchmark_recipe, benchmarks_at_hand, fetched
from tasks.inputs.models import find_model
from tests.tiny_tokenizers import CHATML, byte_level, save
from tests.unit.evaluation.folders import write_model

ROW = {"question": "Which?", "subject": "law", "choices": ["a", "b", "c", "d"], "answer": 1}
ANYWHERE = Placement(gpus=0)


def write_folder(folder: Path, template: str | None) -> None:
    """What of a model is looked at before it is loaded."""
    save(byte_level(), folder, template=template)
    (folder / "config.json").write_text("{}")


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    for name, text in {"test": json.dumps(ROW) + "\n", "dev": (json.dumps(ROW) + "\n") * 3}.items():
        path = tmp_path / "data" / "mmlu" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "data" / "math-500").mkdir()
    (tmp_path / "data" / "math-500" / "test.jsonl").write_text('{"problem": "P", "answer": "2"}\n')
    write_folder(tmp_path / "tiny", CHATML)
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def recipe(
    store: Store, tmp_path: Path, name: str = "mmlu", model: str = "tiny", **options
) -> BenchmarkRecipe:
    (held,) = benchmarks_at_hand((name,), str(tmp_path / "data"))
    given = find_model(str(tmp_path / model), store).source
    return benchmark_recipe(given, held, BenchmarkOptions(**options), ANYWHERE, store)


def test_settings_are_the_benchmarks_own_where_nobody_says_otherwise(store, tmp_path):
    paper = recipe(store, tmp_path, "math500")
    assert (paper.mode, paper.samples, paper.temperature, paper.top_p) == ("reasoning", 64, 0.6, 0.95)
    assert (paper.max_new_tokens, paper.limit, paper.shots) == (32_768, 0, 0)
    ours = recipe(store, tmp_path, "math500", samples=2, temperature=0, max_new_tokens=9, limit=3)
    assert (ours.samples, ours.temperature, ours.top_p, ours.max_new_tokens, ours.limit) == (2, 0, 0.95, 9, 3)
    assert (ours.engine, ours.dtype) == ("torch", "float32")


def test_a_mode_or_examples_that_are_not_there_are_refused(store, tmp_path):
    with pytest.raises(RecipeError, match="math500 is not asked in the mode likelihood; it has reasoning"):
        recipe(store, tmp_path, "math500", mode="likelihood")
    with pytest.raises(RecipeError, match=r"mmlu has 3 solved examples in .*, and 5 are asked for"):
        recipe(store, tmp_path, mode="few-shot")
    assert recipe(store, tmp_path, mode="few-shot", shots=2).shots == 2
    assert recipe(store, tmp_path, mode="likelihood").shots == 3


def test_the_form_of_the_prompt_fits_the_model_and_is_part_of_its_identity(store, tmp_path):
    chat = recipe(store, tmp_path, "mmlu")
    assert (chat.form, chat.mode) == ("chat", "reasoning")
    plain = recipe(store, tmp_path, "mmlu", prompt="plain")
    assert (plain.form, plain.mode) == ("plain", "reasoning")  # three examples, and the benchmark has five
    assert plain.drawing() != chat.drawing()
    assert recipe(store, tmp_path, "math500", prompt="think").form == "think"
    assert recipe(store, tmp_path, "mmlu", mode="likelihood").form == "plain"
    write_folder(tmp_path / "base", None)
    (tmp_path / "data" / "mmlu" / "dev.jsonl").write_text((json.dumps(ROW) + "\n") * 5)
    base = recipe(store, tmp_path, "mmlu", model="base")
    assert (base.form, base.mode, base.shots) == ("plain", "few-shot", 5)
    assert recipe(store, tmp_path, "math500", model="base").form == "plain"
    write_model(tmp_path / "ours")
    assert recipe(store, tmp_path, "mmlu", model="ours").form == "think"
    with pytest.raises(RecipeError, match=r"its tokenizer has none\. Take --prompt plain"):
        recipe(store, tmp_path, "mmlu", model="base", prompt="chat")
    with pytest.raises(RecipeError, match="--mode likelihood is asked in plain text, and --prompt chat"):
        recipe(store, tmp_path, "mmlu", mode="likelihood", prompt="chat")


def test_identity_is_content_and_never_a_place(store, tmp_path):
    known = recipe(store, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").rename(tmp_path / "elsewhere" / "data")
    (tmp_path / "tiny").rename(tmp_path / "elsewhere" / "renamed")
    (tmp_path / "elsewhere" / "data" / "mmlu" / "test.jsonl").rename(
        tmp_path / "elsewhere" / "data" / "mmlu" / "test-0.jsonl"
    )
    moved = recipe(store, tmp_path / "elsewhere", model="renamed")
    assert moved.fingerprint() == known.fingerprint()
    (tmp_path / "elsewhere" / "renamed" / "config.json").write_text('{"x": 1}')
    changed = [
        recipe(store, tmp_path / "elsewhere", model="renamed"),
        *(known.model_copy(update=one) for one in (
            {"prompt": "0" * 64}, {"items": "0" * 64}, {"engine": "vllm"}, {"dtype": "bfloat16"}, {"seed": 1},
            {"revision": 3}, {"temperature": 0.5}, {"top_p": 0.5}, {"max_new_tokens": 5}, {"shots": 1},
            {"form": "plain"},
        )),
    ]  # fmt: skip
    assert len({one.fingerprint() for one in changed}) == len(changed)
    assert known.fingerprint() not in {one.fingerprint() for one in changed}
    assert all(one.drawing() != known.drawing() for one in changed)
    more = known.model_copy(update={"samples": 8, "limit": 1})
    assert more.fingerprint() != known.fingerprint()
    assert more.drawing() == known.drawing()


def test_published_files_are_fetched_from_the_hub_with_their_folders(store, tmp_path, monkeypatch):
    asked = []

    def download(address, folder, name=""):
        asked.append(address)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}\n")
        return folder / name

    monkeypatch.setattr(benchmarks, "download", download)
    folder = fetched(PACKS["kor_bench"])
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jsonl")) == sorted(
        PACKS["kor_bench"].published.files
    )
    assert all("/datasets/m-a-p/KOR-Bench/resolve/main/" in address for address in asked)

    def refused(address, folder, name=""):
        raise SourceError("it is refused (401).")

    monkeypatch.setattr(benchmarks, "download", refused)
    with pytest.raises(
        SourceError, match=r"gpqa_diamond could not be fetched .* Or put its files into a folder"
    ):
        benchmarks_at_hand(("gpqa_diamond",), "")


def test_a_benchmark_without_items_is_refused_with_what_was_looked_at(store, tmp_path):
    (tmp_path / "data" / "supergpqa").mkdir()
    (tmp_path / "data" / "supergpqa" / "five-shot.yaml").write_text("prompt: x\n")
    with pytest.raises(RecipeError, match=r"holds no item of supergpqa \(0 rows, none refused\)"):
        benchmarks_at_hand(("supergpqa",), str(tmp_path / "data"))
    held = benchmarks_at_hand(("all",), str(tmp_path / "data"))
    assert [one.pack.name for one in held] == ["mmlu", "math500"]


def test_a_manifest_that_cannot_be_read_hides_no_evaluation(store, tmp_path):
    broken = store.objects.key("artifacts", "benchmark-evaluation", "e" * 64, "manifest.json")
    assert store.objects.create(broken, b"{")
    assert recipe(store, tmp_path, "math500").earlier == ()
