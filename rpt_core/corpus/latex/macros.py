r"""Macro expansion: what an author defined is replaced by what it stands for, in text and in formulas.

One pass over the source with a stack of inputs, as TeX's own mouth does it: a definition takes effect
from where it stands, an expansion is read again, an input file is read in its place, a branch not taken is
never looked at, and nothing after the end is. Depth, number and size of expansions are bounded, so
``\def\a{\a\a}`` ends with a reason instead of the machine.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex import scan
from rpt_core.corpus.latex.conditions import FALSE, NO_VALUE, TRUE

EXPANSIONS_MAX = 100_000
OUTPUT_CHARS_MAX = 16_000_000
READ_AGAIN_CHARS_MAX = 16_000_000
"""Of all expansions, what they hold is read again."""
DEPTH_MAX = 400
ARGUMENT_CHARS_MAX = 8_000_000
"""All arguments ever read, nested ones counted at every level."""

COMMAND = re.compile(r"\\(?:(@*+[a-zA-Z][a-zA-Z@]*+)[ \t]*+(\n(?![ \t]*+\n)[ \t]*+)?|(.))", re.DOTALL)
_ENDS_IN_WORD = re.compile(r"\\@*[a-zA-Z][a-zA-Z@]*\Z")
_WORD_TAIL_CHARS = 60
_GROUPS = re.compile(r"[{}]")
_MARKS = re.compile(f"[{NO_VALUE}{TRUE}{FALSE}]")
_NAME_ROUNDS_MAX = 20
_EXPANDED_CHARS_MAX = 4000


def _without_marks(text: str) -> str:
    return _MARKS.sub("", text) if _MARKS.search(text) else text


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
    delimiters: tuple[str, ...] = ()
    r"""Of ``\def\bea#1\eea{..}``: what stands before the first argument, then after each; () for none."""
    make: Callable[[list[str]], str] | None = None
    """Makes the body of the arguments, where slots cannot say it."""

    @property
    def takes_arguments(self) -> bool:
        """Whether anything after the word belongs to it."""
        return bool(self.num_args or self.spec or self.delimiters)

    def filled(self, args: list[str]) -> str:
        """The body with arguments in place."""
        return self.make(args) if self.make else scan.fill(self.body, args)


@dataclass(slots=True)
class Definitions:
    """What the source itself says about its words."""

    macros: dict[str, Macro] = field(default_factory=dict)
    environments: dict[str, tuple[Macro, str]] = field(default_factory=dict)
    theorems: dict[str, str] = field(default_factory=dict)
    """Environment -> printed name, from ``newtheorem``."""
    switches: dict[str, bool] = field(default_factory=dict)
    """Of ``newif`` and ``newbool`` by name; toggles as ``toggle NAME``."""
    units: dict[str, str] = field(default_factory=dict)
    """Units and prefixes that the author declares to siunitx."""


@dataclass(frozen=True, slots=True)
class _Frame:
    buffer: str
    position: int
    file: str | None
    """Name of the input file; None for an expansion."""


