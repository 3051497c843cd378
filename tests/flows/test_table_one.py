"""The paper's table 1 on the sample world, one seed, through the command line: minutes on one core."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.stack import REPOSITORY
from rpt_core.recipes.reports.report import ALWAYS_THINKS

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
STUDY = (
    "import sys; from flows.__main__ import main;"
    "sys.argv = ['rpt', 'study', 'tiny_rpt', '--about', 'table-1', '--seeds', '100']; main()"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("home")
    environment = {**os.environ, "RPT_HOME": str(home), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", STUDY],
        check=False, cwd=REPOSITORY, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (manifest,) = home.glob("store/artifacts/arms-report/*/manifest.json")
    return manifest


def test_every_claim_ends_and_the_plain_ones_hold(report: Path):
    summary = json.loads(report.read_text())["outcome"]["summary"]
    ends = {name.removeprefix("claim: "): end for name, end in summary.items() if name.startswith("claim")}
    assert len(ends) == 6
    assert set(ends.values()) <= {"holds", "fails", "undecided"}
    assert f"RPT improves a {ALWAYS_THINKS}" in ends
    for name in (
        "RPT reasoning beats the start model's reasoning",
        "RPT reasoning beats the start model's plain prediction",
        "RPT reasoning beats NTP alone's reasoning, at equal tokens",
    ):
        assert ends[name] == "holds", name
