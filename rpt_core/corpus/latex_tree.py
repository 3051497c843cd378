r"""Which file of a LaTeX tree is the paper, and one text out of all it inputs.

Files are keys of a dict, so an ``\input`` can reach nothing outside its archive.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping

from rpt_core.corpus.pieces import Pieces, without_marks
from rpt_core.corpus.streams import Broken, decode

TEX_SUFFIXES = (".tex", ".ltx", ".latex")
WANTED = (*TEX_SUFFIXES, ".sty", "00readme.xxx", "00readme.json", ".bbl")
INPUT_DEPTH_MAX = 16
FLAT_CHARS_MAX = 32_000_000
"""A paper's whole source; the longest books have a tenth."""

_MAIN = re.compile(r"\\document(?:class|style)\b")
_BEGIN = re.compile(r"\\begin\s*\{document\}")
_NAMES = ("main", "ms", "paper", "article", "manuscript", "thesis", "book", "arxiv", "draft")
_LITERAL = re.compile(
    r"^[ \t]*\\begin\s*\{(verbatim\*?|Verbatim|lstlisting|minted|alltt|code|BVerbatim|python|spverbatim|"
    r"filecontents\*?|comment)\}",
    re.MULTILINE,
)
_VERB = re.compile(
    r"\\(?:verb\*?|lstinline(?:\[[^\]\n]{0,200}\])?)(?P<mark>[^a-zA-Z\s*{\[])(?P<body>[^\n]*?)(?P=mark)"
)
_ADDRESS = re.compile(r"\\(?:(?P<href>href)|url|path)\s*\{(?P<address>[^{}\n]{1,2000})\}")
_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*(?:\n[ \t]*(?!\n))?")
_INPUT = re.compile(
    r"\\(?:input|include|subfile|subfileinclude)\s*\{\s*(?P<file>[^{}\\]{1,300})\s*\}"
    r"|\\input\s+(?P<bare>[^\s{}\\%]{1,300})"
    r"|\\(?:sub)?import\*?\s*\{(?P<folder>[^{}\\]{0,300})\}\s*\{(?P<inner>[^{}\\]{1,300})\}"
    r"|\\(?:usepackage|RequirePackage)\s*(?:\[[^\]]{0,500}\])?\s*\{(?P<packages>[^{}\\]{1,500})\}"
)
_READ_ME_MAIN = re.compile(
    r"^\s*(\S+\.tex)\s+toplevelfile|\"filename\"\s*:\s*\"([^\"]+\.tex)\"[^}]*\"usage\"\s*:\s*\"toplevel\"",
    re.M,
)


def decode_tex(data: bytes) -> str:
    """UTF-8 or UTF-16 by its mark; other bytes are Latin-1, as in most papers before 2010."""
    try:
        text = decode(data)
    except Broken:
        text = data.decode("cp1252", "replace") if not _undefined_in_cp1252(data) else data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _undefined_in_cp1252(data: bytes) -> bool:
    return any(byte in data for byte in b"\x81\x8d\x8f\x90\x9d")


def main_files(files: Mapping[str, bytes]) -> list[str]:
    """The main file, then further documents of the tree (a supplement); every root when none has a class.

    The main file has or reaches a document class (or at least begins a document) and is not input by
    another one. Of several (a book's page formats) the one nearest the top, with a telling name or
    else with most text, is taken.
    """
    texts = {name: decode_tex(data) for name, data in files.items() if name.lower().endswith(TEX_SUFFIXES)}
    for name, data in files.items():
        if posixpath.basename(name).lower().startswith("00readme"):
            named = _READ_ME_MAIN.search(decode_tex(data))
            if named and (named[1] or named[2]) in texts:
                return [named[1] or named[2]]
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
    r"""Files of the tree that an ``\input`` or ``\usepackage`` names, from the top or its own folder."""
    suffixes: tuple[str, ...]
    if match["packages"]:
        wanted, suffixes = [f"{part.strip()}.sty" for part in match["packages"].split(",")], ("",)
    elif match["inner"]:
        wanted, suffixes = [posixpath.join(match["folder"], match["inner"])], ("", ".tex")
    else:
        wanted, suffixes = [(match["file"] or match["bare"]).strip().strip('"')], ("", ".tex", ".ltx")
    folders = dict.fromkeys(("", posixpath.dirname(name)))
    paths = (
        [
            posixpath.normpath(posixpath.join(folder, want + suffix))
            for folder in folders
            for suffix in suffixes
        ]
        for want in wanted
    )
    return [found for tries in paths if (found := next((path for path in tries if path in files), None))]


