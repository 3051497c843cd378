"""Fragments of HTML as text: what stays, what goes, and that 120 KB of anything end at once."""

import pytest

from rpt_core.corpus.text.html_text import html_text
from tests.least_time import least_seconds


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("no mark-up at all", "no mark-up at all"),
        ("<p>One\nparagraph.</p>\n\n<p>Another.</p>", "One paragraph.\n\nAnother."),
        ("<p>Line<br>break</p>", "Line\nbreak"),
        ("<p>$a &lt; b$ and\n$$\\frac{1}{2}$$</p>", "$a < b$ and $$\\frac{1}{2}$$"),
        ("<pre><code>if x:\n    y = '&lt;sup&gt;2&lt;/sup&gt;'\n</code></pre>",
         "```\nif x:\n    y = '<sup>2</sup>'\n```"),
        ("<p>Use <code>&lt;sup&gt;2&lt;/sup&gt;</code>.</p>", "Use `<sup>2</sup>`."),
        ("H<sub>2</sub>O, a<sub>n+1</sub>, 10<sup>6</sup>", "H2O, a_(n+1), 10^6"),
        ("a<sup>" + "long " * 20 + "</sup>", "a" + "long " * 19 + "long"),
        ("<ul><li>one</li><li><p>two</p><p>more</p></li></ul>", "- one\n\n- two\n\nmore"),
        ("<ol><li></li></ol>after", "after"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n\n3"),
        ("a<script>evil()</script><style>p{}</style><!-- c -->b<img src='x'>", "ab"),
        ('<a href="http://x.y">words</a> stay', "words stay"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("&nbsp;&copy; &unknown; &#0;", "© &unknown;"),
    ],
)  # fmt: skip
def test_what_stays_of_it(html, text):
    assert html_text(html).replace("\ufffd", "").strip() == text


@pytest.mark.parametrize(
    "unit",
    ["<b>", "<p>", "<li>", "<pre>", "<code>", "<sup>", "<sup>1</sup>", "</b>", "<", "&lt;", "&", "<!--",
     "<a b='", "<table><td>", "`", "$", " ", "<ul><li>"],
)  # fmt: skip
def test_any_120_kilobytes_end_within_seconds(unit):
    html = unit * (120_000 // len(unit))
    assert least_seconds(lambda: html_text(html), 3.0) < 3.0
