r"""Expanded LaTeX to prose.

Kept: paragraphs, headings, lists, theorems and proofs by name, formulas verbatim (``$..$`` in a line,
``$$..$$`` on its own), code in fences, numbers in the place of references. Dropped: figures, tables,
drawings, footnotes, bibliographies, what stands before the text. Braces and environments are matched
once, in linear time; what does not match is a reason, not an exception from deep inside.
"""

import bisect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rpt_core.corpus.latex_numbers import number_labels
from rpt_core.corpus.latex_words import (
    ACCENTS,
    CITES,
    DISPLAY,
    DROP_ARGS,
    DROPPED,
    ENVIRONMENT_ARGS,
    FIRST_OF_TWO,
    LISTS,
    REFS,
    ROWS,
    SECOND_SHOWN,
    SECTIONS,
    SPACES,
    SYMBOLS,
    THEOREMS,
    accented,
)
from rpt_core.corpus.pieces import BREAK, KEEP, Pieces, mend
from rpt_core.corpus.streams import Broken

NESTING_MAX = 120
"""Commands within commands; Python's own stack ends later."""

_STRUCTURE = re.compile(r"\\(begin|end)\s*\{\s*([^{}\\]{1,60}?)\s*\}|\\.|[{}]", re.DOTALL)
_TOKEN = re.compile(
    r"[\\{}$~&#\n`'\-](?:(?<=\\)(?:(?P<name>[a-zA-Z@]+)\*?[ \t]*(?:\n(?![ \t]*\n)[ \t]*)?|(?P<sign>.))"
    r"|(?<=\n)(?P<par>[ \t]*\n\s*)|(?<=`)(?P<quote>`)|(?<=')(?P<unquote>')|(?<=-)(?P<dash>--?)|(?<=\$)(?P<display>\$)?)?",
    re.DOTALL,
)
_MATH_END = re.compile(r"\\.|[{}$]|\n[ \t]*\n", re.DOTALL)
_BLANK = re.compile(r"[ \t]*(?:\n(?![ \t]*\n)[ \t]*)?")
_NOT_SHOWN = re.compile(
    r"\\(?:label\s*\{[^{}]*\}|nonumber|notag|tag\*?\s*\{[^{}]*\}|displaystyle|allowdisplaybreaks|xspace|ensuremath(?=\s*\{))"
    r"(?![a-zA-Z])"
)
r"""In a formula: bookkeeping, and ``\ensuremath``, whose braces alone do no harm."""
_CODES = re.compile(r"(?:\{[\w:.\-/*=]{1,40}\}){2,}(?=\s*\n)")
"""Arguments of an unknown command that are keys, not words: two or more on the rest of a line."""
_LABEL = re.compile(r"\\label\s*\{\s*([^{}]{1,200}?)\s*\}")


@dataclass(slots=True)
class Structure:
    """Where every brace and environment of a text ends."""

    braces: dict[int, int] = field(default_factory=dict)
    """Position of ``{`` -> position of its ``}``."""
    environments: dict[int, tuple[str, int, int, int]] = field(default_factory=dict)
    r"""Position of ``\begin`` -> name, start of the content, its end, end of ``\end{..}``."""


def match_structure(text: str) -> Structure:
    """Match braces and environments in one pass.

    Raises:
        Broken: ``latex-unbalanced``, with what stays open and the text it stands in.
    """
    found, braces = Structure(), list[int]()
    open_environments: list[tuple[str, int, int]] = []
    for match in _STRUCTURE.finditer(text):
        token = match[0]
        if token == "{":
            braces.append(match.start())
        elif token == "}":
            if not braces:
                raise Broken("latex-unbalanced", f"a }} without its {{ in: {_around(text, match.start())}")
            found.braces[braces.pop()] = match.start()
        elif match[1] == "begin":
            open_environments.append((match[2], match.start(), match.end()))
        elif match[1] == "end":
            _close(found, open_environments, match)
    if braces:
        raise Broken("latex-unbalanced", f"a {{ that never closes in: {_around(text, braces[-1])}")
    for name, start, _ in open_environments:
        if name != "document":
            raise Broken("latex-unbalanced", f"\\begin{{{name}}} never ends: {_around(text, start)}")
    return found


