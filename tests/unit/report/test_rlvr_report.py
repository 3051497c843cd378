"""The page about start models for RLVR: pass@k, operations charged, and no verdict on a few seeds."""

import json
from pathlib import Path

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.evaluation.statistics.compare import Claim, PairedItems, decide
from rpt_core.recipes.reports.report import START, StudyModel
from rpt_core.recipes.reports.rlvr_report import RlvrReportRecipe
from rpt_core.report.rlvr import TOO_FEW, Spent, seeds_min, spent_by
from rpt_core.report.study import write_report
from tests.unit.evaluation.tables import AFTER, Planted, write_evaluation
from tests.unit.report.test_report import NOWHERE, Page
from tests.unit.report.test_report_arms import write_manifest, write_training

ARMS = {"RLVR from RPT": 0.8, "RLVR from the start model": 0.6, "RLVR from continual NTP": 0.5}
OTHERS = {START: 0.2, "RPT": 0.4}


def folders(root: Path, seeds: int, names) -> dict[str, Path]:
    found = {}
    for seed in range(seeds):
        for name in names:
            chance = (OTHERS | ARMS)[name]
            folder = root / f"{name}{seed}"
            found[f"models.{name}.evaluations.{seed}"] = write_evaluation(
                folder, AFTER, planted=Planted(10, 3, seed=seed), seed=len(name) + 31 * seed, problems=chance
            )
            if name in ARMS:
                found[f"models.{name}.trainings.{seed}"] = write_training(root / f"t{name}{seed}", 1000)
    return found


def written(root: Path, seeds: int, names=(START, *ARMS, "RPT")):
    one = (NOWHERE,) * seeds
    models = [StudyModel(name=name, evaluations=one, trainings=one if name in ARMS else ()) for name in names]
    recipe = RlvrReportRecipe(seeds=tuple(range(seeds)), models=tuple(models))
    build = LocalBuild(folders(root, seeds, names), root / "out", root / "scratch")
    return write_report(recipe, build).summary, build.out


def test_three_seeds_are_too_few_for_a_verdict_and_the_page_says_so(tmp_path):
    summary, out = written(tmp_path, 3)
    assert summary["verdict"] == TOO_FEW == "too few seeds for a verdict"
    assert not [name for name in summary if name.startswith("claim")]
    assert json.loads((out / "report.json").read_text())["claims"] == []
    text = (out / "report.md").read_text()
    assert "Too few seeds for a verdict: 3, and an exact test over seeds needs 8 for 4 claims." in text
    rows = [line for line in text.splitlines() if line.startswith("| RLVR from") and TOO_FEW in line]
    assert len(rows) == 4  # two other arms, one try and eight
    assert 0.7 < summary["pass@1: RLVR from RPT"] < summary["pass@8: RLVR from RPT"]
    assert summary[f"pass@1: {START}"] < summary["pass@1: RPT"] < summary["pass@1: RLVR from RPT"]
    page = Page((out / "report.html").read_text())
    assert page.open == []
    assert {link[1:] for link in page.links} <= set(page.ids)


@pytest.mark.parametrize("num_claims", range(1, 13))
def test_as_many_seeds_as_are_asked_for_can_decide_every_claim_and_one_fewer_cannot(num_claims):
    """All seeds on one side is the most that seeds can say."""

    def ends(seeds: int) -> set[str]:
        names = np.array([str(seed) for seed in range(seeds)])
        items = PairedItems(np.zeros(seeds), np.full(seeds, 0.5), names)
        return {one.verdict for one in decide([Claim(str(one), items) for one in range(num_claims)])}

    assert ends(seeds_min(num_claims)) == {"holds"}
    assert ends(seeds_min(num_claims) - 1) == {"undecided"}


def test_enough_seeds_decide_with_the_seed_as_the_unit(tmp_path):
    summary, out = written(tmp_path, 8, (START, "RLVR from RPT", "RLVR from continual NTP"))
    assert "verdict" not in summary
    assert summary["claim: RLVR from RPT solves more than RLVR from continual NTP, pass@1"] == "holds"
    claims = json.loads((out / "report.json").read_text())["claims"]
    assert {claim["difference"]["num_clusters"] for claim in claims} == {8}
    assert TOO_FEW not in (out / "report.md").read_text()


def test_an_arm_is_charged_with_all_that_was_trained_and_filtered_for_it(tmp_path):
    training, lineage = write_training(tmp_path / "training", 1000), tmp_path / "lineage"
    lineage.mkdir()
    cold = write_manifest(lineage / "0.json", "cold-start", {}, flops=9e12)
    policy = write_manifest(lineage / "1.json", "policy", {}, flops=3e9, parents={"start": cold})
    rates = write_manifest(lineage / "2.json", "f-pass-rates", {}, flops=5e8, parents={"model": policy})
    parents = {"start": policy, "pass_rates": rates}
    write_manifest(training / "manifest.json", "rlvr", {}, flops=2e9, parents=parents)
    found = spent_by(training, {"training": training, "lineage": lineage})
    assert found == Spent(before=3e9, filtered=5e8, rewarded=2e9)  # the cold start is everybody's
    assert found.total == pytest.approx(5.5e9)

    assert spent_by(tmp_path / "nothing", {}) == Spent(0.0, 0.0, 0.0)
