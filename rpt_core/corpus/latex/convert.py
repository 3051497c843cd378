"""LaTeX to text: flatten, expand, render."""

from collections.abc import Mapping
from dataclasses import dataclass

from rpt_core.corpus.latex.expand import Expander
from rpt_core.corpus.latex.text import Renderer
from rpt_core.corpus.latex.tree import SourceTree, TreeFacts, check_work


@dataclass(frozen=True, slots=True)
class LatexText:
    """Prose of one LaTeX document."""

    title: str
    text: str
    missing: tuple[str, ...] = ()
    """Files that the text inputs and the archive lacks."""


def to_text(files: Mapping[str, bytes], main: str, facts: TreeFacts | None = None) -> LatexText:
    r"""Prose of the document whose main file is ``main``.

    Args:
        files: The archive's text files by path; an ``\input`` reaches nothing else.
        main: Key of the main file.
        facts: What the files declare for each other, when that is known already.

    Raises:
        Broken: ``latex-unbalanced``, ``latex-explosion``, ``too-much-work`` or ``not-utf-8``.

    Example:
        >>> to_text({"a.tex": rb"\newcommand{\R}{\mathbb{R}} Let $x\in\R$~\cite{k}. % note"}, "a.tex").text
        'Let $x\\in\\mathbb{R}$.'
    """
    tree = SourceTree(files, main, facts)
    expander = Expander(tree)
    expanded = expander.expand()
    check_work(expanded)
    renderer = Renderer(expanded, tree.pieces, expander.known.theorems)
    return LatexText(renderer.title(), renderer.body(), tuple(dict.fromkeys(expander.missing)))
