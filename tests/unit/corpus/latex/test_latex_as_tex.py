r"""What TeX reads and what it does not: branches, ends, literals, inputs, definitions, groups."""

import pytest

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.convert import to_text
from tests.least_time import least_seconds


def text(body, preamble="", **files):
    source = f"\\documentclass{{article}}{preamble}\\begin{{document}}\n{body}\n\\end{{document}}"
    tree = {"main.tex": source.encode(), **{name: data.encode() for name, data in files.items()}}
    return to_text(tree, "main.tex").text


def whole(source, **files):
    tree = {"main.tex": source.encode(), **{name: data.encode() for name, data in files.items()}}
    return to_text(tree, "main.tex").text


@pytest.mark.parametrize(
    "after",
    [
        "} and $ and \\begin{align}",
        "\\end{itemize} {{{",
        "\\input{main}",
        "\\def\\a{\\a}\\a",
        "\\begin{verbatim}",
    ],
)
def test_nothing_after_the_document_is_read(after):
    source = f"\\documentclass{{a}}\\begin{{document}}Kept words.\\end{{document}}\n{after}"
    assert whole(source) == "Kept words."


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ("Part one.\n\\endinput\nJunk } $ \\begin{x}", "Part one. Tail."),
        ("Part one.\\endinput Junk", "Part one. Tail."),
        ("\\ifx\\undefinedword\\relax Part \\fi one.\n\\endinput % why\n{", "one. Tail."),
    ],
)
def test_a_file_ends_where_it_says(part, expected):
    assert text("\\input{part}Tail.", **{"part.tex": part}) == expected


def test_endinput_within_a_macro_ends_the_file_it_is_used_in():
    preamble = "\\newcommand{\\stophere}{ now\\endinput}"
    assert text("\\input{part} Tail.", preamble, **{"part.tex": "Part\\stophere junk {"}) == "Part now Tail."


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        ("", "A\n\\iffalse } $ \\begin{align} \\verb| \\fi B", "A B"),
        ("", "A \\iffalse % \\fi\n { \\else shown \\fi B", "A shown B"),
        ("", "A \\iffalse \\ifnum 1=1 x \\else { \\fi $ \\fi B", "A B"),
        ("\\let\\ifdraft\\iffalse", "A \\ifdraft no { \\else yes \\fi B", "A yes B"),
        ("\\newcommand{\\hide}{\\iffalse}", "A \\hide no \\fi B", "A B"),
        ("\\newif\\iflong\\longtrue", "\\iflong long\\iffalse x \\fi\\else short $ { \\fi B", "longB"),
        ("", "\\ifnum 2>1 yes\\else no\\fi, \\ifodd 4 no\\else yes\\fi", "yes, yes"),
        ("\\def\\mode{a}\\def\\other{a}", "\\ifx\\mode\\other same\\else apart\\fi.", "same."),
        ("\\def\\anon{}", "\\ifdefined\\anon Anon\\else Names\\fi.", "Anon."),
        ("\\newtoggle{w}\\toggletrue{w}", "\\iftoggle{w}{Yes}{No}, \\nottoggle{w}{a}{b}.", "Yes, b."),
        ("\\newbool{w}", "\\ifbool{w}{Yes}{No} \\booltrue{w}\\ifbool{w}{Yes}{No}.", "No Yes."),
        ("\\newboolean{w}\\setboolean{w}{true}", "\\ifthenelse{\\boolean{w}}{Yes}{No}.", "Yes."),
        ("\\newcommand{\\v}{two}", "\\ifthenelse{\\equal{\\v}{two}}{Second}{First}.", "Second."),
        ("\\newboolean{w}", "\\ifthenelse{\\NOT \\boolean{w} \\AND 3 > 2}{Yes}{No}.", "Yes."),
        ("\\newboolean{w}", "\\ifthenelse{\\(\\boolean{w} \\OR \\equal{a}{a}\\)}{Yes}{No}.", "Yes."),
        ("\\newbool{w}\\booltrue{w}", "\\ifboolexpr{bool {w} and not test {\\ifblank{x}}}{Yes}{No}.", "Yes."),
        (
            "\\newcommand{\\e}{}",
            "\\ifdefempty{\\e}{empty}{full}, \\ifdefvoid{\\no}{void}{there}.",
            "empty, void.",
        ),
        (
            "",
            "\\ifblank{ }{blank}{not}, \\ifstrequal{a}{b}{same}{apart}, \\notblank{x}{in}{out}.",
            "blank, apart, in.",
        ),
        ("", "\\ifdef{\\emph}{known}{no}, \\ifundef{\\nobody}{new}{old}.", "known, new."),
        (
            "\\NewDocumentCommand{\\w}{s o m}{\\IfBooleanTF{#1}{star}{plain} \\IfValueTF{#2}{with "
            "#2}{bare} #3}",
            "\\w{a}, \\w*[b]{c}.",
            "plain bare a, star with b c.",
        ),
        ("", "A \\iffancytest{x}{hidden} B", "A hidden B"),
        ("", "A \\iflang{de}{deutsch}{english} B", "A english B"),
        ("\\newif\\ifw\\wtrue", "\\ifw One \\ifthenelse{1 < 2}{a}{b} two \\fi end.", "One a two end."),
        ("", "\\IfFileExists{gone}{there}{not there}.", "not there."),
        ("", "$a \\iff b$ stays.", "$a \\iff b$ stays."),
    ],
)
def test_one_branch_is_read(preamble, body, expected):
    assert text(body, preamble) == expected


