r"""One source with its macros expanded, its tests decided and its files in their places."""

import re
from collections.abc import Callable

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.conditions import BRACED, ONE_BRANCH, State, is_test, skipped, tex_test
from rpt_core.corpus.latex.definers import DEFINERS, xparse_kinds
from rpt_core.corpus.latex.dialects import NAMED, dialect_macros, dialect_of
from rpt_core.corpus.latex.macros import Macro, Mouth
from rpt_core.corpus.latex.tree import INPUT_DEPTH_MAX, SourceTree, resolve
from rpt_core.corpus.latex.units import QUANTITIES, quantity
from rpt_core.corpus.latex.words import DROP_ARGS, FRONT_MATTER, HANDLED, HANDLED_ENVIRONMENTS, QUANTITY

_PROGRAM = re.compile(
    r"\\(?:(?!@ifnextchar(?![a-zA-Z@])|@ifstar(?![a-zA-Z@])|@ifundefined(?![a-zA-Z@])|@empty(?![a-zA-Z@]))"
    r"(?:[a-zA-Z]+@[a-zA-Z@]*|@+[a-zA-Z][a-zA-Z@]*)"
    r"|futurelet|expandafter|csname|catcode|afterassignment|loop|aftergroup|read)(?![a-zA-Z])"
)
"""TeX programmes look ahead and test; what they would do cannot be known here, so their uses stay."""
_ENVIRONMENT = re.compile(r"\s*+\{([^{}\\]{1,60})\}")
_BARE_FILE = re.compile(r"\s*+([^\s{}\\%]{1,300})")
_DOCUMENT = re.compile(r"\\begin\s*+\{document\}")
_DOCUMENT_END = re.compile(r"\\end\s*+\{document\}")
_BRACE_FOLLOWS = re.compile(r"\s*+\{")
_INPUTS = frozenset({"input", "include", "subfile", "subfileinclude"})
_IMPORTS = frozenset({"import", "subimport", "includefrom", "inputfrom", "subincludefrom", "subinputfrom"})
_BRANCHES_MAX = 4
_BARE = frozenset(
    [
        "equation",
        "align",
        "gather",
        "multline",
        "eqnarray",
        "displaymath",
        "flalign",
        "itemize",
        "enumerate",
        "description",
        "quotation",
    ]
)
r"""Environments whose sides are also used as commands (``\equation .. \endequation``)."""
_CSNAME = re.compile(r"([^{}]{1,80}?)\\endcsname[ \t]*+")


