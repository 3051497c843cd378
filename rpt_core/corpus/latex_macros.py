r"""Macro expansion: what an author defined is replaced by what it stands for, in text and in formulas.

One pass over the source with a stack of inputs, as TeX's own mouth does it: a definition takes effect
from where it stands, an expansion is read again. Depth, number and size of expansions are bounded, so
``\def\a{\a\a}`` ends with a reason instead of the machine.
"""

import re
from dataclasses import dataclass, field

from rpt_core.corpus.streams import Broken

EXPANSIONS_MAX = 100_000
OUTPUT_CHARS_MAX = 64_000_000
DEPTH_MAX = 400
ARGUMENT_CHARS_MAX = 8_000_000
"""All arguments ever read, nested ones counted at every level."""

_COMMAND = re.compile(r"\\(?:([a-zA-Z@]+)[ \t]*(\n(?![ \t]*\n)[ \t]*)?|(.))", re.DOTALL)
_SPACE = re.compile(r"\s*")
_REST_BLANK = re.compile(r"\s*\Z")
_STAR = re.compile(r"\s*\*")
_NAME = re.compile(r"\s*(?:\{\s*\\([a-zA-Z@]+|.)\s*\}|\\([a-zA-Z@]+|.))", re.DOTALL)
_COUNT = re.compile(r"\s*\[\s*(\d)\s*\]")
_PARAMETERS = re.compile(r"((?:\s*#\d)*)\s*(?=\{)")
_SLOT = re.compile(r"##?(\d)")
_SPEC = re.compile(r"\s*(m|s|o|O\s*\{([^{}]*)\}|g)")
_CONDITION = re.compile(r"\\(if[a-zA-Z@]*|else|fi)(?![a-zA-Z@])")
_PROGRAM = re.compile(
    r"\\(?:[a-zA-Z]*@[a-zA-Z@]*|futurelet|ifx|expandafter|csname|catcode|afterassignment|loop|aftergroup|"
    r"read)(?![a-zA-Z])"
)
"""TeX programmes look ahead and test; what they would do cannot be known here, so their uses stay."""
_NOT_CONDITIONS = frozenset({"iff", "ifthenelse", "iflanguage", "ifdefinedthen"})


@dataclass(frozen=True, slots=True)
class Macro:
    """What one command stands for."""

    body: str
    num_args: int = 0
    default: str | None = None
    """Of an optional first argument; None when there is none."""
    spec: tuple[str, ...] = ()
    """Argument kinds of an xparse definition, instead of a count."""
    primitive: bool = False
    r"""The body is what the word meant before somebody redefined it (``\let\old=\word``): not read again."""


@dataclass(slots=True)
class Definitions:
    """What the source itself says about its words."""

    macros: dict[str, Macro] = field(default_factory=dict)
    environments: dict[str, tuple[Macro, str]] = field(default_factory=dict)
    theorems: dict[str, str] = field(default_factory=dict)
    """Environment -> spoken name, from ``newtheorem``."""
    switches: dict[str, bool] = field(default_factory=dict)


