r"""Numbers for ``\ref`` and ``\cite``: sections, equations, theorems and sources counted as LaTeX would.

"Section~\ref{sec:fit}" without its number is a hole in the sentence. Counting in order of appearance
gives the printed number in nearly all papers; where a class counts otherwise it still reads as one.
"""

import re
from collections.abc import Mapping

from rpt_core.corpus.latex.words import DISPLAY, SECTIONS

_EVENT = re.compile(
    r"\\(?P<section>part|chapter|section|subsection|subsubsection|paragraph)(?P<star>\*?)\s*+[\[{]"
    r"|\\(?P<side>begin|end)\s*+\{(?P<name>[^{}\\]{1,60})\}"
    r"|\\label\s*+\{(?P<label>[^{}]{1,200})\}|\\(?P<appendix>appendix)\b|\\(?P<item>item)\b"
)
_FLOATS = {
    "figure": "Figure",
    "table": "Table",
    "deluxetable": "Table",
    "longtable": "Table",
    "algorithm": "Algorithm",
}

_TEXTUAL = frozenset(
    {"citet", "textcite", "citealt", "citeauthor", "citetalias", "shortcite", "citen", "cites"}
)
"""Citations that are a noun of their sentence."""
_NEEDS_NOUN = re.compile(
    r"(?:\b(?:in|by|of|from|see|with|to|following|as|and|e\.g\.|cf\.|Ref\.?|Refs\.?|also|like|per|using|via|on|at|than|both|for)"
    r"|[(,;]|^)[\s~]*$",
    re.IGNORECASE,
)
"""Words after which a citation is the noun of its sentence."""


def number_labels(text: str, theorems: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    r"""For every label: the kind of thing it names and its number.

    Example:
        >>> number_labels(r"\section{A}\section{B}\label{b}\begin{equation}\label{e}\end{equation}", {})
        {'b': ('Section', '2'), 'e': ('Equation', '1')}
    """
    counter = _Counter(theorems)
    for match in _EVENT.finditer(text):
        counter.event(match)
    return counter.labels


def reference(name: str, keys: str, labels: Mapping[str, tuple[str, str]]) -> str:
    """What a reference shows: numbers, after the kind of thing where the command says it; empty for no label.

    Args:
        name: The command, such as ``eqref`` or ``Cref``.
        keys: Labels with commas between.
        labels: Kind and number by label, of :func:`number_labels`.

    Example:
        >>> reference("cref", "a, b", {"a": ("Section", "2"), "b": ("Section", "3")})
        'section 2, 3'
    """
    found = [labels[key.strip()] for key in keys.split(",") if key.strip() in labels]
    if not found:
        return ""
    numbers = ", ".join(number for _, number in found)
    if name in ("cref", "autoref", "fref", "vref", "Cref", "Fref"):
        kind = found[0][0]
        return f"{kind if name[0].isupper() or name == 'autoref' else kind.lower()} {numbers}"
    return f"({numbers})" if name == "eqref" else numbers


class Citations:
    """Numbers sources in the order in which a text first cites them."""

    def __init__(self) -> None:
        """Nothing is cited yet."""
        self._numbers: dict[str, int] = {}

    def shown(self, name: str, keys: str, before: str, following: str) -> str:
        """A number where the sentence needs a noun ("as shown by [3]"), nothing where it does not.

        Args:
            name: The command, such as ``citet``.
            keys: Names of sources with commas between.
            before: The end of the text before it.
            following: The character after it.
        """
        numbers = [self._numbers.setdefault(key.strip(), len(self._numbers) + 1) for key in keys.split(",")]
        if before.rstrip().endswith("(") and following == ")":
            return ""
        needed = _NEEDS_NOUN.search(before) or not before.strip() or before.endswith("\n")
        return f"[{', '.join(map(str, numbers))}]" if needed or name.lower() in _TEXTUAL else ""


class _Counter:
    def __init__(self, theorems: Mapping[str, str]) -> None:
        self.labels: dict[str, tuple[str, str]] = {}
        self._theorems = theorems
        self._sections = [0] * 6
        self._counts: dict[str, int] = {}
        self._current = ("Section", "1")
        self._open: list[tuple[str, tuple[str, str]]] = []
        self._in_rows = False
        self._appendix = False
        self._items: list[int] = []

    def event(self, match: re.Match[str]) -> None:
        if match["section"] and not match["star"]:
            self._section(SECTIONS[match["section"]])
        elif match["appendix"]:
            self._appendix, self._sections = True, [0] * 6
        elif match["side"] == "begin":
            self._begin(match["name"].strip())
        elif match["side"] == "end":
            self._end(match["name"].strip())
        elif match["item"] and self._items:
            self._items[-1] += 1
            self._current = ("Item", str(self._items[-1]))
        elif match["label"]:
            self._label(match["label"].strip())

    def _section(self, level: int) -> None:
        self._sections[level] += 1
        self._sections[level + 1 :] = [0] * (5 - level)
        numbers = [str(count) for count in self._sections[: level + 1]]
        shown = [number for number in numbers if number != "0"] or ["1"]
        if self._appendix and 1 <= int(shown[0]) <= 26:
            shown[0] = chr(ord("A") + int(shown[0]) - 1)
        kind = "Appendix" if self._appendix else "Chapter" if level == 0 else "Section"
        self._current = (kind, ".".join(shown))

    def _step(self, kind: str) -> tuple[str, str]:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return kind, str(self._counts[kind])

    def _begin(self, name: str) -> None:
        self._open.append((name, self._current))
        plain = name.rstrip("*")
        if name in DISPLAY and not name.endswith("*"):
            self._current, self._in_rows = self._step("Equation"), False
        elif plain in _FLOATS:
            self._current = self._step(_FLOATS[plain])
        elif name in self._theorems:
            self._current = self._step(re.sub(r"\\[a-zA-Z]+\s*|[{}]", "", self._theorems[name]) or "Theorem")
        elif plain == "enumerate":
            self._items.append(0)

    def _end(self, name: str) -> None:
        if name.rstrip("*") == "enumerate" and self._items:
            self._items.pop()
        if self._open and self._open[-1][0] == name:
            _, before = self._open.pop()
            if before[0] in ("Section", "Appendix", "Chapter"):
                # A label after a float or equation names the section again.
                self._current = before

    def _label(self, label: str) -> None:
        in_equation = bool(self._open) and self._open[-1][0] in DISPLAY
        if in_equation and self._in_rows:
            self._current = self._step("Equation")
        self._in_rows = in_equation
        self.labels.setdefault(label, self._current)