class Expander(Mouth):
    """Expands the source that a tree's main file begins."""

    def __init__(self, tree: SourceTree) -> None:
        super().__init__()
        self.missing: list[str] = []
        r"""Files that an ``\input`` of the text names and the tree lacks."""
        self._tree = tree
        self._in_body = False
        self._everywhere = False
        r"""Whether ``\global`` stands before the definition that comes."""
        self._plain = False
        self._only: frozenset[str] | None = None
        self._dialects: set[str] = set()
        self._seen_styles: set[str] = set()
        self._endless: str | None = None
        self._state = State(self.known.switches, self._body_of, self._is_known, self.expanded, self._is_file)

    def expand(self) -> str:
        """The text with definitions taken in and out, and every use of them replaced.

        Raises:
            Broken: ``latex-explosion``, ``latex-unbalanced`` or ``not-utf-8``.
        """
        text = self._tree.read(self._tree.main)
        self._plain = self._tree.is_plain
        if self._plain:
            self._in_body = True
            self._speak("plain")
        self.open_file(self._tree.main, text)
        return self.run(self._command)

    def _speak(self, dialect: str) -> None:
        self._dialects.add(dialect)
        for name, macro in dialect_macros(dialect).items():
            self.known.macros.setdefault(name, macro)

    def _command(self, match: re.Match[str]) -> None:
        word = match[1]
        name = word or match[3]
        if definer := DEFINERS.get(name):
            self._everywhere = self._everywhere or name in ("gdef", "xdef")
            definer(self, name, self._define)
        elif macro := self.known.macros.get(name):
            self.use(macro, name, match)
        elif not word:
            self.put(match[0])
        elif name in ("begin", "end"):
            self._side(name, match)
        elif (name in BRACED or name in ONE_BRANCH) and name[2:] not in self.known.switches:
            self._braced(name)
        elif name.startswith("if") or name in ("else", "fi"):
            self._test(name, match)
        elif name in QUANTITIES:
            self._quantity(name, match)
        elif not self._other(name, match):
            self.put(match[0])

    def _other(self, name: str, match: re.Match[str]) -> bool:
        """Words that read files, define environments, end the text or set a switch; False: none of these."""
        if handler := _HANDLERS.get(name):
            handler(self, name)
        elif name == "documentstyle":
            self._style(match)
        elif self._dialects and (named := NAMED.get(name)) and named[0] in self._dialects:
            named[1](self, name)
        elif name.endswith("true") and name[:-4] in self.known.switches:
            self.known.switches[name[:-4]] = True
        elif name.endswith("false") and name[:-5] in self.known.switches:
            self.known.switches[name[:-5]] = False
        elif name in _BARE or (name.startswith("end") and name[3:] in _BARE):
            side, bare = ("end", name[3:]) if name.startswith("end") else ("begin", name)
            self.read_again(f"\\{side}{{{bare}}}", name)
        else:
            return False
        return True

    def _prefix(self, name: str) -> None:
        r"""``\long``, ``\global`` and the like before a definition."""
        self._everywhere = name == "global" or self._everywhere

    def _group_side(self, name: str) -> None:
        self.deeper(1 if name.startswith("b") else -1)

    def _at_once(self, name: str) -> None:
        r"""``\AtBeginDocument{..}``: read where it stands."""
        self.read_again(self.group() or "", name)

    def _include_only(self, name: str) -> None:
        self._only = frozenset(part.strip() for part in (self.group() or "").split(","))

    def _if_next(self, name: str) -> None:
        sign, yes, no = self.mandatory(), self.mandatory(), self.mandatory()
        self.read_again(yes if self.next_character() == sign else no, name)

    def _if_star(self, name: str) -> None:
        yes, no = self.mandatory(), self.mandatory()
        self.read_again(yes if self.star() else no, name)

    def _csname(self, word: str) -> None:
        r"""``\csname equation*\endcsname``: the word of that name, or the environment's side."""
        found = _CSNAME.match(self.buffer, self.position)
        if not found:
            return
        self.position = found.end()
        name = self.expanded(found[1]).strip()
        side, bare = ("end", name[3:]) if name.startswith("end") else ("begin", name)
        if bare in _BARE or bare.endswith("*"):
            self.read_again(f"\\{side}{{{bare}}}", name)
        elif name.isalpha():
            self.read_again(f"\\{name} ", name)

    def _define(self, name: str, macro: Macro) -> None:
        """Take in a definition, unless the reader knows the word better, as all front matter."""
        if name in HANDLED or _PROGRAM.search(macro.body):
            return
        in_style = any(file.endswith(".sty") for file in self.open_files()[-1:])
        if (in_style and name in DROP_ARGS) or (name in FRONT_MATTER and macro.takes_arguments):
            return
        self.define(name, macro, self._everywhere)
        self._everywhere = False

    def _new_environment(self, word: str) -> None:
        self.star()
        name = self.group()
        if name is None:
            return
        spec, num, default = tuple[str, ...](), 0, None
        if word.endswith("DocumentEnvironment"):
            spec = xparse_kinds(self.group() or "")
        elif num := self.count():
            default = self.optional()
        begin, end = self.mandatory(), self.mandatory()
        if name.strip() not in HANDLED_ENVIRONMENTS:
            self.known.environments[name.strip()] = (Macro(begin, num, default, spec), end)

    def _side(self, which: str, match: re.Match[str]) -> None:
        found = _ENVIRONMENT.match(self.buffer, self.position)
        if found is None:
            if which == "end" and self._plain and not _BRACE_FOLLOWS.match(self.buffer, self.position):
                self.end()
            else:
                self.put(match[0])
            return
        name = found[1].strip()
        if name == "document":
            self.position = found.end()
            self._in_body = True
            self.put(f"\\{which}{{document}}")
            if which == "end":
                self.end()
            return
        own = self.known.environments.get(name)
        if own is None:
            self.deeper(1 if which == "begin" else -1)
            self.put(match[0] + found[0])
            self.position = found.end()
            return
        self.position = found.end()
        self.deeper(1 if which == "begin" else -1)
        begin, end = own
        body = begin.filled(self.arguments(begin) or []) if which == "begin" else end
        self.read_again(body, f"{which}{{{name}}}")

    def _test(self, name: str, match: re.Match[str]) -> None:
        r"""One of TeX's tests, or its ``\else`` or ``\fi``.

        A word like them with braces is a test nobody knows: its last branch that holds anything is shown.
        """
        if name == "fi":
            return
        if name == "else":
            self._skip(to_else=False)
            return
        brace = self.buffer.startswith("{", self.position)
        if is_test(name, brace, self.known.switches):
            outcome, self.position = tex_test(name, self.buffer, self.position, self._state)
            if not outcome:
                self._skip(to_else=True)
            return
        if name.startswith("if") and brace and name not in ("iff", "ifdefinedthen"):
            branches = list[str]()
            while len(branches) < _BRANCHES_MAX and self.buffer.startswith("{", self.position):
                branches.append(self.group() or "")
            shown = [branch for branch in branches[1 if len(branches) > 2 else 0 :] if branch.strip()]
            if len(branches) > 1 and shown:
                self.read_again(shown[-1], name)
            return
        self.put(match[0])

    def _skip(self, to_else: bool) -> None:
        if self.buffer is self._endless:
            return
        depth = 0
        while True:
            found = skipped(self.buffer, self.position, self.known.switches, to_else, depth=depth)
            if found.end >= 0:
                self.position = found.end
                return
            depth = found.depth
            if not self.next_frame_within_expansion():
                # Remembered, so that a thousand unclosed tests do not each search to the end.
                self._endless = self.buffer
                return

    def _braced(self, name: str) -> None:
        test, only_for = ONE_BRANCH.get(name, (name, None))
        num, outcome_of = BRACED[test]
        outcome = outcome_of([self.mandatory() for _ in range(num)], self._state)
        if only_for is None:
            yes, no = self.mandatory(), self.mandatory()
        else:
            branch = self.mandatory()
            yes, no = (branch, "") if only_for else ("", branch)
        self.read_again(yes if outcome else no, name)

    def _body_of(self, name: str) -> str | None:
        macro = self.known.macros.get(name)
        return macro.body if macro and not macro.takes_arguments else None

    def _is_known(self, name: str) -> bool:
        return name in self.known.macros or name in HANDLED or name in DEFINERS or name in self.known.switches

    def _is_file(self, name: str) -> bool:
        return resolve(name, self._here(), self._tree.files) is not None

    def _here(self) -> str:
        return (self.open_files() or [self._tree.main])[-1]

    def _input(self, word: str) -> None:
        if word in _IMPORTS:
            self.star()
            folder, inner = self.group() or "", self.group() or ""
            wanted = f"{self.expanded(folder).strip().rstrip('/')}/{self.expanded(inner).strip()}".lstrip("/")
        elif (group := self.group()) is not None:
            wanted = self.expanded(group).strip()
        else:
            bare = _BARE_FILE.match(self.buffer, self.position) if word == "input" else None
            if bare is None:
                return
            self.position = bare.end()
            wanted = bare[1]
        if dialect := dialect_of(wanted):
            self._speak(dialect)
        elif not (word == "include" and self._only is not None and wanted not in self._only):
            self._open(wanted, own_page=word.endswith("include"))

    def _input_if(self, word: str) -> None:
        wanted = self.expanded(self.mandatory())
        yes, no = self.mandatory(), self.mandatory()
        there = self._is_file(wanted)
        self.read_again(yes if there else no, word)
        if there:
            self._open(wanted, own_page=False)

    def _open(self, wanted: str, own_page: bool) -> None:
        found = resolve(wanted, self._here(), self._tree.files)
        if found is None:
            if self._in_body and re.fullmatch(r"[^.]*|.*\.(?:tex|ltx)", wanted.rsplit("/", 1)[-1]):
                self.missing.append(wanted)
            return
        above = self.open_files()
        if found in above or len(above) > INPUT_DEPTH_MAX:
            raise BrokenInput(
                "latex-explosion", f"{' -> '.join((*above, found))} inputs itself or nests too deep"
            )
        text = self._tree.read(found)
        if self._in_body and (begin := _DOCUMENT.search(text)):
            # A part that can be set alone: only what stands within its document is read.
            end = _DOCUMENT_END.search(text, begin.end())
            text = text[begin.end() : end.start() if end else len(text)]
        if own_page:
            text = f"\n\n{text}\n\n"
        elif not text.endswith("\n\n"):
            # The end of a file is the end of a line: a blank, and no paragraph.
            text = f"{text.removesuffix(chr(10))} "
        self.open_file(found, text)

    def _styles(self, word: str) -> None:
        r"""The definitions of the tree's own packages; every one is read once."""
        self.optional()
        for part in (self.group() or "").split(","):
            found = resolve(f"{part.strip()}.sty", self._here(), self._tree.files)
            if found and found not in self._seen_styles:
                self._seen_styles.add(found)
                self.open_file(found, self._tree.read(found))

    def _style(self, match: re.Match[str]) -> None:
        self.optional()
        if dialect := dialect_of((self.group() or "").strip()):
            self._speak(dialect)
        self.emit("\n")

    def _ends(self, word: str) -> None:
        if word == "endinput":
            self.put(" ")
            self.end_file()
        else:
            self.end()

    def _quantity(self, word: str, match: re.Match[str]) -> None:
        start = match.start() + 1 + len(word)
        shown = quantity(word, self, start)
        if shown is None:
            if self.buffer is match.string:
                self.position = match.end()
            self.put(match[0])
        else:
            self.emit(f"\\{QUANTITY}{{{self._tree.pieces.keep(shown)}}}")


_HANDLERS: dict[str, Callable[[Expander, str], None]] = {
    **dict.fromkeys((*_INPUTS, *_IMPORTS), Expander._input),
    **dict.fromkeys(("usepackage", "RequirePackage"), Expander._styles),
    **dict.fromkeys(
        ("newenvironment", "renewenvironment", "NewDocumentEnvironment", "RenewDocumentEnvironment"),
        Expander._new_environment,
    ),
    **dict.fromkeys(("bye", "enddocument", "endinput", "stop"), Expander._ends),
    **dict.fromkeys(("long", "global", "outer", "protected", "immediate"), Expander._prefix),
    **dict.fromkeys(("begingroup", "bgroup", "endgroup", "egroup"), Expander._group_side),
    **dict.fromkeys(("AtBeginDocument", "AtEndPreamble", "AfterEndPreamble"), Expander._at_once),
    "includeonly": Expander._include_only,
    "InputIfFileExists": Expander._input_if,
    "@ifnextchar": Expander._if_next,
    "@ifstar": Expander._if_star,
    "csname": Expander._csname,
}
