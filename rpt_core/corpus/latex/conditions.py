r"""Which words are TeX's own tests, where a test's text ends, and what tests of packages come to.

TeX's tests run to ``\fi``; those of etoolbox, ifthen and xparse take braces and have no ``\fi``. What cannot
be told here (a length, a page's number) counts as false.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rpt_core.corpus.latex.scan import next_group

_TEX_TESTS = frozenset(
    [
        "if",
        "ifcat",
        "ifx",
        "ifcase",
        "ifnum",
        "ifodd",
        "ifdim",
        "ifhmode",
        "ifvmode",
        "ifmmode",
        "ifinner",
        "ifvoid",
        "ifhbox",
        "ifvbox",
        "ifeof",
        "iftrue",
        "iffalse",
        "ifdefined",
        "ifcsname",
        "iffontchar",
        "ifincsname",
        "ifpdfabsnum",
        "ifpdfabsdim",
        "ifpdfprimitive",
    ]
)
_NO_TESTS = frozenset(
    [
        "iff",
        "ifthenelse",
        "iftoggle",
        "ifbool",
        "ifdef",
        "ifundef",
        "ifcsdef",
        "ifcsundef",
        "ifdefmacro",
        "ifcsmacro",
        "ifdefparam",
        "ifcsparam",
        "ifdefempty",
        "ifcsempty",
        "ifdefvoid",
        "ifcsvoid",
        "ifdefequal",
        "ifcsequal",
        "ifdefstring",
        "ifcsstring",
        "ifdefstrequal",
        "ifcsstrequal",
        "ifdefcounter",
        "ifcscounter",
        "ifltxcounter",
        "ifdeflength",
        "ifcslength",
        "ifdefdimen",
        "ifstrequal",
        "ifstrempty",
        "ifblank",
        "ifnumcomp",
        "ifnumequal",
        "ifnumgreater",
        "ifnumless",
        "ifnumodd",
        "ifdimcomp",
        "ifdimequal",
        "ifdimgreater",
        "ifdimless",
        "ifboolexpr",
        "ifboolexpe",
        "ifinlist",
        "ifinlistcs",
        "iflanguage",
        "ifdefinedthen",
        "ifdraft",
        "ifoptiondraft",
        "ifoptionfinal",
        "ifpackageloaded",
        "ifclassloaded",
        "ifpackagelater",
        "ifstrstart",
        "ifstrend",
        "ifentrytype",
        "iffieldundef",
        "iffieldequalstr",
        "ifnextchar",
        "ifstar",
    ]
)
_EDGE = re.compile(r"\\(if[a-zA-Z@]*+|else|or|fi)(?![a-zA-Z@])[ \t]*+(\{?)")
_COMMENT = r"(?<!\\)(?:\\\\)*+%[^\n]*+"
_EDGE_OR_COMMENT = re.compile(rf"{_EDGE.pattern}|{_COMMENT}")
_NUMBER_TEST = re.compile(r"\s*+(-?[0-9]{1,15})\s*+([<=>])\s*+(-?[0-9]{1,15})[ \t]?")
_ODD_TEST = re.compile(r"\s*+(-?[0-9]{1,15})[ \t]?")
_TWO_WORDS = re.compile(r"\s*+(\\[a-zA-Z@]++|[^\s\\])\s*+(\\[a-zA-Z@]++|[^\s\\])[ \t]*+")
_TWO_SIGNS = re.compile(r"[ \t]*+([^\s\\{}])([^\s\\{}])[ \t]*+")
_ONE_WORD = re.compile(r"\s*+\\([a-zA-Z@]++|.)[ \t]*+")
_NAMED = re.compile(r"([^\\{}]{1,80})\\endcsname[ \t]*+")
_ENGINE = frozenset(
    ["pdfoutput", "pdftexversion", "pdfoptionpdfminorversion", "pdfcompresslevel", "pdfminorversion"]
)
"""Words of the engine, which is pdfTeX."""


def is_test(word: str, brace_follows: bool, declared: Mapping[str, bool]) -> bool:
    r"""Whether an ``\if..`` word is a test that ends with ``\fi``.

    Args:
        word: Without its backslash.
        brace_follows: A brace stands right after it; then a word nobody declared takes arguments.
        declared: Switches of ``newif``.
    """
    if word in _TEX_TESTS or word[2:] in declared:
        return True
    return word.startswith("if") and word not in _NO_TESTS and not brace_follows


@dataclass(frozen=True, slots=True)
class Skipped:
    """Where a branch that is not taken ends."""

    end: int
    """Position after the word that ends it; -1 when the text ends first."""
    word: str
    depth: int
    """Tests still open at the text's end."""


