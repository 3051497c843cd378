# ruff: noqa: SIM905  (word lists read better as text)
r"""What the commands and environments of LaTeX mean for a reader of plain text."""

import unicodedata

DISPLAY = frozenset(
    "equation equation* displaymath align align* aligned gather gather* multline multline* eqnarray "
    "eqnarray* "
    "flalign flalign* alignat alignat* math dmath dmath* subequations IEEEeqnarray IEEEeqnarray* eqalign "
    "mathpar "
    "xalignat xalignat* xxalignat split dgroup dgroup* dmath* darray darray* empheq numcases subnumcases "
    "subeqnarray subeqnarray* gathered alignedat multlined eqnalign displaymath*".split()
)
"""Formulas standing on their own; written as ``$$..$$``."""
ROWS = frozenset(
    "align align* gather gather* multline multline* eqnarray eqnarray* flalign flalign* alignat alignat* "
    "IEEEeqnarray IEEEeqnarray* mathpar xalignat xalignat* xxalignat subeqnarray subeqnarray* dgroup "
    "dgroup* darray darray*".split()
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
    "prooftree forest diagram lrbox SCfigure SCtable SCfigure* SCtable* tabular* "
    "tabularx* tabu tabu* longtabu "
    "tblr longtblr talltblr tblr* booktabs longtabu* NiceTabular NiceTabular* "
    "NiceTabularX NiceArray xltabular "
    "ltabulary ltablex xtabular mpxtabular mpsupertabular supertabular* algorithm2e algorithm2e* algo algo* "
    "algorithmicx algorithm2e algpseudocode pseudocode listing listing* sidewaystable* sidewaysfigure* "
    "floatingtable figwindow tabwindow wrapfloat floatrow subfloat subtable threeparttablex tablenotes "
    "references references* bibdiv biblist biblist* bibsection thebibliography* keyword keyword* keywords* "
    "MSC pacs icmlauthorlist IEEEbiography IEEEbiographynophoto graphicalabstract feynman fmffile fmfgraph "
    "fmfgraph* fmfchar fmfchar* circuitikz ganttchart bytefield overpic picture* axis scope psmatrix "
    "sequencediagram thenomenclature deluxetable* splitdeluxetable splitdeluxetable* planotable "
    "interactive figureset dot2tex mpost asydef NiceMatrixBlock".split()
)
"""Figures, tables, drawings, bibliographies, acknowledgements: no prose of the paper."""
RESTATED = frozenset({"restatable", "restatethis", "thmrestatable"})
"""Theorems that are said again elsewhere: the environment's argument names the theorem."""
QUANTITY = "rptquantity"
"""Command that the expansion leaves for a quantity; its argument is a piece, shown as it is."""
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
    "adjustbox": 1, "tcolorbox": 0, "leftbar": 0, "changemargin": 2, "Tagging": 1, "CJK": 2, "CJK*": 2,
    "column": 1, "alignedat": 1, "numcases": 1, "subnumcases": 1, "empheq": 1, "otherlanguage": 1,
    "otherlanguage*": 1, "hyphenrules": 1, "varwidth": 1, "addmargin": 1, "labeling": 1, "parcolumns": 1,
    "paracol": 1, "turn": 1, "rotate": 1, "textblock*": 1,
    "fminipage": 1, "boxedminipage": 1, "adjustwidth*": 2, "overlayarea": 2,
    "scalefont": 1, "letter": 1, "foreigndisplayquote": 1,
    "colorbox": 1, "CJKfilltwosides": 1,
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
        "markleft fancyhead fancyfoot fancyhf enlargethispage correspondingauthor "
        "submitjournal watermark MSC JEL "
        "PACS ams special noalign verbatiminput VerbatimInput lstinputlisting fnref "
        "tnotetext tnoteref nonumnote "
        "cormark credit shortauthors IEEEauthorblockN IEEEauthorblockA IEEEmembership IEEEpubid "
        "IEEEcompsocitemizethanks IEEEspecialpapernotice subfile subfileinclude nocollaboration authornote "
        "tablewidth tabletypesize tablecaption tablerefs figurenum eqnum sisetup DeclareSIUnit "
        "AtBeginDocument AtEndDocument AtBeginBibliography deleted deletedby setaddedmarkup setdeletedmarkup "
        "definechangesauthor listofchanges icmlkeywords icmltitlerunning icmlsetsymbol "
        "rowcolor cellcolor columncolor arrayrulecolor includeonly newmintinline "
        "lstMakeShortInline MakeShortVerb DeleteShortVerb DefineShortVerb "
        "bibliographyunit nobibliography usetikzlibrary usepgfplotslibrary pgfplotsset useunder "
        "counterwithin counterwithout AddToHook savesymbol restoresymbol usetheme "
        "usecolortheme setbeamertemplate setbeamercolor setbeamerfont halign valign "
        "inputencoding XeTeXinputencoding".split(),
        1,
    ),
    **dict.fromkeys(
        "setlength addtolength setcounter addtocounter markboth altaffiltext fontsize fntext "
        "newcolumntype collaboration bib inputminted setmintedinline newmint newminted icmlauthor "
        "icmlaffiliation icmlcorrespondingauthor DeclareFontEncoding "
        "setmathfont AtBeginEnvironment AtEndEnvironment BeforeBeginEnvironment "
        "numberwithin "
        "tablenotetext captionof DeclareUnicodeCharacter rule renewlength settowidth colorlet "
        "addtocontents setboolean plottwo newunicodechar pgfdeclareimage settoheight settodepth "
        "SetKwInOut".split(),
        2,
    ),
    **dict.fromkeys(
        "addcontentsline contentsline titlespacing definecolor providecolor preparecolor crefname Crefname "
        "crefrangeformat crefmultiformat lstnewenvironment DefineVerbatimEnvironment "
        "CustomVerbatimEnvironment "
        "RecustomVerbatimEnvironment CustomVerbatimCommand newtcblisting".split(),
        3,
    ),
    **dict.fromkeys(
        "SetMathAlphabet DeclareFontFamily usefont definecolorset providecolorset DeclareMathSizes "
        "DeclareTCBListing NewTCBListing".split(),
        4,
    ),
    **dict.fromkeys("DeclareFontShape DeclareMathAlphabet titleformat".split(), 5),
}  # fmt: skip
r"""Commands whose arguments are no text, and how many they take (optional ones come off as well)."""
SECOND_SHOWN = {
    "href": 1, "textcolor": 1, "colorbox": 1, "hyperlink": 1, "hyperref": 0, "raisebox": 1, "scalebox": 1,
    "rotatebox": 1,
    "parbox": 1, "resizebox": 2, "fcolorbox": 2, "foreignlanguage": 1, "multicolumn": 2, "multirow": 2,
    "hypertarget": 1,
    "texorpdfstring": 0, "makebox": 0, "framebox": 0, "adjustbox": 1, "pdftooltip": 0, "added": 0,
    "highlight": 0, "fontspec": 1,
}  # fmt: skip
"""Commands that show the argument after so many dropped ones."""
THANKS = frozenset("acknowledgments acknowledgements acknowledgment acknowledgement acks".split())
"""Commands, in some classes, that begin the acknowledgements."""
DECLARATIONS = frozenset(
    "bf it sl em tt rm sc sf mit cal tiny scriptsize footnotesize small normalsize "
    "large Large LARGE huge Huge "
    "bfseries mdseries itshape slshape scshape upshape ttfamily sffamily rmfamily normalfont boldmath "
    "unboldmath raggedright raggedleft sloppy fussy selectfont frenchspacing nonfrenchspacing "
    "displaystyle textstyle scriptstyle limits nolimits bgroup egroup begingroup endgroup ignorespaces "
    "unskip obeylines strut mathstrut nobreak allowbreak break goodbreak filbreak onecolumn singlespacing "
    "doublespacing onehalfspacing narrower everymath rmdefault string unhbox null normalcolor "
    "tenrm tenbf tenit ninerm eightrm sevenrm twelverm twelvebf eightpoint ninepoint "
    "tenpoint twelvepoint".split()
)
"""Words that change how text looks and show nothing; the blank after one belongs to it."""
GLUES = frozenset(
    "vskip hskip kern mkern mskip baselineskip parskip parindent textheight textwidth topmargin "
    "oddsidemargin "
    "evensidemargin columnsep hoffset voffset leftskip rightskip abovedisplayskip belowdisplayskip "
    "hangindent tabcolsep fboxsep hsize vsize hfuzz vfuzz overfullrule lineskip lineskiplimit maxdepth "
    "medskipamount bigskipamount smallskipamount normalbaselineskip magnification pageno tolerance "
    "pretolerance hyphenpenalty exhyphenpenalty clubpenalty widowpenalty "
    "interlinepenalty looseness hangafter "
    "penalty footskip headsep headheight footnotesep unitlength arraycolsep arrayrulewidth jot mathsurround "
    "emergencystretch hbadness vbadness raise lower moveleft moveright displaywidowpenalty predisplaypenalty "
    "postdisplaypenalty binoppenalty relpenalty magstep parfillskip topskip splittopskip".split()
)
"""Lengths and numbers of TeX, set or used without braces."""
TOKEN_LISTS = frozenset(
    {"headline", "footline", "everypar", "everydisplay", "everymath", "output", "everyjob"}
)
r"""Words of plain TeX that are set to a group (``\footline={\hfil}``)."""
FIRST_OF_TWO = frozenset({"texorpdfstring", "pdftooltip", "replaced"})
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

