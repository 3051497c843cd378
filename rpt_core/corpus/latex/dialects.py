r"""Formats that are not LaTeX, as macros that lead to it: plain TeX, harvmac, AmS-TeX.

Most e-prints before 1995 are written in one of them. What a format defines is said in TeX itself, by what a
reader of the text needs of it; commands that name other commands (``\lref\foo{..}``) are handlers.
"""

import functools
from collections.abc import Callable, Mapping

from rpt_core.corpus.latex.definers import DEFINERS
from rpt_core.corpus.latex.macros import Macro, Mouth

_PLAIN = r"""
\def\beginsection#1\par{\section{#1}}
\def\footnote#1#2{}\def\vfootnote#1#2{}
\def\topinsert#1\endinsert{}\def\midinsert#1\endinsert{}\def\pageinsert#1\endinsert{}
\def\eqalign#1{\begin{aligned}#1\end{aligned}}
\def\eqalignno#1{\begin{aligned}#1\end{aligned}}\def\leqalignno#1{\begin{aligned}#1\end{aligned}}
\def\line#1{#1}\def\leftline#1{#1}\def\rightline#1{#1}
"""
_HARVMAC = r"""
\def\Title#1#2{\title{#2}}\def\Date#1{}
\def\newsec#1{\section{#1}}\def\subsec#1{\subsection{#1}}\def\subsubsec#1{\subsubsection{#1}}
\def\appendix#1#2{\section{Appendix #1. #2}}
\def\foot#1{}\def\footnote#1#2{}
\def\eqn#1#2{\rpteqn#1{#2}}\def\eqnn#1{}\def\eqna#1{}
\def\listrefs{\stop}\def\listfigs{}\def\listtoc{}\def\writetoc{}
\def\refs#1{#1}\def\draft{}\def\draftmode{}\def\writedefs{}
\def\ack#1{}
"""
_AMSTEX = r"""
\def\topmatter{}\def\endtopmatter{}\def\document{}
\def\title#1\endtitle{\rpttitle{#1}}
\def\author#1\endauthor{}\def\affil#1\endaffil{}\def\address#1\endaddress{}\def\email#1\endemail{}
\def\curraddr#1\endcurraddr{}\def\urladdr#1\endurladdr{}\def\thanks#1\endthanks{}\def\date#1\enddate{}
\def\dedicatory#1\enddedicatory{}\def\keywords#1\endkeywords{}\def\subjclass#1\endsubjclass{}
\def\translator#1\endtranslator{}\def\leftheadtext#1{}\def\rightheadtext#1{}
\def\abstract#1\endabstract{#1}
\def\head#1\endhead{\section{#1}}\def\specialhead#1\endspecialhead{\section{#1}}
\def\heading#1\endheading{\section{#1}}
\def\subhead#1\endsubhead{\subsection{#1}}\def\subheading#1{\subsection{#1}}
\def\subsubhead#1\endsubsubhead{\subsubsection{#1}}
\def\proclaim#1{\par #1. }\def\endproclaim{\par}\def\definition#1{\par #1. }\def\enddefinition{\par}
\def\demo#1{\par #1. }\def\enddemo{\par}\def\remark#1{\par #1. }\def\endremark{\par}
\def\example#1{\par #1. }\def\endexample{\par}\def\qed{}
\def\roster{\begin{itemize}}\def\endroster{\end{itemize}}
\def\Refs#1\endRefs{}\def\footnote#1{}
\def\align#1\endalign{\begin{aligned}#1\end{aligned}}\def\aligned#1\endaligned{\begin{aligned}#1\end{aligned}}
\def\gather#1\endgather{\begin{aligned}#1\end{aligned}}\def\gathered#1\endgathered{\begin{aligned}#1\end{aligned}}
\def\split#1\endsplit{\begin{aligned}#1\end{aligned}}\def\multline#1\endmultline{\begin{aligned}#1\end{aligned}}
\def\cases#1\endcases{\begin{cases}#1\end{cases}}\def\matrix#1\endmatrix{\begin{matrix}#1\end{matrix}}
\def\pmatrix#1\endpmatrix{\begin{pmatrix}#1\end{pmatrix}}\def\vmatrix#1\endvmatrix{\begin{vmatrix}#1\end{vmatrix}}
\def\topinsert#1\endinsert{}\def\midinsert#1\endinsert{}
"""
_SOURCES = {"plain": _PLAIN, "harvmac": _HARVMAC, "amstex": _AMSTEX}
_NAMES = {
    "harvmac": "harvmac", "lanlmac": "harvmac", "amstex": "amstex", "amsppt": "amstex", "amsppt1": "amstex",
}  # fmt: skip


def dialect_of(file: str) -> str | None:
    r"""The format whose macros a file of that name holds.

    Example:
        >>> dialect_of("harvmac.tex"), dialect_of("sections/intro")
        ('harvmac', None)
    """
    return _NAMES.get(file.strip().lower().removesuffix(".tex").removesuffix(".sty"))


@functools.cache
def dialect_macros(name: str) -> Mapping[str, Macro]:
    """The macros of a format."""
    mouth = Mouth()

    def define(word: str, macro: Macro) -> None:
        mouth.known.macros[word] = macro

    mouth.open_file(name, _SOURCES[name])
    mouth.run(lambda match: DEFINERS[match[1]](mouth, match[1], define))
    return mouth.known.macros


def _equation(mouth: Mouth, word: str) -> None:
    r"""``\eqn\eone{S=..}``: a display, and a word for its number."""
    name, formula = mouth.name() or "", mouth.mandatory()
    mouth.known.macros[name] = Macro(f"\\eqref{{{name}}}")
    mouth.read_again(f"\\begin{{equation}}\\label{{{name}}}{formula}\\end{{equation}}", word)


def _source(mouth: Mouth, word: str) -> None:
    r"""``\lref\foo{A. Author, ..}``: a word that cites; ``\ref`` cites at once."""
    name = mouth.name() or ""
    mouth.mandatory()
    mouth.known.macros[name] = Macro(f"\\cite{{{name}}}")
    if word == "ref":
        mouth.read_again(f"\\cite{{{name}}}", word)


def _figure(mouth: Mouth, word: str) -> None:
    r"""``\fig\foo{Caption}``: a word for the figure's number; nothing of it is text."""
    name = mouth.name() or ""
    mouth.mandatory()
    if word == "ifig":
        mouth.mandatory()
    mouth.known.macros[name] = Macro("")


NAMED: dict[str, tuple[str, Callable[[Mouth, str], None]]] = {
    "rpteqn": ("harvmac", _equation), "lref": ("harvmac", _source), "nref": ("harvmac", _source),
    "ref": ("harvmac", _source), "fig": ("harvmac", _figure), "nfig": ("harvmac", _figure),
    "ifig": ("harvmac", _figure), "tfig": ("harvmac", _figure),
}  # fmt: skip
"""Commands that name another one: the format, and what reads them."""
