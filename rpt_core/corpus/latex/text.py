r"""Expanded LaTeX to prose.

Kept: paragraphs, headings, lists, theorems and proofs by name, formulas verbatim (``$..$`` in a line,
``$$..$$`` on its own), code in fences, numbers in the place of references. Dropped: figures, tables,
drawings, footnotes, bibliographies, what stands before the text. Braces and environments are matched
once, in linear time; what does not match is a reason, not an exception from deep inside.
"""

import re
from collections.abc import Callable, Mapping

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.arguments import Arguments
from rpt_core.corpus.latex.blocks import HEADING, block, flat, has_words, without_closing_sections
from rpt_core.corpus.latex.formulas import formula
from rpt_core.corpus.latex.lengths import (
    after_assignment,
    after_font,
    after_length,
    after_register,
    after_rule,
    code_point,
)
from rpt_core.corpus.latex.numbers import Citations, number_labels, reference
from rpt_core.corpus.latex.structure import around, match_structure
from rpt_core.corpus.latex.words import (
    ACCENTS,
    CITES,
    DECLARATIONS,
    DISPLAY,
    DROP_ARGS,
    DROPPED,
    ENVIRONMENT_ARGS,
    FIRST_OF_TWO,
    GLUES,
    LISTS,
    REFS,
    RESTATED,
    ROWS,
    SECOND_SHOWN,
    SECTIONS,
    SPACES,
    SYMBOLS,
    THANKS,
    THEOREMS,
    TOKEN_LISTS,
    accented,
)
from rpt_core.corpus.text.pieces import BREAK, Pieces

NESTING_MAX = 120
"""Commands within commands; Python's own stack ends later."""

_TOKEN = re.compile(
    r"[\\{}$~&#\n`'\-](?:(?<=\\)"
    r"(?:(?P<name>@*+[a-zA-Z][a-zA-Z@]*+)\*?[ \t]*+(?:\n(?![ \t]*+\n)[ \t]*+)?|(?P<sign>.))"
    r"|(?<=\n)(?P<par>[ \t]*\n\s*)|(?<=`)(?P<quote>`)|(?<=')(?P<unquote>')|(?<=-)(?P<dash>--?)"
    r"|(?<=\$)(?P<display>\$)?)?",
    re.DOTALL,
)
_MATH_END = re.compile(r"\\.|[{}$]|\n[ \t]*\n", re.DOTALL)
_CODES = re.compile(r"(?:\{[\w:.\-/*=]{1,40}\}){2,}(?=\s*\n)")
"""Arguments of an unknown command that are keys, not words: two or more on the rest of a line."""
_LABEL = re.compile(r"\\label\s*+\{([^{}]{1,200})\}")
_NO_XSPACE = frozenset(",.'/?;:!~-)}{")
_NO_XSPACE_WORD = re.compile(r"\\(?:[ /]|(?:footnote|footnotemark|xspace|space|bgroup|egroup)(?![a-zA-Z]))")
"""What the package xspace sets no blank before."""


