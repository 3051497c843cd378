"""What a recipe may ask for: licences, subjects, noise, and rows whose columns have other names."""

import json
import re

import pytest
from pydantic import ValidationError

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.clean.licences import licence_name
from rpt_core.corpus.clean.noise import with_noise
from rpt_core.corpus.clean.stem import stem_score
from rpt_core.corpus.files.datafiles import ALL_COLUMNS
from rpt_core.corpus.files.problems import parse_problem, with_columns
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.tables import read_rows
from rpt_core.corpus.text.shield import spans
from rpt_core.errors import RecipeError, SourceError
from rpt_core.recipes.corpus import FIELDS, IngestRecipe, PrepareRecipe
from rpt_core.recipes.evaluation import EvaluationRecipe
from rpt_core.recipes.splits import corpora
from rpt_core.recipes.supervised import BaseRecipe
from tests.unit.corpus.test_prepare import run, tale, write


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "cc-by"),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/de/", "cc-by-nc-nd"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "cc0"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", "public-domain"),
        ("CC BY-SA", "cc-by-sa"),
        ("CC-BY-NC 4.0", "cc-by-nc"),
        ("CC0", "cc0"),
        ("In the public domain", "public-domain"),
        ("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", "arxiv"),
        ("Apache-2.0", "apache-2.0"),
        ("", "unknown"),
        ("All rights reserved", "unknown"),
        ("committed", "unknown"),
    ],
)
def test_licences_have_one_name(stated, name):
    assert licence_name(stated) == name


def test_only_documents_under_the_licences_asked_for_are_kept(tmp_path):
    stated = ["CC BY-SA", "http://creativecommons.org/licenses/by/4.0/", "", "All rights reserved"]
    rows = [{"id": i, "title": str(i), "text": tale(i), "license": stated[i % 4]} for i in range(40)]
    write(tmp_path / "data", "tales.jsonl", rows)
    outcome, tables = run(tmp_path, licenses=("cc-by", "cc-by-sa"))
    assert outcome.rows.dropped == {"licence": 20}
    assert {row["license"] for row in tables["documents"]} == set(stated[:2])
    assert run(tmp_path, licenses=("unknown",))[0].rows.kept == 20
    with pytest.raises(SourceError, match="none was kept"):
        run(tmp_path, licenses=("mit",))


@pytest.mark.parametrize(
    ("source", "lang", "categories", "prose", "formulas", "low", "high"),
    [
        ("arxiv", "en", ("math.AP",), "We thank all.", 0.2, 2.0, 3.0),
        ("arxiv", "en", ("econ.GN",), "Prices rose in spring.", 0.0, 0.0, 0.2),
        ("arxiv", "en", ("hep-th", "econ.GN"), "Prices rose.", 0.0, 1.0, 1.2),
        ("wikipedia", "en", ("Chemical elements", "Metals"), "An element.", 0.0, 1.0, 2.0),
        ("wikipedia", "en", ("American politicians", "1809 births"), "He spoke well.", 0.0, 0.0, 0.1),
        ("wikipedia", "en", ("Social scientists", "People from Paris"), "She wrote.", 0.0, 0.0, 0.1),
        ("wikipedia", "de", ("Mathematik",), "Der Satz gilt.", 0.05, 1.0, 1.0),
        ("wikipedia", "de", ("Geschichte",), "Der Satz gilt.", 0.0, 0.0, 0.0),
        ("text", "en", (), "The equation of the orbit gives the velocity and the mass.", 0.0, 1.0, 1.0),
        ("text", "en", (), "", 0.0, 0.0, 0.0),
    ],
)
def test_stem_scores(source, lang, categories, prose, formulas, low, high):
    assert low <= stem_score(source, lang, categories, prose, formulas) <= high


def test_stem_alone(tmp_path):
    science = [
        f"The equation of orbit {i} gives the velocity of planet {i * 7 % 31} and its mass from the rays "
        f"that telescope {i * 3} measured at a temperature of {i * 13} units, as experiment {i * 5} showed."
        for i in range(12)
    ]
    rows = [{"id": i, "title": f"S{i}", "text": text} for i, text in enumerate(science)]
    rows += [{"id": 100 + i, "title": f"T{i}", "text": tale(i)} for i in range(12)]
    write(tmp_path / "data", "rows.jsonl", rows)
    outcome, tables = run(tmp_path, stem_min=1.0, near_duplicate_jaccard=0.95)
    assert outcome.rows.dropped["not-stem"] == 12
    assert {row["title"][0] for row in tables["documents"]} == {"S"}
    assert all(json.loads(row["metrics"])["stem"] >= 1 for row in tables["documents"])


TEXT = (
    "The old tower of 1889 stands beside the river, where $x_{tower} = 5$ and `tower()` <EMAIL> stay. " * 20
)


def test_noise_changes_the_share_of_words_it_is_asked_for():
    noisy = with_noise(TEXT, 0.3, "key", spans(TEXT))
    words, changed = TEXT.split(), noisy.split()
    assert len(words) == len(changed)
    long = [(a, b) for a, b in zip(words, changed, strict=True) if re.fullmatch(r"[a-zA-Z]{3,},?", a)]
    assert 0.2 < sum(a != b for a, b in long) / len(long) < 0.4
    assert all(a[0] == b[0] and abs(len(a) - len(b)) <= 1 for a, b in long)


def test_noise_leaves_formulas_code_numbers_and_marks_alone():
    noisy = with_noise(TEXT, 1.0, "key", spans(TEXT))
    for kept in ("$x_{tower} = 5$", "`tower()`", "<EMAIL>", "1889"):
        assert noisy.count(kept) == TEXT.count(kept)


