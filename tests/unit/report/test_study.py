"""A study from outside: one file that says what it claims and shows, and one row that names it."""

import json
import sys

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.recipe import Artifact, Recipe, Ref
from rpt_core.errors import RecipeError
from rpt_core.recipes.reports.outcomes_report import OUTCOME_PAGES
from rpt_core.recipes.reports.report import PAGES, START, STUDIES, ArmsRecipe, StudyModel
from rpt_core.report.blocks import Card, Cell, Section, Table, plain, say, share
from rpt_core.report.study import write_report
from tests.unit.report.test_report import Page
from tests.unit.report.test_report_arms import inputs_of, recipe_of

FILE = '''
"""Whether the method guesses better than the reference when it may not think."""

from rpt_core.evaluation.statistics.compare import Claim, decide
from rpt_core.report.blocks import Section, Table
from rpt_core.report.models import Models, pair
from rpt_core.report.study import Study, claims_section, shortfalls


def study(recipe, build):
    models = Models.read(recipe, build.inputs, "plain")
    reference, method = (arm.outcomes("plain") for arm in models.arms[:2])
    decisions = decide([Claim("the method guesses better", pair(reference, method))])
    table = Table.of("model", models.all, {"guesses": lambda model: model.accuracy("plain")})
    return Study(
        title=recipe.title, eyebrow="Report", lead=("Guesses.",), facts=(), models=models.all,
        decisions=decisions,
        sections=[Section("Guessing", [table]), claims_section(decisions)],
        short=shortfalls(models.all, decisions), footer="", summary={"claims": len(decisions)},
    )
'''


@pytest.fixture
def guessing(tmp_path, monkeypatch) -> str:
    (tmp_path / "guessing_study.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(STUDIES, "guessing", "guessing_study:study")
    yield "guessing"
    sys.modules.pop("guessing_study")


def test_a_new_study_is_one_file_and_one_row(guessing, tmp_path):
    build = LocalBuild(inputs_of(tmp_path / "in", seeds=1), tmp_path / "out", tmp_path / "scratch")
    recipe = recipe_of(1, study=guessing, title="Guesses")
    outcome = write_report(ArmsRecipe.parse(recipe.model_dump(mode="json")), build)
    said = json.loads((build.out / "report.json").read_text())
    text = (build.out / "report.md").read_text()
    assert outcome.summary == said["summary"] == {"claims": 1}
    (claim,) = said["claims"]
    assert (claim["name"], claim["verdict"]) == ("the method guesses better", "holds")
    assert "| the method guesses better | **holds** |" in text
    rows = dict(said["sections"][0]["blocks"][0]["rows"])
    assert list(rows) == said["models"]
    for name, shown in rows.items():
        assert shown["low"] <= shown["value"] <= shown["high"], name
        assert f"| {name} | {100 * shown['value']:.1f} % [" in text
    page = Page((build.out / "report.html").read_text())
    assert page.open == []
    assert "the method guesses better" in "".join(page.text)


def test_an_unknown_study_is_refused_with_those_there_are():
    with pytest.raises(RecipeError, match="there are the studies mid-training, table-1, rewards, positions"):
        ArmsRecipe.parse(recipe_of(1).model_dump() | {"study": "everything"})


def test_a_form_offers_the_studies_there_are():
    assert ArmsRecipe.model_json_schema()["properties"]["study"]["enum"] == list(STUDIES)


def test_inputs_are_named_by_model_and_replaced_by_name():
    recipe = recipe_of(2, arms=("RPT", "RMT"))
    places = [f"models.{START}.evaluations.0", f"models.{START}.evaluations.1"]
    for arm in ("RPT", "RMT"):
        places += [
            f"models.{arm}.{field}.{seed}" for field in ("evaluations", "trainings") for seed in (0, 1)
        ]
    assert list(recipe.inputs()) == places
    made = {
        place: Artifact(kind="k", fingerprint=f"{n:064x}", digest=f"d{n}") for n, place in enumerate(places)
    }
    some = recipe.with_inputs({"models.RMT.trainings.1": made["models.RMT.trainings.1"]})
    assert some.models[2].trainings == (Ref(ref="x@1"), made["models.RMT.trainings.1"])
    assert (some.models[:2], some.models[2].evaluations) == (recipe.models[:2], recipe.models[2].evaluations)
    with pytest.raises(RecipeError, match=r"inputs models.start model.evaluations.0, .* are not resolved"):
        some.canonical()
    whole = recipe.with_inputs(made)
    assert whole.inputs() == made
    assert whole.canonical()["models"][2] == {
        "name": "RMT",
        "evaluations": ["d6", "d7"],
        "trainings": ["d8", "d9"],
    }


def test_a_fingerprint_stands_on_the_digests_and_names_of_nested_inputs():
    def made(number: int, name: str = "RPT") -> Recipe:
        given = Artifact(kind="k", fingerprint=f"{number:064x}", digest="d")
        arms = [StudyModel(name=arm, evaluations=(given,), trainings=(given,)) for arm in (name, "RMT")]
        return ArmsRecipe(seeds=(0,), models=(StudyModel(name=START, evaluations=(given,)), *arms))

    assert made(1).fingerprint() == made(2).fingerprint(), "made elsewhere, the same content"
    assert made(1).fingerprint() != made(1, "another name").fingerprint()


def test_json_holds_numbers_and_no_drawings():
    estimate = {"value": 0.25, "low": 0.2, "high": 0.3}
    block = Section("Title", [Card("<svg/>", "Figure"), Table(("a", "b"), [("row", share(estimate))])])
    assert plain(block) == {
        "title": "Title",
        "blocks": [{"title": "Figure"}, {"head": ["a", "b"], "rows": [["row", estimate]]}],
    }
    assert plain(Cell("7", "in 3")) == "7 in 3"


def test_every_study_of_the_table_can_be_opened():
    from pkgutil import resolve_name

    places = [*PAGES.values(), *STUDIES.values(), *OUTCOME_PAGES.values()]
    assert all(callable(resolve_name(place)) for place in places)
    assert {place.rpartition(".")[0] for place in places} == {"rpt_core.report", "rpt_core.report.outcomes"}


def test_a_paragraph_has_a_number_wherever_it_says_so():
    cell = Cell("7", "[5, 9]")
    assert say("From {} to {}.", cell, cell) == ("From ", cell, " to ", cell, ".")
    with pytest.raises(ValueError, match="longer"):
        say("From {} to {}.", cell)


def test_html_and_markdown_hold_the_same_numbers(guessing, tmp_path):
    """Every cell of a table, with its interval, stands in both."""
    build = LocalBuild(inputs_of(tmp_path / "in", seeds=1), tmp_path / "out", tmp_path / "scratch")
    write_report(recipe_of(1, study=guessing), build)
    text = "".join(Page((build.out / "report.html").read_text()).text)
    rows = [line for line in (build.out / "report.md").read_text().splitlines() if line.startswith("| ")]
    shown = [cell.strip("*` ") for line in rows for cell in line.strip("|").split("|")]
    assert sum("[" in cell for cell in shown) >= 7  # six models and a claim
    assert [cell for cell in shown if cell not in text and "seed 100" not in cell and cell != "what"] == []
