"""`rpt site`: every run of a store on one page, each page it links to beside it, nothing fetched."""

import json

import pytest

from rpt_core.overview.site import PAGES
from tests.chromium import LAYOUT, ask, needs_browser
from tests.unit.flows.cli.test_copy_and_compare import put, run, said
from tests.unit.infra.storage.test_store import write
from tests.unit.report.test_report import Page

LEAD = ["The start is right ", {"value": 0.3358, "low": 0.31, "high": 0.35}, " of the time <script>."]


@pytest.fixture
def reports(store, tmp_path):
    """A report, a corpus with a card and numbers of its own, and a model without a page."""
    report = write(tmp_path / "report", w="x")
    said = {
        "title": "RPT on <my> notes",
        "lead": LEAD,
        "claims": [{"verdict": "holds"}],
        "ran": {"Text": "a"},
    }
    (report / "report.json").write_text(json.dumps(said))
    (report / "report.html").write_text("<p>whole</p>")
    made = put(store, report, "report", "a", recipe={"stage": "report"})
    store.add_ref("tiny_rpt-report", made.artifact)
    corpus = write(tmp_path / "corpus", w="y")
    (corpus / "report.json").write_text(json.dumps({"balance": 3}))
    (corpus / "card.html").write_text("<p>card</p>")
    put(store, corpus, "corpus", "c")
    put(store, write(tmp_path / "model", w="z"), "base", "5")
    return tmp_path / "site"


def test_every_artifact_is_listed_and_every_link_leads_to_a_page(store, reports, capsys):
    assert run("site", str(reports)) == 0
    assert "lists 3 artifacts" in capsys.readouterr().out
    html = (reports / "index.html").read_text()
    page = Page(html)
    assert page.open == []
    assert page.loads == []
    assert {"report-aaaaaaaaaaaa/report.html", "corpus-cccccccccccc/card.html"} == set(page.links)
    assert all((reports / link).read_text() for link in page.links)
    text = " ".join("".join(page.text).split())
    for words in (
        "RPT on <my> notes",
        "The start is right 33.6",
        "1 holds",
        "tiny_rpt-report@1",
    ):
        assert words in text
    assert all(f"{letter * 12}" in text for letter in "ac5")


def test_made_again_it_takes_in_what_is_new_and_keeps_what_is_there(store, reports, tmp_path):
    assert run("site", str(reports)) == 0
    seen = (reports / "report-aaaaaaaaaaaa" / "report.html").stat().st_mtime_ns
    put(store, write(tmp_path / "more", w="m"), "policy", "e")
    assert run("site", str(reports)) == 0
    assert "policy/eeeeeeeeeeee" in (reports / "index.html").read_text()
    assert (reports / "report-aaaaaaaaaaaa" / "report.html").stat().st_mtime_ns == seen


def test_a_folder_of_somebody_elses_is_left_alone(store, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("precious")
    assert run("site", str(tmp_path / "mine")) == 2
    assert "no site of ours" in said(capsys)
    assert (tmp_path / "mine" / "index.html").read_text() == "precious"


def test_an_empty_store_has_a_page_too(store, tmp_path):
    assert run("site") == 0
    assert "rpt demo" in (tmp_path / "home" / "site" / "index.html").read_text()


def test_pages_are_those_that_stages_write():
    from rpt_core.artifacts.build import REPORT_PAGE, TIMINGS_PAGE, VIEW_FILES

    assert set(PAGES) <= {REPORT_PAGE, TIMINGS_PAGE} | VIEW_FILES


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_of_the_index_is_cut(store, reports, tmp_path, width):
    assert run("site", str(reports)) == 0
    found = ask(reports / "index.html", LAYOUT, width=width, folder=tmp_path)
    assert found == {"width": width, "wide": [], "cut": [], "overlapping": []}
