"""Faults planted beside the sample world, one function each, every one with its expected end."""

import bz2
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rpt_core.artifacts.digest import stable_id
from rpt_core.sample.dump import FOOTER, HEADER, Article, article_xml, page_xml
from rpt_core.sample.eprints import packed, single, tarred
from rpt_core.sample.formats import Text
from rpt_core.sample.truth import ExpectedMask, Truth


class Planting(Text, Protocol):
    """A document of either edition, whole."""

    @property
    def text(self) -> str:
        """Paragraphs with an empty line between them."""


class Posed(Protocol):
    """A problem of either edition."""

    @property
    def problem(self) -> str:
        """What is asked."""

    @property
    def solution(self) -> str:
        """The steps, in the form of a thought."""

    @property
    def answer(self) -> str:
        """The true one."""

    @property
    def difficulty(self) -> float:
        """1 (one step) to 10."""


NUM_COPIES = 20
"""Near-duplicates inside the wiki, and as many in the mirror."""
NUM_EXACT = 10
NUM_TWICE = 5
NUM_BENCHMARK = 24
NUM_LEAKS = 12
NUM_BROKEN_ROUND = 6
"""Good articles round broken pages."""
PII = (
    ("<EMAIL>", "ada.lovelace@analytical-engine.org", "Write to {} for the plans."),
    ("<IP>", "203.0.113.77", "The old server answered at {} until the spring."),
    ("<CARD>", "4539 5787 6362 1486", "The fee was paid with card {} at the desk."),
    ("<IBAN>", "DE89 3704 0044 0532 0130 00", "Gifts go to account {} as before."),
    ("<US_SSN>", "536-22-8726", "The clerk noted number {} in the book."),
    ("<NATIONAL_ID>", "529.982.247-25", "The register lists {} as the owner."),
    ("<SECRET>", "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2, "Someone left the key {} in the notes."),
    ("<EMAIL>", "j.doe+lists@mail.example.co.uk", "Questions reach {} on weekdays."),
)
NUM_EXTRA_DOCUMENTS = len(PII) + NUM_LEAKS + NUM_BROKEN_ROUND + 4
NUM_EXTRA_PROBLEMS = NUM_BENCHMARK


def plant(
    data: Path,
    texts: Sequence[Planting],
    articles: dict[str, Article],
    extra: Sequence[Planting],
    benchmark: Sequence[Posed],
    truth: Truth,
) -> None:
    """Write every planted file.

    Args:
        data: The data folder.
        texts: The world's documents.
        articles: Those of them that are in the dump, by title.
        extra: Documents of the same world for the planted ones to start from.
        benchmark: Problems for the benchmark file.
        truth: Is told what must happen.
    """
    pool = list(extra)
    shared = [text for text in texts if text.title in articles]
    _wiki_copies(data, shared[:NUM_COPIES], articles, truth)
    _mirror(data, shared[NUM_COPIES : 2 * NUM_COPIES], shared[-NUM_EXACT:], truth)
    _twice(
        data, [articles[text.title] for text in shared[2 * NUM_COPIES : 2 * NUM_COPIES + NUM_TWICE]], truth
    )
    _personal(data, [pool.pop() for _ in PII], truth)
    _benchmark(data, benchmark, [pool.pop() for _ in range(NUM_LEAKS)], truth)
    _broken_dumps(data, [pool.pop() for _ in range(NUM_BROKEN_ROUND)], truth)
    _broken_eprints(data, pool.pop(), truth)
    _broken_rows(data, texts, truth)
    _broken_texts(data, truth)


def _jsonl(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


def _row(title: str, text: str) -> str:
    return json.dumps({"id": title, "title": title, "text": text}, ensure_ascii=False)


def _dump(path: Path, pages: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bz2.compress((HEADER + "".join(pages) + FOOTER).encode()))


def _wiki_copies(data: Path, texts: Sequence[Planting], articles: dict[str, Article], truth: Truth) -> None:
    """Articles copied with a few words added; the copy has the larger id, so it is the one to go."""
    name = "wikipedia/samplewiki-copies.xml.bz2"
    pages = []
    for number, text in enumerate(texts):
        original = articles[text.title]
        kept_id = stable_id("wikipedia", f"samplewiki:{original.page_id}", str(original.revision))
        revision = 900_000
        while stable_id("wikipedia", f"samplewiki:{90_000 + number}", str(revision)) < kept_id:
            revision += 1
        title = f"{text.title} (copy)"
        paragraphs = (*text.paragraphs[:-1], text.paragraphs[-1] + " That is all.")
        pages.append(article_xml(Article(title, paragraphs, 90_000 + number, revision)))
        truth.drop("prepare", name, "near-duplicate", title)
        truth.kept.append(text.title)
    _dump(data / name, pages)


def _mirror(data: Path, near: Sequence[Planting], exact: Sequence[Planting], truth: Truth) -> None:
    """The same articles scraped into JSON lines: near copies and exact ones; the wiki's own stay."""
    name = "mirror/pages.jsonl"
    lines = []
    for text in near:
        title = f"{text.title} - mirror"
        lines.append(_row(title, f"{text.text} Copied from the town library."))
        truth.drop("prepare", name, "near-duplicate", title)
        truth.kept.append(text.title)
    for text in exact:
        title = f"{text.title} - reprint"
        lines.append(_row(title, text.text))
        truth.drop("prepare", name, "exact-duplicate", title)
        truth.kept.append(text.title)
    _jsonl(data / name, lines)


def _twice(data: Path, articles: list[Article], truth: Truth) -> None:
    """Pages of the same number and revision in a second dump."""
    name = "wikipedia/samplewiki-again.xml.bz2"
    _dump(data / name, [article_xml(article) for article in articles])
    for article in articles:
        truth.drop("prepare", "", "same-id", article.title)


def _personal(data: Path, texts: Sequence[Planting], truth: Truth) -> None:
    """Personal data in articles that must stay without it; look-alikes that must stay as they are."""
    pages = []
    for number, (text, (mark, secret, sentence)) in enumerate(zip(texts, PII, strict=True)):
        paragraphs = (
            *text.paragraphs,
            sentence.format(secret),
            "See version 2.10.3.12 and formula $1234567812345670$.",
        )
        pages.append(article_xml(Article(text.title, paragraphs, 91_000 + number, 1)))
        truth.masked.append(ExpectedMask(text.title, mark, secret))
        truth.planted_kept += 1
    _dump(data / "wikipedia/samplewiki-people.xml.bz2", pages)


def _benchmark(data: Path, items: Sequence[Posed], texts: Sequence[Planting], truth: Truth) -> None:
    """A test set, articles that quote it, and training problems that are in it."""
    rows = [
        json.dumps({"problem": item.problem, "answer": item.answer, "solution": item.solution})
        for item in items
    ]
    _jsonl(data / "sample-bench/test.jsonl", rows)
    longest = sorted(items, key=lambda item: len(item.problem.split()), reverse=True)
    pages = []
    for number, text in enumerate(texts):
        item = longest[number]
        paragraphs = (
            text.paragraphs[0],
            f"A riddle from the yearbook: {item.problem} The answer is {item.answer}.",
            *text.paragraphs[1:],
        )
        title = f"Riddle of {text.title.split()[-1]}"
        pages.append(article_xml(Article(title, paragraphs, 92_000 + number, 1)))
        truth.drop("prepare", "wikipedia/samplewiki-riddles.xml.bz2", "benchmark-leak", title)
    _dump(data / "wikipedia/samplewiki-riddles.xml.bz2", pages)
    leaked = [
        {
            "problem": item.problem,
            "solution": item.solution,
            "answer": item.answer,
            "difficulty": item.difficulty,
        }
        for item in longest[:5]
    ]
    _jsonl(data / "problems/leaked/extra.jsonl", [json.dumps(row) for row in leaked])
    truth.never_trained.extend(item.problem for item in items)


def _broken_dumps(data: Path, texts: Sequence[Planting], truth: Truth) -> None:
    """A truncated stream, a page that is no XML, a dump with entities, a page too deep to parse."""
    pages = [article_xml(Article(text.title, text.paragraphs, 93_000 + i, 1)) for i, text in enumerate(texts)]
    folder = data / "wikipedia"
    # Two streams, the second one cut: what the first one holds is kept.
    whole = bz2.compress((HEADER + pages[0] + pages[1]).encode())
    (folder / "samplewiki-truncated.xml.bz2").write_bytes(
        whole + bz2.compress((pages[2] + FOOTER).encode())[:-40]
    )
    truth.drop("ingest", "wikipedia/samplewiki-truncated.xml.bz2", "truncated-bz2")
    broken = pages[3].replace("</revision>", "</revsion>").replace(texts[3].title, "Broken page")
    (folder / "samplewiki-broken.xml").write_text(
        HEADER + pages[4] + broken + pages[5] + FOOTER, newline="\n"
    )
    truth.drop("ingest", "wikipedia/samplewiki-broken.xml", "broken-xml")
    bomb = '<!DOCTYPE mediawiki [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n'
    (folder / "samplewiki-entities.xml").write_text(bomb + HEADER + FOOTER, newline="\n")
    truth.drop("ingest", "wikipedia/samplewiki-entities.xml", "entity-declaration")
    _dump(folder / "samplewiki-deep.xml.bz2", [page_xml("Deep page", 94_000, 1, "{{a|" * 20_000)])
    truth.drop("ingest", "wikipedia/samplewiki-deep.xml.bz2", "too-costly", "Deep page")
    for text in (texts[0], texts[1], texts[4], texts[5]):
        truth.kept.append(text.title)
        truth.planted_kept += 1


def _broken_eprints(data: Path, text: Planting, truth: Truth) -> None:
    """LaTeX that does not parse, or grows without end; archives that attack, or hold no source."""
    good = single(text.title, text.paragraphs, 1).encode()
    cases = {
        "2699.00001.gz": (packed(_paper("Here {\\bf it never closes.")), "latex-unbalanced"),
        "2699.00002.gz": (packed(_paper("A formula $x+y that never ends.\n\nNext.")), "latex-unbalanced"),
        "2699.00003.gz": (packed(_paper("\\def\\a{\\b\\b}\\def\\b{\\a\\a}\\a")), "latex-explosion"),
        "2699.00004.tar.gz": (packed(tarred({"main.tex": _paper("\\input{main}")})), "latex-explosion"),
        "2699.00005.tar.gz": (packed(tarred({"paper.pdf": b"%PDF-1.4"})), "pdf-only"),
        "2699.00006.pdf": (b"%PDF-1.4\n%a submission without source\n", "pdf-only"),
        "2699.00007.gz": (packed(_paper("This paper has been withdrawn by the authors.")), "withdrawn"),
        "2699.00008.tar.gz": (packed(tarred({"../../outside.tex": good})), "archive-path-escape"),
        "2699.00009.tar.gz": (packed(tarred({"/etc/outside.tex": good})), "archive-path-escape"),
        "2699.00010.tar.gz": (packed(_link()), "archive-link"),
        "2699.00011.gz": (packed(good)[:-30], "truncated-gzip"),
        "2699.00012.tar.gz": (packed(b"\0" * 257 + b"ustar" + b"\xff" * 250), "broken-archive"),
    }
    for name, (content, reason) in cases.items():
        path = data / "arxiv" / name
        path.write_bytes(content)
        truth.drop("ingest", f"arxiv/{name}", reason)


def _paper(body: str) -> bytes:
    return f"\\documentclass{{article}}\\begin{{document}}{body}\\end{{document}}".encode()


def _link() -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("main.tex")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    return held.getvalue()


def _broken_rows(data: Path, texts: Sequence[Planting], truth: Truth) -> None:
    """Lines that are no JSON, rows without their column, traces without their place."""
    lines = [
        '{"problem": "A fence of nine posts has how many gaps between its posts?", "answer": "8"}',
        '{"problem": "One and one?", "answer": "2"',
        '{"problem": "Two?", "answer": NaN}',
        '{"problem": "A", "problem": "B", "answer": "5"}',
        "[1, 2]",
        '{"problem": "", "answer": "3"}',
        '{"problem": "Four?", "answer": {"is": "no text"}}',
        "\udcff\udcfe",
    ]
    name = "problems/broken/rows.jsonl"
    _jsonl(data / name, lines)
    for reason, rows in (("bad-json", 3), ("missing-column", 1), ("retyped-column", 2), ("not-utf-8", 1)):
        truth.drop("ingest", name, reason, rows=rows)
    traces = [
        {
            "title": "No such place",
            "before": "The old clock",
            "thought": " x",
            "answer": " shows",
            "kind": "clock",
        },
        {
            "title": texts[0].title,
            "before": "This text stands",
            "thought": " x",
            "answer": " nowhere",
            "kind": "clock",
        },
        {"title": texts[0].title, "before": "e", "thought": " x", "answer": " ", "kind": "clock"},
    ]
    _jsonl(data / "traces/broken.jsonl", [json.dumps(row) for row in traces])
    for reason in ("no-document", "not-found", "ambiguous"):
        truth.drop("prepare", "traces", reason)
    _jsonl(data / "mirror/strange.jsonl", ['{"colour": "red", "weight": 3}'])
    truth.drop("ingest", "mirror/strange.jsonl", "unrecognised-columns")


def _broken_texts(data: Path, truth: Truth) -> None:
    """Files that are empty, of another encoding, binary, or no prose."""
    folder = data / "notes"
    folder.mkdir()
    (folder / "empty.txt").write_bytes(b"")
    truth.drop("ingest", "notes/empty.txt", "empty-file")
    (folder / "latin1.txt").write_bytes("Der Bürgermeister grüßt die Gäste.".encode("latin-1"))
    truth.drop("ingest", "notes/latin1.txt", "not-utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    truth.drop("ingest", "notes/picture.png", "unrecognised-format")
    (folder / "README.md").write_text("# About these files\n")
    truth.drop("ingest", "notes/README.md", "licence-or-readme")
    (folder / "short.txt").write_text("Too short to learn from.\n")
    truth.drop("prepare", "notes/short.txt", "too-short", "short")
    (folder / "list.txt").write_text("".join(f"- {i}. item of the long list\n" for i in range(60)))
    truth.drop("prepare", "notes/list.txt", "list-like", "list")
    again = "The committee met in the hall and talked about the bridge for a while.\n"
    (folder / "again.txt").write_text("A note on the bridge.\n\n" + again * 12)
    truth.drop("prepare", "notes/again.txt", "line-repetition", "again")
    (folder / "binary.txt").write_bytes(
        b"Some words and then " + b"\x01\x02\x03\x04" * 60 + b" more words of a file that is none."
    )
    truth.drop("prepare", "notes/binary.txt", "control-characters", "binary")
