# ruff: noqa: SIM905  (word lists read better as text)
r"""What the commands and environments of LaTeX mean for a reader of plain text."""

import unicodedata

DISPLAY = frozenset(
    "equation equation* displaymath align align* aligned gather gather* multline multline* eqnarray "
    "eqnarray* "
    "flalign flalign* alignat alignat* math dmath dmath* subequations IEEEeqnarray IEEEeqnarray* eqalign "
    "mathpar "
    "xalignat xalignat* xxalignat split dgroup".split()
)
"""Formulas standing on their own; written as ``$$..$$``."""
ROWS = frozenset(
    "align align* gather gather* multline multline* eqnarray eqnarray* flalign flalign* alignat alignat* "
    "IEEEeqnarray IEEEeqnarray* mathpar xalignat xalignat* xxalignat".split()
)
"""Of these, the ones with several rows; their content is wrapped in ``aligned``."""
DROPPED = frozenset(
    "figure figure* table table* tabular tabular* tabularx tabulary longtable longtable* deluxetable "
    "deluxetable* "
    "tikzpicture tikzcd pgfpicture picture thebibliography wrapfigure wraptable sidewaystable sidewaysfigure "
    "floatingfigure marginfigure margintable subfigure asy pspicture pspicture* psfrags "
    "CCSXML acknowledgments acknowledgements acknowledgment acknowledgement acks keywords IEEEkeywords AMS "
    "titlepage supertabular landscape sideways algorithm algorithm* algorithmic "
    "teaserfigure xy array tabbing threeparttable rotatetable comment filecontents theindex "
    "prooftree forest diagram lrbox SCfigure SCtable".split()
)
"""Figures, tables, drawings, bibliographies, acknowledgements: no prose of the paper."""
LISTS = frozenset(
    "itemize enumerate description itemize* enumerate* compactitem compactenum inparaenum list trivlist "
    "inparaitem asparaenum enumeratei".split()
)
THEOREMS = {
    "theorem": "Theorem", "thm": "Theorem", "lemma": "Lemma", "lem": "Lemma", "proposition": "Proposition",
    "prop": "Proposition", "corollary": "Corollary", "cor": "Corollary", "definition": "Definition",
    "defn": "Definition", "example": "Example", "remark": "Remark", "conjecture": "Conjecture",
    "claim": "Claim",
    "exercise": "Exercise", "problem": "Problem", "note": "Note", "fact": "Fact", "axiom": "Axiom",
    "observation": "Observation", "assumption": "Assumption", "notation": "Notation", "proof": "Proof",
    "solution": "Solution",
}  # fmt: skip
ENVIRONMENT_ARGS = {
    "minipage": 1, "multicols": 1, "multicols*": 1, "adjustwidth": 2, "spacing": 1, "list": 2, "alignat": 1,
    "alignat*": 1, "xalignat": 1, "xalignat*": 1, "IEEEeqnarray": 1, "IEEEeqnarray*": 1, "textblock": 1,
    "adjustbox": 1, "tcolorbox": 0, "leftbar": 0, "changemargin": 2, "Tagging": 1,
}  # fmt: skip

