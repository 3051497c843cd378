"""Inputs that a reader has judged, each laid out as a data folder holds it, and the judgement of what
comes out.

Fields of a case in ``tests/data/text_cases/cases.json``:

    form      wiki: wikitext of one page, put into a dump of ``lang``; tex: one file; texdir: the files of one
              e-print; eprint: one file, served packed; rows: problems as JSON lines; text: plain text,
              read after
              cleaning; sentences: plain text, its segments
    has       each must stand in the text; a list means any one of its items; "~x" compares without blanks
    lacks     none may stand in the text
    answers   problem -> answer (rows);  source: the document's source
    segments  least and most segments;  no_small_start: none begins with a small letter

Blanks of every kind count as one, U+2212 as a hyphen.
"""

import gzip
import io
import json
import re
import tarfile
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parents[2] / "data/text_cases"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))
Tables = dict[str, list[dict[str, Any]]]

SITE = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{0}"><siteinfo>'
    "<sitename>Wikipedia</sitename><dbname>{0}wiki</dbname><base>https://{0}.wikipedia.org/wiki/Main</base>"
    '<case>first-letter</case><namespaces><namespace key="0" case="first-letter" />'
    '<namespace key="6" case="first-letter">File</namespace><namespace key="10" case="first-letter">Template'
    '</namespace><namespace key="14" case="first-letter">Category</namespace></namespaces></siteinfo>\n'
)
PAGE = (
    "<page><title>{0}</title><ns>0</ns><id>{1}</id><revision><id>{2}</id><timestamp>2024-01-01T00:00:00Z"
    '</timestamp><model>wikitext</model><format>text/x-wiki</format><text xml:space="preserve">{3}</text>'
    "</revision></page>\n"
)


def lay_out(data: Path) -> dict[str, str]:
    """Write every input into the data folder; by case name, where it lies there."""
    places: dict[str, str] = {}
    pages: dict[str, list[str]] = defaultdict(list)
    for number, case in enumerate(CASES, start=1):
        name, form, source = case["name"], case["form"], FOLDER / case["file"]
        if form == "wiki":
            text = source.read_bytes().decode("utf-8")
            pages[case["lang"]].append(PAGE.format(name, number, number + 10_000, escape(text)))
            places[name] = f"title:{name}"
        elif form == "texdir":
            places[name] = f"eprints/2301.{number:05d}.tar.gz"
            put(data / places[name], _tar(source))
        elif form == "eprint":
            places[name] = f"eprints/{name}.gz"
            put(data / places[name], gzip.compress(source.read_bytes()))
        else:
            suffix = {"tex": ".tex", "rows": ".jsonl"}.get(form, ".txt")
            places[name] = f"{form}/{name}{suffix}"
            put(data / places[name], source.read_bytes())
    for lang, some in pages.items():
        dump = SITE.format(lang) + "".join(some) + "</mediawiki>\n"
        put(data / f"wiki/{lang}wiki-cases.xml", dump.encode())
    return places


def _tar(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            tar.add(path, arcname=path.relative_to(folder).as_posix())
    return packed.getvalue()


def put(path: Path, content: bytes) -> None:
    """Write a file, its folders too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def plain(text: str) -> str:
    """Blanks as one, minus signs as hyphens, composed characters."""
    text = (
        unicodedata.normalize("NFC", text)
        .replace("\u2212", "-")
        .replace("\u2011", "-")
        .replace("\u2019", "'")
    )
    return re.sub(r"[\s\u00a0\u2000-\u200b\u202f\u205f\u2060\ufeff]+", " ", text)


def stands(what: str, text: str) -> bool:
    """Whether words stand in a text; behind a tilde, whatever blanks lie between them."""
    if what.startswith("~"):
        return re.sub(r"\s", "", plain(what[1:])) in re.sub(r"\s", "", text)
    return plain(what) in text


def judge(case: dict[str, Any], place: str, ingested: Tables, prepared: Tables) -> str:
    """Empty when right; else what is wrong."""
    where = ingested if case["form"] in {"wiki", "tex", "texdir", "eprint", "rows"} else prepared
    if case["form"] == "rows":
        return _judge_answers(case, [row for row in where["problems"] if row["origin"] == place])
    documents = [row for row in where["documents"] if _is_at(row, place)]
    if not documents:
        lost = [row["reason"] for row in where["dropped"] + ingested["dropped"] if _is_at(row, place)]
        return f"no document ({', '.join(lost) or 'and no dropped row'})"
    if case.get("source") and documents[0]["source"] != case["source"]:
        return f"source {documents[0]['source']!r}, expected {case['source']!r}"
    shown = [row["text"] if case["form"] == "wiki" else f"{row['title']}\n{row['text']}" for row in documents]
    wrong = _judge_text(case, plain("\n".join(shown)))
    if wrong or case["form"] != "sentences":
        return wrong
    return _judge_segments(case, documents[0], where["segments"])


def _is_at(row: dict[str, Any], place: str) -> bool:
    return row["title"] == place[6:] if place.startswith("title:") else row["origin"].startswith(place)


def _judge_answers(case: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    known = {row["problem"].split("\n")[0].strip(): row["answer"] for row in rows}
    for problem, answer in case["answers"].items():
        got = next((a for p, a in known.items() if p.startswith(problem)), None)
        if got is None or str(got).strip(" ()") != answer:
            return f"{problem!r}: answer {got!r}, expected {answer!r}"
    return ""


def _judge_text(case: dict[str, Any], text: str) -> str:
    for item in case.get("has", []):
        choices = item if isinstance(item, list) else [item]
        if not any(stands(choice, text) for choice in choices):
            return f"lacks {choices[0]!r}: {text!r}"
    shown = next((item for item in case.get("lacks", []) if stands(item, text)), None)
    return f"shows {shown!r}: {text!r}" if shown is not None else ""


def _judge_segments(case: dict[str, Any], document: dict[str, Any], segments: list[dict[str, Any]]) -> str:
    text = document["text"]
    pieces = [
        text[row["start"] : row["end"]].strip() for row in segments if row["doc_id"] == document["doc_id"]
    ]
    starts = [piece.lstrip("“”„\"'«»([ ")[:1] for piece in pieces]
    if case.get("no_small_start") and any(map(str.islower, starts)):
        return f"a cut before a small letter: {pieces!r}"
    least, most = case.get("segments", (0, len(pieces)))
    return (
        ""
        if least <= len(pieces) <= most
        else f"{len(pieces)} sentences, expected {least} to {most}: {pieces!r}"
    )