@pytest.mark.parametrize(
    ("preamble", "body", "kept"),
    [
        ("", "Run \\verb+a % {b+ now. End.", "Run a % {b now. End."),
        (
            "",
            "Run \\lstinline{f(x) % {y}} and \\lstinline[language=C]|z % }| now.",
            "f(x) % {y} and z % } now.",
        ),
        ("", "Run \\mintinline{python}{x % 2} and \\mintinline{c}|a % b| now.", "x % 2 and a % b now."),
        ("", "So \\begin{verbatim} 5 % { $ \\end{verbatim} End.", "```\n 5 % { $\n```\n\nEnd."),
        (
            "",
            'So\n\\begin{minted}[fontsize=\\small]{python}\nx = {1: "%"}\n\\end{minted}\nEnd.',
            '```\nx = {1: "%"}\n```\n\nEnd.',
        ),
        (
            "",
            "\\begin{lstlisting}[caption={A \\texttt{b}.},label=x]\n{ $ %\n\\end{lstlisting}End.",
            "```\n{ $ %\n```\n\nEnd.",
        ),
        ("", '\\begin{verbatim}\n{"a": 1}\n[2]\n\\end{verbatim}End.', '```\n{"a": 1}\n[2]\n```\n\nEnd.'),
        (
            "\\lstnewenvironment{rs}[1][]{\\lstset{#1}}{}",
            "\\begin{rs}[x=y]\nlet x = 100 % {\n\\end{rs}\nEnd.",
            "```\nlet x = 100 % {\n```\n\nEnd.",
        ),
        (
            "\\DefineVerbatimEnvironment{shell}{Verbatim}{fontsize=\\small}",
            "\\begin{shell}\n$ x %{\n\\end{shell}\nEnd.",
            "```\n$ x %{\n```\n\nEnd.",
        ),
        (
            "\\newminted{java}{}",
            "\\begin{javacode}\nif (a % b) {\n\\end{javacode}\nEnd.",
            "```\nif (a % b) {\n```\n\nEnd.",
        ),
        ("\\newmintinline{sql}{}", "Run \\sqlinline{a % b} now.", "Run a % b now."),
        ("\\MakeShortVerb{\\|}", "Run |x % {y| now.", "Run x % {y now."),
        (
            "\\newcommand{\\code}{\\lstinline}",
            "Run \\code{a % b} and \\code|{|. End.",
            "Run a % b and {. End.",
        ),
        (
            "\\newenvironment{out}{\\verbatim}{\\endverbatim}",
            "\\begin{out}\n$ %\n\\end{out}\nEnd.",
            "```\n$ %\n```\n\nEnd.",
        ),
        (
            "\\newenvironment{x}{\\VerbatimEnvironment\\begin{Verbatim}}{\\end{Verbatim}}",
            "Words stay.",
            "Words stay.",
        ),
        ("", "One % a {\n% b $\n\n   Two.", "One\n\nTwo."),
        ("", "One% c\n   two\\% three\\\\% d\nfour.", "Onetwo% three four."),
        ("", "% \\begin{verbatim}\nWords. % \\end{verbatim}\nMore.", "Words. More."),
        ("", "A \\begin{comment} } $ \\end{comment} B", "A B"),
    ],
)
def test_literal_text_is_literal(preamble, body, kept):
    assert text(body, preamble).endswith(kept)


