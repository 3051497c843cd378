r"""Which file of a LaTeX tree is the paper, and the text of each file it inputs.

Files are keys of a dict, so an ``\input`` can reach nothing outside its archive.
"""

import json
import posixpath
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.corpus.latex.encodings import declared_encoding, decode_tex
from rpt_core.corpus.latex.literal import Literals, find_literals, without_literals
from rpt_core.corpus.text.pieces import Pieces, without_marks

TEX_SUFFIXES = (".tex", ".ltx", ".latex")
WANTED = (*TEX_SUFFIXES, ".sty", "00readme.xxx", "00readme.json", ".bbl")
INPUT_DEPTH_MAX = 16
FLAT_CHARS_MAX = 10_000_000
"""A paper's whole source; the longest books have a tenth."""
TREE_CHARS_MAX = 15_000_000
"""Read for all documents of one tree together, files that several of them input as often as they are."""
MARKS_MAX = 1_200_000
"""Backslashes, dollar signs and braces of one document, each of microseconds; long books have a third."""

_MAIN = re.compile(r"\\document(?:class|style)\b")
_MAIN_BYTES = re.compile(rb"\\document(?:class|style)\b")
_LATEX_BYTES = re.compile(
    rb"\\(?:document(?:class|style)|usepackage|(?:re)?newcommand|(?:sub)*section|chapter|label|ref|cite)(?![a-zA-Z])"
    rb"|\\begin\s*+\{"
)
"""What only LaTeX has: a tree without any of it is plain TeX."""
_BEGIN = re.compile(r"\\begin\s*\{document\}")
_NAMES = ("main", "ms", "paper", "article", "manuscript", "thesis", "book", "arxiv", "draft")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*+)%[^\n]*+(?:\n[ \t]*+(?!\n))?+")
_INPUT = re.compile(
    r"\\(?:input|include|subfile|subfileinclude)\s*+\{(?P<file>[^{}\\]{1,300})\}"
    r"|\\input\s++(?P<bare>[^\s{}\\%]{1,300})"
    r"|\\(?:sub)?import\*?\s*+\{(?P<folder>[^{}\\]{0,300})\}\s*+\{(?P<inner>[^{}\\]{1,300})\}"
    r"|\\(?:usepackage|RequirePackage)\s*+(?:\[[^\]]{0,500}\])?\s*+\{(?P<packages>[^{}\\]{1,500})\}"
)
_READ_ME_MAIN = re.compile(r"^[ \t]*+(\S{1,300})[ \t]++toplevelfile\b", re.MULTILINE)


def main_files(files: Mapping[str, bytes]) -> list[str]:
    """The main file, then further documents of the tree (a supplement); every root when none has a class.

    The main file has or reaches a document class (or at least begins a document) and is not input by
    another one. Of several (a book's page formats) the one nearest the top, with a telling name or
    else with most text, is taken.
    """
    texts = {name: _outline(data) for name, data in files.items() if name.lower().endswith(TEX_SUFFIXES)}
    for name, data in files.items():
        read_me = posixpath.basename(name).lower().startswith("00readme")
        if read_me and (named := _named_main(name, data)) in texts:
            return [named]
    stripped = {name: _COMMENT.sub(r"\1", text) for name, text in texts.items()}
    inputs = {name: set(_targets(stripped[name], name, texts)) for name in texts}
    included = {target for targets in inputs.values() for target in targets}
    roots = [name for name in texts if name not in included] or list(texts)
    reach = {name: _reach(name, inputs) for name in roots}
    for pattern in (_MAIN, _BEGIN):
        marked = {name for name in texts if pattern.search(stripped[name])}
        found = [name for name in roots if reach[name] & marked] or sorted(marked)
        if found:
            size = {name: sum(len(texts[file]) for file in reach.get(name, {name})) for name in found}
            best = min(found, key=lambda name: _rank(name, size[name]))
            return [best, *_others(best, found, marked, reach)]
    return sorted(roots)


def _outline(data: bytes) -> str:
    """A file's commands: what they name is ASCII in any encoding."""
    return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1", "replace")


def _named_main(name: str, data: bytes) -> str:
    """The file that arXiv's read-me (plain or JSON) calls the top one; empty without one."""
    if name.lower().endswith(".json"):
        try:
            sources = json.loads(data).get("sources", [])
        except (ValueError, AttributeError, RecursionError):
            # A read-me that is no JSON names nothing; the files themselves are looked at then.
            return ""
        return next(
            (
                str(item.get("filename", ""))
                for item in (sources if isinstance(sources, list) else [])
                if isinstance(item, dict) and item.get("usage") == "toplevel"
            ),
            "",
        )
    found = _READ_ME_MAIN.search(_outline(data))
    return found[1] if found else ""


def _others(best: str, found: list[str], marked: set[str], reach: Mapping[str, set[str]]) -> list[str]:
    """Further documents of the same tree: files with a class of their own, apart from the paper."""
    taken = reach.get(best, {best})
    return sorted(name for name in found if name in marked and not reach.get(name, {name}) & taken)


def _rank(name: str, num_chars: int) -> tuple[int, int, int, str]:
    stem = posixpath.splitext(posixpath.basename(name))[0].lower()
    telling = next((i for i, word in enumerate(_NAMES) if stem == word), len(_NAMES))
    # Of the page formats of a book, the one that reaches most text.
    return name.count("/"), telling, -num_chars, name


def _reach(name: str, inputs: Mapping[str, set[str]]) -> set[str]:
    """A file and all it inputs."""
    seen, waiting = {name}, [name]
    while waiting:
        new = inputs[waiting.pop()] - seen
        seen |= new
        waiting.extend(new)
    return seen


