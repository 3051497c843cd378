import pytest

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.convert import to_text
from rpt_core.corpus.latex.numbers import number_labels
from rpt_core.corpus.latex.tree import main_files
from tests.least_time import least_seconds


def text(body, preamble="", **files):
    source = f"\\documentclass{{article}}{preamble}\\begin{{document}}\n{body}\n\\end{{document}}"
    tree = {
        "main.tex": source.encode(),
        **{name.replace("__", "/"): data.encode() for name, data in files.items()},
    }
    return to_text(tree, "main.tex").text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("One % comment\ntwo.\n\n\nThree\\% four.", "One two.\n\nThree% four."),
        ("Let $x_1 \\in A$ and \\(y\\) hold.", "Let $x_1 \\in A$ and $y$ hold."),
        ("So \\[ a = b \\label{e} \\] holds.", "So\n$$a = b$$\nholds."),
        ("\\begin{equation} a = b, \\end{equation}\nwhere", "$$a = b,$$\nwhere"),
        (
            "\\begin{align} a &= b \\\\ c &= d \\nonumber \\end{align}",
            "$$\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}$$",
        ),
        ("A \\emph{very \\textbf{bold}} word, \\textit{too}.", "A very bold word, too."),
        (
            "\\section{First \\emph{one}}\nText.\n\\section*{Empty}\n\\subsection{Second}\nMore.",
            "First one\n\nText.\n\nEmpty\n\nSecond\n\nMore.",
        ),
        ("Text.\n\\section{Acknowledgements}\nThanks.\n\\section{End}\nLast.", "Text.\n\nEnd\n\nLast."),
        ("Text.\\footnote{A note with $x$.} More.", "Text. More."),
        ("\\begin{figure}\\caption{No.}\\end{figure}Text.\\begin{table}x\\end{table}", "Text."),
        ("\\begin{itemize}\\item one\n\\item[(b)] two\\end{itemize}", "- one\n- (b) two"),
        ("``Quoted'' text---with 1--2 dashes\\ldots", "“Quoted” text—with 1–2 dashes…"),
        (
            "Erd\\H{o}s, Poincar\\'e, \\v{C}ech, na\\\"{\\i}ve, \\c{c}a, \\o re, Stra\\ss e",
            "Erdős, Poincaré, Čech, naïve, ça, øre, Straße",
        ),
        ("\\href{http://a.b/c%20d}{the site} and \\url{http://x.y/a_b}", "the site and http://x.y/a_b"),
        (
            "As shown in \\cite{a}, and by \\citet{b,a}, it holds~\\cite{c}.",
            "As shown in [1], and by [2, 1], it holds.",
        ),
        ("It holds (\\cite{a}).", "It holds."),
        (
            "\\section{A}\\label{s}\nSee Section~\\ref{s} and \\eqref{e}.\n"
            "\\begin{equation}\\label{e}x\\end{equation}",
            "A\n\nSee Section 1 and (1).\n$$x$$",
        ),
        ("\\begin{verbatim}\na % b\n\\c{\n\\end{verbatim}\nText.", "```\na % b\n\\c{\n```\n\nText."),
        ("Run \\verb|a_b %$| now.", "Run a_b %$ now."),
        ("\\begin{proof} Clear. \\end{proof}", "Proof. Clear."),
        ("\\begin{abstract}We show it.\\end{abstract}", "We show it."),
        ("\\begin{thebibliography}{9}\\bibitem{a} B.\\end{thebibliography}Text.", "Text."),
        ("Price: \\$5 \\& 10\\,\\% of \\#3.", "Price: $5 & 10 % of #3."),
        (
            "\\unknown{kept words} and \\vspace{1cm}more \\setlength{\\a}{2pt}here.",
            "kept words and more here.",
        ),
        ("x\\textsuperscript{2} and 1\\textsuperscript{st}", "x^2 and 1st"),
        ("\\input{parts/a} and \\input{missing}done.", "inner text and done."),
        ("Line one\\\\[2pt] line two.", "Line one line two."),
        ("\\iffalse hidden \\else shown \\fi always", "shown always"),
        ("\\begin{unknownenv}[opt] inner \\end{unknownenv}", "inner"),
        ("{\\bf bold} and {\\it italic}", "bold and italic"),
        ("Caf\\'{e} a\\ b~c", "Café a b c"),
        ("Text.\n\\acknowledgements\nWe thank all.\n\\section{End}\nLast.", "Text.\n\nEnd\n\nLast."),
        ("\\vskip-36pt plus 1fil Text\\kern .5em here.\\parindent=0pt", "Text here."),
        ("{\\usefont{OT1}{ppl}{b}{n} Bold} word", "Bold word"),
        (
            "$a \\mbox{ if $x$ is}$ and $$b \\text{, $y$}$$",
            "$a \\mbox{ if \\(x\\) is}$ and\n$$b \\text{, \\(y\\)}$$",
        ),
        ("It is \\ensuremath{{\\boldsymbol{{x}}}}.", "It is ${\\boldsymbol{x}}$."),
    ],
)
def test_latex_becomes_prose(body, expected):
    assert (
        text(body, parts__a_tex="inner text") == expected
        or text(body, **{"parts__a.tex": "inner text"}) == expected
    )


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        ("\\newcommand{\\R}{\\mathbb{R}}", "in $\\R^n$ and \\R.", "in $\\mathbb{R}^n$ and R."),
        (
            "\\newcommand{\\this}{emcee}",
            "at \\url{http://dan.iel.fm/\\this} now",
            "at http://dan.iel.fm/emcee now",
        ),
        ("\\newcommand{\\kepler}{\\emph{Kepler}}", "the \\kepler\\ mission", "the Kepler mission"),
        ("\\newcommand{\\ccl}{CCL\\xspace}", "the \\ccl library, \\ccl.", "the CCL library, CCL."),
        ("\\newcommand{\\norm}[1]{\\|#1\\|}", "$\\norm{x}$", "$\\|x\\|$"),
        ("\\newcommand{\\pair}[2][a]{(#1, #2)}", "\\pair{x} \\pair[b]{y}", "(a, x) (b, y)"),
        ("\\def\\half#1{half of #1}", "\\half{it}", "half of it"),
        (
            "\\DeclareMathOperator{\\tr}{tr}\\DeclareMathOperator*{\\am}{arg\\,min}",
            "$\\tr A + \\am$",
            "$\\operatorname{tr}A + \\operatorname*{arg\\,min}$",
        ),
        ("\\newcommand{\\x}{\\y}\\newcommand{\\y}[1]{<#1>}", "\\x{deep}", "<deep>"),
        (
            "\\newtheorem{thm}{Satz}",
            "\\begin{thm}[Euler]\\label{t}It is.\\end{thm} See \\ref{t}.",
            "Satz 1 (Euler). It is.\n\nSee 1.",
        ),
        (
            "\\newenvironment{claimed}[1]{Claim of #1: }{ End.}",
            "\\begin{claimed}{me}Yes.\\end{claimed}",
            "Claim of me: Yes. End.",
        ),
        ("\\newif\\iflong\\longtrue", "\\iflong long\\else short\\fi", "long"),
        ("\\newif\\iflong", "\\iflong long\\else short\\fi", "short"),
        ("\\let\\old=\\emph\\renewcommand{\\emph}[1]{\\old{#1}}", "\\emph{x}", "x"),
        ("\\NewDocumentCommand{\\v}{s m O{z}}{#2#3}", "\\v*{a}[b] \\v{c}", "ab cz"),
        ("\\newcommand{\\section}[1]{ruined}", "\\section{Kept}\nText.", "Kept\n\nText."),
        ("\\newcommand{\\ens}{\\ensuremath{a_f}}", "\\ens{} and $\\ens$", "$a_f$ and ${a_f}$"),
    ],
)
def test_what_the_author_defined_is_expanded(preamble, body, expected):
    got = text(body, preamble)
    assert got == expected


