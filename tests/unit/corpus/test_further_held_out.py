"""Benchmarks in use elsewhere: nothing of a problem set that shares text with them is trained on."""

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe
from tests.unit.corpus.test_prepare import tale, write

LEAKED = f"{tale(3)} How old is the bell?"


def run(tmp_path, **held_out):
    inputs = {}
    for name in ("data", *(["benchmarks"] if held_out else [])):
        build = LocalBuild({}, tmp_path / f"{name}-out", tmp_path / f"{name}-scratch")
        ingest(IngestRecipe(data=str(tmp_path / name)), build)
        inputs["documents" if name == "data" else "held_out"] = build.out
    out = tmp_path / ("with" if held_out else "without")
    recipe = PrepareRecipe(documents=Ref(ref="x"), eval_share=0.01, min_words=5, **held_out)
    return prepare(recipe, LocalBuild(inputs, out, tmp_path / "scratch")), out


def test_training_problems_and_documents_that_leak_one_are_dropped_and_counted(tmp_path):
    problems = [{"problem": f"{tale(i)} What then?", "answer": str(i)} for i in range(10, 40)]
    problems.append({"problem": f"Read this. {LEAKED}", "answer": "7"})
    write(tmp_path / "data" / "mine", "train.jsonl", problems)
    texts = [{"id": i, "title": "t", "text": tale(i)} for i in (3, *range(50, 70))]
    write(tmp_path / "data" / "texts", "tales.jsonl", texts)
    benchmark = [{"problem": LEAKED, "answer": "7"}, {"problem": f"{tale(99)} And now?", "answer": "1"}]
    write(tmp_path / "benchmarks" / "aime24", "test.jsonl", benchmark)
    plain, _ = run(tmp_path)
    assert "benchmark-leak" not in plain.rows.dropped
    assert "held_out_items" not in plain.summary
    checked, _ = run(tmp_path, held_out=Ref(ref="y"))
    assert checked.rows.dropped["benchmark-leak"] == 2  # the problem, and the document it was taken from
    assert checked.summary["leaks"] == 2
    assert checked.summary["held_out_items"] >= 2
    assert checked.rows.rows_in == plain.rows.rows_in  # items of the benchmark are no rows of this corpus
    assert checked.summary["problems"] == plain.summary["problems"] - 1