def _close(found: Structure, waiting: list[tuple[str, int, int]], match: re.Match[str]) -> None:
    r"""Match an ``\end`` with the innermost ``\begin`` of its name; the ones left open inside it are void."""
    for depth in range(1, min(len(waiting), 8) + 1):
        name, start, content = waiting[-depth]
        if name == match[2]:
            found.environments[start] = (name, content, match.start(), match.end())
            del waiting[-depth:]
            return


def _around(text: str, position: int) -> str:
    return " ".join(text[max(0, position - 40) : position + 80].split())


class Renderer:
    """Renders one expanded source."""

    def __init__(self, text: str, pieces: Pieces, theorems: Mapping[str, str]) -> None:
        self._text = text
        self._pieces = pieces
        self._theorems = {**THEOREMS, **theorems}
        self._structure = match_structure(text)
        self._numbers = number_labels(text, self._theorems)
        self._cited: dict[str, int] = {}
        self._depth = 0

    def title(self) -> str:
        r"""The argument of ``\title``, or of the first heading; empty without one."""
        for command in (r"\\title\s*(?:\[[^\]]{0,300}\])?\s*(?=\{)", r"\\(?:chapter|section)\*?\s*(?:\[[^\]]{0,300}\])?\s*(?=\{)"):
            match = re.search(command, self._text)
            if match:
                inside = self._render(match.end() + 1, self._structure.braces[match.end()])
                return _flat(self._pieces.restore(inside))
        return ""

    def body(self) -> str:
        """Prose of the document: paragraphs separated by empty lines."""
        start, end = 0, len(self._text)
        begin = re.search(r"\\begin\s*\{document\}", self._text)
        if begin:
            start = begin.end()
            end = self._structure.environments.get(begin.start(), ("", 0, end, end))[2]
        rendered = self._render(start, end)
        blocks = (_block(block) for block in re.split(r"\n[ \t]*\n\s*", rendered))
        kept = _without_closing_sections(block for block in blocks if _has_words(block))
        return self._pieces.restore("\n\n".join(kept))

    def _render(self, start: int, end: int) -> str:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise Broken("latex-unbalanced", f"commands nest deeper than {NESTING_MAX}: {_around(self._text, start)}")
        out: list[str] = []
        position = start
        while (match := _TOKEN.search(self._text, position, end)) is not None:
            out.append(self._text[position : match.start()])
            piece, position = self._token(match, end, out)
            out.append(piece)
        out.append(self._text[position:end])
        self._depth -= 1
        return "".join(out)

    def _token(self, match: re.Match[str], end: int, out: list[str]) -> tuple[str, int]:
        first, after = self._text[match.start()], match.end()
        if match["name"]:
            return self._command(match["name"], match, end, out)
        if match["sign"]:
            return self._sign(match["sign"], after, end)
        if first == "$":
            return self._math(match, end)
        if match["par"]:
            return "\n\n", after
        if match["quote"]:
            return "“", after
        if match["unquote"]:
            return "”", after
        if match["dash"]:
            return "–" if match["dash"] == "-" else "—", after
        return _PLAIN.get(first, ""), after

    def _sign(self, sign: str, after: int, end: int) -> tuple[str, int]:
        if sign in "([":
            closing = self._text.find("\\)" if sign == "(" else "\\]", after, end)
            if closing < 0:
                raise Broken("latex-unbalanced", f"\\{sign} never closes: {_around(self._text, after)}")
            return self._formula(after, closing, display=sign == "["), closing + 2
        if sign == "\\":
            star = re.compile(r"\*?(?:\s*\[[^\]\n]{0,40}\])?").match(self._text, after)
            return " ", star.end() if star else after
        if sign in ACCENTS:
            letter, position = self._argument(after, end)
            return accented(sign, letter), position
        return SPACES.get(sign, SYMBOLS.get(sign, "")), after

    def _math(self, match: re.Match[str], end: int) -> tuple[str, int]:
        """A formula from ``$`` or ``$$`` to its end at the same depth of braces."""
        display, depth = bool(match["display"]), 0
        start = match.end()
        for token in _MATH_END.finditer(self._text, start, end):
            if token[0] == "{":
                depth += 1
            elif token[0] == "}":
                depth -= 1
            elif token[0] == "$" and depth <= 0:
                if display and self._text[token.end() : token.end() + 1] != "$":
                    continue
                return self._formula(start, token.start(), display), token.end() + display
            elif token[0].startswith("\n") and not display:
                break
        raise Broken("latex-unbalanced", f"a formula never closes: {_around(self._text, match.start())}")

    def _formula(self, start: int, end: int, display: bool = False, wrap: str = "") -> str:
        content = _NOT_SHOWN.sub("", self._text[start:end])
        content = " ".join(content.split())
        if not content:
            return ""
        if wrap:
            content = f"\\begin{{{wrap}}} {content} \\end{{{wrap}}}"
        if display:
            # Punctuation and the words round a display belong to one sentence; it keeps its own line.
            return f"{BREAK}{self._pieces.keep(f'$${content}$$')}{BREAK}"
        return self._pieces.keep(f"${content}$")

    def _command(self, name: str, match: re.Match[str], end: int, out: list[str]) -> tuple[str, int]:
        after = match.end()
        if name == "begin":
            return self._environment(match, end)
        if name == "end":
            closing = re.compile(r"\s*\{[^{}]*\}").match(self._text, after)
            return "", closing.end() if closing else after
        if name in SECTIONS:
            heading, position = self._argument(self._skip_optional(after, end), end)
            return f"\n\n{HEADING}{SECTIONS[name]}{_flat(heading)}\n\n", position
        if name in CITES:
            return self._citation(name, after, end, out)
        if name in REFS:
            keys, position = self._raw_argument(self._skip_optional(after, end), end)
            return self._reference(name, keys), position
        if name == "item":
            label, position = self._item(after, end)
            return f"{BREAK}- {label}", position
        return self._word(name, match, end)

    def _word(self, name: str, match: re.Match[str], end: int) -> tuple[str, int]:
        """Everything that needs no state: symbols, accents, fonts, commands to drop."""
        after = match.end()
        if name in ("footnote", "title", "subtitle"):
            return "", self._skip_arguments(after, end, 1)
        if name in ("textsuperscript", "textsubscript"):
            raised, position = self._argument(after, end)
            mark = "^" if name == "textsuperscript" and not raised.isalpha() else ""
            return mark + raised, position
        if name in DROP_ARGS:
            return "", self._skip_arguments(after, end, DROP_ARGS[name])
        if name in FIRST_OF_TWO:
            shown, position = self._argument(after, end)
            return shown, self._skip_arguments(position, end, 1)
        if name in SECOND_SHOWN:
            return self._argument(self._skip_arguments(after, end, SECOND_SHOWN[name]), end)
        if name in ("url", "path"):
            address, position = self._raw_argument(after, end)
            return self._pieces.keep(address.replace("\\", "")), position
        if name in ACCENTS and len(name) == 1:
            letter, position = self._argument(after, end)
            return accented(name, letter), position
        if name == "xspace":
            return " " if self._text[after : after + 1].isalnum() else "", after
        if name in SPACES:
            return SPACES[name], after
        if name in SYMBOLS:
            # The space after a command's name belongs to the command.
            return SYMBOLS[name], after
        if name == "ensuremath":
            content, position = self._raw_argument(after, end)
            return self._pieces.keep(f"${content}$"), position
        after = self._skip_optional(after, end)
        codes = _CODES.match(self._text, after, end)
        return "", codes.end() if codes else after

    def _environment(self, match: re.Match[str], end: int) -> tuple[str, int]:
        found = self._structure.environments.get(match.start())
        if found is None:
            closing = re.compile(r"\s*\{[^{}]*\}").match(self._text, match.end())
            return "", closing.end() if closing else match.end()
        name, start, content_end, after = found
        if name in DISPLAY:
            start = self._skip_arguments(start, content_end, ENVIRONMENT_ARGS.get(name, 0))
            inner = self._text[start:content_end]
            wrap = "aligned" if name in ROWS and ("\\\\" in inner or "&" in inner) else ""
            return self._formula(start, content_end, display=name != "math", wrap=wrap), after
        if name in DROPPED:
            return "", after
        spoken = self._theorems.get(name) or self._theorems.get(name.rstrip("*"))
        if spoken:
            return self._theorem(spoken, start, content_end), after
        start = self._skip_optional(start, content_end)
        start = self._skip_arguments(start, content_end, ENVIRONMENT_ARGS.get(name, 0))
        inside = self._render(start, content_end)
        if name in LISTS:
            return f"{BREAK}{inside.strip()}{BREAK}", after
        return f"\n\n{inside}\n\n", after

    def _theorem(self, spoken: str, start: int, end: int) -> str:
        bracket = re.compile(r"\s*\[").match(self._text, start)
        note = ""
        if bracket:
            inner_end = self._bracket_end(bracket.end() - 1, end)
            if inner_end:
                note, start = f" ({_flat(self._render(bracket.end(), inner_end))})", inner_end + 1
        name = _flat(re.sub(r"\\[a-zA-Z]+\s*|[{}]", "", spoken))
        label = _LABEL.search(self._text, start, end)
        if label and (numbered := self._numbers.get(label[1])) and numbered[0] == name:
            # Only what the text can refer to gets its number: elsewhere it would be noise.
            name = f"{name} {numbered[1]}"
        return f"\n\n{name}{note}. {self._render(start, end).lstrip()}\n\n"

    def _item(self, position: int, end: int) -> tuple[str, int]:
        bracket = re.compile(r"\s*\[").match(self._text, position, end)
        inner_end = self._bracket_end(bracket.end() - 1, end) if bracket else None
        if bracket is None or inner_end is None:
            return "", position
        label = _flat(self._render(bracket.end(), inner_end))
        return f"{label} " if _has_words(label) else "", inner_end + 1

    def _citation(self, name: str, after: int, end: int, out: list[str]) -> tuple[str, int]:
        """A number where the sentence needs a noun ("as shown by [3]"), nothing where it does not."""
        position = self._skip_optional(self._skip_optional(after, end), end)
        keys, position = self._raw_argument(position, end)
        numbers = [self._cited.setdefault(key.strip(), len(self._cited) + 1) for key in keys.split(",")]
        before = "".join(out[-3:])[-30:]
        if before.rstrip().endswith("(") and self._text[position : position + 1] == ")":
            return "", position
        textual = name.lower() in ("citet", "textcite", "citealt", "citeauthor", "citetalias", "shortcite", "citen", "cites")
        if textual or _NEEDS_NOUN.search(before) or not before.strip() or before.endswith("\n"):
            return f"[{', '.join(str(number) for number in numbers)}]", position
        return "", position

    def _reference(self, name: str, keys: str) -> str:
        found = [self._numbers[key.strip()] for key in keys.split(",") if key.strip() in self._numbers]
        numbers = ", ".join(number for _, number in found)
        if not found:
            return ""
        if name in ("cref", "autoref", "fref", "vref", "Cref", "Fref"):
            return f"{found[0][0] if name[0].isupper() or name == 'autoref' else found[0][0].lower()} {numbers}"
        return f"({numbers})" if name == "eqref" else numbers

    def _argument(self, position: int, end: int) -> tuple[str, int]:
        """One argument, rendered: a group, one command, or one character."""
        start = _BLANK.match(self._text, position, end).end()  # type: ignore[union-attr]
        if start >= end:
            return "", end
        if self._text[start] == "{":
            close = self._structure.braces[start]
            return self._render(start + 1, close), close + 1
        if self._text[start] == "\\":
            command = re.compile(r"\\(?:[a-zA-Z@]+|.)\s*", re.DOTALL).match(self._text, start, end)
            if command:
                return self._render(start, command.end()), command.end()
        return self._text[start], start + 1

    def _raw_argument(self, position: int, end: int) -> tuple[str, int]:
        """One brace group as it is written; nothing when none stands here."""
        start = _BLANK.match(self._text, position, end).end()  # type: ignore[union-attr]
        if start >= end or self._text[start] != "{":
            return "", position
        close = self._structure.braces[start]
        return self._text[start + 1 : close], close + 1

    def _skip_arguments(self, position: int, end: int, num: int) -> int:
        """Position after optional arguments and up to ``num`` brace groups."""
        position = self._skip_optional(position, end)
        for _ in range(num):
            start = _BLANK.match(self._text, position, end).end()  # type: ignore[union-attr]
            if start >= end or self._text[start] != "{":
                break
            position = self._skip_optional(self._structure.braces[start] + 1, end)
        return position

    def _skip_optional(self, position: int, end: int) -> int:
        while position < end and self._text[position] == "[" and (close := self._bracket_end(position, end)):
            position = close + 1
        return position

    def _bracket_end(self, position: int, end: int) -> int | None:
        """Position of the ``]`` that closes the ``[`` at ``position``; brace groups are jumped over."""
        at, limit = position + 1, min(end, position + 2000)
        while at < limit:
            character = self._text[at]
            if character == "]":
                return at
            if character == "{":
                at = self._structure.braces.get(at, end)
            elif character == "\\":
                at += 1
            elif character == "\n" and self._text[at : at + 2] == "\n\n":
                return None
            at += 1
        return None