def test_title_and_macros_from_a_package_of_the_archive():
    tree = {
        "ms.tex": b"\\documentclass{a}\\usepackage{mine}\\title[Short]{On \\word s}"
        b"\\begin{document}\\maketitle A \\word.\\end{document}",
        "mine.sty": b"\\makeatletter\n\\newcommand{\\word}{tower}\n\\def\\bad@thing{\\@ifnextchar[{a}{b}}\n",
    }
    found = to_text(tree, "ms.tex")
    assert (found.title, found.text) == ("On towers", "A tower.")


def test_old_encodings_are_read_as_latin_1():
    assert to_text({"a.tex": "Stra\xdfe".encode("latin-1")}, "a.tex").text == "Straße"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"ms.tex": "\\documentclass{a}\\begin{document}\\input{x}", "x.tex": "text"}, ["ms.tex"]),
        ({"b.tex": "\\documentclass{a}", "main.tex": "\\documentclass{a}"}, ["main.tex", "b.tex"]),
        (
            {"00README.XXX": "second.tex toplevelfile", "first.tex": "\\documentclass{a}", "second.tex": "x"},
            ["second.tex"],
        ),
        (
            {"a4.tex": "\\input{book}", "book.tex": "\\documentclass{a}\\input{c}", "c.tex": "x" * 50},
            ["a4.tex"],
        ),
        ({"one.tex": "text", "two.tex": "text"}, ["one.tex", "two.tex"]),
        ({"% .tex": "% \\documentclass{no}", "real.tex": "\\documentclass{a}"}, ["real.tex"]),
    ],
)
def test_the_main_file_is_found(files, expected):
    assert main_files({name: data.encode() for name, data in files.items()}) == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("a { b", "latex-unbalanced"),
        ("a } b", "latex-unbalanced"),
        ("$x + y\n\nz", "latex-unbalanced"),
        ("\\( x", "latex-unbalanced"),
        ("\\[ x", "latex-unbalanced"),
        ("$$ x", "latex-unbalanced"),
        ("\\begin{quote} x", "latex-unbalanced"),
        ("{" * 5000 + "}" * 5000, ""),
        ("\\emph{" * 500 + "}" * 500, ""),
        ("\\textsuperscript{" * 500 + "}" * 500, "latex-unbalanced"),
        ("\\def\\a{\\a}\\a", "latex-explosion"),
        ("\\def\\a{\\a\\a}\\a", "latex-explosion"),
        ("\\def\\a#1{#1#1}" + "\\a{" * 40 + "x" + "}" * 40, "latex-explosion"),
        ("\\def\\a{\\b x}\\def\\b{\\a y}\\a", "latex-explosion"),
        ("\\newenvironment{e}{\\begin{e}}{\\end{e}}\\begin{e}x\\end{e}", "latex-explosion"),
        ("\\input{main}", "latex-explosion"),
        ("\\input{../../etc/passwd}\\input{/etc/passwd}words", ""),
        ("\\begin{verbatim}" * 5000, "latex-unbalanced"),
        ("\\begin{verbatim}\n" * 5000, "latex-unbalanced"),
        ("\\newcommand{\\a}{" * 3000, "latex-unbalanced"),
        ("$" * 20_001, "latex-unbalanced"),
        ("\\cite{" * 3000 + "}" * 3000, ""),
        ("\\item[" * 1500, ""),
        ("%" * 50_000, ""),
        ("\\if" * 5000, ""),
        ("\\iffalse " * 5000 + "\\fi " * 5000, ""),
        ("\\ref{a}" * 20_000, ""),
        ("``" * 30_000, ""),
    ],
)
def test_hostile_latex_ends_with_a_reason_and_in_time(body, reason):
    def read() -> None:
        found = ""
        try:
            text(body)
        except BrokenInput as broken:
            found = broken.reason
        assert found == reason

    assert least_seconds(read, 4.0) < 4.0


