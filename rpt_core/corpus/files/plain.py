"""Plain text and Markdown: one document a file, with the packing taken off."""

import re
from collections.abc import Iterator

from rpt_core.corpus.files.parts import How
from rpt_core.corpus.files.sources import Head, Source
from rpt_core.corpus.files.streams import BrokenInput, decode, open_chunks, read_limited
from rpt_core.corpus.origins import Origin, Profile
from rpt_core.corpus.rows import Document, Dropped, Row, preview

TEXT = Origin("text", priority=30, profile=Profile(ended_share_min=0.08))
FILE_BYTES_MAX = 256 << 20

_GUTENBERG_START = re.compile(r"^.*\*\*\* ?START OF TH(E|IS) PROJECT GUTENBERG.*$", re.M | re.I)
_GUTENBERG_END = re.compile(
    r"^.*(\*\*\* ?END OF TH(E|IS) PROJECT GUTENBERG|^End of (the )?Project Gutenberg).*$", re.M | re.I
)
_GUTENBERG_TITLE = re.compile(r"^Title:[ \t]*(.+)$", re.M)
_WIKITEXT_TITLE = re.compile(r"^ = ([^=\n]+) = *$", re.M)
_WIKITEXT_JOINTS = ((" @-@ ", "-"), (" @,@ ", ","), (" @.@ ", "."))
_MARKDOWN_TITLE = re.compile(r"^#[^\S\n]++(\S.*)$", re.M)
FRONT_CHARS_MAX = 1 << 16
"""Within which front matter ends."""
_FRONT_BEGIN = re.compile(r"\ufeff?(---|\+\+\+)[ \t]{0,20}\n")
_YAML_END = re.compile(r"^(?:---|\.\.\.)[ \t]{0,20}(?:\n|\Z)", re.M)
_TOML_END = re.compile(r"^\+\+\+[ \t]{0,20}(?:\n|\Z)", re.M)
_FIELD = re.compile(r"""["']?[\w.-]{1,60}["']?[ \t]{0,20}(?::(?=\s|$)|=)|#|\[{1,2}[\w.-]{1,60}\]""")
_FRONT_TITLE = re.compile(
    r"""^["']?title["']?[ \t]{0,20}[:=][ \t]{0,20}(?:"([^"\n]{1,300})"|'([^'\n]{1,300})'|"""
    r"""([^\s"'\n|>&*!%@`][^\n]{0,300}))""",
    re.M | re.I,
)
_WRAPPED_LINE_MIN = 60
"""A page set narrower than this is verse or a list; its line ends are meant."""


def is_text(head: Head) -> bool:
    """By suffix; without one, what is no TeX."""
    return head.is_named(".txt", ".text") or (head.is_named("") and not head.holds_tex)


def read_text(source: Source, how: How) -> Iterator[Row]:
    """The documents of one text file."""
    max_chars = how.max_chars
    try:
        text = decode(read_limited(open_chunks(source.path), min(FILE_BYTES_MAX, 4 * max_chars + 4096)))
    except BrokenInput as broken:
        reason = "gigantic" if broken.reason == "archive-bomb" else broken.reason
        yield Dropped(TEXT.name, source.name, reason, source.name, preview=preview(broken.detail))
        return
    for native_id, title, part in split_text(text.replace("\r\n", "\n").replace("\r", "\n"), source):
        if not part.strip():
            yield Dropped(TEXT.name, source.name, "no-prose", native_id, title)
        elif len(part) > max_chars:
            yield Dropped(TEXT.name, source.name, "gigantic", native_id, title, preview(part))
        else:
            yield Document(TEXT.name, native_id, "", title, part, source.name)


def split_text(text: str, source: Source) -> Iterator[tuple[str, str, str]]:
    """Native id, title and text of every document of a file."""
    heads = list(_WIKITEXT_TITLE.finditer(text))
    if len(heads) > 1:
        yield from _wikitext_articles(text, heads, source)
        return
    title = source.stem.replace("_", " ").replace("-", " ")
    front, text = front_matter(text) if source.form == "markdown" else ("", text)
    if front and (named := _FRONT_TITLE.search(front)):
        title = (named[1] or named[2] or named[3]).strip()
    elif source.form == "markdown" and (found := _MARKDOWN_TITLE.search(text)):
        title = _unclosed(found[1].rstrip())
    start, end = _GUTENBERG_START.search(text), _GUTENBERG_END.search(text)
    if start:
        if named := _GUTENBERG_TITLE.search(text, 0, start.start()):
            title = named[1].strip()
        text = text[start.end() : end.start() if end and end.start() > start.end() else len(text)]
    yield source.name, title, unwrap(text).strip()


