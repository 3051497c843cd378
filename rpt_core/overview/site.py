"""An index of everything a store holds: its reports with what they found, and every artifact in a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpt_core.artifacts.manifest import Manifest
from rpt_core.pages.ink import DARK, LIGHT
from rpt_core.pages.words import environment, render

PAGES = ("report.html", "card.html", "timings.html")
"""Files that are pages of their own; the first that an artifact has is the one it is opened by."""
KEPT = (*PAGES, "report.md", "report.json", "report.png", "card.json")
"""What the site takes along of an artifact; each page is whole by itself."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One artifact of the store."""

    manifest: Manifest
    names: Sequence[str] = ()
    """By which people call it."""
    page: str = ""
    """Address within the site; empty where it has none."""
    said: Mapping[str, Any] = field(default_factory=dict)
    """``report.json``, of a report."""
    picture: str = ""

    @property
    def title(self) -> str:
        """Of a report its own, of anything else its address."""
        return str(self.said.get("title") or self.manifest.artifact.short)

    @property
    def seconds(self) -> float:
        """Of all attempts."""
        return sum(attempt.seconds for attempt in self.manifest.attempts)

    @property
    def num_bytes(self) -> int:
        """Of its files."""
        return sum(entry.num_bytes for entry in self.manifest.files)

    @property
    def lead(self) -> str:
        """The first sentences of a report, numbers as they are said there."""
        parts = self.said.get("lead") or ()
        return "".join(_words(part) for part in parts)

    @property
    def claims(self) -> str:
        """How many claims of a report hold."""
        verdicts = [claim["verdict"] for claim in self.said.get("claims", ())]
        counts = {name: verdicts.count(name) for name in ("holds", "fails", "undecided")}
        return ", ".join(f"{num} {name}" for name, num in counts.items() if num)


def folder_of(manifest: Manifest) -> str:
    """Where an artifact's pages lie within the site."""
    return f"{manifest.kind}-{manifest.fingerprint[:12]}"


def read_said(folder: Path) -> dict[str, Any]:
    """What a report says, where the folder is one's."""
    path = folder / "report.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def write_site(listed: Sequence[Listed], path: Path, about: str) -> None:
    """The index.

    Args:
        listed: Every artifact, newest first.
        path: Of the page.
        about: Which store this is.
    """
    context = {
        "title": "Runs",
        "light": LIGHT.css(),
        "dark": DARK.css(),
        "reports": [one for one in listed if one.said],
        "listed": listed,
        "about": about,
        "seconds": sum(one.seconds for one in listed),
        "flops": sum(one.manifest.outcome.flops for one in listed),
        "num_bytes": sum(one.num_bytes for one in listed),
    }
    render(path, environment("rpt_core.overview").get_template("site.html.j2").render(context))


def _words(part: Any) -> str:
    if isinstance(part, str):
        return part
    value = part.get("value") if isinstance(part, Mapping) else part
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)
