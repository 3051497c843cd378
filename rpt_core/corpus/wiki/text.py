"""Wikitext to prose, in one linear pass.

mwparserfromhell takes quadratic time on what is opened and never closed (16 KB of ``{{a|`` need
seconds), its ``strip_code`` leaks captions, categories and citations, and a faithful tree is more
than prose needs. So mark-up is scanned once with a stack: a frame is rendered when it closes, and
what never closes falls back to its words. No input takes more than linear time.

Dropped: templates without a value, tables, files and their captions, categories, citations,
galleries, and closing sections (references, links). Kept: formulas as ``$..$``, code in fences,
lists as lines, headings as lines of their own.
"""

import html
import re
from dataclasses import dataclass, field

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.rows import preview
from rpt_core.corpus.text.pieces import KEEP, Pieces, fill_holes, without_marks
from rpt_core.corpus.wiki.calls import HOLE
from rpt_core.corpus.wiki.holes import without_holes
from rpt_core.corpus.wiki.inline import in_lines
from rpt_core.corpus.wiki.lines import to_paragraphs
from rpt_core.corpus.wiki.names import SiteNames
from rpt_core.corpus.wiki.templates import render

NESTING_MAX = 5000
"""Open frames at once; no page a person wrote comes near."""
MARKS_MAX = 500_000
"""Ends and beginnings of templates, links and tables and bars, of one page; long lists have 100,000."""
_BESIDE_CHARS = 120
"""How far a line is looked at, to tell whether a template stands in a sentence."""

_RAW_TAGS = (
    "nowiki|math|chem|ce|pre|syntaxhighlight|source|ref|references|gallery|timeline|score|hiero|imagemap|"
    "mapframe|maplink|graph|templatestyles|inputbox|categorytree|section|includeonly"
)
_TOKEN = re.compile(
    # One character class first: the engine then skips plain text at the speed of memory.
    r"[<{}\[\]|](?:(?<=<)(?P<comment>!--)"
    rf"|(?<=<)(?P<tag>(?i:{_RAW_TAGS}))(?=[\s>/])(?P<attributes>[^<>]{{0,2000}})>"
    r"|(?<=<)(?P<htmltable>(?i:table)\b)|(?<=<)(?P<unhtmltable>/(?i:table)\s*>)"
    r"|(?<=\{)(?P<open>\{+)|(?<=\})(?P<close>\}+)|(?<=\[)(?P<link>\[)|(?<=\])(?P<unlink>\])"
    r"|(?<=\{)(?P<table>\|)|(?<=\|)(?P<untable>\}(?!\}))|(?<=\|)(?P<bar>))"
)


@dataclass(slots=True)
class _Frame:
    """Something opened: where, and what it holds so far, split at the bars."""

    kind: str
    start: int = 0
    """Where it opened."""
    parts: list[list[str]] = field(default_factory=lambda: [[]])
    """Closed pieces of every argument."""

    def add(self, text: str) -> None:
        if text:
            self.parts[-1].append(text)

    def strings(self) -> list[str]:
        return ["".join(part) for part in self.parts]

    def strip_line(self) -> None:
        """Take the blanks at its end away."""
        held = self.parts[-1]
        while held and not held[-1].strip(" \t"):
            held.pop()
        if held:
            held[-1] = held[-1].rstrip(" \t")

    def line(self) -> str:
        """The end of what it holds of the line that is being written."""
        held: list[str] = []
        num = 0
        for piece in reversed(self.parts[-1]):
            before, end, rest = piece[-_BESIDE_CHARS:].rpartition("\n")
            held.append(rest if end else before + rest)
            num += len(held[-1])
            if end or num >= _BESIDE_CHARS or len(held) == _BESIDE_CHARS:
                break
        return "".join(reversed(held))


@dataclass(frozen=True, slots=True)
class Prose:
    """What a page reads as."""

    text: str
    lost: tuple[str, ...] = ()
    """Sentences left out, because a value in them is not in the page."""


def to_text(wikitext: str, site: SiteNames | None = None, lang: str = "en") -> str:
    """Prose of one page: paragraphs separated by empty lines.

    Raises:
        Broken: ``too-costly``, nested deeper than any real page, or of more marks.

    Example:
        >>> to_text("'''Ada''' was {{convert|5|ft}} tall.<ref>x</ref> [[File:a.jpg|thumb|b]]")
        'Ada was 5 feet tall.'
    """
    return to_prose(wikitext, site, lang).text


