"""Prices are the reader's own, each with a date and a source."""

import datetime

import pytest

from infra.prices import PRICES, VARIABLE, Price, read_prices
from rpt_core.errors import RecipeError

ROW = """
[[price]]
gpu = "H100-80GB"
per_gpu_hour = {price}
currency = "EUR"
date = {date}
source = "a contract"
"""


def test_the_latest_row_of_a_kind_counts(tmp_path, monkeypatch):
    file = tmp_path / "mine.toml"
    file.write_text(ROW.format(price=3, date="2026-11-02") + ROW.format(price=4.5, date="2026-03-01"))
    monkeypatch.setenv(VARIABLE, str(file))
    day = datetime.date(2026, 11, 2)
    assert read_prices() == {"H100-80GB": Price("H100-80GB", 3.0, "EUR", day, "a contract")}


def test_the_file_that_ships_has_no_row_that_nobody_dated():
    assert read_prices(PRICES) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROW.format(price=3, date='"soon"'), "date"),
        (ROW.format(price=3, date="2026-11-02").replace('source = "a contract"', ""), "source"),
        (ROW.format(price=-1, date="2026-11-02"), "per_gpu_hour"),
        (ROW.format(price=3, date="2026-11-02") + 'region = "north"\n', "region"),
        ("[[price]\n", "cannot be read"),
    ],
)
def test_a_row_that_leaves_something_out_is_named(tmp_path, text, said):
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(RecipeError, match=said):
        read_prices(file)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_prices(tmp_path / "absent.toml")