def skipped(
    text: str,
    position: int,
    declared: Mapping[str, bool],
    to_else: bool = True,
    comments: bool = False,
    depth: int = 0,
) -> Skipped:
    r"""The end of a branch that is not taken: after its ``\else`` or ``\fi``.

    Args:
        text: Source.
        position: Where the branch begins.
        declared: Switches of ``newif``.
        to_else: Whether an ``\else`` ends it (the branch after one ends with ``\fi`` alone).
        comments: Whether comments still stand in the text; what they hold is not read.
        depth: Tests opened within the branch before this text.
    """
    for match in (_EDGE_OR_COMMENT if comments else _EDGE).finditer(text, position):
        word = match[1]
        if word is None or word == "or":
            continue
        if word == "fi":
            if depth == 0:
                return Skipped(match.end() - len(match[2]), word, 0)
            depth -= 1
        elif word == "else":
            if depth == 0 and to_else:
                return Skipped(match.end() - len(match[2]), word, 0)
        elif is_test(word, bool(match[2]), declared):
            depth += 1
    return Skipped(-1, "", depth)


@dataclass(frozen=True, slots=True)
class State:
    """What a test may ask about."""

    switches: Mapping[str, bool]
    body_of: Callable[[str], str | None]
    """Body of a macro without arguments; None when there is no such macro."""
    is_known: Callable[[str], bool]
    """Whether a word means anything: the author's, or one of LaTeX's that a reader knows."""
    expanded: Callable[[str], str]
    """A short text with its macros replaced."""
    is_file: Callable[[str], bool]


def tex_test(word: str, buffer: str, position: int, state: State) -> tuple[bool, int]:
    r"""Outcome of ``\if..`` and the position after what it tests.

    Example:
        >>> nothing = State({}, lambda _: None, lambda _: False, str, lambda _: False)
        >>> tex_test("ifnum", "1=1 yes", 0, nothing), tex_test("if", "0 no", 0, nothing)
        ((True, 4), (False, 0))
    """
    if word[2:] in state.switches:
        return state.switches[word[2:]], position
    if word in _READERS:
        pattern, outcome = _READERS[word]
        if found := pattern.match(buffer, position):
            return outcome(found, state), found.end()
    return word == "iftrue", position


def _is_defined(found: re.Match[str], state: State) -> bool:
    return state.is_known(found[1].strip()) or found[1] in _ENGINE


def _same(left: str, right: str, state: State) -> bool:
    """Whether two words mean the same: one macro twice, equal bodies, or both nothing."""
    if left == right:
        return True
    names = [part[1:] if part.startswith("\\") else "" for part in (left, right)]
    bodies = [state.body_of(name) if name else part for name, part in zip(names, (left, right), strict=True)]
    empty = {"empty": "", "@empty": ""}
    bodies = [empty.get(name, body) for name, body in zip(names, bodies, strict=True)]
    if None not in bodies:
        return bodies[0] == bodies[1]
    undefined = [
        not state.is_known(name) and name not in _ENGINE and name != "relax" if name else False
        for name in names
    ]
    return all(undefined)


def _compare(left: int, sign: str, right: int) -> bool:
    return left < right if sign == "<" else left > right if sign == ">" else left == right


_READERS: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str], State], bool]]] = {
    "ifnum": (_NUMBER_TEST, lambda found, _: _compare(int(found[1]), found[2], int(found[3]))),
    "ifodd": (_ODD_TEST, lambda found, _: int(found[1]) % 2 == 1),
    "if": (_TWO_SIGNS, lambda found, _: found[1] == found[2]),
    "ifx": (_TWO_WORDS, lambda found, state: _same(found[1], found[2], state)),
    "ifdefined": (_ONE_WORD, _is_defined),
    "ifcsname": (_NAMED, _is_defined),
}
"""What TeX's own tests look at, and how they come out."""

Test = Callable[[list[str], State], bool]


def _word(text: str) -> str:
    return text.strip().lstrip("\\").strip()


def _body(text: str, state: State) -> str | None:
    return state.body_of(_word(text))


def _is_bool(args: list[str], state: State) -> bool:
    return state.switches.get(state.expanded(args[0]).strip(), False)


def _is_toggle(args: list[str], state: State) -> bool:
    return state.switches.get(f"toggle {state.expanded(args[0]).strip()}", False)


