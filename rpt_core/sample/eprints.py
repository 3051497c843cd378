r"""Papers as arXiv serves them: a gzip of one LaTeX file, or a tar.gz of a tree with ``\input``."""

import gzip
import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "“": "``", "”": "''", "…": r"\ldots{}",
    "–": "--", "—": "---", "`": r"\textasciigrave{}",
}  # fmt: skip
_LIGATURES = re.compile(r"-(?=-)|(?<=')'|'(?=')")


def literal(text: str) -> str:
    """Prose as LaTeX that reads as the same prose."""
    text = "".join(
        _ESCAPES.get(character, character)
        for character in _LIGATURES.sub(lambda match: f"{match[0]}\u200d", text)
    )
    return text.replace("\u200d", "{}")


def number_of(document: int) -> str:
    """The e-print's number."""
    return f"26{1 + document // 10000:02d}.{document % 10000 + 1:05d}"


def write_eprint(folder: Path, document: int, title: str, paragraphs: tuple[str, ...]) -> Path:
    """One paper, every second one as a tree."""
    folder.mkdir(parents=True, exist_ok=True)
    if document % 2:
        path = folder / f"{number_of(document)}.gz"
        path.write_bytes(packed(single(title, paragraphs, document).encode()))
        return path
    path = folder / f"{number_of(document)}.tar.gz"
    path.write_bytes(packed(tarred(tree(title, paragraphs, document))))
    return path


def single(title: str, paragraphs: tuple[str, ...], document: int) -> str:
    """One file; comments, footnotes, labels and a macro that must fall away or be replaced."""
    body = "\n\n".join(_wrapped(literal(paragraph), document + i) for i, paragraph in enumerate(paragraphs))
    return (
        "% a comment before the class\n\\documentclass[11pt]{article}\n\\usepackage{amsmath}\n"
        f"\\newcommand{{\\unused}}[1]{{\\emph{{#1}}}}\n\\title{{{literal(title)}}}\n\\author{{A. "
        f"Writer}}\n\\begin{{document}}\n"
        f"\\maketitle\n\\label{{start}}\n{body}\n\n"
        "\\begin{figure}\n\\includegraphics{plan}\n\\caption{A plan.}\n\\end{figure}\n"
        "\\begin{thebibliography}{9}\n\\bibitem{a} A. Writer, "
        "Annals.\n\\end{thebibliography}\n\\end{document}\n"
    )


def tree(title: str, paragraphs: tuple[str, ...], document: int) -> dict[str, bytes]:
    """A main file and one file per paragraph, which it inputs; words behind macros."""
    parts = {
        f"parts/p{i}.tex": _wrapped(literal(text), document + i) + "\n" for i, text in enumerate(paragraphs)
    }
    inputs = "\n\n".join(f"\\input{{parts/p{i}}}" for i in range(len(paragraphs)))
    main = (
        "\\documentclass{article}\n\\input{macros}\n"
        f"\\title{{{literal(title)}}}\n\\begin{{document}}\n\\maketitle\n{inputs}\n\n"
        "\\section*{Acknowledgements}\nWe thank everybody.\n\\bibliography{refs}\n\\end{document}\n"
    )
    macros = "\\newcommand{\\theword}{The}\n\\def\\unused#1{#1}\n"
    files = {"main.tex": main, "macros.tex": macros, **parts}
    files = {
        name: re.sub(r"(?m)^The ", r"\\theword{} ", text) if name.startswith("parts") else text
        for name, text in files.items()
    }
    return {**{name: text.encode() for name, text in files.items()}, "plan.pdf": b"%PDF-1.4 a figure"}


def _wrapped(text: str, seed: int) -> str:
    """Broken at blanks into lines, as people write LaTeX; a footnote and a comment in some."""
    words = text.split(" ")
    lines = [" ".join(words[i : i + 12]) for i in range(0, len(words), 12)]
    if seed % 3 == 0:
        lines[-1] += "\\footnote{Counted twice.}"
    if seed % 4 == 0:
        lines[0] += " % checked"
    return "\n".join(lines)


def tarred(files: Mapping[str, bytes]) -> bytes:
    """A tar archive without times or owners."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return held.getvalue()


def packed(data: bytes) -> bytes:
    """Gzip without name or time."""
    return gzip.compress(data, compresslevel=6, mtime=0)
