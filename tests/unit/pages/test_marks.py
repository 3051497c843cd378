"""What a reader can point at: every mark of a figure has its words, and its numbers can be downloaded."""

import csv
import io
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from rpt_core.pages.ink import LIGHT, as_svg, new_figure, style
from rpt_core.pages.marks import Mark, as_csv, csv_uri, mark


class Titles(HTMLParser):
    """The shapes of an SVG that have a title, with its words."""

    def __init__(self, svg: str):
        super().__init__()
        self.found, self.path = [], []
        self.feed(svg)

    def handle_starttag(self, tag, attrs):
        self.path.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.path.pop()[0] == tag, "the SVG is balanced"

    def handle_data(self, data):
        if self.path and self.path[-1][0] == "title":
            self.found.append((self.path[-2][0], self.path[-2][1], data))


def drawn(words: list[str], *, x=(1.0, 2.0, 3.0)):
    with style():
        figure = new_figure(200, 100)
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.set_xlim(0, 4)
        (line,) = axes.plot(x, [1.0] * len(x), "o", color=LIGHT.after)
        mark(axes, line, [Mark(said, {"x": at}) for said, at in zip(words, x, strict=True)])
        return figure, as_svg(figure, "Two words", "label")


def test_every_point_says_what_it_is_at_its_own_place():
    _, svg = drawn(["first", "second & <third>", "last"])
    found = Titles(svg).found
    assert [words for _, _, words in found] == ["first", "second & <third>", "last"]
    places = [float(attributes["x"]) for _, attributes, _ in found]
    assert places == sorted(places)
    assert len(set(places)) == 3
    assert 'id="two-words-marks-0"' in svg


def test_a_bar_has_its_words():
    with style():
        figure = new_figure(200, 100)
        axes = figure.add_axes((0, 0, 1, 1))
        for y, name in enumerate(("low", "high")):
            (bar,) = axes.barh(y, 1.0)
            mark(axes, bar, [Mark(name, {"name": name, "value": 1.0})])
        svg = as_svg(figure, "bars", "label")
    assert [(tag, words) for tag, _, words in Titles(svg).found] == [("path", "low"), ("path", "high")]


def test_points_beyond_the_canvas_leave_no_wrong_word():
    figure, svg = drawn(["first", "far", "last"], x=(1.0, 900.0, 3.0))
    assert Titles(svg).found == []
    assert [row["x"] for row in figure.data] == [1.0, 900.0, 3.0]


@pytest.mark.parametrize("text", ['comma, and "quotes"', "line\nbreak", "ümlaut α", ""])
def test_the_numbers_come_back_from_the_address(text):
    rows = [{"name": text, "value": 0.5}, {"name": "b", "low": None}]
    assert csv_uri(rows).startswith("data:text/csv")
    found = list(csv.DictReader(io.StringIO(unquote(csv_uri(rows).partition(",")[2]), newline="")))
    assert found == [{"name": text, "value": "0.5", "low": ""}, {"name": "b", "value": "", "low": ""}]
    assert as_csv([]) == "\n"
