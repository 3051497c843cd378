"""`rpt report`: the page of what has one, opened where asked for; `rpt --version`."""

import webbrowser
from importlib.metadata import version
from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.guard import guarded
from tests.unit.flows.cli.test_copy_and_compare import put


def run(*words: str) -> int:
    return guarded(lambda: app(list(words), standalone_mode=False))


def page(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / name).write_text("<p>page</p>")
    (folder / "other.json").write_text("{}")
    return folder


@pytest.mark.parametrize(("kind", "name"), [("report", "report.html"), ("corpus", "card.html")])
def test_a_page_is_found_and_opened(store, tmp_path, monkeypatch, capsys, kind, name):
    shown = put(store, page(tmp_path / "p", name), kind, "a").artifact.short
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: not opened.append(address))
    assert run("report", shown) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == name
    assert path.read_text() == "<p>page</p>"
    assert not opened
    assert run("report", shown, "--open") == 0
    assert opened == [path.absolute().as_uri()]


def test_without_a_browser_the_path_is_said_all_the_same(store, tmp_path, monkeypatch, capsys):
    shown = put(store, page(tmp_path / "p", "report.html"), "report", "a").artifact.short
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert run("report", shown, "--open") == 2
    said = capsys.readouterr()
    assert "report.html" in said.out
    assert "no browser" in said.err


def test_what_has_no_page_is_refused_with_what_to_do(store, tmp_path, capsys):
    shown = put(store, page(tmp_path / "p", "notes.txt"), "base", "a").artifact.short
    assert run("report", shown) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "has no page" in said
    assert "rpt show" in said
    assert shown in said.replace(" ", "")


def test_the_version_is_that_of_the_package(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == f"rpt {version('rpt-plain-text')}"