def _equal(args: list[str], state: State) -> bool:
    return state.expanded(args[0]).strip() == state.expanded(args[1]).strip()


def _numbers(args: list[str], sign: str, state: State) -> bool:
    left, right = (re.fullmatch(r"-?[0-9]{1,15}", state.expanded(arg).strip()) for arg in args)
    return bool(left and right and _compare(int(left[0]), sign, int(right[0])))


def _odd(args: list[str], state: State) -> bool:
    number = re.fullmatch(r"-?[0-9]{1,15}", state.expanded(args[0]).strip())
    return bool(number and int(number[0]) % 2)


def _boolexpr(args: list[str], state: State) -> bool:
    return _Expression(args[0], state).value()


def _num_compared(args: list[str], state: State) -> bool:
    return _numbers([args[0], args[2]], args[1].strip(), state)


def _known(args: list[str], state: State) -> bool:
    return state.is_known(_word(args[0]))


def _blank(args: list[str], state: State) -> bool:
    return not args[0].strip()


NO_VALUE, TRUE, FALSE = "\ue00c", "\ue00d", "\ue00e"
"""What an absent xparse argument, and a star that is there or not, stand for while macros expand."""

BRACED: dict[str, tuple[int, Test]] = {
    "ifthenelse": (1, _boolexpr), "ifboolexpr": (1, _boolexpr), "ifboolexpe": (1, _boolexpr),
    "iftoggle": (1, _is_toggle), "nottoggle": (1, lambda a, s: not _is_toggle(a, s)),
    "ifbool": (1, _is_bool), "notbool": (1, lambda a, s: not _is_bool(a, s)),
    "ifdef": (1, _known), "ifundef": (1, lambda a, s: not _known(a, s)),
    "ifcsdef": (1, _known), "ifcsundef": (1, lambda a, s: not _known(a, s)),
    "@ifundefined": (1, lambda a, s: not _known(a, s)), "ifdefmacro": (1, _known), "ifcsmacro": (1, _known),
    "ifdefempty": (1, lambda a, s: _body(a[0], s) == ""), "ifcsempty": (1, lambda a, s: _body(a[0], s) == ""),
    "ifdefvoid": (1, lambda a, s: not _known(a, s) or _body(a[0], s) in ("", r"\relax")),
    "ifcsvoid": (1, lambda a, s: not _known(a, s) or _body(a[0], s) in ("", r"\relax")),
    "ifdefequal": (2, lambda a, s: _same(a[0].strip(), a[1].strip(), s)),
    "ifcsequal": (2, lambda a, s: _same("\\" + _word(a[0]), "\\" + _word(a[1]), s)),
    "ifdefstring": (2, lambda a, s: _body(a[0], s) == a[1]),
    "ifcsstring": (2, lambda a, s: _body(a[0], s) == a[1]),
    "ifdefstrequal": (2, lambda a, s: _body(a[0], s) == _body(a[1], s) is not None),
    "ifstrequal": (2, lambda a, _: a[0] == a[1]), "ifstrempty": (1, lambda a, _: not a[0]),
    "ifblank": (1, _blank), "notblank": (1, lambda a, s: not _blank(a, s)),
    "IfBlankTF": (1, _blank),
    "ifnumcomp": (3, _num_compared), "ifnumequal": (2, lambda a, s: _numbers(a, "=", s)),
    "ifnumgreater": (2, lambda a, s: _numbers(a, ">", s)), "ifnumless": (2, lambda a, s: _numbers(a, "<", s)),
    "ifnumodd": (1, _odd), "ifdimcomp": (3, lambda a, s: False), "ifdimequal": (2, _equal),
    "ifdimgreater": (2, lambda a, s: False), "ifdimless": (2, lambda a, s: False),
    "ifinlist": (2, lambda a, s: False), "ifinlistcs": (2, lambda a, s: False),
    "iflanguage": (1, lambda a, s: False), "ifdefparam": (1, lambda a, s: False),
    "@ifpackageloaded": (1, lambda a, s: False), "@ifclassloaded": (1, lambda a, s: False),
    "ifdraft": (0, lambda a, s: False), "ifoptiondraft": (0, lambda a, s: False),
    "ifoptionfinal": (0, lambda a, s: True),
    "IfFileExists": (1, lambda a, s: s.is_file(s.expanded(a[0]).strip())),
    "IfBooleanTF": (1, lambda a, _: a[0].strip() in (TRUE, r"\BooleanTrue")),
    "IfValueTF": (1, lambda a, _: a[0] != NO_VALUE), "IfNoValueTF": (1, lambda a, _: a[0] == NO_VALUE),
}  # fmt: skip
r"""Tests with braces: how many arguments they look at before their two branches, and how they come out."""
ONE_BRANCH: dict[str, tuple[str, bool]] = {
    "IfBooleanT": ("IfBooleanTF", True), "IfBooleanF": ("IfBooleanTF", False),
    "IfValueT": ("IfValueTF", True), "IfValueF": ("IfValueTF", False),
    "IfNoValueT": ("IfNoValueTF", True), "IfNoValueF": ("IfNoValueTF", False),
    "IfBlankT": ("IfBlankTF", True), "IfBlankF": ("IfBlankTF", False),
}  # fmt: skip
"""Tests with one branch: the test, and for which outcome the branch stands."""

