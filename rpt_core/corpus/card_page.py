"""The card's views: ``card.json`` has every number, ``card.html`` and ``page.md`` show them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpt_core.artifacts.build import PAGE_FILE
from rpt_core.corpus.reasons import REASONS

SOURCES_DRAWN = 8
"""Sources with a picture of their own, those of most rows; the table has all."""
LANGUAGES_DRAWN = 14


def write_views(out: Path, card: dict[str, Any]) -> None:
    """Write ``card.json``, ``card.html`` (which loads nothing) and ``page.md``: equal bytes of equal cards.

    Args:
        out: The artifact's folder.
        card: Balance, lengths, and whatever else its stage knows, in JSON form.
    """
    from rpt_core.pages.ink import DARK, LIGHT
    from rpt_core.pages.words import environment, render

    text = json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False)
    (out / "card.json").write_text(text + "\n")
    context = {
        "title": "What was read" if card["stage"] == "ingest-corpus" else "Corpus card",
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "card": card,
        "sources": _sources(card),
        "figures": _figures(card),
        "facts": _facts(card),
    }
    templates = environment("rpt_core.corpus")
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


def _figures(card: Mapping[str, Any]) -> dict[str, Any]:
    """Every picture that has something to show, as SVG by section."""
    from rpt_core.corpus import card_figures as draw
    from rpt_core.pages.ink import LIGHT, as_svg, style

    names = ("balance", "lengths", "languages", "clusters", "pii", "measures", "stem")
    figures: dict[str, Any] = dict.fromkeys(names, "")
    with style():
        figures["balance"] = [
            (
                source,
                as_svg(draw.balance_figure(rows, list(REASONS)), f"balance {source}", f"Rows of {source}"),
            )
            for source, rows in _sources(card)
            if rows["dropped"] and rows["rows_in"]
        ][:SOURCES_DRAWN]
        if lengths := _most(card["lengths"], "documents"):
            ridges = [draw.Ridge(name, of["edges"], of["counts"], of["median_chars"]) for name, of in lengths]
            figures["lengths"] = as_svg(
                draw.ridges_figure(ridges, "characters, logarithmic", log=True),
                "lengths",
                "Lengths by source",
            )
        for name, label, colour in (("pii", "Personal data by type", LIGHT.finetuned),):
            if card.get(name):
                rows = sorted(card[name].items(), key=lambda item: (-item[1], item[0]))
                figures[name] = as_svg(draw.bars_figure(rows, colour), name, label)
        if languages := card.get("languages"):
            figures["languages"] = as_svg(draw.bars_figure(_languages(languages)), "languages", "Languages")
        if sizes := card.get("cluster_sizes"):
            rows = [(f"{size} documents", num) for size, num in _sizes(sizes)]
            figures["clusters"] = as_svg(
                draw.bars_figure(rows), "clusters", "Sizes of clusters of duplicates"
            )
        measures = _most(card.get("measures", {}), "documents")
        figures["measures"] = [
            (source, as_svg(draw.measures_figure(found), f"measures {source}", f"Measures of {source}"))
            for source, found in measures
        ]
        if measures:
            ridges = [_stem(source, found["of"]["stem"]) for source, found in measures]
            limit = card["stem_min"] or None
            drawn = draw.ridges_figure(ridges, "STEM score", log=False, limit=limit)
            figures["stem"] = as_svg(drawn, "stem", "STEM score by source")
    return figures


def _most(found: Mapping[str, Any], count: str) -> list[tuple[str, Any]]:
    """The sources of most documents."""
    return sorted(found.items(), key=lambda item: (-item[1][count], item[0]))[:SOURCES_DRAWN]


def _stem(source: str, found: Mapping[str, Any]) -> Any:
    from rpt_core.corpus.card_figures import Ridge

    num = len(found["counts"])
    edges = [found["low"] + (found["high"] - found["low"]) * k / num for k in range(num + 1)]
    return Ridge(source, edges, found["counts"])


def _languages(languages: Mapping[str, int]) -> list[tuple[str, int]]:
    rows = sorted(languages.items(), key=lambda item: (-item[1], item[0]))
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
