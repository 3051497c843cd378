"""The card's views: ``card.json`` has every number, ``card.html`` and ``page.md`` show them."""

import json
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpt_core.artifacts.build import PAGE_FILE
from rpt_core.corpus.reasons import REASONS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCES_DRAWN = 8
"""Sources with a picture of their own, those of most rows; the table has all."""
LANGUAGES_DRAWN = 14
IN_MARKDOWN = ("balance", "lengths", "languages", "clusters", "pii", "stem", "scores")
"""Pictures of the Markdown page, which carries each in an address of its own: the small ones."""
BALANCES_IN_MARKDOWN = 4


def write_views(out: Path, card: dict[str, Any]) -> None:
    """Write ``card.json``, ``card.html`` (which loads nothing) and ``page.md``: equal bytes of equal cards.

    Args:
        out: The artifact's folder.
        card: Balance, lengths, and whatever else its stage knows, in JSON form.
    """
    from rpt_core.pages.ink import DARK, LIGHT, as_data_uri, as_svg, style
    from rpt_core.pages.words import environment, render

    text = json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False)
    (out / "card.json").write_text(text + "\n")
    with style():
        figures = _figures(card)
        inline = {
            section: [
                (name, as_svg(figure, f"{section} {name}", f"{section}: {name}")) for name, figure in drawn
            ]
            for section, drawn in figures.items()
        }
        images = [
            (f"Rows of {name}" if section == "balance" else name, as_data_uri(figure, f"{section} {name}"))
            for section in IN_MARKDOWN
            for name, figure in figures.get(section, [])[:BALANCES_IN_MARKDOWN]
        ]
    context = {
        "title": "What was read" if card["stage"] == "ingest-corpus" else "Corpus card",
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "card": card,
        "sources": _sources(card),
        "figures": inline,
        "images": images,
        "facts": _facts(card),
        "unscored": _unscored(card),
    }
    templates = environment("rpt_core.corpus.card")
    render(out / "card.html", templates.get_template("card.html.j2").render(context))
    render(out / PAGE_FILE, templates.get_template("card.md.j2").render(context))


def _sources(card: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Sources, those of most rows first."""
    by_source = card["rows"]["by_source"]
    return sorted(by_source.items(), key=lambda item: (-item[1]["rows_in"], item[0]))


def _facts(card: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """The boxes under the title: a number, what it counts, and a remark."""
    rows, lengths = card["rows"], card["lengths"]
    chars = sum(found["chars"] for found in lengths.values())
    facts = [
        (rows["rows_in"], "rows came in", f"from {len(rows['by_source'])} sources"),
        (rows["kept"], "kept", _share(rows["kept"], rows["rows_in"])),
        (sum(found["documents"] for found in lengths.values()), "documents", ""),
        (chars, "characters", "in documents"),
    ]
    if "splits" in card:
        splits = card["splits"]["documents"]
        facts[2] = (*facts[2][:2], f"{splits.get('eval', 0):,} of them held out".replace(",", "\u2009"))
        facts.append((card["segments"], "sentences", "in documents"))
    if card.get("tables", {}).get("problems"):
        facts.append((card["tables"]["problems"], "problems", ""))
    return facts


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} % of them" if whole else ""


def _figures(card: Mapping[str, Any]) -> dict[str, list[tuple[str, "Figure"]]]:
    """Every picture that has something to show, with its name, by section."""
    from rpt_core.corpus.card import figures as draw
    from rpt_core.pages.ink import LIGHT

    drawn: dict[str, list[tuple[str, Figure]]] = {
        "balance": [
            (source, draw.balance_figure(rows, list(REASONS)))
            for source, rows in _sources(card)
            if rows["dropped"]
        ][:SOURCES_DRAWN]
    }
    if lengths := _most(card["lengths"]):
        ridges = [draw.Ridge(name, of["edges"], of["counts"], of["median_chars"]) for name, of in lengths]
        figure = draw.ridges_figure(ridges, "characters, logarithmic", log=True)
        drawn["lengths"] = [("Lengths of documents", figure)]
    if languages := card.get("languages"):
        drawn["languages"] = [("Languages", draw.bars_figure(_languages(languages)))]
    if pii := card.get("pii"):
        drawn["pii"] = [("Personal data by type", draw.bars_figure(_ranked(pii), LIGHT.finetuned))]
    if sizes := card.get("cluster_sizes"):
        rows = [(f"{size} documents", num) for size, num in _sizes(sizes)]
        drawn["clusters"] = [("Clusters of duplicates by size", draw.bars_figure(rows))]
    if measures := _most(card.get("measures", {})):
        drawn["measures"] = [(source, draw.measures_figure(found)) for source, found in measures]
        ridges = [_stem(source, found["of"]["stem"]) for source, found in measures]
        figure = draw.ridges_figure(ridges, "STEM score", log=False, limit=card["stem_min"] or None)
        drawn["stem"] = [("STEM score", figure)]
    if scored := [(source, found) for source, found in measures if "llm_quality" in found["of"]]:
        ridges = [_whole(source, found["of"]["llm_quality"]) for source, found in scored]
        limit = ceil(card["min_score"]) - 0.5 if card["min_score"] else None
        figure = draw.ridges_figure(ridges, "points", log=False, limit=limit)
        drawn["scores"] = [("Points by a language model", figure)]
    return drawn


def _unscored(card: Mapping[str, Any]) -> int:
    """Measured documents whose score could not be read."""
    return sum(
        found["documents"] - sum(found["of"].get("llm_quality", {"counts": []})["counts"])
        for found in card.get("measures", {}).values()
    )


def _most(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The sources of most documents."""
    return sorted(found.items(), key=lambda item: (-item[1]["documents"], item[0]))[:SOURCES_DRAWN]


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _whole(source: str, found: Mapping[str, Any]) -> Any:
    """A distribution over whole numbers, each in the middle of its bar."""
    from rpt_core.corpus.card.figures import Ridge

    return Ridge(source, [number - 0.5 for number in range(len(found["counts"]) + 1)], found["counts"])


def _stem(source: str, found: Mapping[str, Any]) -> Any:
    from rpt_core.corpus.card.figures import Ridge

    num = len(found["counts"])
    edges = [found["low"] + (found["high"] - found["low"]) * k / num for k in range(num + 1)]
    return Ridge(source, edges, found["counts"])


def _languages(languages: Mapping[str, int]) -> list[tuple[str, int]]:
    rows = _ranked(languages)
    rest = sum(num for _, num in rows[LANGUAGES_DRAWN:])
    return [*rows[:LANGUAGES_DRAWN], ("others", rest)] if rest else rows


def _sizes(sizes: Mapping[str, int]) -> list[tuple[str, int]]:
    """Clusters of two, three, ... documents, and from some size on as ranges that double."""
    found: dict[str, int] = {}
    for size, num in sorted((int(size), num) for size, num in sizes.items()):
        low = 1 << (size.bit_length() - 1)
        name = str(size) if size < 8 else f"{low} to {2 * low - 1}"
        found[name] = found.get(name, 0) + num
    return list(found.items())
