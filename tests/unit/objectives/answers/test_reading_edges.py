"""How deep an answer may nest, and what is handed on as LaTeX."""

import pytest

from rpt_core.objectives.problems.answer import grade_answer
from rpt_core.objectives.problems.answers import reading as r
from rpt_core.objectives.problems.answers.tokens import UnreadableError, tokenize

DEEPER = [
    (r._bracketed, r"\{1\}", 1),
    (r._bracketed, "(1)", 1),
    (r._bracketed, "(1, 2)", 1),
    (r._union, r"(1, 2) \cup (3, 4)", 2),
    (r._member, r"x \in 3", 1),
    (r._listed, "1, 2", 1),
    (r._equation, "x = 3", 1),
    (r._plus_minus, r"1 \pm 2", 1),
    (r._matrix, r"\begin{pmatrix} 1 & 2 \end{pmatrix}", 2),
]
"""A reader, what it reads, and how many levels below its own the innermost part is."""


@pytest.mark.parametrize(("reader", "answer", "levels"), DEEPER)
def test_a_part_is_as_deep_as_it_is_nested(reader, answer, levels):
    """Every reader counts the levels it adds, so that no mixture of them can exhaust the stack."""
    tokens, deepest = tokenize(answer), r.LEVELS_MAX - levels
    assert reader(tokens, deepest) == reader(tokens, 0)
    assert reader(tokens, 0) is not None
    with pytest.raises(UnreadableError, match="too deep"):
        reader(tokens, deepest + 1)


def test_sets_within_sets_end_at_the_limit():
    def nested(levels: int) -> str:
        return r"\{" * levels + "1" + r"\}" * levels

    assert r.read_answer(nested(r.LEVELS_MAX)) != r.read_answer(nested(r.LEVELS_MAX - 1))
    with pytest.raises(UnreadableError):
        r.read_answer(nested(r.LEVELS_MAX + 1))


@pytest.mark.parametrize(
    ("answer", "handed_over"),
    [
        (r"\sum (x)", True),
        (r"\sum f x", True),
        (r"\sum f(x)", False),  # a function, or a product
        (r"\sum 2 3", False),  # read as a sum of numbers side by side
        (r"\sum I", False),  # read as the imaginary unit
        (r"\sum \gcd x", False),
        (r"\sum ab", False),
        ("x", False),  # nothing our own parser lacks
    ],
)
def test_only_latex_that_is_read_faithfully_is_handed_over(answer, handed_over):
    latex = r._latex(tokenize(answer))
    assert bool(latex) is handed_over
    assert not handed_over or latex.split() == [token.text for token in tokenize(answer)]


@pytest.mark.parametrize("known", ["red", "(1, 2)", "7", "K", "x"])
def test_a_named_choice_counts_only_where_a_letter_is_known(known):
    assert grade_answer("C) something else", known) != "correct"
    assert grade_answer("C) something else", "C") == "correct"
    assert grade_answer("C) something else", "J") == "wrong"
    assert grade_answer("J) something else", "J") == "correct"