@pytest.mark.parametrize(
    ("main", "files", "expected"),
    [
        ("\\def\\parts{sec}\\input{\\parts/a}", {"sec/a.tex": "Part."}, "Part."),
        (
            "\\newcommand{\\sect}[1]{\\input{sec/#1}}\\sect{a} \\sect{b}",
            {"sec/a.tex": "One.", "sec/b.tex": "Two."},
            "One. Two.",
        ),
        ("\\import{sec/}{a} \\subimport{sec}{b}", {"sec/a.tex": "One.", "sec/b.tex": "Two."}, "One. Two."),
        ("\\includeonly{a}\\include{a}\\include{b}End.", {"a.tex": "One.", "b.tex": "Two."}, "One.\n\nEnd."),
        (
            "\\subfile{a}End.",
            {"a.tex": "\\documentclass[main]{subfiles}\\begin{document}One.\\end{document} }"},
            "One. End.",
        ),
        ("\\InputIfFileExists{a}{}{none} \\InputIfFileExists{b}{}{none}", {"a.tex": "One."}, "One. none"),
        ("\\iffalse\\input{a}\\fi End.", {"a.tex": "{ $"}, "End."),
    ],
)
def test_inputs_are_read_where_they_stand(main, files, expected):
    assert text(main, **files) == expected


def test_a_part_that_is_not_there_is_told():
    body = b"One \\input{lost} two \\input{fig.pgf}."
    main = b"\\documentclass{a}\\begin{document}" + body + b"\\end{document}"
    found = to_text({"main.tex": main}, "main.tex")
    assert (found.text, found.missing) == ("One two.", ("lost",))


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        ("\\newcommand{\\state}{x_t}\\newcommand{\\index}{k}", "$\\state + \\index$", "$x_t+ k$"),
        ("\\def\\city{Ghent}\\renewcommand{\\country}{Peru}", "\\city{} in \\country.", "Ghent in Peru."),
        ("\\newcommand{\\software}{GaToolkit}", "\\software\\ runs.", "GaToolkit runs."),
        ("\\newcommand{\\rule}[1]{Rule~#1}", "\\rule{7} holds.", "Rule 7 holds."),
        (
            "\\def\\be#1\\ee{\\begin{equation}#1\\end{equation}}",
            "So \\be a_{1}=b \\ee holds.",
            "So\n$$a_{1}=b$$\nholds.",
        ),
        (
            "\\def\\ba{\\begin{array}}\\def\\beq{\\begin{equation}}\\def\\eeq{\\end{equation}}",
            "So \\beq a=b \\eeq it is.",
            "So\n$$a=b$$\nit is.",
        ),
        ("\\def\\pair(#1,#2){\\langle #1|#2\\rangle}", "$\\pair(a,{b,c})$", "$\\langle a|b,c\\rangle$"),
        ("\\def\\until#1;{<#1>}", "\\until a{;}b; and \\until c;.", "<a;b> and <c>."),
        (
            "\\DeclarePairedDelimiter\\abs{\\lvert}{\\rvert}",
            "$\\abs{x}+\\abs*{y}+\\abs[\\big]{z}$",
            "$\\lvert x\\rvert+\\left\\lvert y\\right\\rvert+\\bigl\\lvert z\\bigr\\rvert$",
        ),
        (
            "\\DeclarePairedDelimiterX{\\set}[2]\\{\\}{#1\\,\\delimsize|\\,#2}",
            "$\\set{a}{b}$ $\\set*{a}{b}$",
            "$\\{a\\,|\\,b\\}$ $\\left\\{a\\,\\middle|\\,b\\right\\}$",
        ),
        ("\\DeclarePairedDelimiterXPP{\\E}[1]{\\mathbb{E}}[]{}{#1}", "$\\E{X}$", "$\\mathbb{E}[X]$"),
        ("\\NewDocumentCommand{\\D}{O{x} m}{d#2/d#1}", "\\D{f}, \\D[t]{f}", "df/dx, df/dt"),
        (
            "\\NewDocumentCommand\\P{d() m}{P\\IfValueT{#1}{_{#1}}[#2]}",
            "$\\P{A}$, $\\P(t){A}$",
            "$P[A]$, $P_{t}[A]$",
        ),
        ("\\def\\r{R}", "{\\def\\r{Q} $\\r$} $\\r$", "$Q$ $R$"),
        ("\\def\\x{outer}", "\\begin{quote}\\def\\x{inner}\\x\\end{quote}\\x", "inner\n\nouter"),
        ("\\def\\x{outer}", "{\\gdef\\x{new}}\\x", "new"),
        ("\\newcommand{\\v}[1]{\\mathbf#1}", "$\\v x$", "$\\mathbf x$"),
        ("\\def\\mk#1{\\def\\made##1{##1-#1}}", "\\mk{b}\\made{a}", "a-b"),
        ("\\long\\def\\x{Word}\\global\\def\\y{ two}", "\\x\\y", "Word two"),
        (
            "\\def\\opt{\\@ifnextchar[{\\withopt}{none}}\\def\\withopt[#1]{with #1}",
            "\\opt, \\opt[a].",
            "none, with a.",
        ),
        ("\\newenvironment{neq}{\\equation}{\\endequation}", "\\begin{neq}a\\end{neq}", "$$a$$"),
        (
            "\\newenvironment{neq}{\\csname equation*\\endcsname}{\\csname endequation*\\endcsname}",
            "\\begin{neq}a\\end{neq}",
            "$$a$$",
        ),
        ("\\declaretheorem[name=Satz]{s}", "\\begin{s}Wahr.\\end{s}", "Satz. Wahr."),
        (
            "\\newtheorem{algorithm}{Algorithm}",
            "\\begin{algorithm}Do it.\\end{algorithm}",
            "Algorithm. Do it.",
        ),
    ],
)
def test_what_the_author_defines_wins(preamble, body, expected):
    assert text(body, preamble) == expected


