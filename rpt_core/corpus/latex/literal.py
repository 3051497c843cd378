r"""Comments and literal text of a TeX file, in one pass: a per cent sign means what stands before it says.

Listings, ``\verb`` and addresses are held aside as pieces, comments and ``\iffalse`` branches go. A listing
that never ends is left alone; each kind is looked for at most once more, so the pass is linear.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rpt_core.corpus.latex.conditions import skipped
from rpt_core.corpus.latex.scan import LINE_CHARS, is_commented, optional
from rpt_core.corpus.text.pieces import Pieces

_HIDDEN = frozenset({"comment", "filecontents", "filecontents*"})
_LISTINGS: dict[str, int] = {
    **dict.fromkeys(
        ("verbatim", "verbatim*", "Verbatim", "Verbatim*", "BVerbatim", "LVerbatim", "SaveVerbatim",
         "lstlisting", "lstlisting*", "alltt", "code", "python", "spverbatim", "verbatimtab", "pyconcode",
         "Sinput", "Soutput",
         "pyglist", "tcblisting*", "comment", "filecontents", "filecontents*"),
        0,
    ),
    "minted": 1, "minted*": 1, "tcblisting": 1, "SaveVerbatim*": 1, "pygmented": 0,
}  # fmt: skip
"""Environments of literal text, and how many brace groups they take first."""
_INLINE: dict[str, int] = {
    "verb": 0, "verb*": 0, "Verb": 0, "spverb": 0, "lstinline": 0, "mintinline": 1, "mint": 1,
}  # fmt: skip
"""Commands of literal text, and how many brace groups they take first."""

_OWN_LISTING = re.compile(
    r"\\(?:lstnewenvironment|newtcblisting|DeclareTCBListing|NewTCBListing)\s*+\{\s*+([a-zA-Z@]{1,60}\*?)\s*+\}"
    r"(?:\s*+\[([0-9])\])?(\s*+\[)?"
    r"|\\(?:DefineVerbatimEnvironment|(?:Rec|C)ustomVerbatimEnvironment)\s*+\{\s*+([a-zA-Z@]{1,60}\*?)\s*+\}"
    r"|\\newverbatim\s*+\{([a-zA-Z@]{1,60})\}"
    r"|\\newminted\s*+(?:\[([a-zA-Z@]{1,60})\])?\s*+\{([\w+#-]{1,60})\}"
    r"|\\(?:re)?newenvironment\*?\s*+\{\s*+([a-zA-Z@]{1,60}\*?)\s*+\}(?:\s*+\[[^\]]{0,40}\]){0,2}\s*+\{[^{}]{0,200}"
    r"\\(?:verbatim|VerbatimEnvironment|lstlisting|Verbatim)(?![a-zA-Z])"
)
_OWN_INLINE = re.compile(
    r"\\newmintinline\s*+(?:\[([a-zA-Z@]{1,60})\])?\s*+\{([\w+#-]{1,60})\}"
    r"|\\CustomVerbatimCommand\s*+\{?\s*+\\([a-zA-Z@]{1,60})\s*+\}?\s*+\{"
    r"|\\(?:(?:re|provide)?newcommand|providecommand)\*?\s*+\{?\s*+\\([a-zA-Z@]{1,60})\s*+\}?\s*+"
    r"\{\s*+\\(?:lstinline|verb|Verb|spverb)(?:\[[^\]\n]{0,200}\])?\s*+\}"
    r"|\\let\s*+\\([a-zA-Z@]{1,60})\s*+=?\s*+\\(?:lstinline|verb|Verb|spverb)(?![a-zA-Z])"
    r"|\\def\s*+\\([a-zA-Z@]{1,60})\s*+\{\s*+\\(?:lstinline|verb|Verb|spverb)(?:\[[^\]\n]{0,200}\])?\s*+\}"
)
_SHORT = re.compile(
    r"\\(?:MakeShortVerb\*?|DefineShortVerb(?:\[[^\]\n]{0,200}\])?|lstMakeShortInline(?:\[[^\]\n]{0,200}\])?)"
    r"\s*+\{?\s*+\\?([^\s\\{}a-zA-Z])"
)
_BLANKS = re.compile(r"[ \t]*+")
_ARGUMENT = re.compile(r"[ \t]*+\{[^{}\n]{0,300}\}")
_BRACE = re.compile(r"\\.|[{}]|\n[ \t]*+\n", re.DOTALL)
_COMMENT_END = re.compile(r"[^\n]*+(?:\n[ \t]*+(?!\n))?+")
_ADDRESS = re.compile(r"[ \t]*+\{([^{}\n]{1,2000})\}")
_ALIASED = re.compile(r"\\let\s*\\[a-zA-Z@]+\s*=?\s*\Z")
_CLOSES = re.compile(r"\}")
_BACK_CHARS = 80
_OPEN_BRACES_MAX = 20
"""After so many commands whose braces never close, no more are looked for."""


@dataclass(frozen=True, slots=True)
class Literals:
    """What is literal in the files of one tree."""

    listings: dict[str, int] = field(default_factory=lambda: dict(_LISTINGS))
    inline: dict[str, int] = field(default_factory=lambda: dict(_INLINE))
    short: str = ""
    """Signs between which a line is literal (``|x|``)."""

    def pattern(self) -> re.Pattern[str]:
        """Everything that may begin a comment or literal text."""
        listings = "|".join(re.escape(name) for name in sorted(self.listings, key=len, reverse=True))
        words = "|".join(re.escape(name) for name in sorted(self.inline, key=len, reverse=True))
        short = f"|(?P<short>[{re.escape(self.short)}])" if self.short else ""
        return re.compile(
            rf"(?<!\\)(?P<before>(?:\\\\)*+)(?:(?P<comment>%)|\\begin[ \t]*+\{{(?P<listing>{listings})\}}"
            rf"|\\(?P<inline>{words})(?![a-zA-Z])|\\(?P<address>href|url|path|nolinkurl)(?![a-zA-Z])"
            rf"|\\(?P<false>iffalse)(?![a-zA-Z@])[ \t]*+{short})"
        )


def find_literals(texts: Iterable[str]) -> Literals:
    r"""The literal environments and commands that the files of a tree declare, beside the usual ones.

    Example:
        >>> find_literals([r"\lstnewenvironment{cpp}{}{} \MakeShortVerb{\|}"]).short
        '|'
    """
    listings, inline, short = dict(_LISTINGS), dict(_INLINE), set[str]()
    for text in texts:
        for match in _OWN_LISTING.finditer(text):
            if _is_commented(text, match):
                continue
            if match[1]:
                listings[match[1]] = int(match[2] or 0) - bool(match[3])
            elif match[7]:
                listings.update(dict.fromkeys(_starred(match[6] or f"{match[7]}code"), 0))
            elif name := match[4] or match[5] or match[8]:
                listings[name] = 0
        for match in _OWN_INLINE.finditer(text):
            if not _is_commented(text, match):
                name = match[1] or (
                    f"{match[2]}inline" if match[2] else next(filter(None, match.groups()[2:]))
                )
                inline[name] = 0
        short.update(match[1] for match in _SHORT.finditer(text) if not _is_commented(text, match))
    return Literals(listings, inline, "".join(sorted(short)))


def _starred(name: str) -> tuple[str, str]:
    return name, f"{name}*"


def _is_commented(text: str, match: re.Match[str]) -> bool:
    return is_commented(text[max(0, match.start() - LINE_CHARS) : match.start()])


def without_literals(text: str, literals: Literals, pattern: re.Pattern[str], pieces: Pieces) -> str:
    r"""The text without comments, with listings, ``\verb`` and addresses as pieces.

    Example:
        >>> held = Pieces()
        >>> usual = Literals()
        >>> held.restore(without_literals(r"a \verb|%| b % c", usual, usual.pattern(), held))
        'a % b '
    """
    return "".join(_Pass(text, literals, pieces).read(pattern))


class _Pass:
    def __init__(self, text: str, literals: Literals, pieces: Pieces) -> None:
        self._text, self._literals, self._pieces = text, literals, pieces
        self._unclosed: set[str] = set()
        self._num_open_braces = 0

    def read(self, pattern: re.Pattern[str]) -> Iterator[str]:
        position = 0
        while match := pattern.search(self._text, position):
            yield self._text[position : match.start()] + match["before"]
            shown, position = self._found(match)
            yield shown
        yield self._text[position:]

    def _found(self, match: re.Match[str]) -> tuple[str, int]:
        """What stands for one match, and the position after it."""
        start = match.end("before")
        found: tuple[str, int] | None
        if match["comment"]:
            return "", _COMMENT_END.match(self._text, match.end()).end()  # type: ignore[union-attr]
        if match["listing"]:
            found = self._listing(match["listing"], match.end())
        elif match["inline"]:
            found = self._inline(match["inline"], match.end())
        elif match["address"]:
            found = self._address(match["address"], match.end())
        elif match["false"]:
            found = self._false(start, match.end())
        else:
            found = self._on_its_line(match.end() - 1)
        return found or (self._text[start : match.end()], match.end())

    def _listing(self, name: str, position: int) -> tuple[str, int] | None:
        r"""A closed listing; a ``\begin`` within a definition (a brace closes after it) is none."""
        if name in self._unclosed:
            return None
        start = self._after_arguments(position, self._literals.listings[name])
        if _CLOSES.match(self._text, start):
            return None
        end = self._text.find(f"\\end{{{name}}}", start)
        if end < 0:
            self._unclosed.add(name)
            return None
        after = end + len(name) + len("\\end{}")
        body = self._text[start:end].strip("\n").rstrip()
        if name in _HIDDEN or not body.strip():
            return "", after
        return f"\n\n{self._pieces.keep(f'```{chr(10)}{body}{chr(10)}```')}\n\n", after

    def _after_arguments(self, position: int, num: int) -> int:
        start = _BLANKS.match(self._text, position).end()  # type: ignore[union-attr]
        if self._text.startswith("[", start) and (option := optional(self._text, start)):
            position = option[1]
        for _ in range(num):
            argument = _ARGUMENT.match(self._text, position)
            position = argument.end() if argument else position
        return position

    def _inline(self, name: str, position: int) -> tuple[str, int] | None:
        plain = name.rstrip("*") == "verb"
        if not plain:
            position = self._after_arguments(position, self._literals.inline[name])
        mark = self._text[position : position + 1]
        if not plain and mark == "{":
            end = self._brace_end(position)
            return (self._kept(position + 1, end), end + 1) if end else None
        if not mark or mark.isalpha() or mark.isspace() or mark in "*{}[":
            return None
        return self._on_its_line(position)

    def _on_its_line(self, position: int) -> tuple[str, int] | None:
        """Literal text between two equal signs of one line."""
        mark = self._text[position]
        end = -1 if mark in self._unclosed else self._text.find(mark, position + 1)
        if end < 0:
            self._unclosed.add(mark)
            return None
        if self._text.find("\n", position, end) >= 0:
            return None
        return self._kept(position + 1, end), end + 1

    def _kept(self, start: int, end: int) -> str:
        body = self._text[start:end]
        return self._pieces.keep(body) if body else ""

    def _brace_end(self, position: int) -> int | None:
        if self._num_open_braces > _OPEN_BRACES_MAX:
            return None
        depth = 0
        for match in _BRACE.finditer(self._text, position):
            if match[0] == "{":
                depth += 1
            elif match[0] == "}":
                depth -= 1
                if depth == 0:
                    return match.start()
            elif match[0].startswith("\n"):
                break
        self._num_open_braces += 1
        return None

    def _address(self, word: str, position: int) -> tuple[str, int] | None:
        """A per cent sign in an address starts no comment either; macros in one are left to be expanded."""
        found = _ADDRESS.match(self._text, position)
        if found is None:
            return None
        if word == "href":
            return "\\href{}", found.end()
        if "%" not in found[1] and re.search(r"\\[a-zA-Z]", found[1]):
            return None
        return self._pieces.keep(found[1].replace("\\", "")), found.end()

    def _false(self, start: int, position: int) -> tuple[str, int] | None:
        r"""Text that is never read. A bare ``\iffalse`` that is given away (``\let``, a body) is left."""
        if _ALIASED.search(self._text[max(0, start - _BACK_CHARS) : start]):
            return None
        if self._text[position : position + 1] == "}":
            return None
        if "iffalse" in self._unclosed:
            return None
        branch = skipped(self._text, position, {}, comments=True)
        if branch.end < 0:
            self._unclosed.add("iffalse")
            return None
        return r"\iftrue " if branch.word == "else" else "", branch.end