def test_noise_depends_on_its_key_alone():
    assert with_noise(TEXT, 0.3, "a") == with_noise(TEXT, 0.3, "a") != with_noise(TEXT, 0.3, "b")
    assert with_noise("", 1.0, "a") == ""
    assert with_noise("这是一个很长的句子没有空格", 1.0, "a") != ""


def test_noise_reaches_training_documents_only(tmp_path):
    rows = [{"id": i, "title": str(i), "text": tale(i)} for i in range(60)]
    write(tmp_path / "data", "tales.jsonl", rows)
    clean = {row["doc_id"]: row for row in run(tmp_path, eval_share=0.3)[1]["documents"]}
    noisy = {row["doc_id"]: row for row in run(tmp_path, eval_share=0.3, noise_share=0.5)[1]["documents"]}
    assert clean.keys() == noisy.keys()
    for doc_id, row in clean.items():
        assert (row["text"] == noisy[doc_id]["text"]) == (row["split"] == "eval")


ROW = {
    "q": "Find x.",
    "reply": {"final": "3"},
    "why": "So.",
    "hard": 7,
    "field": "Algebra",
    "text": "not this",
}
MAP = {"problem": "q", "answer": "reply.final", "solution": "why", "difficulty": "hard", "domain": "field"}


def test_a_column_map_names_what_is_where():
    found = parse_problem(ROW, "set", "set/x.jsonl", "", with_columns(ALL_COLUMNS, MAP))
    assert (found.problem, found.answer, found.solution) == ("Find x.", "3", "So.")
    assert (found.difficulty, found.domain) == (7.0, "Algebra")


def test_a_column_map_in_a_recipe(tmp_path):
    write(tmp_path / "data/set", "rows.jsonl", [ROW, {**ROW, "q": "Find y.", "reply": None}])
    write(tmp_path / "data/texts", "rows.jsonl", [{"body": {"plain": tale(1)}, "head": "H", "number": 7}])
    columns = {**MAP, "text": "body.plain", "title": "head", "id": "number"}
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch")
    outcome = ingest(IngestRecipe(data=str(tmp_path / "data"), columns=columns), build)
    (problem,) = read_rows(tmp_path / "out/problems.parquet")
    assert (problem["problem"], problem["answer"], problem["source"]) == ("Find x.", "3", "set")
    (document,) = read_rows(tmp_path / "out/documents.parquet")
    assert (document["title"], document["native_id"]) == ("H", "texts:7")
    assert outcome.rows.dropped == {"missing-column": 1}


def test_columns_with_dots_in_their_names_are_found_too():
    record = {"reply.final": "4", "problem": "Two and two?"}
    found = parse_problem(record, "set", "x", "", with_columns(ALL_COLUMNS, {"answer": "reply.final"}))
    assert found.answer == "4"


@pytest.mark.parametrize("columns", [{"reply": "answer"}, {"answer": ""}])
def test_a_map_of_unknown_names_is_refused(columns):
    with pytest.raises(RecipeError, match="the names are answer, context"):
        IngestRecipe.parse({"data": "x", "columns": columns})


def test_every_name_of_the_map_is_looked_up():
    assert set(ALL_COLUMNS) == FIELDS


def test_other_choices_are_other_corpora():
    recipes = [
        PrepareRecipe(documents=Ref(ref="x"), **options)
        for options in ({}, {"licenses": ("cc0",)}, {"stem_min": 1.0}, {"noise_share": 0.1})
    ]
    assert len({recipe.model_dump_json() for recipe in recipes}) == 4


DOCUMENTS = IngestRecipe(data="texts")


def evaluation(corpus, trained):
    base = BaseRecipe(corpus=trained)
    return EvaluationRecipe(corpus=corpus, difficulty=Ref(ref="d"), model=base)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seed": 1}, "seed 1 and 0"),
        ({"eval_share": 0.5}, "eval_share 0.5 and 0.08"),
        ({"near_duplicate_jaccard": 0.9}, "near_duplicate_jaccard 0.9 and 0.8"),
    ],
)
def test_a_recipe_whose_splits_overlap_is_refused(options, said):
    other = PrepareRecipe(documents=DOCUMENTS, **options)
    with pytest.raises(ValidationError, match=f"splits overlap.*{said}"):
        evaluation(other, PrepareRecipe(documents=DOCUMENTS))


def test_splits_that_cannot_overlap_are_not_refused():
    corpus = PrepareRecipe(documents=DOCUMENTS)
    elsewhere = PrepareRecipe(documents=IngestRecipe(data="others"), seed=5)
    cleaner = PrepareRecipe(documents=DOCUMENTS, min_words=50, noise_share=0.1)
    named = Ref(ref="corpus@1")
    for tested in (corpus, elsewhere, cleaner, named):
        assert evaluation(tested, corpus).corpus == tested
    assert list(corpora(evaluation(corpus, cleaner))) == [corpus, cleaner]


def test_a_text_that_nearly_all_rows_share_is_not_the_problem(tmp_path):
    rows = [{"problem": "You are a careful solver of problems.", "answer": str(i)} for i in range(40)]
    write(tmp_path / "data", "chats.jsonl", rows)
    write(tmp_path / "data", "tales.jsonl", [{"id": i, "title": str(i), "text": tale(i)} for i in range(40)])
    outcome, tables = run(tmp_path)
    assert outcome.rows.dropped["one-text-for-all"] == 40
    assert len({row["native_id"] for row in tables["dropped"] if row["reason"] == "one-text-for-all"}) == 40
    assert not tables["problems"]