@pytest.mark.parametrize(
    ("preamble", "body", "expected"),
    [
        (
            "\\newcommand{\\net}{Net\\xspace}",
            "\\net (a), \\net $x$, \\net{} b, {\\net} c, \\net~d, \\net\\footnote{n}.",
            "Net (a), Net $x$, Net b, Net c, Net d, Net.",
        ),
        (
            "\\newcommand{\\net}{Net\\xspace}",
            "\\net ``a'' \\net --- b; \\net's; \\net/x \\net: y.",
            "Net “a” Net— b; Net's; Net/x Net: y.",
        ),
        ("\\newcommand{\\al}{\\alpha\\xspace}", "$\\al x + \\al$", "$\\alpha x + \\alpha$"),
        (
            "\\newcommand{\\vs}{vs.\\@ }\\newcommand{\\etc}{etc.\\@\\xspace}",
            "A \\vs B, \\etc C.\\@ D",
            "A vs. B, etc. C. D",
        ),
        (
            "\\def\\eg{e.g\\onedot}\\def\\etal{et al\\onedot}",
            "\\eg this, \\eg, that; Li \\etal say. Li \\etal.",
            "e.g. this, e.g., that; Li et al. say. Li et al.",
        ),
        ("", "One\\nobody two, {\\bfseries x}y, un\\textbf{do}ne, \\large big.", "One two, xy, undone, big."),
        ("", "\\TeX\\ and \\LaTeX{} and \\LaTeX\n next.", "TeX and LaTeX and LaTeXnext."),
        ("", "Half is \\nicefrac{1}{2}, \\sfrac34.", "Half is 1/2, 3/4."),
        ("", "It is \\replaced{new}{old}\\deleted{gone}\\added[id=a]{ more}.", "It is new more."),
        (
            "",
            "A\\definecolor{a}{rgb}{0,1,0}\\providecolor{b}{HTML}{FFAA00}"
            "\\crefname{a}{b}{c}\\colorlet{d}{e} B",
            "A B",
        ),
        ("", "A \\setlength\\parskip{3pt}\\addtolength{\\x}{2pt}\\DeclareMathSizes{1}{2}{3}{4} B", "A B"),
        ("", "A \\correspondingauthor{Jo}\\MSC{11}\\special{x}\\received{2020} B", "A B"),
        (
            "",
            "\\begin{CJK*}{UTF8}{min}Word\\end{CJK*} \\begin{column}{0.4\\textwidth}Left\\end{column}",
            "Word\n\nLeft",
        ),
    ],
)
def test_blanks_and_words_stand_as_tex_sets_them(preamble, body, expected):
    assert text(body, preamble) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("\\begin{restatable}[Note]{lem}{again} Yes.\\end{restatable}", "Lemma (Note). Yes."),
        ("\\begin{restatable}{prop}{again}\\label{p} Yes.\\end{restatable}", "Proposition. Yes."),
        ("\\begin{empheq}{equation*} a=b \\end{empheq}", "$$a=b$$"),
        ("\\begin{subnumcases}{g=} 1\\\\ 2\\end{subnumcases}", "$$g= \\begin{cases} 1\\\\ 2 \\end{cases}$$"),
        ("A\\begin{longtblr}{ll} x & y\\end{longtblr}\\begin{algorithm2e}z\\end{algorithm2e}B", "AB"),
        ("A\\begin{references}\\bibitem{a} Nobody, Rev.\\end{references}", "A"),
        ("A\\begin{biblist}\\bib{a}{book}{title={T}}\\end{biblist}", "A"),
        ("A\\begin{keyword} one \\sep two\\end{keyword}", "A"),
    ],
)
def test_environments_show_what_they_hold(body, expected):
    assert text(body).replace(" \n", "\n") == expected