def numbers(source: str) -> dict[str, tuple[str, str]]:
    return number_labels(source, {"thm": "Theorem"})


def test_starred_displays_take_no_number():
    found = numbers(
        r"\begin{equation}\label{a}\end{equation}\begin{equation*}y\end{equation*}"
        r"\begin{align*}z\end{align*}\begin{equation}\label{b}\end{equation}"
    )
    assert found == {"a": ("Equation", "1"), "b": ("Equation", "2")}


def test_every_labelled_row_has_its_own_number():
    found = numbers(
        r"\begin{align}a\label{a}\\b\label{b}\\c\label{c}\end{align}"
        r"\begin{equation}d\label{d}\end{equation}"
    )
    assert {label: number for label, (_, number) in found.items()} == {"a": "1", "b": "2", "c": "3", "d": "4"}


def test_sections_floats_theorems_and_items_count_apart():
    found = numbers(
        r"\section{A}\label{s1}\subsection{B}\label{s11}\section*{No}\section{C}\label{s2}"
        r"\begin{figure}\caption{x}\label{f}\end{figure}\begin{thm}\label{t}\end{thm}\label{again}"
        r"\begin{enumerate}\item x\item y\label{i}\end{enumerate}\begin{figure*}\label{g}\end{figure*}"
        r"\appendix\section{D}\label{p}"
    )
    assert found == {
        "s1": ("Section", "1"), "s11": ("Section", "1.1"), "s2": ("Section", "2"), "f": ("Figure", "1"),
        "t": ("Theorem", "1"), "again": ("Section", "2"), "i": ("Item", "2"), "g": ("Figure", "2"),
        "p": ("Appendix", "A"),
    }  # fmt: skip