class Expander:
    """Expands one flat source."""

    def __init__(self, protected: frozenset[str], protected_environments: frozenset[str]) -> None:
        self.known = Definitions()
        self._protected = protected
        self._protected_environments = protected_environments
        self._num_expansions = 0
        self._num_chars = 0
        self._num_argument_chars = 0
        self._stack: list[tuple[str, int]] = []
        self._out: list[str] = []
        self._endless = ""

    def expand(self, text: str) -> str:
        """The text with definitions taken in and out, and every use of them replaced.

        Raises:
            Broken: ``latex-explosion``.
        """
        self._stack = [(text, 0)]
        while self._stack:
            buffer, position = self._stack.pop()
            match = _COMMAND.search(buffer, position)
            if not match:
                self._emit(buffer[position:])
                continue
            self._emit(buffer[position : match.start()])
            self._command(buffer, match)
        return "".join(self._out)

    def _emit(self, text: str) -> None:
        self._out.append(text)
        self._num_chars += len(text)
        if self._num_chars > OUTPUT_CHARS_MAX:
            raise Broken("latex-explosion", f"macros grow past {OUTPUT_CHARS_MAX} characters")

    def _push(self, text: str, position: int = 0) -> None:
        if position < len(text):
            self._stack.append((text, position))

    def _command(self, buffer: str, match: re.Match[str]) -> None:
        name = match[1] or match[3]
        if name in _DEFINERS:
            end = _DEFINERS[name](self, buffer, match.end(), name)
            if end is not None:
                self._push(buffer, end)
                return
        elif macro := self.known.macros.get(name):
            self._use(macro, name, buffer, match)
            return
        elif name in ("begin", "end") and self._environment(name, buffer, match.end()):
            return
        elif match[1] and (name.startswith("if") or name in ("else", "fi")) and name not in _NOT_CONDITIONS:
            self._push(buffer, self._condition(name, buffer, match.end()))
            return
        elif (
            match[1]
            and (switch := re.fullmatch(r"(.+?)(true|false)", name))
            and switch[1] in self.known.switches
        ):
            self.known.switches[switch[1]] = switch[2] == "true"
            self._push(buffer, match.end())
            return
        self._emit(match[0])
        self._push(buffer, match.end())

    def _use(self, macro: Macro, name: str, buffer: str, match: re.Match[str]) -> None:
        self._num_expansions += 1
        if self._num_expansions > EXPANSIONS_MAX or len(self._stack) > DEPTH_MAX:
            raise Broken("latex-explosion", f"\\{name} expands without end")
        position = match.end() if macro.num_args or macro.spec else match.start() + 1 + len(name)
        if not macro.num_args and not macro.spec and match[1] and buffer[position : position + 1].isspace():
            # TeX swallows the space after a macro's name.
            position = match.end()
        if (macro.num_args or macro.spec) and self._stack and _REST_BLANK.match(buffer, position):
            # The last word of an expansion takes its arguments from the text after it.
            buffer, position = self._stack.pop()
        args, position = _arguments(macro, buffer, position)
        self._num_argument_chars += sum(len(arg) for arg in args)
        if self._num_argument_chars > ARGUMENT_CHARS_MAX:
            raise Broken("latex-explosion", f"arguments of \\{name} nest without end")
        body = _SLOT.sub(lambda slot: args[int(slot[1]) - 1] if int(slot[1]) <= len(args) else "", macro.body)
        self._push(buffer, position)
        if macro.primitive:
            self._emit(body)
            return
        if re.search(r"\\[a-zA-Z]+$", body) and buffer[position : position + 1].isalpha():
            body += " "
        self._push(body)

    def _environment(self, which: str, buffer: str, position: int) -> bool:
        group = _group(buffer, _SPACE.match(buffer, position).end())  # type: ignore[union-attr]
        if group is None or (found := self.known.environments.get(group[0].strip())) is None:
            return False
        begin, end = found
        position = group[1]
        self._num_expansions += 1
        if self._num_expansions > EXPANSIONS_MAX or len(self._stack) > DEPTH_MAX:
            raise Broken("latex-explosion", f"environment {group[0]} expands without end")
        args: list[str] = []
        if which == "begin":
            args, position = _arguments(begin, buffer, position)
        self._push(buffer, position)
        body = begin.body if which == "begin" else end
        self._push(_SLOT.sub(lambda slot: args[int(slot[1]) - 1] if int(slot[1]) <= len(args) else "", body))
        return True

    def _condition(self, name: str, buffer: str, position: int) -> int:
        r"""Position to read on from: tests that cannot be made here count as false."""
        if name == "fi":
            return position
        if name != "else" and (name == "iftrue" or self.known.switches.get(name[2:], False)):
            return position
        if buffer is self._endless:
            return position
        depth = 0
        for match in _CONDITION.finditer(buffer, position):
            if match[1] == "fi":
                if depth == 0:
                    return match.end()
                depth -= 1
            elif match[1] == "else":
                if depth == 0 and name != "else":
                    return match.end()
            elif match[1] not in _NOT_CONDITIONS:
                depth += 1
        # Remembered, so that a thousand unclosed tests do not each search to the end.
        self._endless = buffer
        return position

    def define(self, name: str, macro: Macro) -> None:
        """Take in a definition, unless the renderer knows the word better."""
        if name not in self._protected and not _PROGRAM.search(macro.body):
            self.known.macros[name] = macro

    def define_environment(self, name: str, begin: Macro, end: str) -> None:
        """Take in an environment, unless the renderer knows it better."""
        if name not in self._protected_environments:
            self.known.environments[name] = (begin, end)


