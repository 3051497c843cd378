"""The study of a real text from GSM8K's file to its page, with a tiny model in the real one's place."""

import gzip
import json
import os
from pathlib import Path
from pkgutil import resolve_name

import pyarrow.parquet as pq
import pytest
import torch

from flows.recipes import Overrides, over_arms
from flows.recipes.studies.real_text import BEFORE, BEGINS_FROM, EVAL_SHARE, LESSON_SHARE, PROBLEM_SHARE
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact, Recipe
from rpt_core.corpus.files.calculator import SLIP
from rpt_core.corpus.held_problems import check_problems
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.text.arithmetic import claim_of, operands, value_of
from rpt_core.evaluation.kept.file import OUTCOMES_FILE, read_outcomes
from rpt_core.recipes.corpus import CalculatorTeacher, IngestRecipe, PrepareRecipe
from rpt_core.recipes.reports.outcomes_report import REAL_TEXT
from rpt_core.recipes.stages import STAGES
from tests.toys import save_tiny_model

FILE = Path(os.environ.get("RPT_TEST_DATA", "../shared/data")) / "gsm8k" / "train.jsonl.gz"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is absent (RPT_TEST_DATA)"),
]
NOWHERE = Artifact(kind="any", fingerprint="0" * 64, digest="0" * 64)
ROWS = 60


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """The study's own corpus."""
    root = tmp_path_factory.mktemp("corpus")
    teacher = CalculatorTeacher(lesson_share=LESSON_SHARE)
    recipe = IngestRecipe(data=str(FILE.parent), problem_share=PROBLEM_SHARE, calculator=teacher)
    documents = LocalBuild({}, root / "documents", root / "s1")
    ingest(recipe, documents)
    found = LocalBuild({"documents": documents.out}, root / "corpus", root / "s2")
    prepare(PrepareRecipe(documents=NOWHERE, solutions_as_documents=True, eval_share=EVAL_SHARE), found)
    return found.out


def test_the_corpus_has_the_studys_sizes_and_shows_no_held_out_problem(corpus):
    check = check_problems({"corpus": corpus})
    assert check.is_clean
    assert 270 < check.held_out < 330
    assert 170 < check.lessons < 230
    assert "<<" not in "".join(pq.read_table(corpus / "documents.parquet")["text"].to_pylist())


def test_traces_of_real_solutions_are_right_but_for_their_slips_and_speak_of_their_text(corpus):
    texts = {row["doc_id"]: row["text"] for row in pq.read_table(corpus / "documents.parquet").to_pylist()}
    traces = pq.read_table(corpus / "traces.parquet").to_pylist()
    dropped = pq.read_table(corpus / "dropped.parquet").to_pylist()
    assert len(traces) > 600
    assert sum(row["step"] == "align" for row in dropped) < 0.02 * len(traces)
    of_text = 0
    for trace in traces:
        text, at = texts[trace["doc_id"]], trace["char_offset"]
        assert text[at:].startswith(trace["answer"])
        expression, said = claim_of(trace["thought"])
        assert said == trace["boxed"]
        assert (value_of(expression) == value_of(said)) != (trace["kind"] == SLIP)
        assert value_of(expression) == value_of(trace["answer"])
        of_text += set(operands(expression)) <= set(operands(text[:at]))
    assert of_text > 0.97 * len(traces)
    assert 0.45 < sum(trace["kind"] == SLIP for trace in traces) / len(traces) < 0.55


@pytest.mark.slow
def test_a_tiny_model_walks_the_whole_study(tmp_path):
    torch.set_num_threads(1)
    save_tiny_model(tmp_path / "model")
    (tmp_path / "data").mkdir()
    with gzip.open(FILE, "rt") as lines, (tmp_path / "data" / "train.jsonl").open("w") as some:
        some.writelines(line for _, line in zip(range(ROWS), lines, strict=False))
    fields = {
        "documents.problem_share": 1.0, "cold-start.steps": 2, "cold-start.documents_per_step": 2,
        "policy.prompts_per_step": 4, "policy.group_size": 2, "policy.max_gflops": 0.5,
        # nothing that so small a model says is right: without rewards that differ, it would learn nothing
        "policy.reward_control": "random", "evaluation.num_positions": 12, "evaluation.samples": 2,
    }  # fmt: skip
    own = Overrides(data=str(tmp_path / "data"), model=str(tmp_path / "model"), fields=fields)
    page = over_arms(BEGINS_FROM, (0,), ("RPT", "RLP"), own, REAL_TEXT)
    made: dict[str, Path] = {}

    def make(recipe: Recipe) -> Path:
        key = recipe.model_dump_json()
        if key not in made:
            inputs = {name: make(one) for name, one in recipe.inputs().items() if isinstance(one, Recipe)}
            folder = tmp_path / f"{len(made):02d}-{recipe.kind}"
            build = LocalBuild(inputs, folder / "out", folder / "scratch")
            resolve_name(STAGES[recipe.stage].function)(recipe, build)
            made[key] = build.out
        return made[key]

    out = make(page)
    found = [read_outcomes(make(arm.outcomes[0]) / OUTCOMES_FILE) for arm in page.arms]
    assert [one.arm for one in found] == [BEFORE, "start", "RPT", "RLP"]
    assert len({one.questions.digest for one in found}) == 1
    for one in found:
        assert one.answers.right_IS.shape == (12, 2)
        assert set(one.answers.checks_IS) == {"evaluates", "operands"}
        assert one.plain_I is not None
        assert len(one.shown) == 12
        assert all(row.truth.strip()[0].isdigit() or row.truth.startswith("-") for row in one.shown)
    assert found[2].steps > 0
    rollouts = next(path for path in made.values() if (path / "rollouts.parquet").is_file())
    corpus = next(path for path in made.values() if (path / "hits.parquet").is_file())
    assert check_problems({"corpus": corpus, "rollouts": rollouts}).is_clean
    said = json.loads((out / "report.json").read_text())
    assert said["title"] == page.title
    assert "## Traps" in (out / "report.md").read_text()