def front_matter(text: str) -> tuple[str, str]:
    r"""What a page says of itself before it begins, and the page: YAML between ``---``, TOML between ``+++``.

    A rule at the top of a page is none: every line must be a field, the rest of one, or a remark.

    Example:
        >>> front_matter("---\ntitle: My Note\ntags: [a]\n---\n# Head\n")
        ('title: My Note\ntags: [a]\n', '# Head\n')
        >>> front_matter("---\nNo field stands here.\n---\nText.\n")[0]
        ''
    """
    begin = _FRONT_BEGIN.match(text)
    if not begin:
        return "", text
    end = (_YAML_END if begin[1] == "---" else _TOML_END).search(text, begin.end(), FRONT_CHARS_MAX)
    if not end:
        return "", text
    front = text[begin.end() : end.start()]
    lines = [line for line in front.split("\n") if line.strip()]
    if (
        not lines
        or not _FIELD.match(lines[0])
        or not all(_FIELD.match(line) or line[0] in " \t-#]}" for line in lines)
    ):
        return "", text
    return front, text[end.end() :]


def _wikitext_articles(
    text: str, heads: list[re.Match[str]], source: Source
) -> Iterator[tuple[str, str, str]]:
    """The articles of a WikiText file: ``= Title =`` on a line of its own, words set apart by blanks."""
    ends = [head.start() for head in heads[1:]] + [len(text)]
    for number, (head, end) in enumerate(zip(heads, ends, strict=True)):
        part = text[head.end() : end]
        for mark, joint in _WIKITEXT_JOINTS:
            part = part.replace(mark, joint)
        part = re.sub(r" ([,.;:!?)\]%])", r"\1", re.sub(r"([(\[$£€]) ", r"\1", part))
        part = re.sub(r"(\w) (['’](?:s|re|ve|ll|d|m|t)\b)", r"\1\2", part)
        part = "\n\n".join(_unmarked(line) for line in part.split("\n") if line.strip())
        yield f"{source.name}#{number}", head[1].strip(), part


def _unclosed(heading: str) -> str:
    """A Markdown heading without the number signs that close it; those of ``C#`` are its own."""
    bare = heading.rstrip("#")
    return bare.rstrip() if bare[-1:].isspace() else heading


def _unmarked(line: str) -> str:
    """A line; a heading (`` = = Works = = ``) without its marks."""
    line, is_heading = line.strip(), line.startswith(" = ") and line.rstrip().endswith(" =")
    return line.strip(" =") or line if is_heading else line


def unwrap(text: str) -> str:
    r"""Join the lines of paragraphs that were broken at a fixed width; leave verse and lists alone.

    Example:
        >>> unwrap("\n".join(["word " * 13 + "end"] * 3)).count("\n")
        0
    """
    lengths = sorted(len(line) for line in text.split("\n") if line.strip())
    if not lengths:
        return text
    width = lengths[int(0.95 * (len(lengths) - 1))]
    if not _WRAPPED_LINE_MIN <= width <= 120:
        return text
    return "\n\n".join(
        _unwrap(paragraph, width) for paragraph in re.split(r"\n[ \t]*\n\s*?(?=\S|[ \t])", text)
    )


def _unwrap(paragraph: str, width: int) -> str:
    lines = [line.rstrip() for line in paragraph.strip("\n").split("\n")]
    if len(lines) < 2 or any(len(line) < 0.6 * width or line.startswith((" ", "\t")) for line in lines[:-1]):
        return "\n".join(lines)
    if len(set(lines)) <= len(lines) // 2 and all(line.endswith((".", "!", "?")) for line in lines):
        # Whole sentences that come again are no wrapped prose; a filter counts them as they stand.
        return "\n".join(lines)
    return " ".join(line.strip() for line in lines)
