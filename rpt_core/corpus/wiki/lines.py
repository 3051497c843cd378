"""The lines of a page: headings, lists and paragraphs; closing sections fall away."""

import re

from rpt_core.corpus.text.pieces import KEEP, fill_holes
from rpt_core.corpus.wiki.names import CLOSING_SECTIONS

_LEVEL_MAX = 6
_LIST = re.compile(r"^[*#:;]+\s*")


def to_paragraphs(text: str) -> str:
    """Headings, lists and paragraphs; closing sections and headings without prose fall away."""
    blocks: list[str] = []
    pending: list[tuple[int, str]] = []
    skip_level = 0
    in_list = False
    before = ""
    """What the line before was, if this one may go on with it: ``line`` of a paragraph, ``verbatim``."""
    for raw in text.split("\n"):
        heading = _heading(raw)
        if heading:
            _drop_dangling(blocks)
            level, name = heading[0], fill_holes(heading[1])
            if skip_level and level > skip_level:
                continue
            skip_level = level if name.lower().rstrip(":") in CLOSING_SECTIONS else 0
            pending = [above for above in pending if above[0] < level]
            if not skip_level and name:
                pending.append((level, name))
            in_list, before = False, ""
            continue
        if skip_level:
            continue
        line = fill_holes(raw)
        mark = _LIST.match(line)
        body = line[mark.end() :].strip() if mark else line
        if not _has_prose(body):
            in_list, before = in_list and bool(body), ""
            continue
        blocks.extend(name for _, name in pending)
        pending = []
        item = mark is not None and line[0] in "*#"
        shown = f"- {body}" if item else body
        kind = "" if mark else "verbatim" if raw.startswith(" ") else "line"
        if item and in_list:
            blocks[-1] += f"\n{shown}"
        elif kind and kind == before:
            # One line feed ends no paragraph; lines that begin with a blank are shown as they stand.
            blocks[-1] += f" {shown}" if kind == "line" else f"\n{shown}"
        else:
            blocks.append(shown)
        in_list, before = item, kind
    _drop_dangling(blocks)
    return "\n\n".join(blocks)


def _heading(line: str) -> tuple[int, str] | None:
    """Level and name of a line that is a heading.

    Example:
        >>> _heading("== Works == "), _heading("=== a=b =="), _heading("= no heading")
        ((2, 'Works'), (3, 'a=b'), None)
    """
    line = line.rstrip()
    if not (line.startswith("=") and line.endswith("=") and line.strip("=")):
        return None
    before, after = (min(len(line) - len(rest), _LEVEL_MAX) for rest in (line.lstrip("="), line.rstrip("=")))
    return before, line[before : len(line) - after].strip()


def _drop_dangling(blocks: list[str]) -> None:
    """A section's last line that announces a table or gallery which is not there any more."""
    if blocks and blocks[-1].endswith((":", "：")) and "\n" not in blocks[-1]:
        blocks.pop()


def _has_prose(line: str) -> bool:
    """Whether a line holds a letter, a digit or a kept piece."""
    return any(character.isalnum() or character == KEEP for character in line)