class Mouth:
    """Reads commands and arguments from a stack of inputs and collects what is left."""

    def __init__(self) -> None:
        self.known = Definitions()
        self.buffer, self.position = "", 0
        self.file: str | None = None
        """Name of the file being read; None within an expansion."""
        self._stack: list[_Frame] = []
        self._out: list[str] = []
        self._ends_in_word = False
        self._depth = 0
        self._overridden: list[tuple[int, str, Macro]] = []
        """Depth of the group, name and former meaning of what was redefined in an open group."""
        self._num_expansions = 0
        self._num_chars = 0
        self._num_read_again = 0
        self._num_argument_chars = 0

    def run(self, command: Callable[[re.Match[str]], None]) -> str:
        """Read all that was opened; every command goes to ``command``, other text to the result.

        Raises:
            Broken: ``latex-explosion`` or ``latex-unbalanced``.
        """
        while self._more():
            match = COMMAND.search(self.buffer, self.position)
            if not match:
                self.emit(self.buffer[self.position :])
                self.position = len(self.buffer)
                continue
            self.emit(self.buffer[self.position : match.start()])
            self.position = match.end()
            command(match)
        return _without_marks("".join(self._out))

    def emit(self, text: str) -> None:
        """Add text to the result; its braces open and close groups."""
        if self._overridden and "}" in text:
            for brace in _GROUPS.finditer(text):
                self.deeper(1 if brace[0] == "{" else -1)
        else:
            self._depth += text.count("{") - text.count("}")
        self.put(text)

    def put(self, text: str) -> None:
        """Add a command to the result; a letter after a command's name stays apart from it."""
        if not text:
            return
        if self._ends_in_word and text[0].isalpha():
            self._out.append(" ")
        self._out.append(text)
        # Most pieces hold no command at all; only those are looked at that may end in one.
        self._ends_in_word = "\\" in text and bool(_ENDS_IN_WORD.search(text[-_WORD_TAIL_CHARS:]))
        self._num_chars += len(text)
        if self._num_chars > OUTPUT_CHARS_MAX:
            raise BrokenInput("latex-explosion", f"macros grow past {OUTPUT_CHARS_MAX} characters")

    def deeper(self, change: int) -> None:
        """A group opens (1) or closes (-1); what was redefined in it means again what it meant before."""
        self._depth += change
        while self._overridden and self._overridden[-1][0] > self._depth:
            _, name, macro = self._overridden.pop()
            self.known.macros[name] = macro

    def define(self, name: str, macro: Macro, everywhere: bool = False) -> None:
        """Take in a definition, for the group it stands in when the word had another meaning outside."""
        before = self.known.macros.get(name)
        if before is not None and self._depth > 0 and not everywhere:
            self._overridden.append((self._depth, name, before))
        self.known.macros[name] = macro

    def read_again(self, text: str, word: str) -> None:
        """Put an expansion before the rest of the input."""
        self._num_expansions += 1
        self._num_read_again += len(text)
        if (
            self._num_expansions > EXPANSIONS_MAX
            or len(self._stack) > DEPTH_MAX
            or self._num_read_again > READ_AGAIN_CHARS_MAX
        ):
            raise BrokenInput("latex-explosion", f"\\{word} expands without end")
        self._enter(text, None)

    def open_file(self, name: str, text: str) -> None:
        """Put a file before the rest of the input."""
        self._enter(text, name)

    def open_files(self) -> list[str]:
        """Names of the files being read, the innermost last."""
        return [frame.file for frame in (*self._stack, self._frame()) if frame.file]

    def _frame(self) -> _Frame:
        return _Frame(self.buffer, self.position, self.file)

    def _enter(self, text: str, file: str | None) -> None:
        if self.file is not None or self.position < len(self.buffer):
            self._stack.append(self._frame())
        self.buffer, self.position, self.file = text, 0, file

    def _more(self) -> bool:
        while self.position >= len(self.buffer):
            if not self._stack:
                return False
            self.leave()
        return True

    def leave(self) -> None:
        """Go back to the input below."""
        frame = self._stack.pop()
        self.buffer, self.position, self.file = frame.buffer, frame.position, frame.file

    def end_file(self) -> None:
        """Read no more of the innermost file; an expansion within it is read to its end."""
        if self.file is not None:
            self.position = len(self.buffer)
            return
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place].file is not None:
                frame = self._stack[place]
                self._stack[place] = _Frame("", 0, frame.file)
                return
        self.position = len(self.buffer)

    def end(self) -> None:
        """Read nothing more at all."""
        self._stack.clear()
        self.position = len(self.buffer)

    def next_frame_within_expansion(self) -> bool:
        """From the end of an expansion to what follows it; False at the end of a file."""
        if self.file is not None or not self._stack:
            return False
        self.leave()
        return True

    def at_argument(self) -> None:
        """The last word of an expansion takes its arguments from the text after it."""
        while self._stack and self.file is None and self._rest_is_blank():
            self.leave()

    def _rest_is_blank(self) -> bool:
        return scan.over_blanks(self.buffer, self.position) >= len(self.buffer)

    def group(self) -> str | None:
        """The next brace group; nothing is read when none stands here."""
        self.at_argument()
        found = scan.next_group(self.buffer, self.position)
        return self._took(found) if found else None

    def mandatory(self) -> str:
        """A brace group, one command, or one character."""
        self.at_argument()
        return self._took(scan.mandatory(self.buffer, self.position))

    def optional(self) -> str | None:
        """What stands in brackets here; None when nothing does."""
        found = scan.optional(self.buffer, self.position)
        return self._took(found) if found else None

    def star(self) -> bool:
        """Whether a star stands here; it is read."""
        found = scan.STAR.match(self.buffer, self.position)
        self.position = found.end() if found else self.position
        return found is not None

    def name(self) -> str | None:
        """A command's name, bare or in braces."""
        found = scan.NAME.match(self.buffer, self.position)
        if not found:
            return None
        self.position = found.end()
        return found[1] or found[2]

    def count(self) -> int:
        """A number of arguments in brackets; 0 without one."""
        found = scan.COUNT.match(self.buffer, self.position)
        self.position = found.end() if found else self.position
        return int(found[1]) if found else 0

    def next_character(self) -> str:
        """The next character that is no blank; it is not read."""
        self.at_argument()
        start = scan.over_blanks(self.buffer, self.position)
        return self.buffer[start : start + 1]

    def _took(self, found: tuple[str, int]) -> str:
        content, self.position = found
        self._charge(len(content), content[:60])
        return content

    def _charge(self, num_chars: int, shown: str) -> None:
        self._num_argument_chars += num_chars
        if self._num_argument_chars > ARGUMENT_CHARS_MAX:
            raise BrokenInput("latex-explosion", f"arguments nest without end: {shown}")

    def arguments(self, macro: Macro) -> list[str] | None:
        """The arguments of a macro; None when its delimiters do not stand here, and nothing is read."""
        if macro.takes_arguments:
            self.at_argument()
        if macro.delimiters:
            return self._delimited(macro.delimiters)
        kinds = macro.spec or (("o",) if macro.default is not None else ()) + ("m",) * (
            macro.num_args - (macro.default is not None)
        )
        return [self._argument(kind, macro.default) for kind in kinds]

    def _argument(self, kind: str, default: str | None) -> str:
        """One argument by its xparse kind; ``kind`` holds the default of ``O`` and the marks of others."""
        letter, rest = kind[0], kind[1:]
        if letter in "st":
            mark = rest or "*"
            start = scan.over_blanks(self.buffer, self.position)
            if not self.buffer.startswith(mark, start):
                return FALSE
            self.position = start + len(mark)
            return TRUE
        if letter in "oO":
            found = self.optional()
            return (
                found
                if found is not None
                else rest
                if letter == "O"
                else default
                if default is not None
                else NO_VALUE
            )
        if letter in "dDrR":
            between = scan.between(self.buffer, self.position, rest[:1] or "(", rest[1:2] or ")")
            return self._took(between) if between else rest[2:] or NO_VALUE
        if letter in "gG":
            group = scan.next_group(self.buffer, self.position)
            return self._took(group) if group else rest or NO_VALUE
        return self.mandatory()

    def _delimited(self, delimiters: tuple[str, ...]) -> list[str] | None:
        start = scan.over_blanks(self.buffer, self.position)
        if not self.buffer.startswith(delimiters[0], start):
            return None
        before, self.position = self.position, start + len(delimiters[0])
        args: list[str] = []
        for delimiter in delimiters[1:]:
            if not delimiter:
                args.append(self.mandatory())
                continue
            found = scan.until(self.buffer, self.position, delimiter)
            if found is None:
                # Charged, so that a thousand words that wait for the same end do not each search for it.
                self._charge(min(len(self.buffer) - self.position, scan.UNTIL_CHARS_MAX), delimiter)
                self.position = before
                return None
            args.append(scan.without_outer_braces(self._took(found)))
        return args

    def use(self, macro: Macro, name: str, match: re.Match[str]) -> None:
        """Replace a word by what it stands for."""
        args = self.arguments(macro)
        if args is None:
            self.put(match[0])
            return
        body = macro.filled(args)
        if macro.primitive:
            self.put(body)
            return
        self.read_again(body, name)

    def expanded(self, text: str) -> str:
        """A short text (a file's name, one side of a test) with macros without arguments replaced."""
        for _ in range(_NAME_ROUNDS_MAX):
            if "\\" not in text or len(text) > _EXPANDED_CHARS_MAX:
                break
            better = COMMAND.sub(self._in_name, text)
            if better == text:
                break
            text = better
        return _without_marks(text)

    def _in_name(self, match: re.Match[str]) -> str:
        macro = self.known.macros.get(match[1] or match[3])
        return match[0] if macro is None or macro.takes_arguments or macro.primitive else macro.body


Handler = Callable[[Mouth, str], None]
"""Reads what belongs to a word and takes it in."""