def to_prose(wikitext: str, site: SiteNames | None = None, lang: str = "en", title: str = "") -> Prose:
    """Prose of one page, and what of it was left out.

    Args:
        wikitext: The page.
        site: Namespaces of its wiki.
        lang: Language of its edition, which says how numbers and dates are written.
        title: What ``{{PAGENAME}}`` stands for.

    Raises:
        Broken: ``too-costly``, nested deeper than any real page, or of more marks.
    """
    scanner = _Scanner(without_marks(wikitext), site or SiteNames(), lang, title)
    text = in_lines(scanner.run())
    lost: list[str] = []
    if HOLE in text:
        text, lost = without_holes(text)
    restore = scanner.pieces.restore
    shown = (restore(fill_holes(sentence)) for sentence in lost)
    return Prose(restore(to_paragraphs(text)), tuple(sentence for sentence in shown if sentence))


class _Scanner:
    """One pass over the mark-up that nests; the rest is lines and characters."""

    def __init__(self, text: str, site: SiteNames, lang: str, title: str) -> None:
        self.text = text
        self.site = site
        self.lang = lang
        self.title = title
        self.stack = [_Frame("root")]
        self.braces: list[str] = []
        self.open = {"template": 0, "argument": 0, "link": 0, "table": 0, "htmltable": 0}
        self.pieces = Pieces()
        self.unclosed: set[str] = set()
        self.whole_lines_end = -1
        """Where the last comment ended of those that their line holds alone."""

    def run(self) -> str:
        position, text, stack = 0, self.text, self.stack
        num_marks = 0
        while match := _TOKEN.search(text, position):
            if (start := match.start()) > position:
                stack[-1].parts[-1].append(text[position:start])
            position = self._token(match)
            if len(stack) > NESTING_MAX:
                raise BrokenInput(
                    "too-costly", f"more than {NESTING_MAX} marks open at once: {preview(text)}"
                )
            num_marks += 1
            if num_marks > MARKS_MAX:
                raise BrokenInput("too-costly", f"more than {MARKS_MAX} templates and links: {preview(text)}")
        self.stack[-1].add(text[position:])
        while len(self.stack) > 1:
            self._give_up()
        return "".join(self.stack[0].strings())

    def _token(self, match: re.Match[str]) -> int:
        kind = match.lastgroup or ""
        if kind == "link":
            self._open(kind, 1, match.start())
            return match.end()
        if kind == "bar":
            return self._bar(match.end())
        if kind in ("table", "untable") and not self._starts_line(match.start()):
            # Elsewhere these are a brace and a bar.
            self.stack[-1].add("{" if kind == "table" else "")
            return match.start() + 1 if kind == "table" else self._bar(match.start() + 1)
        if kind == "comment":
            return self._comment(match)
        if kind == "attributes":
            return self._raw(match)
        if kind == "open":
            self._open_braces(len(match[0]), match.start())
        elif kind == "close":
            self._close_braces(len(match[0]), match.start())
        elif kind.startswith("un"):
            if not self._close(kind[2:], match.end()):
                self.stack[-1].add(match[0] if kind == "unlink" else "")
        else:
            self._open(kind, 1, match.start())
        return match.end()

    def _bar(self, after: int) -> int:
        """A bar between arguments, or (outside templates and links) just a bar."""
        frame = self.stack[-1]
        if frame.kind in ("template", "argument", "link"):
            frame.parts.append([])
        else:
            frame.add("|")
        return after

    def _starts_line(self, position: int, passed: str = " \t:") -> bool:
        """Whether only blanks and colons stand before a position on its line."""
        start = position
        while start and self.text[start - 1] in passed and position - start < 100:
            start -= 1
        return start == 0 or self.text[start - 1] == "\n"

    def _comment(self, match: re.Match[str]) -> int:
        """Position after a comment; a line that holds comments alone is none, so its end goes with them."""
        begin, end = match.start(), self._skip(match.end(), "-->")
        follows = self.whole_lines_end >= 0 and begin - self.whole_lines_end <= _BESIDE_CHARS
        goes_on = follows and not self.text[self.whole_lines_end : begin].strip(" \t")
        if goes_on or self._starts_line(begin, " \t"):
            self.whole_lines_end = end
            if after := _REST_OF_LINE.match(self.text, end):
                self.stack[-1].strip_line()
                return after.end()
        return end

    def _skip(self, start: int, end_mark: str) -> int:
        """Position after the next ``end_mark``; without one, everything is swallowed (as MediaWiki does)."""
        end = self.text.find(end_mark, start)
        return len(self.text) if end < 0 else end + len(end_mark)

    def _open(self, kind: str, times: int, start: int) -> None:
        for place in range(times):
            self.stack.append(_Frame(kind, start + 2 * place))
        self.open[kind] += times
        if kind in ("template", "argument"):
            self.braces += [kind] * times

    def _open_braces(self, num: int, start: int) -> None:
        """Two open a template, three an argument (of a template's own page, pasted into an article)."""
        if num in (3, 5):
            if num == 5:
                self._open("template", 1, start)
            self._open("argument", 1, start + num - 3)
            return
        self._open("template", num // 2, start)
        self.stack[-1].add("{" * (num % 2))

    def _close_braces(self, left: int, start: int) -> None:
        end = start + left
        while self.braces:
            need = 3 if self.braces[-1] == "argument" else 2
            if left == 2 and need == 3:
                self._reopen_as_template()
                need = 2
            if left < need or not self._close(self.braces[-1], end - left + need):
                break
            left -= need
        self.stack[-1].add("}" * left)

    def _reopen_as_template(self) -> None:
        """Three braces that two close are a brace and a template: ``{{{!}}`` begins a table."""
        while self.stack[-1].kind != "argument":
            self._give_up()
        frame = self._pop()
        self.stack[-1].add("{")
        self._open("template", 1, frame.start + 1)
        self.stack[-1].parts = frame.parts

    def _close(self, kind: str, end: int) -> bool:
        """Close the innermost frame of a kind; frames inside it that never closed give up their words."""
        if not self.open[kind]:
            return False
        while self.stack[-1].kind != kind:
            self._give_up()
        frame = self._pop()
        if kind == "argument":
            self.stack[-1].add("".join(frame.strings()[1:2]))
        elif kind == "template":
            self.stack[-1].add(self._safe(self._template(frame, end)))
        elif kind == "link":
            text = self._link(frame.strings())
            self.stack[-1].add(self._safe(text) if "=" in text else text)
        return True

    def _template(self, frame: _Frame, end: int) -> str:
        """The words a template stands for."""
        last = self.stack[-1].parts[-1]
        before = last[-1][-1] if last and last[-1] else ""
        parts = frame.strings()
        if parts[0].strip().upper() in _OWN_NAMES:
            return self.title
        return render(parts, self.lang, before, lambda: self._in_sentence(frame.start, end), self.pieces.keep)

    def _in_sentence(self, start: int, end: int) -> bool:
        """Whether a template stands among words of its line, and is no tag at the end of one.

        A tag (of doubt, of a source) touches the word before it; a value stands apart, but in scripts that
        put no blanks between words. At a line's beginning, what goes on in small letters or with a stop is
        a sentence; a box is followed by a new one.
        """
        before = self.stack[-1].line()
        after = self.text[end : end + _BESIDE_CHARS].partition("\n")[0]
        if any(map(str.isalnum, before)) or KEEP in before:
            touching = self.text[start - 1 : start]
            return not (_TAGGED.match(touching) and not _GOES_ON.match(after))
        return bool(_CARRIES_ON.match(after)) and "\n" not in self.text[start : min(end, start + 2000)]

    def _pop(self) -> _Frame:
        frame = self.stack.pop()
        self.open[frame.kind] -= 1
        if frame.kind in ("template", "argument"):
            self.braces.pop()
        return frame

    def _give_up(self) -> None:
        """The innermost frame never closes: a template or table is dropped mark-up, a link is its words."""
        frame = self._pop()
        if frame.kind in ("template", "argument"):
            # An unclosed box swallows what follows it up to the next empty line, not the whole page.
            held = "|".join(frame.strings())
            self.stack[-1].add(held.partition("\n\n")[2])
        elif frame.kind == "link":
            self.stack[-1].add("|".join(frame.strings()))
        else:
            self.stack[-1].add("".join(frame.strings()).partition("\n\n")[2])

    def _safe(self, text: str) -> str:
        """A rendered ``=`` must not be read as the name of an argument of the frame round it."""
        if text in ("|", "="):
            return self.pieces.keep(text)
        if "=" in text and self.stack[-1].kind in ("template", "argument"):
            return text.replace("=", self.pieces.keep("="))
        return text

    def _link(self, parts: list[str]) -> str:
        target, label = parts[0], parts[-1].strip() if len(parts) > 1 else ""
        kind = self.site.link_kind(target)
        if kind in ("file", "category"):
            return ""
        if kind == "other":
            return label
        if label:
            return label
        shown = target.strip().lstrip(":").partition("#")[0] or target.strip().lstrip("#")
        if kind == "shown":
            prefix, colon, rest = shown.partition(":")
            return rest if colon and (prefix.islower() or self.site.link_kind(shown) != "article") else shown
        if re.fullmatch(r"\w+:\S[^:]*", shown) and self._alone():
            return ""
        # A bar without a label ("[[Paris (Texas)|]]") asks for the target without its qualifier.
        return re.sub(r"\s*\([^()]*\)$", "", shown) if len(parts) > 1 else shown

    def _alone(self) -> bool:
        """Whether the link just closed begins its line: categories of editions whose word we do not know."""
        last = self.stack[-1].parts[-1]
        return not last or last[-1].endswith("\n")

    def _raw(self, match: re.Match[str]) -> int:
        """A tag whose content is not wikitext: keep it, drop it, or (never closed) ignore the tag."""
        tag = match["tag"].lower()
        if match["attributes"].endswith("/"):
            return match.end()
        if tag in self.unclosed:
            return match.end()
        closing = _CLOSING[tag].search(self.text, match.end())
        if not closing:
            # Remembered, so that a thousand unclosed tags do not each search to the end.
            self.unclosed.add(tag)
            return match.end()
        content = self.text[match.end() : closing.start()]
        if tag in ("math", "chem", "ce"):
            formula = " ".join(content.split())
            self.stack[-1].add(self.pieces.keep(f"${formula}$") if formula else "")
        elif tag == "nowiki":
            self.stack[-1].add(self.pieces.keep(html.unescape(content)))
        elif tag in ("pre", "syntaxhighlight", "source"):
            self._code(content)
        return closing.end()

    def _code(self, content: str) -> None:
        code = html.unescape(content).strip("\n").rstrip()
        if "\n" in code:
            self.stack[-1].add(f"\n\n{self.pieces.keep(f'```{chr(10)}{code}{chr(10)}```')}\n\n")
        else:
            self.stack[-1].add(self.pieces.keep(code))


_REST_OF_LINE = re.compile(r"[ \t]{0,100}\n")
_OWN_NAMES = frozenset(("PAGENAME", "FULLPAGENAME", "BASEPAGENAME", "SUBJECTPAGENAME", "ROOTPAGENAME"))
_CASELESS = "\u0590-\u08ff\u0900-\u0fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_TAGGED = re.compile(rf"[^\W{_CASELESS}]|[.,;:!?)\]»”’\"}}>]")
"""A character that a tag touches: a letter or digit of a script with blanks, a stop, a closing mark."""
_GOES_ON = re.compile(r"[^\W_]")
_CARRIES_ON = re.compile(rf"\s?[a-zà-öø-ÿа-яёα-ω{_CASELESS}]|\s?[,;:.)、。，；（(]|\s\d")

_CLOSING = {tag: re.compile(rf"</{tag}\s*>", re.IGNORECASE) for tag in _RAW_TAGS.split("|")}


def categories(wikitext: str, site: SiteNames | None = None) -> tuple[str, ...]:
    """Names of the categories a page puts itself in, in order.

    Example:
        >>> categories("[[Category:Greek heroes|Achilles]] [[Homer]]")
        ('Greek heroes',)
    """
    site = site or SiteNames()
    found = (
        match[1]
        for match in re.finditer(
            r"\[\[([^\[\]|{}\n]{1,300}:[^\[\]|{}\n]{1,300})(?:\|[^\[\]]{0,300})?\]\]", wikitext
        )
    )
    names = (target.partition(":")[2].strip() for target in found if site.link_kind(target) == "category")
    return tuple(dict.fromkeys(name for name in names if name))
