"""docs/study again: every study's page, built from the outcomes that are kept there; nothing is trained.

Each page is the ``report.md`` of the ``rpt study`` that its row of :data:`PAGES` names, in an empty
RPT_HOME. The page of a real text is not among them: its design knows the model's and the text's content, so
it needs both (docs/study/real-text-protocol.md).

    python -m tests.tools.study_pages [--only sizes,other-text] [--into docs/study]
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("docs/study")
REPORT = re.compile(r"^report: (\S+)$", re.MULTILINE)
LIMIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Page:
    """A page and the arguments of ``rpt study`` that build it."""

    recipe: str
    about: str
    seeds: str
    outcomes: str = ""
    """The folder under ``docs/study/outcomes``; empty for that folder itself."""
    arms: str = ""
    is_tuning: bool = False

    @property
    def name(self) -> str:
        """Of its files, without their ends."""
        return self.about + "-tuning" * self.is_tuning

    def arguments(self) -> list[str]:
        """What stands after ``rpt``."""
        kept = FOLDER / "outcomes" / self.outcomes
        arguments = ["study", self.recipe, "--about", self.about, "--seeds", self.seeds]
        arguments += ["--keep-outcomes", str(kept), *(["--arms", self.arms] if self.arms else [])]
        return arguments + ["--tune"] * self.is_tuning


MORE_SEEDS = "RPT@100-115;more SFT@100-115;rejection SFT@100-115;permuted reward@100-115"
"""The arms of the claims, run under eight seeds more because accuracy scatters by more than 3 points."""
OTHER_ARMS = (
    "RLP;VeriFree;expected prefix;JEPO;RLPR;NRT;NOVER;more SFT, then RPT;NTP tuned;Mixed SFT;"
    "RPT, random positions;random reward;format reward;oracle;learned masker;base model"
)
PAGES = (
    Page("tiny_rpt", "imperfect-teacher", "100-107", arms=f"{MORE_SEEDS};{OTHER_ARMS}"),
    Page("tiny_rpt", "imperfect-teacher", "100-107", is_tuning=True),
    Page("tiny_rmt", "shorter-thoughts", "100-107", "shorter-thoughts"),
    Page("tiny_rmt", "shorter-thoughts", "100-107", "shorter-thoughts", is_tuning=True),
    Page("tiny_rlpt", "next-segments", "100-107", "next-segments"),
    Page("tiny_rlpt", "next-segments", "100-107", "next-segments", is_tuning=True),
    Page("tiny_rpt", "verifiable-rewards", "100-107", "verifiable-rewards"),
    Page("tiny_rmt", "rlvr-after-rmt", "100-107", "rlvr-after-rmt"),
    Page("tiny_rlpt", "rlvr-after-rlpt", "100-107", "rlvr-after-rlpt"),
    Page("tiny_rpt", "dose-response", "200-202", "worlds"),
    Page("tiny_rpt", "other-text", "200-204", "worlds"),
    Page("tiny_rpt", "sizes", "300-302", "sizes"),
)


def write_page(page: Page, into: Path, home: Path) -> Path:
    """Build a page and copy it, with its picture where it has one.

    Args:
        page: Which.
        into: The folder of pages.
        home: An RPT_HOME.

    Raises:
        RuntimeError: ``rpt study`` failed or named no report; its output is the message.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RPT_")}
    ran = subprocess.run(
        [sys.executable, "-m", "flows", *page.arguments()],
        env=environment | {"RPT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    named = REPORT.search(ran.stdout)
    if ran.returncode or not named:
        raise RuntimeError(f"{page.name}: rpt study ended with {ran.returncode}\n{ran.stdout}\n{ran.stderr}")
    report = Path(named[1]).with_suffix(".md")
    written = into / f"{page.name}.md"
    written.write_text(report.read_text("utf-8").replace("(report.png)", f"({page.name}.png)"), "utf-8")
    if (picture := report.with_suffix(".png")).exists():
        shutil.copyfile(picture, into / f"{page.name}.png")
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the pages that are asked for, one after another."""
    names = [page.name for page in PAGES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="names by commas: " + ", ".join(names))
    parser.add_argument("--into", type=Path, default=FOLDER)
    given = parser.parse_args(arguments)
    wanted = given.only.split(",") if given.only else names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"there is no page {', '.join(unknown)}; there are {', '.join(names)}")
    for page in PAGES:
        if page.name in wanted:
            with tempfile.TemporaryDirectory() as home:
                print(write_page(page, given.into, Path(home)), flush=True)


if __name__ == "__main__":
    main()
