import pytest

from rpt_core.corpus.text.shield import cover, spans, without


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("Let $x = 1.5$ and $y$.", ["$x = 1.5$", "$y$"]),
        ("the $n$th of 10 Mpc$^{-1}$ and $k$s", ["$n$", "$^{-1}$", "$k$"]),
        ("CO$_2$ at 5$\\,$km", ["$_2$", "$\\,$"]),
        ("$$a\nb$$ and \\(c\\) and \\[d\\]", ["$$a\nb$$", "\\(c\\)", "\\[d\\]"]),
        ("$a \\mbox{ if \\(x\\) is}$ so", ["$a \\mbox{ if \\(x\\) is}$"]),
        ("It costs $5 and $10, or US$5 to US$6.", []),
        ("From $5 to $6th street; $ 7 $ too.", []),
        ("A price of \\$5 and $x$.", ["$x$"]),
        ("Use `a.b` and\n```\nc.d\n```\nDone.", ["`a.b`", "```\nc.d\n```"]),
        ("No marks at all.", []),
    ],
)
def test_formulas_and_code_are_found_and_prices_are_not(text, formulas):
    found = spans(text)
    assert [text[start:end] for start, end in found] == formulas
    assert len(cover(text, found)) == len(text)
    assert not [formula for formula in formulas if len(formula) > 2 and formula in without(text, found)]
