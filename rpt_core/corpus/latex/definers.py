r"""What defines words: ``\newcommand`` and its kin, ``\def``, ``\let``, xparse, delimiters, theorems."""

import re
from collections.abc import Callable

from rpt_core.corpus.latex import scan
from rpt_core.corpus.latex.conditions import NO_VALUE, TRUE
from rpt_core.corpus.latex.macros import Macro, Mouth

Define = Callable[[str, Macro], None]
"""Takes in a definition, unless the reader knows the word better."""

_SPEC = re.compile(
    r"(?P<plain>[smogv])|(?P<default>[OG])\s*+\{(?P<value>[^{}]{0,300})\}|t\s*+(?P<mark>[^\s\\])"
    r"|(?P<between>[dr])\s*+(?P<marks>\S\S)|(?P<betweens>[DR])\s*+(?P<markss>\S\S)\s*+\{(?P<valued>[^{}]{0,300})\}"
    r"|u\s*+\{[^{}]{0,40}\}|[eE]\s*+\{[^{}]{0,40}\}(?:\{[^{}]{0,300}\})?"
)
_PARAMETERS = re.compile(r"[^{}]{0,300}(?=\{)")
_PARAMETER = re.compile(r"#[1-9]")
_LET = re.compile(r"\s*+\\([a-zA-Z@]++|.)\s*+=?\s*+(\\(?:[a-zA-Z@]++|.)|[^\s\\])", re.DOTALL)
_PRINTED = re.compile(r"(?:^|,)\s*+name\s*+=\s*+\{?([^{},]{1,80})")
_BARE_WORD = re.compile(r"\\[a-zA-Z]+")


def xparse_kinds(spec: str) -> tuple[str, ...]:
    """Argument kinds of an xparse specification; a kind's marks and default follow its letter.

    Example:
        >>> xparse_kinds("s m O{a} +m d() t!")
        ('s', 'm', 'Oa', 'm', 'd()', 't!')
    """
    kinds = []
    for match in _SPEC.finditer(spec):
        if match["plain"]:
            kinds.append("m" if match["plain"] == "v" else match["plain"])
        elif match["default"]:
            kinds.append(match["default"] + match["value"])
        elif match["mark"]:
            kinds.append("t" + match["mark"])
        elif match["between"]:
            kinds.append("d" + match["marks"])
        elif match["betweens"]:
            kinds.append("D" + match["markss"] + match["valued"])
    return tuple(kinds)


def _new_command(mouth: Mouth, word: str, define: Define) -> None:
    mouth.star()
    name = mouth.name()
    if name is None:
        return
    spec, default, num = tuple[str, ...](), None, 0
    if word.endswith("DocumentCommand"):
        spec = xparse_kinds(mouth.group() or "")
    elif num := mouth.count():
        default = mouth.optional()
    body = mouth.mandatory()
    if word.startswith("provide") and name in mouth.known.macros:
        return
    define(name, Macro(body, num, default, spec))


def _def(mouth: Mouth, word: str, define: Define) -> None:
    name = mouth.name()
    found = _PARAMETERS.match(mouth.buffer, mouth.position) if name else None
    if name is None or found is None:
        return
    mouth.position = found.end()
    parameters = found[0]
    body = mouth.group()
    if body is None:
        return
    parts = [part.strip() if not part.strip() else part for part in _PARAMETER.split(parameters)]
    parts[0] = parts[0].lstrip()
    num = len(parts) - 1
    define(name, Macro(body, num, delimiters=tuple(part.rstrip() for part in parts) if any(parts) else ()))


def _let(mouth: Mouth, word: str, define: Define) -> None:
    match = _LET.match(mouth.buffer, mouth.position)
    if not match:
        return
    mouth.position = match.end()
    name, meant = match[1], match[2]
    if meant in (r"\iftrue", r"\iffalse") and name.startswith("if"):
        mouth.known.switches[name[2:]] = meant == r"\iftrue"
        return
    known = mouth.known.macros.get(meant.removeprefix("\\")) if meant.startswith("\\") else None
    if meant != f"\\{name}":
        define(name, known or Macro(meant, primitive=True))


def _operator(mouth: Mouth, word: str, define: Define) -> None:
    star = mouth.star()
    if (name := mouth.name()) is not None:
        body = mouth.mandatory()
        define(name, Macro(f"\\operatorname{'*' if star else ''}{{{body}}}"))


def _new_theorem(mouth: Mouth, word: str, define: Define) -> None:
    mouth.star()
    name = mouth.group()
    if name is None:
        return
    mouth.optional()
    mouth.known.theorems[name.strip()] = mouth.mandatory()
    mouth.optional()


