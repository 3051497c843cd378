"""GPUs a plan can be made for, by the figures of their makers' data sheets."""

import re
from dataclasses import dataclass

from rpt_core.errors import RecipeError


@dataclass(frozen=True, slots=True)
class GpuCard:
    """One kind of GPU."""

    name: str
    memory_bytes: float
    """As sold, in units of 1e9; drivers show a little more or less."""
    flops: float
    """Dense bfloat16 operations a second, without sparsity."""
    bandwidth: float
    """Bytes a second between its memory and its units."""
    source: str


_TERA, _GIGA = 1e12, 1e9
CARDS: dict[str, GpuCard] = {
    card.name: card
    for card in (
        GpuCard(
            "B200-180GB", 180 * _GIGA, 2250 * _TERA, 8.0 * _TERA, "NVIDIA DGX B200 data sheet, an eighth"
        ),
        GpuCard("H200-141GB", 141 * _GIGA, 989 * _TERA, 4.8 * _TERA, "NVIDIA H200 data sheet, SXM"),
        GpuCard("H100-80GB", 80 * _GIGA, 989 * _TERA, 3.35 * _TERA, "NVIDIA H100 data sheet, SXM"),
        GpuCard("A100-80GB", 80 * _GIGA, 312 * _TERA, 2.039 * _TERA, "NVIDIA A100 data sheet, SXM"),
        GpuCard("A100-40GB", 40 * _GIGA, 312 * _TERA, 1.555 * _TERA, "NVIDIA A100 data sheet, SXM"),
        GpuCard("L40S-48GB", 48 * _GIGA, 362 * _TERA, 0.864 * _TERA, "NVIDIA L40S data sheet"),
        GpuCard("L4-24GB", 24 * _GIGA, 121 * _TERA, 0.3 * _TERA, "NVIDIA L4 data sheet"),
    )
}
"""By name. A new row is its data sheet's dense figures."""
USUAL = "H100-80GB"
"""What a plan is made for where there is no GPU."""
GPUS_PER_NODE = 8


def card_called(words: str) -> GpuCard | None:
    """The card a driver calls so, or None.

    Example:
        >>> [card.name if card else None for card in map(card_called, (
        ...     "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-40GB", "NVIDIA L4", "NVIDIA TITAN V"))]
        ['H100-80GB', 'A100-40GB', 'L4-24GB', None]
    """
    parts = set(re.split(r"[\s_-]+", words.upper()))
    named = [card for card in CARDS.values() if card.name.split("-")[0] in parts]
    sized = [card for card in named if card.name.split("-")[1] in parts]
    return next(iter(sized or named), None)


def parse_machine(words: str) -> tuple[int, GpuCard]:
    """Number and kind of GPUs from ``8xH100-80GB``.

    Raises:
        RecipeError: it is written otherwise, or the card is not in the table.

    Example:
        >>> number, card = parse_machine("8xH100-80GB")
        >>> number, card.name, parse_machine("h200-141gb")[0]
        (8, 'H100-80GB', 1)
    """
    found = re.fullmatch(r"(?:(\d+)\s*x\s*)?([a-z0-9]+(?:-\d+gb)?)", words.strip().lower())
    name = found[2].upper() if found else ""
    card = CARDS.get(name) or next((c for n, c in CARDS.items() if n.split("-")[0] == name), None)
    number = int(found[1] or 1) if found else 0
    if card is None or number < 1:
        raise RecipeError(
            f"--machine {words!r} names no machine: write a number and a kind, such as 8xH100-80GB, with a "
            f"kind out of {', '.join(CARDS)}."
        )
    return number, card