def _group(buffer: str, position: int) -> tuple[str, int] | None:
    """The content of the brace group that starts exactly at ``position``, and the position after it."""
    if buffer[position : position + 1] != "{":
        return None
    depth = 0
    for match in _BRACE.finditer(buffer, position):
        brace = match[0]
        if brace == "{":
            depth += 1
        elif brace == "}":
            depth -= 1
            if depth == 0:
                return buffer[position + 1 : match.start()], match.end()
    return None


_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BRACKET = re.compile(r"\\.|[{}\[\]]", re.DOTALL)


def _optional(buffer: str, position: int) -> tuple[str, int] | None:
    """The content of ``[..]`` at ``position`` (after blanks), braces inside respected."""
    start = _SPACE.match(buffer, position).end()  # type: ignore[union-attr]
    if buffer[start : start + 1] != "[" or start - position > 100:
        return None
    depth = 0
    for match in _BRACKET.finditer(buffer, start + 1):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth < 0:
                return None
        elif match[0] == "]" and depth == 0:
            return buffer[start + 1 : match.start()], match.end()
        if match.end() - start > 5000:
            return None
    return None


def _arguments(macro: Macro, buffer: str, position: int) -> tuple[list[str], int]:
    args: list[str] = []
    kinds = macro.spec or (("o",) if macro.default is not None else ()) + ("m",) * (
        macro.num_args - (macro.default is not None)
    )
    for kind in kinds:
        if kind == "s":
            star = _STAR.match(buffer, position)
            args.append("")
            position = star.end() if star else position
        elif kind.startswith(("o", "O")):
            found = _optional(buffer, position)
            args.append(found[0] if found else kind[1:] if kind.startswith("O") else macro.default or "")
            position = found[1] if found else position
        else:
            content, position = _mandatory(buffer, position)
            args.append(content)
    return args, position


def _mandatory(buffer: str, position: int) -> tuple[str, int]:
    """A brace group, one command, or one character."""
    start = _SPACE.match(buffer, position).end()  # type: ignore[union-attr]
    group = _group(buffer, start)
    if group:
        return group
    command = re.compile(r"\\(?:[a-zA-Z@]+|.)", re.DOTALL).match(buffer, start)
    if command:
        return command[0], command.end()
    return buffer[start : start + 1].replace("}", ""), min(start + 1, len(buffer))


def _new_command(expander: Expander, buffer: str, position: int, word: str) -> int | None:
    star = _STAR.match(buffer, position)
    name = _NAME.match(buffer, star.end() if star else position)
    if not name:
        return None
    position, spec, default, num = name.end(), (), None, 0
    if word.endswith("DocumentCommand"):
        group = _group(buffer, _SPACE.match(buffer, position).end())  # type: ignore[union-attr]
        if group is None:
            return None
        spec = tuple(kind[0] + (default or "") for kind, default in _SPEC.findall(group[0]))
        position = group[1]
    elif count := _COUNT.match(buffer, position):
        num, position = int(count[1]), count.end()
        if found := _optional(buffer, position):
            default, position = found
    body, position = _mandatory(buffer, position)
    if word != "providecommand" or (name[1] or name[2]) not in expander.known.macros:
        expander.define(name[1] or name[2], Macro(body, num, default, spec))
    return position


