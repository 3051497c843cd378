r"""Where every brace and every environment of a LaTeX source ends: one linear pass, before any rendering."""

import re
from dataclasses import dataclass, field

from rpt_core.corpus.files.streams import BrokenInput

_STRUCTURE = re.compile(r"\\(begin|end)\s*+\{([^{}\\]{1,60})\}|\\.|[{}]", re.DOTALL)


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
        brace = match[0]
        if brace == "{":
            braces.append(match.start())
        elif brace == "}":
            if not braces:
                raise BrokenInput(
                    "latex-unbalanced", f"a }} without its {{ in: {around(text, match.start())}"
                )
            found.braces[braces.pop()] = match.start()
        elif match[1] == "begin":
            open_environments.append((match[2].strip(), match.start(), match.end()))
        elif match[1] == "end":
            _close(found, open_environments, match)
    if braces:
        raise BrokenInput("latex-unbalanced", f"a {{ that never closes in: {around(text, braces[-1])}")
    for name, start, _ in open_environments:
        if name != "document":
            raise BrokenInput("latex-unbalanced", f"\\begin{{{name}}} never ends: {around(text, start)}")
    return found


def _close(found: Structure, waiting: list[tuple[str, int, int]], match: re.Match[str]) -> None:
    r"""Match an ``\end`` with the innermost ``\begin`` of its name; the ones left open inside it are void."""
    for depth in range(1, min(len(waiting), 8) + 1):
        name, start, content = waiting[-depth]
        if name == match[2].strip():
            if name == "document" and depth > 1:
                inner, begun, _ = waiting[-1]
                raise BrokenInput(
                    "latex-unbalanced", f"\\begin{{{inner}}} never ends: {around(match.string, begun)}"
                )
            found.environments[start] = (name, content, match.start(), match.end())
            del waiting[-depth:]
            return


def around(text: str, position: int) -> str:
    """The words round a position, for a reason's detail."""
    return " ".join(text[max(0, position - 40) : position + 80].split())