@pytest.mark.parametrize(
    ("source", "title", "expected"),
    [
        (
            "\\input lanlmac\n\\Title{X-1}{On Y}\\newsec{Start} By \\eqn\\ea{a=b} and \\ea, so "
            "\\ref\\rA{A. B., Rev 1} "
            "and \\fig\\fA{Cap}\\foot{No.} it is.\\listrefs\\bye junk {",
            "On Y",
            "Start\n\nBy\n$$a=b$$\nand (1), so and it is.",
        ),
        (
            "\\input amstex\\documentstyle{amsppt}\\topmatter\\title On Z\\endtitle\\author A\\endauthor"
            "\\endtopmatter\\document\\head 1. Start\\endhead Let $$\\align a&=b\\\\c&=d\\endalign$$ hold. "
            "\\proclaim{Theorem 1} It is.\\endproclaim\\Refs\\ref\\by A\\endref\\endRefs\\enddocument junk {",
            "On Z",
            "1. Start\n\nLet\n$$\\begin{aligned}a&=b\\\\c&=d\\end{aligned}$$\nhold.\n\nTheorem 1. It is.",
        ),
        (
            "\\magnification=\\magstep1 \\hsize=6.5truein\\font\\big=cmr10 scaled 1200\\footline={\\hfil}"
            "\\beginsection 2. Words\n\nText\\footnote{*}{Note.} here.\\vskip 3pt\\hrule height 1pt\n"
            "\\topinsert Picture\\endinsert End.\\bye }",
            "2. Words",
            "2. Words\n\nText here. End.",
        ),
    ],
)
def test_formats_before_latex_are_read(source, title, expected):
    found = to_text({"main.tex": source.encode()}, "main.tex")
    assert (found.title, found.text) == (title, expected)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("\\def\\a#1{\\b{#1}}\\def\\b#1{\\a{#1#1}}\\a{x}", "latex-explosion"),
        ("\\newcommand{\\a}[1]{\\a{#1}#1}\\a{xy}", "latex-explosion"),
        ("\\ifthenelse{" * 2000, "latex-unbalanced"),
        ("\\ifblank{x}{" * 3000 + "}" * 3000, ""),
        ("\\def\\b#1\\e{x}" + "\\b " * 50_000, "latex-explosion"),
        ("\\begin{" * 20_000 + "}" * 20_000, ""),
        ("\\lstinline{" * 20_000, "latex-unbalanced"),
        ("\\verb|\n" * 20_000, ""),
        ("\\iffalse\\else" * 5_000, ""),
        ("\\SI{" * 10_000, "latex-unbalanced"),
        ("a" + "\t" * 100_000 + "b $$x$$" + "\t" * 100_000 + "c", ""),
        ("\\label{" + " " * 100_000, "latex-unbalanced"),
        ("\\item [" + "\\x" * 50_000, ""),
        ("\\newcommand{\\q}[\u00b2]{a}", ""),
        ("\\num{" + "1" * 100_000 + "}", ""),
        ("\\begin{lstlisting}[" * 10_000, "latex-unbalanced"),
        ("\\section[" * 20_000, ""),
        ("\\vskip " + "1" * 100_000, ""),
        ("\\ifnum " + "9" * 100_000 + "=1 a\\fi", ""),
    ],
    ids=lambda value: str(value)[:12],
)
def test_hostile_sources_end_with_a_reason_and_in_time(source, reason):
    def read() -> None:
        found = ""
        try:
            whole(source)
        except BrokenInput as broken:
            found = broken.reason
        assert found == reason

    assert least_seconds(read, 4.0) < 4.0
