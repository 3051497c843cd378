"""The report's text on planted evaluations, word for word: what a reader sees cannot change unseen.

``RPT_UPDATE_GOLDEN=1 pytest tests/golden`` writes the file anew; read the difference before committing it.
"""

import os
from pathlib import Path

from rpt_core.artifacts.build import LocalBuild
from rpt_core.report.study import write_report
from tests.unit.report.test_report import MILESTONES, RECIPE, make_inputs

GOLDEN = Path(__file__).with_name("report.md")


def test_the_reports_text(tmp_path):
    inputs = make_inputs(tmp_path, milestones=MILESTONES, size=(30, 4))
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    write_report(RECIPE, build)
    text = (build.out / "report.md").read_text()
    if os.environ.get("RPT_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
