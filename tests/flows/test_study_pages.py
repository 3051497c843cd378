"""The pages under docs/study are the ones their kept outcomes make."""

import pytest

from tests.tools.study_pages import FOLDER, PAGES, write_page

QUICK = "other-text"
"""Built in every run; the others take minutes together."""


ALL = [pytest.param(one, id=one.name, marks=[pytest.mark.long] * (one.name != QUICK)) for one in PAGES]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", ALL)
def test_a_page_is_the_one_that_is_generated(page, tmp_path):
    written = write_page(page, tmp_path, tmp_path / "home")
    assert written.read_text("utf-8") == (FOLDER / written.name).read_text("utf-8")
    if (picture := tmp_path / f"{page.name}.png").exists():
        assert picture.read_bytes() == (FOLDER / picture.name).read_bytes()


def test_every_page_of_a_study_has_a_row():
    by_hand = {"protocol.md", "real-text-protocol.md", "world.md", "real-text.md"}
    assert {path.name for path in FOLDER.glob("*.md")} - by_hand == {f"{page.name}.md" for page in PAGES}