def _declare_theorem(mouth: Mouth, word: str, define: Define) -> None:
    """Of thmtools: the printed name is an option, or the environment's name."""
    options = mouth.optional() or ""
    for name in (mouth.group() or "").split(","):
        if name := name.strip():
            printed = _PRINTED.search(options)
            mouth.known.theorems[name] = printed[1].strip() if printed else name.capitalize()
    mouth.optional()


def _delimiters(mouth: Mouth, word: str, define: Define) -> None:
    r"""``\DeclarePairedDelimiter`` of mathtools; ``X`` has a body, ``XPP`` also what stands round it."""
    name = mouth.name()
    if name is None:
        return
    num = mouth.count() if word != "DeclarePairedDelimiter" else 1
    parts = [mouth.mandatory() for _ in range(5 if word.endswith("XPP") else 2)]
    before, left, right, after = (
        (parts[0], parts[1], parts[2], parts[3]) if len(parts) == 5 else ("", *parts, "")
    )
    body = parts[4] if len(parts) == 5 else mouth.mandatory() if word.endswith("X") else "#1"

    def made(args: list[str]) -> str:
        star, size, given = args[0] == TRUE, args[1], args[2:]
        open_size, close_size, middle = ("\\left", "\\right", "\\middle") if star else ("", "", "")
        if not star and size != NO_VALUE and _BARE_WORD.fullmatch(size.strip()):
            size = size.strip()
            open_size, close_size, middle = f"{size}l", f"{size}r", size
        inner = scan.fill(body.replace("\\delimsize", middle or "\\relax"), given).replace("\\relax", "")
        shown = _joined(before, open_size, left, inner, close_size, right, after)
        return scan.fill(shown, given) if "#" in before + after else shown

    define(name, Macro("", spec=("s", "o", *("m",) * num), make=made))


def _joined(*parts: str) -> str:
    """Parts put together, a command's name kept apart from a letter after it."""
    shown = ""
    for part in parts:
        apart = part[:1].isalpha() and scan.ends_in_word(shown)
        shown += f" {part}" if apart else part
    return shown


def _new_if(mouth: Mouth, word: str, define: Define) -> None:
    name = mouth.name() or ""
    if name.startswith("if"):
        mouth.known.switches[name[2:]] = False


def _new_switch(mouth: Mouth, word: str, define: Define) -> None:
    name = (mouth.group() or "").strip()
    key = f"toggle {name}" if word.endswith("toggle") else name
    if not word.startswith("provide") or key not in mouth.known.switches:
        mouth.known.switches[key] = False


def _set_switch(mouth: Mouth, word: str, define: Define) -> None:
    name = (mouth.group() or "").strip()
    value = (mouth.group() or "").strip() == "true" if word.startswith("set") else word.endswith("true")
    mouth.known.switches[f"toggle {name}" if "toggle" in word else name] = value


def _unit(mouth: Mouth, word: str, define: Define) -> None:
    r"""``\DeclareSIUnit\parsec{pc}``."""
    mouth.optional()
    if (name := mouth.name()) is not None:
        mouth.known.units[name] = mouth.mandatory()


DEFINERS: dict[str, Callable[[Mouth, str, Define], None]] = {
    **dict.fromkeys(
        ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "NewDocumentCommand",
         "RenewDocumentCommand", "ProvideDocumentCommand", "DeclareDocumentCommand", "newrobustcmd",
         "renewrobustcmd", "providerobustcmd", "NewExpandableDocumentCommand"),
        _new_command,
    ),
    **dict.fromkeys(("def", "gdef", "edef", "xdef"), _def), "let": _let,
    "DeclareMathOperator": _operator, "newtheorem": _new_theorem, "spnewtheorem": _new_theorem,
    "declaretheorem": _declare_theorem, "newif": _new_if,
    "DeclarePairedDelimiter": _delimiters, "DeclarePairedDelimiterX": _delimiters,
    "DeclarePairedDelimiterXPP": _delimiters,
    **dict.fromkeys(
        ("newboolean", "provideboolean", "newbool", "providebool", "newtoggle", "providetoggle"), _new_switch
    ),
    **dict.fromkeys(
        ("setboolean", "setbool", "booltrue", "boolfalse", "settoggle", "toggletrue", "togglefalse"),
        _set_switch,
    ),
    "DeclareSIUnit": _unit, "DeclareSIPrefix": _unit,
}  # fmt: skip
"""Words that define others."""
