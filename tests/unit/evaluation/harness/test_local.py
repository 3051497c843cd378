"""Local files as the harness's definitions read them: splits, configurations, and what is refused."""

import json
from pathlib import Path

import pytest

from rpt_core.errors import SourceError
from rpt_core.evaluation.harness.local import (
    HELD_FOR_EXAMPLES,
    data_folder,
    local_splits,
    split_of,
    write_splits,
)
from rpt_core.recipes.harness_evaluation import HarnessTask

GSM8K = HarnessTask(
    name="gsm8k", definition="tasks/gsm8k/gsm8k.yaml", dataset="openai/gsm8k", config="main", asked="test",
    examples="train", splits=("test", "train"),
)  # fmt: skip
LAW = HarnessTask(
    name="mmlu_law", definition="tasks/mmlu/x.yaml", dataset="cais/mmlu", config="law", asked="test",
    examples="dev", splits=("test", "dev"),
)  # fmt: skip


def write(path: Path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def problems(num: int, name: str = "p"):
    return [{"question": f"{name}{i}?", "answer": f"#### {i}"} for i in range(num)]


def test_each_file_is_the_split_that_its_name_says(tmp_path):
    write(tmp_path / "main" / "test-00000-of-00001.jsonl", problems(3, "t"))
    write(tmp_path / "main" / "train-00000-of-00001.jsonl", problems(4, "r"))
    found = local_splits(tmp_path, GSM8K)
    assert [len(found.rows[split]) for split in ("test", "train")] == [3, 4]
    assert found.rows["test"] == problems(3, "t")
    assert not found.is_training_file
    for split, path in write_splits(found, tmp_path / "out").items():
        assert [json.loads(line) for line in Path(path).read_text().splitlines()] == found.rows[split]


def test_of_a_training_file_alone_examples_and_items_share_no_row(tmp_path):
    write(tmp_path / "train.jsonl", problems(HELD_FOR_EXAMPLES + 5))
    found = local_splits(tmp_path, GSM8K)
    assert found.is_training_file
    assert found.rows["train"] + found.rows["test"] == problems(HELD_FOR_EXAMPLES + 5)
    assert len(found.rows["test"]) == 5


def test_a_training_file_without_a_row_left_to_ask_is_refused(tmp_path):
    write(tmp_path / "train.jsonl", problems(HELD_FOR_EXAMPLES))
    with pytest.raises(SourceError, match="no row of the split test"):
        local_splits(tmp_path, GSM8K)


@pytest.mark.parametrize("layout", ["file", "folder", "column"])
def test_a_configuration_is_known_by_file_folder_or_column_and_no_other_is_taken(tmp_path, layout):
    for subject, mark in (("law", "a"), ("international_law", "b")):
        for split in ("test", "dev"):
            rows = [{"question": f"{mark}{split}", "choice0": "x", "choice1": "y", "answer": 1}]
            if layout == "column":
                rows = [{**row, "subject": subject} for row in rows]
            where = {
                "file": f"{split}/{subject}_{split}.jsonl",
                "folder": f"{subject}/{split}.jsonl",
                "column": f"{split}-{mark}.jsonl",
            }[layout]
            write(tmp_path / where, rows)
    found = local_splits(tmp_path, LAW)
    assert found.rows["test"] == [{"question": "atest", "choices": ["x", "y"], "answer": 1}]
    assert found.rows["dev"] == [{"question": "adev", "choices": ["x", "y"], "answer": 1}]
    with pytest.raises(SourceError, match="no row of the configuration virology"):
        local_splits(tmp_path, LAW.model_copy(update={"config": "virology"}))


def test_letters_and_lists_become_the_hubs_columns(tmp_path):
    write(tmp_path / "law_test.jsonl", [{"question": "q", "choices": ["a", "b", "c"], "answer": "C"}])
    write(tmp_path / "law_dev.jsonl", [{"question": "q", "A": "a", "B": "b", "answer": 0}])
    found = local_splits(tmp_path, LAW)
    assert found.rows["test"][0]["answer"] == 2
    assert found.rows["dev"][0] == {"question": "q", "choices": ["a", "b"], "answer": 0}


def test_a_row_that_cannot_be_read_is_counted(tmp_path):
    write(tmp_path / "train.jsonl", problems(1))
    (tmp_path / "test.jsonl").write_text(json.dumps(problems(1)[0]) + "\n{broken\n")
    found = local_splits(tmp_path, GSM8K)
    assert len(found.rows["test"]) == 1
    assert sum(found.refused.values()) == 1


def test_a_data_set_is_found_by_its_name_with_or_without_its_owner(tmp_path):
    (tmp_path / "other__gsm8k").mkdir()
    assert data_folder(tmp_path, "openai/gsm8k") is None
    (tmp_path / "GSM8K").mkdir()
    assert data_folder(tmp_path, "openai/gsm8k") == tmp_path / "GSM8K"
    (tmp_path / "openai__gsm8k").mkdir()
    assert data_folder(tmp_path, "openai/gsm8k") == tmp_path / "openai__gsm8k"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("test/x_dev.csv", "dev"),
        ("train.jsonl.gz", "train"),
        ("latest.jsonl", None),
        ("a/validation.json", None),
    ],
)
def test_the_files_own_name_says_more_than_its_folders(name, split):
    assert split_of(name, ("test", "dev", "train")) == split
