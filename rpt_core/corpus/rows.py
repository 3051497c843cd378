"""What readers yield: documents, problems, supervised traces, and what they could not read.

A row's identity comes from what it is (source, native id, revision, content), never from where it
lay or when it was read; so another file layout gives the same ids.
"""

import re
from dataclasses import dataclass, replace

from rpt_core.artifacts.digest import stable_id
from rpt_core.corpus.reasons import known

PREVIEW_CHARS = 200


@dataclass(frozen=True, slots=True)
class Document:
    """One text: an article, a paper, a book."""

    source: str
    """Name of its origin (:mod:`rpt_core.corpus.origins`), or of the problem set it is made of."""
    native_id: str
    revision: str
    title: str
    text: str
    origin: str
    """File name below the data folder."""
    categories: tuple[str, ...] = ()
    license: str = ""

    @property
    def doc_id(self) -> str:
        """Independent of the file it lay in."""
        return stable_id(self.source, self.native_id, self.revision)


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """One question with a checkable answer."""

    source: str
    """Name of its set."""
    problem: str
    answer: str
    origin: str
    solution: str = ""
    difficulty: float | None = None
    domain: str = ""
    benchmark: str = ""
    """Name of the benchmark it belongs to; such a problem is never trained on. Empty for own sets."""
    noted: str = ""
    """The solution as its source has it, where that holds calculator notes
    (:mod:`rpt_core.corpus.files.calculator`)."""

    @property
    def problem_id(self) -> str:
        """By content: the same item in two files of one set is one item."""
        return stable_id(self.source, self.problem, self.answer)


@dataclass(frozen=True, slots=True)
class Trace:
    """In the document ``title``, after the text that ends in ``before``, ``thought`` leads to ``answer``."""

    title: str
    before: str
    thought: str
    answer: str
    kind: str
    origin: str
    boxed: str = ""
    """What the thought concludes, where that is not the answer."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file, page or row that was not kept, and why."""

    source: str
    origin: str
    reason: str
    native_id: str = ""
    title: str = ""
    preview: str = ""
    step: str = "ingest"

    def __post_init__(self) -> None:
        known(self.reason)
        for name in ("native_id", "title", "preview"):
            object.__setattr__(self, name, printable(getattr(self, name)))


Row = Document | SourceProblem | Trace | Dropped


_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
"""What would move a terminal's cursor, or worse."""


def printable(text: str) -> str:
    r"""The text with every control character shown as a replacement mark.

    Example:
        >>> printable("a\x1b[2J") == "a\ufffd[2J"
        True
    """
    return _CONTROLS.sub("\ufffd", text)


def preview(text: str) -> str:
    r"""The first characters of a text on one line, for a reader of dropped rows; controls made visible.

    Example:
        >>> preview("two\nlines")
        'two lines'
    """
    return printable(" ".join(text[: 2 * PREVIEW_CHARS].split()))[:PREVIEW_CHARS]


def encodable(row: Row) -> Row:
    """The row, or a dropped one when its text holds half of a surrogate pair, which UTF-8 cannot."""
    if all(value.isascii() or _is_unicode(value) for value in _texts(row)):
        return row
    if isinstance(row, Dropped):
        native_id, title, text = map(_printed, (row.native_id, row.title, row.preview))
        return replace(row, native_id=native_id, title=title, preview=text)
    said = "a lone surrogate, such as \\ud800, stands in its text"
    match row:
        case Document():
            return Dropped(
                row.source, row.origin, "not-utf-8", _printed(row.native_id), _printed(row.title), said
            )
        case SourceProblem():
            text = _printed(preview(row.problem))
            return Dropped(row.source, row.origin, "not-utf-8", preview=f"{said}: {text}")
    return Dropped("traces", row.origin, "not-utf-8", title=_printed(row.title), preview=said)


def _printed(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def num_chars(row: Row) -> int:
    """Code points of its texts."""
    return sum(map(len, _texts(row)))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(row: Row) -> tuple[str, ...]:
    match row:
        case Document():
            return (row.title, row.text, row.native_id)
        case SourceProblem():
            return (row.problem, row.answer, row.solution, row.domain)
        case Trace():
            return (row.title, row.before, row.thought, row.answer, row.kind, row.boxed)
    return (row.title, row.preview, row.native_id)
