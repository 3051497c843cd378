"""docs/models.md is what a fresh run gives, names every type, and no type is silently wrong."""

import re
from collections import Counter
from pathlib import Path

import pytest
import torch
import transformers
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from rpt_core.policy.loading.faithful import refuse_unfaithful
from rpt_core.policy.loading.miniature import length_settings
from tests.tools import models_table
from tests.tools.models_table import Row, cell, page, tabulate, types

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
EVERY = 9
"""A sample of the table: every ninth type of each outcome."""
EQUAL_BEFORE = (
    "apertus", "arcee", "bitnet", "ernie4_5", "ernie4_5_moe", "flex_olmo",
    "gemma", "glm", "glm4", "glm4_moe", "gpt_neox", "granite",
    "helium", "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hyperclovax", "internlm3",
    "iquestcoder", "jais2", "jetmoe", "lfm2", "llama", "minimax_m2",
    "olmo", "olmo2", "olmoe", "persimmon", "qwen2", "qwen2_moe",
    "qwen3", "qwen3_moe", "smollm3", "solar_open",
)  # fmt: skip
EQUAL_WITHOUT_DROPOUT = ("biogpt", "gpt2", "gpt_bigcode", "opt")


@pytest.fixture(scope="module")
def committed() -> dict[str, list[str]]:
    """Type -> the cells of its line."""
    lines = [
        line
        for line in PAGE.read_text().splitlines()
        if re.match(r"\| [a-z0-9_-]+ \| \S+ \| (equal|refused|not made|different|error) ", line)
    ]
    rows = [[part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row for row in rows}


def test_the_table_names_every_type_and_none_is_wrong(committed):
    if f"transformers {transformers.__version__} " in PAGE.read_text():
        assert sorted(committed) == types()
    counts = Counter(row[2] for row in committed.values())
    assert set(counts) <= {"equal", "refused", "not made"}, counts
    assert all(row[3] in {"", "equal", "refused"} for row in committed.values())
    assert all(row[5] for row in committed.values()), "every outcome has a reason or a figure"
    assert max(float(row[4]) for row in committed.values()) <= 10


def test_what_was_equal_before_is_equal(committed):
    assert [kind for kind in EQUAL_BEFORE if committed[kind][2] != "equal"] == []
    assert [kind for kind in EQUAL_WITHOUT_DROPOUT if committed[kind][3] != "equal"] == []


def test_the_page_counts_its_rows_and_keeps_reasons_in_one_cell():
    rows = [
        Row("a", "AForCausalLM", "equal", "1e-6 nats"),
        Row("b", "BForCausalLM", "refused", "has a | b. Take another", "equal", 0.25),
    ]
    text = page(rows)
    assert "| equal | 1 |" in text
    assert "| refused | 1 |" in text
    assert "| b | BForCausalLM | refused | equal | 0.2 | has a \\| b |" in text
    assert cell("line one\nline two") == "line one line two"


def test_a_child_that_hangs_or_dies_is_a_row(monkeypatch):
    monkeypatch.setattr(models_table, "LIMIT_SECONDS", 1.0)

    def dies(kind, tokens):
        raise SystemExit(3)

    monkeypatch.setattr(models_table, "outcome_of", dies)
    (row,) = tabulate(["llama"])
    assert (row.outcome, row.reason) == ("error", "SystemExit: 3")

    def hangs(kind, tokens):
        while True:
            pass

    monkeypatch.setattr(models_table, "outcome_of", hangs)
    (row,) = tabulate(["llama"])
    assert (row.outcome, row.reason) == ("error", "not done in 1 s")


def test_results_are_kept_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(models_table, "outcome_of", lambda kind, tokens: Row(kind, "X", "equal", "0 nats"))
    results = tmp_path / "rows.jsonl"
    assert [row.type for row in tabulate(["gpt2", "llama"], results)] == ["gpt2", "llama"]
    monkeypatch.setattr(
        models_table, "outcome_of", lambda kind, tokens: Row(kind, "X", "different", "9 nats")
    )
    assert [row.outcome for row in tabulate(["gpt2", "opt"], results)] == ["equal", "different"]
    assert [row.type for row in models_table.read(results)] == ["gpt2", "llama", "opt"]


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_fresh_run_gives_the_table(committed):
    by_outcome: dict[str, list[str]] = {}
    for kind, row in committed.items():
        by_outcome.setdefault(row[2], []).append(kind)
    sample = [kind for kinds in by_outcome.values() for kind in kinds[::EVERY]]
    assert len(sample) >= 20
    for row in tabulate(sample):
        assert [row.outcome, cell(row.plain)] == committed[row.type][2:4], row


def saved_config(kind):
    """The type's default, as its causal model saves it.

    A type with an encoder (whisper) is refused with one; its decoder alone, which the table holds, says in
    its configuration that there is none.
    """
    config = CONFIG_MAPPING[kind]()
    if config.is_encoder_decoder:
        with torch.device("meta"):
            config = AutoModelForCausalLM.from_config(config).config
    return config


@pytest.mark.long
@pytest.mark.timeout(600)
def test_lengths_of_real_configurations_are_proven_on_miniatures(committed):
    """The table's own models are short; here the defaults keep their lengths, and only the miniature is."""
    from rpt_core.policy.loading.faithful import _miniature_fault

    tried = 0
    for kind, row in committed.items():
        if row[2] == "equal":
            config = saved_config(kind)
            refuse_unfaithful(config, kind)
            if length_settings(config):
                assert _miniature_fault(type(config), config.to_json_string(use_diff=False)) == "", kind
                tried += 1
    assert tried >= 1