class Renderer:
    """Renders one expanded source."""

    def __init__(self, text: str, pieces: Pieces, theorems: Mapping[str, str]) -> None:
        self._text = text
        self._pieces = pieces
        self._own_theorems = theorems
        self._theorems = {**THEOREMS, **theorems}
        self._structure = match_structure(text)
        self._numbers = number_labels(text, self._theorems)
        self._arguments = Arguments(text, self._structure.braces)
        self._citations = Citations()
        self._depth = 0

    def title(self) -> str:
        r"""The argument of ``\title``, or of the first heading; empty without one."""
        for command in (
            r"\\(?:title|rpttitle)\s*+(?:\[[^\]]{0,300}\])?\s*+(?=\{)",
            r"\\(?:chapter|section)\*?\s*+(?:\[[^\]]{0,300}\])?\s*+(?=\{)",
        ):
            match = re.search(command, self._text)
            if match:
                inside = self._render(match.end() + 1, self._structure.braces[match.end()])
                return flat(self._pieces.restore(inside))
        return ""

    def body(self) -> str:
        """Prose of the document: paragraphs separated by empty lines."""
        start, end = 0, len(self._text)
        begin = re.search(r"\\begin\s*\{document\}", self._text)
        if begin:
            start = begin.end()
            end = self._structure.environments.get(begin.start(), ("", 0, end, end))[2]
        rendered = self._render(start, end)
        blocks = (block(part) for part in re.split(r"\n[ \t]*\n\s*", rendered))
        kept = without_closing_sections(part for part in blocks if has_words(part))
        return self._pieces.restore("\n\n".join(kept))

    def _render(self, start: int, end: int) -> str:
        self._depth += 1
        if self._depth > NESTING_MAX:
            raise BrokenInput(
                "latex-unbalanced", f"commands nest deeper than {NESTING_MAX}: {around(self._text, start)}"
            )
        out: list[str] = []
        position = start
        while (match := _TOKEN.search(self._text, position, end)) is not None:
            out.append(self._text[position : match.start()])
            piece, position = self._token(match, end, out)
            out.append(piece)
        out.append(self._text[position:end])
        self._depth -= 1  # only on the way out: an error ends the whole source, so nobody counts on
        return "".join(out)

    def _token(self, match: re.Match[str], end: int, out: list[str]) -> tuple[str, int]:
        first, after = self._text[match.start()], match.end()
        if match["name"]:
            return self._command(match["name"], match, end, out)
        if match["sign"]:
            return self._sign(match["sign"], after, end)
        if first == "$":
            return self._math(match, end)
        # What is left stands for itself, or for the mark two of it make.
        made = _DOUBLED.get(match[0]) or ("\n\n" if match["par"] else _PLAIN.get(first, ""))
        return made, after

    def _sign(self, sign: str, after: int, end: int) -> tuple[str, int]:
        if sign in "([":
            closing = self._text.find("\\)" if sign == "(" else "\\]", after, end)
            if closing < 0:
                raise BrokenInput("latex-unbalanced", f"\\{sign} never closes: {around(self._text, after)}")
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
        raise BrokenInput("latex-unbalanced", f"a formula never closes: {around(self._text, match.start())}")

    def _formula(self, start: int, end: int, display: bool = False, wrap: str = "", before: str = "") -> str:
        content = formula(self._text[start:end], self._pieces)
        if not content:
            return ""
        if wrap:
            content = f"{before} \\begin{{{wrap}}} {content} \\end{{{wrap}}}".lstrip()
        if display:
            # Punctuation and the words round a display belong to one sentence; it keeps its own line.
            return f"{BREAK}{self._pieces.keep(f'$${content}$$')}{BREAK}"
        return self._pieces.keep(f"${content}$")

    def _command(self, name: str, match: re.Match[str], end: int, out: list[str]) -> tuple[str, int]:
        after = match.end()
        if name == "begin":
            return self._environment(match, end)
        if name in CITES:
            return self._citation(name, after, end, out)
        if handler := _HANDLERS.get(name):
            return handler(self, after, end)
        if name in REFS:
            keys, position = self._arguments.raw(self._arguments.skip_optional(after, end), end)
            return reference(name, keys, self._numbers), position
        if name in SECTIONS:
            heading, position = self._argument(self._arguments.skip_optional(after, end), end)
            return f"\n\n{HEADING}{SECTIONS[name]}{flat(heading)}\n\n", position
        return self._word(name, match, end, out)

    def _word(self, name: str, match: re.Match[str], end: int, out: list[str]) -> tuple[str, int]:
        """Words of the tables: commands to drop, to look through, accents, blanks, symbols."""
        after = match.end()
        if name in DROP_ARGS:
            return "", self._arguments.skip(after, end, DROP_ARGS[name])
        if name in SECOND_SHOWN:
            return self._argument(self._arguments.skip(after, end, SECOND_SHOWN[name]), end)
        if name in ACCENTS:
            letter, position = self._argument(after, end)
            return accented(name, letter), position
        shown = SPACES.get(name, SYMBOLS.get(name))
        if shown is not None:
            return shown, after
        return ("", after) if name in DECLARATIONS else self._unknown(match, end, out)

    def _unknown(self, match: re.Match[str], end: int, out: list[str]) -> tuple[str, int]:
        """A word that nobody knows shows nothing; the words before and after it are two."""
        after = match.end()
        if (assigned := after_assignment(self._text, match.end("name"), end)) is not None:
            return "", assigned
        apart = (
            self._text[after - 1].isspace() and self._text[after : after + 1].isalnum() and _ends_in_word(out)
        )
        after = self._arguments.skip_optional(after, end)
        codes = _CODES.match(self._text, after, end)
        return " " if apart else "", codes.end() if codes else after

    def _end(self, after: int, end: int) -> tuple[str, int]:
        closing = re.compile(r"\s*\{[^{}]*\}").match(self._text, after)
        return "", closing.end() if closing else after

    def _note(self, after: int, end: int) -> tuple[str, int]:
        """Footnotes and titles are not read where they stand."""
        return "", self._arguments.skip(after, end, 1)

    def _raised(self, after: int, end: int) -> tuple[str, int]:
        raised, position = self._argument(after, end)
        return raised if raised.isalpha() else f"^{raised}", position

    def _first_of_two(self, after: int, end: int) -> tuple[str, int]:
        shown, position = self._argument(after, end)
        return shown, self._arguments.skip(position, end, 1)

    def _address(self, after: int, end: int) -> tuple[str, int]:
        address, position = self._arguments.raw(after, end)
        return self._pieces.keep(address.replace("\\", "")), position

    def _in_formula(self, after: int, end: int) -> tuple[str, int]:
        group = self._arguments.group(after, end)
        return (self._formula(group[0] + 1, group[1]), group[1] + 1) if group else ("", after)

    def _thanks(self, after: int, end: int) -> tuple[str, int]:
        """Acknowledgements without an environment: a closing section from here."""
        return f"\n\n{HEADING}1Acknowledgments\n\n", after

    def _glue(self, after: int, end: int) -> tuple[str, int]:
        return " ", after_length(self._text, after, end)

    def _rule(self, after: int, end: int) -> tuple[str, int]:
        return " ", after_rule(self._text, after, end)

    def _font(self, after: int, end: int) -> tuple[str, int]:
        return "", after_font(self._text, after, end)

    def _register(self, after: int, end: int) -> tuple[str, int]:
        return "", after_register(self._text, after, end)

    def _code_point(self, after: int, end: int) -> tuple[str, int]:
        return code_point(self._text, after, end)

    def _token_list(self, after: int, end: int) -> tuple[str, int]:
        equals = re.compile(r"\s*+=").match(self._text, after, end)
        return "", self._arguments.skip(equals.end() if equals else after, end, 1)

    def _fraction(self, after: int, end: int) -> tuple[str, int]:
        """A fraction of nicefrac or xfrac: on one line."""
        above, position = self._argument(self._arguments.skip_optional(after, end), end)
        below, position = self._argument(position, end)
        return f"{above}/{below}", position

    def _xspace(self, after: int, end: int) -> tuple[str, int]:
        following = self._text[after : after + 1] if after < end else "}"
        if not following or following.isspace() or following in _NO_XSPACE:
            return "", after
        return "" if following == "\\" and _NO_XSPACE_WORD.match(self._text, after) else " ", after

    def _one_dot(self, after: int, end: int) -> tuple[str, int]:
        """The point of an abbreviation (CVPR's styles), unless one follows."""
        blank, _ = self._xspace(after, end)
        return ("" if self._text[after : after + 1] == "." else ".") + blank, after

    def _environment(self, match: re.Match[str], end: int) -> tuple[str, int]:
        found = self._structure.environments.get(match.start())
        if found is None:
            closing = re.compile(r"\s*\{[^{}]*\}").match(self._text, match.end())
            return "", closing.end() if closing else match.end()
        name, start, content_end, after = found
        return self._content(name, start, content_end), after

    def _content(self, name: str, start: int, end: int) -> str:
        """What an environment shows, by its kind."""
        title = self._own_theorems.get(name)
        if name in DROPPED and not title:
            return ""
        if name in DISPLAY:
            return self._display(name, start, end)
        if name.rstrip("*") in RESTATED:
            return self._restated(start, end)
        title = title or self._theorems.get(name) or self._theorems.get(name.rstrip("*"))
        if title:
            return self._theorem(title, start, end)
        start = self._arguments.skip(start, end, ENVIRONMENT_ARGS.get(name, 0))
        inside = self._render(start, end)
        return f"{BREAK}{inside.strip()}{BREAK}" if name in LISTS else f"\n\n{inside}\n\n"

    def _display(self, name: str, start: int, end: int) -> str:
        if name == "empheq":
            # The option is a box round it; the argument names the display.
            named, start = self._arguments.raw(self._arguments.skip_optional(start, end), end)
            name = named.partition("=")[0].strip()
            return self._formula(start, end, display=True, wrap="aligned" if name in ROWS else "")
        if name.endswith("numcases"):
            left, start = self._arguments.raw(start, end)
            return self._formula(start, end, display=True, wrap="cases", before=left)
        start = self._arguments.skip(start, end, ENVIRONMENT_ARGS.get(name, 0))
        inner = self._text[start:end]
        wrap = "aligned" if name in ROWS and ("\\\\" in inner or "&" in inner) else ""
        return self._formula(start, end, display=name != "math", wrap=wrap)

    def _restated(self, start: int, end: int) -> str:
        r"""``\begin{restatable}[Note]{theorem}{name}``: a theorem that is said again elsewhere."""
        note = self._text[start : self._arguments.skip_optional(start, end)]
        name, position = self._arguments.raw(start + len(note), end)
        _, position = self._arguments.raw(position, end)
        title = self._theorems.get(name.strip(), name.strip().capitalize())
        return self._theorem(title, position, end, note.strip().removeprefix("[").removesuffix("]"))

    def _theorem(self, title: str, start: int, end: int, note: str = "") -> str:
        bracket = re.compile(r"\s*+\[").match(self._text, start)
        note = f" ({flat(note)})" if note else ""
        if bracket:
            inner_end = self._arguments.bracket_end(bracket.end() - 1, end)
            if inner_end:
                note, start = f" ({flat(self._render(bracket.end(), inner_end))})", inner_end + 1
        name = flat(re.sub(r"\\[a-zA-Z]+\s*|[{}]", "", title))
        label = _LABEL.search(self._text, start, end)
        if label and (numbered := self._numbers.get(label[1].strip())) and numbered[0] == name:
            # Only what the text can refer to gets its number: elsewhere it would be noise.
            name = f"{name} {numbered[1]}"
        return f"\n\n{name}{note}. {self._render(start, end).lstrip()}\n\n"

    def _item(self, position: int, end: int) -> tuple[str, int]:
        """A line of a list, with its label where it has one."""
        bracket = re.compile(r"\s*\[").match(self._text, position, end)
        inner_end = self._arguments.bracket_end(bracket.end() - 1, end) if bracket else None
        if bracket is None or inner_end is None:
            return f"{BREAK}- ", position
        label = flat(self._render(bracket.end(), inner_end))
        return f"{BREAK}- {label} " if has_words(label) else f"{BREAK}- ", inner_end + 1

    def _citation(self, name: str, after: int, end: int, out: list[str]) -> tuple[str, int]:
        position = self._arguments.skip_optional(self._arguments.skip_optional(after, end), end)
        keys, position = self._arguments.raw(position, end)
        before = "".join(out[-12:])[-30:]
        return self._citations.shown(name, keys, before, self._text[position : position + 1]), position

    def _argument(self, position: int, end: int) -> tuple[str, int]:
        """One argument, rendered: a group, one command, or one character."""
        start = self._arguments.start(position, end)
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