SECTIONS = {
    "part": 0, "chapter": 0, "section": 1, "subsection": 2, "subsubsection": 3, "paragraph": 4,
    "subparagraph": 5,
}  # fmt: skip
DROP_ARGS = {
    **dict.fromkeys(
        "documentclass documentstyle usepackage RequirePackage PassOptionsToPackage hypersetup graphicspath "
        "bibliographystyle bibliography pagestyle thispagestyle pagenumbering includegraphics vspace "
        "hspace vspace* "
        "hspace* label index glossary nocite email address affil affiliation institute thanks date "
        "keywords subjclass "
        "pacs received accepted revised published journalname altaffilmark color pagecolor linespread "
        "DeclareGraphicsExtensions newcounter newlength newdimen newsavebox usebox theoremstyle tikzset "
        "pgfplotsset "
        "lstset input include includepdf slugcomment shorttitle shortauthors authorrunning titlerunning "
        "runninghead "
        "rhead lhead chead lfoot rfoot cfoot orcid corref cortext ead footnotetext footnotemark endnote "
        "hyphenation "
        "bibitem addbibresource printbibliography selectlanguage captionsetup geometry setlist setstretch "
        "allowdisplaybreaks pageref vref todo fxnote comment marginpar marginnote sidenote author "
        "authors institution "
        "city country state postcode department tablecomments tablehead colhead figcaption plotone "
        "caption phantom "
        "vphantom hphantom urlstyle newfloat preprint reportnum editor facilities facility software ccsdesc "
        "acmConference acmYear copyrightyear doi isbn setcopyright symbolfootnote stepcounter "
        "refstepcounter tag "
        "setmainfont pdfbookmark currentpdfbookmark markright nameref pdfinfo leadauthor equalauthors "
        "altaffiliation features fontfamily fontseries fontshape fontencoding "
        "papertype maketag corrauthor extrainfo newgeometry "
        "markleft fancyhead fancyfoot fancyhf enlargethispage penalty".split(),
        1,
    ),
    **dict.fromkeys(
        "setlength addtolength setcounter addtocounter markboth altaffiltext fontsize definecolor fntext "
        "numberwithin "
        "tablenotetext captionof DeclareUnicodeCharacter rule renewlength settowidth providecolor colorlet "
        "addtocontents setboolean plottwo newunicodechar crefname Crefname pgfdeclareimage "
        "SetKwInOut".split(),
        2,
    ),
    **dict.fromkeys("addcontentsline contentsline definecolorset titlespacing".split(), 3),
    **dict.fromkeys("SetMathAlphabet DeclareFontFamily usefont".split(), 4),
    **dict.fromkeys("DeclareFontShape DeclareMathAlphabet titleformat".split(), 5),
}  # fmt: skip
r"""Commands whose arguments are no text, and how many they take (optional ones come off as well)."""
SECOND_SHOWN = {
    "href": 1, "textcolor": 1, "colorbox": 1, "hyperlink": 1, "hyperref": 0, "raisebox": 1, "scalebox": 1,
    "rotatebox": 1,
    "parbox": 1, "resizebox": 2, "fcolorbox": 2, "foreignlanguage": 1, "multicolumn": 2, "multirow": 2,
    "hypertarget": 1,
    "texorpdfstring": 0, "makebox": 0, "framebox": 0, "adjustbox": 1, "pdftooltip": 0,
}  # fmt: skip
"""Commands that show the argument after so many dropped ones."""
THANKS = frozenset("acknowledgments acknowledgements acknowledgment acknowledgement acks".split())
"""Commands, in some classes, that begin the acknowledgements."""
GLUES = frozenset(
    "vskip hskip kern mkern mskip baselineskip parskip parindent textheight textwidth topmargin "
    "oddsidemargin "
    "evensidemargin columnsep hoffset voffset leftskip rightskip abovedisplayskip belowdisplayskip "
    "hangindent tabcolsep fboxsep".split()
)
"""Lengths of TeX, set or used without braces."""
FIRST_OF_TWO = frozenset({"texorpdfstring", "pdftooltip"})
"""Commands that show their first argument and drop the second."""

