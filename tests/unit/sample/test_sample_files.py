import hashlib
import json

import pyarrow.parquet as pq
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from rpt_core.recipes.world import SecondEdition
from rpt_core.sample.eprints import literal as latex_literal
from rpt_core.sample.files import write_sample
from rpt_core.sample.second.documents import documents as second_documents
from rpt_core.sample.world import documents

SMALL = SampleWorld(num_documents=250, num_problems=80)
SECOND = SMALL.model_copy(update={"second": SecondEdition(planted=True, kinds=("week", "compass"))})


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", params=[SMALL, SECOND], ids=["first edition", "second edition"])
def sample(request):
    return request.param


@pytest.fixture(scope="module")
def world(sample, tmp_path_factory):
    """The small world, read and prepared: folder, outcomes, tables by stage and name."""
    folder = tmp_path_factory.mktemp("world")
    write_sample(sample, folder)
    first = LocalBuild({}, folder / "documents", folder / "scratch1")
    read = ingest(IngestRecipe(sample=sample), first)
    second = LocalBuild({"documents": folder / "documents"}, folder / "corpus", folder / "scratch2")
    made = prepare(PrepareRecipe(documents=Ref(ref="x")), second)
    tables = {
        stage: {path.stem: pq.read_table(path).to_pylist() for path in (folder / where).glob("*.parquet")}
        for stage, where in (("ingest", "documents"), ("prepare", "corpus"))
    }
    truth = json.loads((folder / "truth.json").read_text())
    return folder, (read, made), tables, truth


def drawn_for(sample):
    """The world's documents without what is planted."""
    if sample.second is None:
        return list(documents(sample.seed, sample.num_documents))
    return list(second_documents(sample.second, sample.seed, sample.num_documents))


def test_same_seed_same_bytes(tmp_path, sample, world):
    write_sample(sample, tmp_path)
    assert digests(tmp_path) == {
        name: digest for name, digest in digests(world[0]).items() if name.startswith(("data/", "truth"))
    }
    fewer = {"seed": 1, "num_documents": 20, "num_problems": 10}
    if sample.second is None:
        write_sample(sample.model_copy(update=fewer), tmp_path / "other")
    else:
        unplanted = sample.second.model_copy(update={"planted": False})
        write_sample(sample.model_copy(update={**fewer, "second": unplanted}), tmp_path / "other")
        assert not (tmp_path / "other" / "truth.json").exists()
    other = digests(tmp_path / "other")
    assert other["data/problems/sample_math.jsonl"] != digests(tmp_path)["data/problems/sample_math.jsonl"]


def test_everything_planted_ends_as_the_truth_says(world):
    _, _, tables, truth = world
    wrong = []
    for expected in truth["dropped"]:
        rows = [
            row
            for row in tables[expected["stage"]]["dropped"]
            if row["reason"] == expected["reason"]
            and (not expected["origin"] or expected["origin"] in (row["origin"], row["source"]))
            and (not expected["title"] or row["title"] == expected["title"])
        ]
        if len(rows) != expected["rows"]:
            wrong.append((expected, len(rows)))
    assert wrong == []


def test_nothing_is_dropped_that_the_truth_does_not_name(world):
    _, _, tables, truth = world
    for stage in ("ingest", "prepare"):
        expected = sum(row["rows"] for row in truth["dropped"] if row["stage"] == stage)
        found = [row for row in tables[stage]["dropped"] if row["source"] not in ("problems", "leaked")]
        assert len(found) == expected, stage


def test_unplanted_documents_survive_word_for_word(sample, world):
    _, _, tables, truth = world
    texts = {row["title"]: row["text"] for row in tables["prepare"]["documents"]}
    drawn = drawn_for(sample)
    kept = [document for document in drawn if texts.get(document.title) == document.text]
    assert len(kept) >= 0.99 * len(drawn)
    assert len(texts) == len(kept) + truth["planted_kept"]
    assert set(truth["kept"]) <= texts.keys()


def test_traces_align_at_the_very_character(sample, world):
    _, _, tables, _ = world
    texts = {row["doc_id"]: row["text"] for row in tables["prepare"]["documents"]}
    traces = tables["prepare"]["traces"]
    shown = sum(len(one.traces) for one in drawn_for(sample))
    assert shown == 5 * sample.num_documents if sample.second is None else shown > 2 * sample.num_documents
    assert len(traces) >= 0.99 * shown
    assert all(texts[row["doc_id"]][row["char_offset"] :].startswith(row["answer"]) for row in traces)


def test_personal_data_is_gone_and_look_alikes_are_not(world):
    _, _, tables, truth = world
    texts = {row["title"]: row["text"] for row in tables["prepare"]["documents"]}
    for planted in truth["masked"]:
        assert planted["mark"] in texts[planted["title"]]
        assert planted["secret"] not in texts[planted["title"]]
        assert "version 2.10.3.12 and formula $1234567812345670$" in texts[planted["title"]]


def test_benchmark_problems_are_never_trained_on(world):
    _, _, tables, truth = world
    training = {row["problem"] for row in tables["prepare"]["problems"] if row["split"] == "train"}
    assert training
    assert training.isdisjoint(truth["never_trained"])


def test_balances_close_over_both_stages(world):
    _, (read, made), tables, _ = world
    assert made.rows.rows_in == read.rows.kept
    assert sum(made.rows.dropped.values()) == len(tables["prepare"]["dropped"])
    assert sum(read.rows.dropped.values()) == len(tables["ingest"]["dropped"])


def test_both_forms_and_both_splits_are_there(world):
    _, _, tables, _ = world
    rows = tables["prepare"]["documents"]
    assert {row["source"] for row in rows} == {"wikipedia", "arxiv"}
    assert {row["split"] for row in rows} == {"train", "eval"}
    assert {row["split"] for row in tables["prepare"]["problems"]} == {"train", "eval"}


@pytest.mark.parametrize(
    "text", ["50% of $5 & #3_a {b} ~c ^d \\e", "a--b---c ``x'' 'y' \"z\"", "“quoted” – dash — long…"]
)
def test_any_prose_survives_latex(text):
    from rpt_core.corpus.latex.convert import to_text

    assert to_text({"a.tex": latex_literal(text).encode()}, "a.tex").text == text


@pytest.mark.slow
def test_the_demo_s_world_keeps_at_least_95_percent(tmp_path):
    sample = SampleWorld()
    ingest(IngestRecipe(sample=sample), LocalBuild({}, tmp_path / "a", tmp_path / "b"))
    outcome = prepare(
        PrepareRecipe(documents=Ref(ref="x")),
        LocalBuild({"documents": tmp_path / "a"}, tmp_path / "c", tmp_path / "d"),
    )
    titles = set(pq.read_table(tmp_path / "c/documents.parquet").column("title").to_pylist())
    drawn = {document.title for document in documents(sample.seed, sample.num_documents)}
    assert len(drawn & titles) >= 0.95 * len(drawn)
    assert outcome.summary["traces"] >= 0.99 * 5 * sample.num_documents
    assert outcome.summary["problems"] >= 0.95 * sample.num_problems
