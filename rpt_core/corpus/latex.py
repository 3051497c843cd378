"""LaTeX to text: flatten, expand, render."""

from collections.abc import Mapping
from dataclasses import dataclass

from rpt_core.corpus.latex_macros import Expander
from rpt_core.corpus.latex_structure import check_braces
from rpt_core.corpus.latex_text import Renderer
from rpt_core.corpus.latex_tree import Flat
from rpt_core.corpus.latex_words import HANDLED, HANDLED_ENVIRONMENTS


@dataclass(frozen=True, slots=True)
class LatexText:
    """Prose of one LaTeX document."""

    title: str
    text: str


def to_text(files: Mapping[str, bytes], main: str) -> LatexText:
    r"""Prose of the document whose main file is ``main``.

    Args:
        files: The archive's text files by path; an ``\input`` reaches nothing else.
        main: Key of the main file.

    Raises:
        Broken: ``latex-unbalanced`` or ``latex-explosion``.

    Example:
        >>> to_text({"a.tex": rb"\newcommand{\R}{\mathbb{R}} Let $x\in\R$~\cite{k}. % note"}, "a.tex").text
        'Let $x\\in\\mathbb{R}$.'
    """
    flat = Flat(files, main)
    check_braces(flat.text)
    expander = Expander(HANDLED, HANDLED_ENVIRONMENTS)
    expanded = expander.expand(flat.text)
    renderer = Renderer(expanded, flat.pieces, expander.known.theorems)
    return LatexText(renderer.title(), renderer.body())