def _def(expander: Expander, buffer: str, position: int, word: str) -> int | None:
    name = _NAME.match(buffer, position)
    parameters = _PARAMETERS.match(buffer, name.end()) if name else None
    if not name or not parameters:
        # Delimited parameters: skip the definition, leave its uses alone.
        brace = buffer.find("{", name.end()) if name else -1
        group = _group(buffer, brace) if 0 <= brace < (name.end() if name else 0) + 200 else None
        return group[1] if group else None
    group = _group(buffer, parameters.end())
    if group is None:
        return None
    expander.define(name[1] or name[2], Macro(group[0], parameters[1].count("#")))
    return group[1]


def _let(expander: Expander, buffer: str, position: int, word: str) -> int | None:
    match = re.compile(r"\s*\\([a-zA-Z@]+|.)\s*=?\s*(\\(?:[a-zA-Z@]+|.)|[^\s\\])", re.DOTALL).match(
        buffer, position
    )
    if not match:
        return None
    known = expander.known.macros.get(match[2].lstrip("\\"))
    if match[2] != f"\\{match[1]}":
        expander.define(match[1], known or Macro(match[2], primitive=True))
    return match.end()


def _operator(expander: Expander, buffer: str, position: int, word: str) -> int | None:
    star = _STAR.match(buffer, position)
    name = _NAME.match(buffer, star.end() if star else position)
    if not name:
        return None
    body, position = _mandatory(buffer, name.end())
    expander.define(name[1] or name[2], Macro(f"\\operatorname{'*' if star else ''}{{{body}}}"))
    return position


def _new_environment(expander: Expander, buffer: str, position: int, word: str) -> int | None:
    star = _STAR.match(buffer, position)
    group = _group(buffer, _SPACE.match(buffer, star.end() if star else position).end())  # type: ignore[union-attr]
    if group is None:
        return None
    name, position = group[0].strip(), group[1]
    num, default = 0, None
    if count := _COUNT.match(buffer, position):
        num, position = int(count[1]), count.end()
        if found := _optional(buffer, position):
            default, position = found
    begin, position = _mandatory(buffer, position)
    end, position = _mandatory(buffer, position)
    expander.define_environment(name, Macro(begin, num, default), end)
    return position


def _new_theorem(expander: Expander, buffer: str, position: int, word: str) -> int | None:
    star = _STAR.match(buffer, position)
    group = _group(buffer, _SPACE.match(buffer, star.end() if star else position).end())  # type: ignore[union-attr]
    if group is None:
        return None
    name, position = group[0].strip(), group[1]
    if shared := _optional(buffer, position):
        position = shared[1]
    spoken, position = _mandatory(buffer, position)
    expander.known.theorems[name] = spoken
    if within := _optional(buffer, position):
        position = within[1]
    return position


def _new_if(expander: Expander, buffer: str, position: int, command: str) -> int | None:
    name = _NAME.match(buffer, position)
    word = (name[1] or name[2]) if name else ""
    if not name or not word.startswith("if"):
        return None
    expander.known.switches[word[2:]] = False
    return name.end()


_DEFINERS = {
    "newcommand": _new_command, "renewcommand": _new_command, "providecommand": _new_command,
    "DeclareRobustCommand": _new_command, "NewDocumentCommand": _new_command,
    "RenewDocumentCommand": _new_command, "ProvideDocumentCommand": _new_command,
    "def": _def, "gdef": _def, "edef": _def, "xdef": _def, "let": _let,
    "DeclareMathOperator": _operator, "newenvironment": _new_environment,
    "renewenvironment": _new_environment,
    "newtheorem": _new_theorem, "spnewtheorem": _new_theorem, "newif": _new_if,
}  # fmt: skip