def _ends_in_word(out: list[str]) -> bool:
    """Whether the text so far ends in a word or in the mark after one."""
    last = next((piece for piece in reversed(out[-4:]) if piece), "")
    return bool(last) and (last[-1].isalnum() or last[-1] in ".,;:!?)]’”")


_DOUBLED = {"``": "“", "''": "”", "--": "–", "---": "—"}
_PLAIN = {"~": " ", "&": " ", "\n": "\n", "`": "‘", "'": "'", "-": "-"}

_HANDLERS: dict[str, Callable[[Renderer, int, int], tuple[str, int]]] = {
    "end": Renderer._end,
    "item": Renderer._item,
    "footnote": Renderer._note,
    "title": Renderer._note,
    "subtitle": Renderer._note,
    "textsuperscript": Renderer._raised,
    "url": Renderer._address,
    "path": Renderer._address,
    "ensuremath": Renderer._in_formula,
    "xspace": Renderer._xspace,
    "onedot": Renderer._one_dot,
    "font": Renderer._font,
    "char": Renderer._code_point,
    "rpttitle": Renderer._note,
    **dict.fromkeys(("nicefrac", "sfrac", "slantfrac"), Renderer._fraction),
    **dict.fromkeys(("count", "dimen", "skip", "advance", "multiply", "divide"), Renderer._register),
    **dict.fromkeys(("hrule", "vrule", "hbox", "vbox", "vtop"), Renderer._rule),
    **dict.fromkeys(TOKEN_LISTS, Renderer._token_list),
    **dict.fromkeys(THANKS, Renderer._thanks),
    **dict.fromkeys(GLUES, Renderer._glue),
    **dict.fromkeys(FIRST_OF_TWO, Renderer._first_of_two),
}