def _targets(text: str, name: str, texts: Mapping[str, str]) -> list[str]:
    return [found for match in _INPUT.finditer(text) for found in _resolve(match, name, texts)]


def _resolve(match: re.Match[str], name: str, files: Mapping[str, object]) -> list[str]:
    r"""Files of the tree that an ``\input`` or ``\usepackage`` names."""
    if match["packages"]:
        wanted = [f"{part.strip()}.sty" for part in match["packages"].split(",")]
    elif match["inner"]:
        wanted = [posixpath.join(match["folder"], match["inner"])]
    else:
        wanted = [match["file"] or match["bare"]]
    return [found for want in wanted if (found := resolve(want, name, files))]


def resolve(wanted: str, name: str, files: Mapping[str, object]) -> str | None:
    r"""The file of a tree that a name in the file ``name`` means, from the top or its own folder.

    Example:
        >>> resolve("parts/a", "main.tex", {"parts/a.tex": 1}), resolve("../../etc/passwd", "main.tex", {})
        ('parts/a.tex', None)
    """
    wanted = wanted.strip().strip('"').strip()
    for folder in dict.fromkeys(("", posixpath.dirname(name))):
        for suffix in ("",) if wanted.endswith(".sty") else ("", ".tex", ".ltx"):
            path = posixpath.normpath(posixpath.join(folder, wanted + suffix))
            if path in files:
                return path
    return None


@dataclass(frozen=True, slots=True)
class TreeFacts:
    """What the files of a tree declare for each other."""

    literals: Literals
    encoding: str | None
    """Codec of the first declaration, by name."""
    is_plain: bool
    """Whether nothing in it is LaTeX."""
    read: Counter[str] = field(default_factory=Counter)
    """Characters read of each file so far, for whichever document."""


def tree_facts(files: Mapping[str, bytes]) -> TreeFacts:
    """Read once for a tree, however many documents it holds."""
    sources = [
        files[name] for name in sorted(files, key=lambda name: (not _MAIN_BYTES.search(files[name]), name))
    ]
    return TreeFacts(
        find_literals(_outline(data) for data in sources),
        declared_encoding(sources),
        is_plain=not any(_LATEX_BYTES.search(data) for data in sources),
    )


class SourceTree:
    """The files of one LaTeX source, read as they are asked for: decoded, comments gone, literals aside."""

    def __init__(self, files: Mapping[str, bytes], main: str, facts: TreeFacts | None = None) -> None:
        self.pieces = Pieces()
        self.files = files
        self.main = main
        facts = facts or tree_facts(files)
        self.is_plain = facts.is_plain
        self.num_chars = 0
        """Of all files read so far, each as often as it was."""
        self._num_marks = 0
        self._read_of_tree = facts.read
        self._literals, self._pattern = facts.literals, facts.literals.pattern()
        self._encoding = declared_encoding([files[main]]) or facts.encoding

    def read(self, name: str) -> str:
        """The text of one file.

        Raises:
            Broken: ``latex-explosion``, ``too-much-work``, ``not-utf-8``.
        """
        text = without_marks(decode_tex(self.files[name], self._encoding))
        text = without_literals(text, self._literals, self._pattern, self.pieces)
        if name.endswith(".sty"):
            text = _definitions_only(text)
        self.num_chars += len(text)
        self._read_of_tree[name] += len(text)
        if (num_chars := self._read_of_tree.total()) > TREE_CHARS_MAX:
            raise BrokenInput(
                "too-much-work", f"{num_chars} characters read for the documents of one archive"
            )
        if self.num_chars > FLAT_CHARS_MAX:
            raise BrokenInput("latex-explosion", f"more than {FLAT_CHARS_MAX} characters after \\input")
        self._num_marks = check_work(text, self._num_marks)
        return text


def check_work(text: str, num_before: int = 0) -> int:
    """How many backslashes, dollar signs and braces there are by now.

    Raises:
        Broken: ``too-much-work``, for more than :data:`MARKS_MAX`.
    """
    num_marks = num_before + sum(map(text.count, "\\${"))
    if num_marks > MARKS_MAX:
        raise BrokenInput("too-much-work", f"{num_marks} backslashes, dollar signs and braces: {text[:80]}")
    return num_marks


_DEFINITION_START = re.compile(
    r"\\(?:(?:re|provide)?newcommand|providecommand|renewcommand|DeclareMathOperator|DeclareRobustCommand|newtheorem"
    r"|DeclarePairedDelimiter(?:XPP|X)?|(?:New|Renew|Provide|Declare)DocumentCommand|DeclareSIUnit|def|gdef|let)\b"
)


_INTERNAL = re.compile(
    r"\\(?!@(?:ifnextchar|ifstar|ifundefined)(?![a-zA-Z@]))[a-zA-Z]*@[a-zA-Z@]|(?<!\\)@(?!if)"
)


def _definitions_only(style: str) -> str:
    r"""Of a package: the lines that define plain macros; its TeX code is not for reading.

    A definition is kept when it stands on lines of its own with balanced braces and uses no internal
    (``@``) macros.
    """
    kept = []
    lines = style.split("\n")
    for number, line in enumerate(lines):
        if not _DEFINITION_START.match(line.strip()):
            continue
        block = ""
        for following in lines[number : number + 12]:
            block += following + "\n"
            if block.count("{") == block.count("}"):
                if not _INTERNAL.search(block):
                    kept.append(block)
                break
    return "".join(kept)
