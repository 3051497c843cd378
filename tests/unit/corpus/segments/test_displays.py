r"""Sentences round displayed formulas; every text here is invented."""

import pytest

from rpt_core.corpus.segments.displays import layout
from rpt_core.corpus.segments.splitter import Splitter
from rpt_core.corpus.text.shield import spans
from tests.least_time import least_seconds


@pytest.fixture(scope="module")
def splitter():
    return Splitter.train({"en": ["A ball fell. It was red. We saw it at noon. Dr. Brown left."] * 40})


def sentences(splitter, text):
    return [text[start:end].rstrip() for start, end in splitter.split(text, "en")]


@pytest.mark.parametrize(
    "text",
    [
        "The ball falls by\n$$s = g t^2 / 2$$\nwhere $t$ is the time.",
        "The ball falls by:\n\n\\[\ns = g t^2 / 2,\n\\]\n\nwhere $t$ is the time.",
        "We know that\n$$a = b$$\nand\n$$b = c$$\nfor all balls.",
        "Both are one:\n$$a = b$$\n$$b = c$$",
        "In an article, a line of its own is a display:\n\n$s = 1.5$,\n\nwhere $s$ is the path.",
        "It is\n$$\\left. \\begin{array}{l} a \\\\ b \\end{array} \\right.$$\nwhere $a$ may be 0.",
        "The rest is 0,\n$$1 + 2 + ...$$\nand so on.",
        "Then $$a = b$$ for all balls.",
        "$$a = b$$\nwhere $a$ is red.",
    ],
)
def test_a_sentence_goes_on_through_its_displays(splitter, text):
    assert sentences(splitter, text) == [text]


@pytest.mark.parametrize(
    ("first", "gap", "second"),
    [
        ("We know that\n$$a = b.$$", "\n", "Now the ball is red."),
        ("We know that\n$$a = b \\quad .$$", "\n", "gnuplot draws the ball."),
        ("We know that\n$$\\begin{aligned} a &= b \\\\ c &= d . \\end{aligned}$$", " ", "$a$ is a ball."),
        ("We know that\n$$a = b$$", "\n", "Now the ball is red."),
        ("We know that\n\\[\na = b\n\\]", "\n\n", "Now the ball is red."),
        ("We know that $$a = b$$", " ", "Now the ball is red."),
        ("We know that \\[a = b\\]", " ", "Now the ball is red."),
        ("We know that $$a = b$$.", " ", "Now the ball is red."),
        ("The ball is red.", "\n", "$$a = b$$\nwhere $a$ is its size."),
        ("Is the ball red?", "\n\n", "\\[ a = b \\]"),
        ("$$a = b.$$", "\n", "$$b = c.$$"),
        ("The ball is\n$$a$$", "\n", "b) green or red"),
        ("球是红的。", "\n", "$$a = b$$"),
        ("One line with $a$", "\n", "$b$ and $c$ begin another."),
        ("A line of code", "\n", "`a = b`"),
    ],
)
def test_a_sentence_ends_at_a_display_or_before_it(splitter, first, gap, second):
    assert sentences(splitter, f"{first}{gap}{second}") == [first, second]


@pytest.mark.parametrize("mark", ["1.", "12.", "a.", "iv.", "(2.", "- 3."])
def test_the_number_of_a_list_item_is_no_sentence(splitter, mark):
    text = f"We do this:\n{mark} The ball falls. It was red.\n   {mark} Then it lies."
    assert sentences(splitter, text) == [
        "We do this:",
        f"{mark} The ball falls.",
        "It was red.",
        f"   {mark} Then it lies.",
    ]


def test_a_year_at_the_start_of_a_line_ends_its_sentence(splitter):
    assert sentences(splitter, "It fell in\n1987. It was red.") == ["It fell in", "1987.", "It was red."]


def test_text_without_displays_is_told_nothing():
    text = "Let $a$ be red.\nLet $b$ be `$$x$$`.\nwhere is it? It costs $5.\n$10 were paid."
    told = layout(text, spans(text))
    assert (told.joined, told.cuts) == (set(), set())


@pytest.mark.parametrize(
    "unit", ["$$a$$\n", "$$a.$$ \n", "\n" * 50 + "$$a$$", " " * 500 + "$a$\n", "$$" + "." * 3000 + "$$ "]
)
def test_it_takes_linear_time(unit):
    text = "A ball.\n" + unit * (600_000 // len(unit))
    found = spans(text)
    assert least_seconds(lambda: layout(text, found), 5.0) < 5.0


@pytest.mark.parametrize("blanks", ["\t", " ", " \t"])
def test_blanks_after_a_formula_take_linear_time(blanks):
    text = "word $x$" + blanks * 100_000 + "word $$y$$" + blanks * 100_000 + ". word"
    formulas = [(5, 8), (text.index("$$"), text.index("$$") + 5)]
    assert least_seconds(lambda: layout(text, formulas), 1.0) < 1.0