HEADING = "\ue003"
"""Stands before a heading, with its level, until closing sections are gone."""
_CLOSING = re.compile(
    r"(acknowledge?ments?|references|bibliography|funding|author contributions?|data availability.*|conflicts? of interest.*|"
    r"competing interests|contents|list of (figures|tables)|index|disclosures?|supplementary materials?)\W*$",
    re.IGNORECASE,
)


def _without_closing_sections(blocks: Iterable[str]) -> list[str]:
    """Blocks without acknowledgements and lists of sources, and without headings nothing follows."""
    kept: list[str] = []
    waiting: list[tuple[int, str]] = []
    skipping: int | None = None
    for block in blocks:
        if not block.startswith(HEADING):
            if skipping is None:
                kept.extend(heading for _, heading in waiting)
                kept.append(block)
                waiting = []
            continue
        level, heading = int(block[1]), block[2:]
        if skipping is not None and level > skipping:
            continue
        skipping = level if _CLOSING.match(heading) else None
        waiting = [above for above in waiting if above[0] < level]
        if skipping is None:
            waiting.append((level, heading))
    return kept


_PLAIN = {"~": " ", "&": " ", "\n": "\n", "`": "‘", "'": "'", "-": "-"}
_NEEDS_NOUN = re.compile(
    r"(?:\b(?:in|by|of|from|see|with|to|following|as|and|e\.g\.|cf\.|Ref\.?|Refs\.?|also|like|per|using|via|on|at|than|both|for)"
    r"|[(,;]|^)[\s~]*$",
    re.IGNORECASE,
)


def _flat(text: str) -> str:
    return mend(" ".join(text.replace(BREAK, " ").split()))


def _block(text: str) -> str:
    """One paragraph: blanks folded, meant line breaks kept, holes mended."""
    lines = (mend(" ".join(line.split())) for line in text.split(BREAK))
    return "\n".join(line for line in lines if line and line != "-")


def _has_words(text: str) -> bool:
    return any(character.isalnum() or character == KEEP for character in text)