_PART = re.compile(
    r"\s*+(?:\\(?P<call>boolean|equal|isodd|isundefined|lengthtest|value)(?![a-zA-Z])|(?P<named>bool|toggle|test)"
    r"(?=\s*+\{)|(?P<not>\\(?:NOT|not)(?![a-zA-Z])|not(?![a-zA-Z]))"
    r"|(?P<and>\\(?:AND|and)(?![a-zA-Z])|and(?![a-zA-Z]))|(?P<or>\\(?:OR|or)(?![a-zA-Z])|or(?![a-zA-Z]))"
    r"|(?P<open>\\?\()|(?P<close>\\?\))|(?P<numbers>(?P<left>-?[0-9]{1,15})\s*+(?P<sign>[<=>])\s*+"
    r"(?P<right>-?[0-9]{1,15}))|(?P<other>\\[a-zA-Z]++|.))",
    re.DOTALL,
)
_WORD = re.compile(r"\s*+\\([a-zA-Z@]++)")
_PARTS_MAX = 2000
_CALLS: dict[str, tuple[int, Test]] = {
    "boolean": (1, _is_bool), "bool": (1, _is_bool), "toggle": (1, _is_toggle), "equal": (2, _equal),
    "isodd": (1, _odd), "isundefined": (1, lambda args, state: not _known(args, state)),
}  # fmt: skip
"""Parts of an expression that take groups."""


class _Expression:
    r"""A test of ifthen (``\boolean{a} \AND \equal{b}{c}``) or etoolbox (``bool {a} and not test {..}``)."""

    def __init__(self, text: str, state: State) -> None:
        self._text, self._state = text, state
        self._position, self._num_parts = 0, 0

    def value(self) -> bool:
        """``and`` and ``or`` bind alike and from the left, as both packages have it."""
        total, joined, negated = True, "and", False
        waiting: list[tuple[bool, str, bool]] = []
        while (match := _PART.match(self._text, self._position)) and self._num_parts < _PARTS_MAX:
            self._num_parts += 1
            self._position = match.end()
            if match["not"]:
                negated = not negated
                continue
            if match["and"] or match["or"]:
                joined = "and" if match["and"] else "or"
                continue
            if match["open"]:
                waiting.append((total, joined, negated))
                total, joined, negated = True, "and", False
                continue
            if match["close"]:
                if not waiting:
                    continue
                part = total
                total, joined, negated = waiting.pop()
            elif match["other"] is not None and not match["other"].strip():
                continue
            else:
                part = self._part(match)
            part = part != negated
            total = (total and part) if joined == "and" else (total or part)
            negated = False
        return total

    def _part(self, match: re.Match[str]) -> bool:
        if match["numbers"]:
            return _compare(int(match["left"]), match["sign"], int(match["right"]))
        call = match["call"] or match["named"] or ""
        if call == "test":
            return self._nested("".join(self._groups(1)))
        num, test = _CALLS.get(call, (0, None))
        args = self._groups(num)
        return test is not None and len(args) == num and test(args, self._state)

    def _nested(self, text: str) -> bool:
        r"""``test {\ifdefempty{\x}}`` of etoolbox."""
        word = _WORD.match(text)
        if not word or word[1] not in BRACED or BRACED[word[1]][1] is _boolexpr:
            return False
        num, test = BRACED[word[1]]
        args = _Expression(text[word.end() :], self._state)._groups(num)
        return len(args) == num and test(args, self._state)

    def _groups(self, num: int) -> list[str]:
        args: list[str] = []
        for _ in range(num):
            found = next_group(self._text, self._position)
            if found is None:
                break
            args.append(found[0])
            self._position = found[1]
        return args