class Flat:
    """One LaTeX source with everything it inputs in its place, comments gone, literal text held aside."""

    def __init__(self, files: Mapping[str, bytes], main: str) -> None:
        self.pieces = Pieces()
        self._files = files
        self._num_chars = 0
        self._seen_styles: set[str] = set()
        self.text = self._expand(main, ())

    def _expand(self, name: str, above: tuple[str, ...]) -> str:
        if name in above or len(above) >= INPUT_DEPTH_MAX:
            raise Broken("latex-explosion", f"{' -> '.join((*above, name))} inputs itself or nests too deep")
        text = self._without_literals(without_marks(decode_tex(self._files[name])))
        if name.endswith(".sty"):
            text = _definitions_only(text)
        self._num_chars += len(text)
        if self._num_chars > FLAT_CHARS_MAX:
            raise Broken("latex-explosion", f"more than {FLAT_CHARS_MAX} characters after \\input")
        return _INPUT.sub(lambda match: self._input(match, name, above), text)

    def _input(self, match: re.Match[str], name: str, above: tuple[str, ...]) -> str:
        found = _resolve(match, name, self._files)
        if match["packages"]:
            found = [style for style in found if style not in self._seen_styles]
            self._seen_styles.update(found)
        # A space, so that a macro name before the input does not run into its first letter.
        return " ".join(self._expand(target, (*above, name)) for target in found)

    def _without_literals(self, text: str) -> str:
        """Verbatim blocks held aside first: a per cent sign in one starts no comment."""
        text = "".join(self._blocks(text))
        text = _ADDRESS.sub(self._address, text)
        text = _VERB.sub(lambda match: self.pieces.keep(match["body"]), text)
        return _COMMENT.sub(r"\1", text)

    def _address(self, match: re.Match[str]) -> str:
        """A per cent sign in an address starts no comment either; macros in one are left to be expanded."""
        if not match["href"] and "%" not in match["address"] and re.search(r"\\[a-zA-Z]", match["address"]):
            return match[0]
        return "\\href{}" if match["href"] else self.pieces.keep(match["address"].replace("\\", ""))

    def _blocks(self, text: str) -> Iterator[str]:
        """The text with every closed verbatim block as one piece; linear even when none closes."""
        position, unclosed = 0, set[str]()
        for match in _LITERAL.finditer(text):
            name = match[1]
            if match.start() < position or name in unclosed:
                continue
            end = text.find(f"\\end{{{name}}}", match.end())
            if end < 0:
                unclosed.add(name)
                continue
            yield text[position : match.start()]
            yield self._verbatim(name, text[match.end() : end])
            position = end + len(name) + len("\\end{}")
        yield text[position:]

    def _verbatim(self, name: str, body: str) -> str:
        if name.startswith(("filecontents", "comment")):
            return ""
        body = re.sub(r"\A(\s*[\[{][^\]\n}]{0,300}[\]}])+", "", body).strip("\n").rstrip()
        return f"\n\n{self.pieces.keep(f'```{chr(10)}{body}{chr(10)}```')}\n\n" if body.strip() else ""


_DEFINITION_START = re.compile(
    r"\\(?:(?:re|provide)?newcommand|providecommand|renewcommand|DeclareMathOperator|DeclareRobustCommand|newtheorem|def|gdef|let)\b"
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
                if "@" not in block:
                    kept.append(block)
                break
    return "".join(kept)