FRONT_MATTER = frozenset(
    "address affil affiliation institute thanks keywords subjclass pacs received accepted revised published "
    "journalname altaffilmark altaffiltext slugcomment shorttitle shortauthors authorrunning titlerunning "
    "runninghead orcid corref cortext ead authors institution department preprint reportnum editor ccsdesc "
    "acmConference acmYear copyrightyear doi isbn setcopyright leadauthor equalauthors altaffiliation "
    "papertype corrauthor extrainfo correspondingauthor MSC JEL PACS fntext fnref tnotetext pdfinfo "
    "facilities facility software".split()
)
"""Words for what stands before the text. Macros of these names that take arguments only set it."""
_KERNEL = frozenset(
    "documentclass documentstyle usepackage RequirePackage PassOptionsToPackage hypersetup graphicspath "
    "bibliographystyle bibliography pagestyle thispagestyle pagenumbering "
    "includegraphics vspace hspace label "
    "nocite newcounter newlength newdimen newsavebox theoremstyle tikzset lstset input include footnotetext "
    "footnotemark hyphenation bibitem addbibresource printbibliography selectlanguage captionsetup setlist "
    "pageref nameref caption marginpar setlength addtolength setcounter addtocounter markboth fontsize "
    "numberwithin definecolor colorlet crefname Crefname addcontentsline stepcounter refstepcounter vphantom "
    "hphantom fontfamily fontseries fontshape fontencoding markright titleformat titlespacing usefont "
    "DeclareMathAlphabet SetMathAlphabet DeclareFontShape DeclareFontFamily "
    "enlargethispage linespread".split()
)
"""Of the words whose arguments are no text, those that LaTeX itself or every other paper has."""
_OWN = frozenset(
    "email eg ie aap apj author date b c d k r t u v H o i j l L O P S sim th dh og "
    "fg degree euro slash space "
    "null added highlight citen cites citetext citeA citeN citeurl shortcite".split()
)
"""Words of the tables that single packages or classes define, or nobody needs in text: the author's count."""
HANDLED = (
    frozenset(SECTIONS) | _KERNEL | frozenset(SECOND_SHOWN) | CITES | {"ref"} | frozenset(SPACES)
    | frozenset(SYMBOLS)
    | frozenset(ACCENTS)
    | frozenset(
        "title begin end item footnote emph textbf textit textsc texttt textrm textsf text mbox url path "
        "underline left right frac sqrt sum int prod big Big bigg Bigg mathbf mathrm mathcal mathbb "
        "operatorname over "
        "appendix maketitle abstract textsuperscript textsubscript $ ( ) [ ] \\ ensuremath "
        "alpha beta gamma delta epsilon in to le ge".split()
    )
) - _OWN  # fmt: skip
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