CITES = frozenset(
    "cite citep citet citealt citealp citeauthor citeyear citeyearpar citetalias citepalias parencite "
    "textcite autocite footcite "
    "citenum onlinecite Cite Citet Citep shortcite citeN citeA supercite fullcite smartcite citeurl "
    "citetext".split()
)
REFS = frozenset("ref eqref autoref cref Cref pageref nameref vref subref fref Fref sref prettyref".split())
SPACES = {
    " ": " ", ",": "\u2009", ";": " ", ":": " ", "!": "", "/": "", "-": "", "@": "", "\n": " ", "\t": " ",
    "quad": " ", "qquad": " ", "hfill": " ", "enspace": " ", "thinspace": "\u2009", "space": " ",
    "par": "\n\n",
    "newline": " ", "linebreak": " ", "newpage": "\n\n", "clearpage": "\n\n", "pagebreak": "\n\n",
    "bigskip": "\n\n",
    "medskip": "\n\n", "smallskip": "\n\n", "vfill": "\n\n", "null": "", "protect": "", "relax": "",
    "noindent": "",
    "indent": "", "centering": "", "hfil": " ", "cleardoublepage": "\n\n", "xspace": "",
    "nobreakspace": " ", "leavevmode": "",
}  # fmt: skip
SYMBOLS = {
    "%": "%", "&": "&", "$": "$", "#": "#", "_": "_", "{": "{", "}": "}", "ldots": "…", "dots": "…",
    "textellipsis": "…",
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "aa": "å", "AA": "Å",
    "l": "ł", "L": "Ł",
    "i": "ı", "j": "ȷ", "dag": "†", "ddag": "‡", "S": "§", "P": "¶", "copyright": "©", "pounds": "£",
    "euro": "€",
    "textendash": "–", "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’",
    "textquotedblleft": "“",
    "textquotedblright": "”", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^",
    "textbar": "|",
    "textless": "<", "textgreater": ">", "textdegree": "°", "degree": "°", "textmu": "µ", "texttimes": "×",
    "textbullet": "•", "textunderscore": "_", "textregistered": "®", "texttrademark": "™", "textdollar": "$",
    "slash": "/", "LaTeX": "LaTeX", "TeX": "TeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "eg": "e.g.",
    "ie": "i.e.",
    "lq": "‘", "rq": "’", "textsection": "§", "textpm": "±", "guillemotleft": "«", "guillemotright": "»",
    "og": "«", "fg": "»",
    "aap": "A&A", "apj": "ApJ", "lbrack": "[", "rbrack": "]", "textquotesingle": "'", "dh": "ð", "th": "þ",
    "sim": "~", "textasciigrave": "`", "textasciiacute": "´",
}  # fmt: skip
ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", '"': "\u0308", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328", "r": "\u030a", "d": "\u0323",
    "b": "\u0331",
    "t": "\u0361",
}  # fmt: skip

HANDLED = (
    frozenset(SECTIONS) | frozenset(DROP_ARGS) | frozenset(SECOND_SHOWN) | CITES | {"ref"} | frozenset(SPACES)
    | frozenset(SYMBOLS)
    | frozenset(ACCENTS)
    | frozenset(
        "title begin end item footnote emph textbf textit textsc texttt textrm textsf text mbox url path "
        "underline left right frac sqrt sum int prod big Big bigg Bigg mathbf mathrm mathcal mathbb "
        "operatorname over "
        "appendix maketitle abstract textsuperscript textsubscript $ ( ) [ ] \\ ensuremath "
        "alpha beta gamma delta epsilon in to le ge".split()
    )
) - frozenset(
    "comment todo note email eg ie aap apj author date d b c k r t u v H o i j l L O P S sim th dh og "
    "fg".split()
)  # fmt: skip
"""Commands that keep their standard meaning, whatever a paper's preamble redefines them to."""
HANDLED_ENVIRONMENTS = (
    DISPLAY | DROPPED | LISTS | frozenset({"document", "abstract", "quote", "quotation", "center", "proof"})
)


def accented(accent: str, letter: str) -> str:
    """A letter under an accent, composed.

    Example:
        >>> accented("'", "e"), accented("v", "s")
        ('é', 'š')
    """
    base = {"ı": "i", "ȷ": "j"}.get(letter[:1], letter[:1])
    if not base:
        return ""
    return unicodedata.normalize("NFC", base + ACCENTS[accent]) + letter[1:] if base.isalpha() else letter
