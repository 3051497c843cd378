"""The report as a reader has it: nothing cut or written over, marks that tell their value, rows that sort."""

import pytest

from tests.chromium import LAYOUT, ask, needs_browser
from tests.unit.report.test_report import done, inputs  # noqa: F401  (fixtures)
from tests.unit.report.test_report_arms import written  # noqa: F401

pytestmark = [needs_browser, pytest.mark.slow]
POINT = """
  const mark = document.querySelector("[data-words]");
  const svg = mark.closest("svg");
  const box = mark.getBoundingClientRect();
  const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2, bubbles: true };
  svg.dispatchEvent(new PointerEvent("pointermove", at));
  const tip = document.querySelector(".tip");
  const shown = { words: mark.dataset.words, tip: tip.hidden ? null : tip.textContent };
  svg.dispatchEvent(new PointerEvent("pointerleave", at));
  return { ...shown, after: tip.hidden, marks: document.querySelectorAll("[data-words]").length };
"""
SORT = """
  const table = [...document.querySelectorAll("table")].find((one) => one.textContent.includes("threshold"));
  const column = () => [...table.tBodies[0].rows].map((row) => row.cells[2].dataset.key);
  const turns = [column()];
  const head = table.tHead.rows[0].cells[2];
  for (let i = 0; i < 3; i++) { head.click(); turns.push(column()); }
  const grouped = [...document.querySelectorAll("table")].find((one) => one.textContent.includes("pass@"));
  const said = (row) => (row.className === "group" ? row.textContent : "");
  const order = () => [...grouped.tBodies[0].rows].map(said);
  const before = order();
  grouped.tHead.rows[0].cells[2].click();
  return { turns, before, after: order() };
"""


@pytest.mark.parametrize("width", [1280, 820, 390])
def test_nothing_is_cut_or_written_over(done, tmp_path, width):  # noqa: F811
    found = ask(done[1] / "report.html", LAYOUT, width=width, folder=tmp_path)
    assert found == {"width": width, "wide": [], "cut": [], "overlapping": []}


@pytest.mark.parametrize("width", [1280, 390])
def test_a_table_of_eleven_columns_is_not_cut_either(written, tmp_path, width):  # noqa: F811
    found = ask(written[1] / "report.html", LAYOUT, width=width, folder=tmp_path)
    assert found == {"width": width, "wide": [], "cut": [], "overlapping": []}


def test_a_mark_tells_its_value_to_whoever_points_at_it(done, tmp_path):  # noqa: F811
    found = ask(done[1] / "report.html", POINT, width=1280, folder=tmp_path)
    assert found["words"].startswith("start model, easy, plain next token: ")
    assert found["tip"] == found["words"]
    assert found["after"] is True
    assert found["marks"] == 3 * 10 + 3 * 6 + 4, "models by rows, checkpoints by tiers, bars"


def test_a_heading_sorts_by_value_and_the_third_click_restores(done, tmp_path):  # noqa: F811
    found = ask(done[1] / "report.html", SORT, width=1280, folder=tmp_path)
    original, first, second, third = ([float(value) for value in turn] for turn in found["turns"])
    assert first == sorted(original, reverse=True) != original
    assert second == sorted(original)
    assert third == original
    assert found["after"] == found["before"], "groups stay where they are"
