"""What a GPU costs an hour: a file of the reader's own, each row with its date and source."""

import datetime
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpt_core.errors import RecipeError, brief

PRICES = Path(__file__).with_name("prices.toml")
VARIABLE = "RPT_PRICES"
FIELDS: dict[str, Any] = {
    "gpu": str,
    "per_gpu_hour": (int, float),
    "currency": str,
    "date": datetime.date,
    "source": str,
}


@dataclass(frozen=True, slots=True)
class Price:
    """One row."""

    gpu: str
    """Kind of GPU, such as ``H100-80GB``."""
    per_gpu_hour: float
    currency: str
    date: datetime.date
    source: str


def read_prices(path: Path | None = None) -> dict[str, Price]:
    """Prices by kind of GPU; of several rows for one kind, the latest.

    Args:
        path: The file; else what ``RPT_PRICES`` names, else the one beside this module.

    Raises:
        RecipeError: the file cannot be read, or a row leaves something out.
    """
    file = path or Path(os.environ.get(VARIABLE) or PRICES)
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"the prices in {file} cannot be read ({brief(error)}). Correct the file, or unset {VARIABLE}."
        ) from None
    rows = [_row(row, number, file) for number, row in enumerate(table.get("price", []), start=1)]
    return {row.gpu: row for row in sorted(rows, key=lambda row: row.date)}


def _row(row: dict[str, Any], number: int, file: Path) -> Price:
    wrong = [name for name, kind in FIELDS.items() if not isinstance(row.get(name), kind)]
    unknown = sorted(set(row) - set(FIELDS))
    if wrong or unknown or row["per_gpu_hour"] <= 0:
        raise RecipeError(
            f"price {number} in {file} is not usable: {', '.join([*wrong, *unknown]) or 'per_gpu_hour'} is "
            f"missing, of another kind or not known. A row has {', '.join(FIELDS)}; a date is 2026-11-28."
        )
    return Price(**{**row, "per_gpu_hour": float(row["per_gpu_hour"])})
