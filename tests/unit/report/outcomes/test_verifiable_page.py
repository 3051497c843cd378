"""The page of the study of verifiable rewards, of seeds with a known effect, and the papers' rows on it."""

import hashlib
from dataclasses import replace

import pytest

from rpt_core.recipes.reports.outcomes_report import RLVR_AFTER_RLPT, RLVR_AFTER_RMT, VERIFIABLE_REWARDS
from rpt_core.report.outcomes.claims import (
    MIXED_RLVR,
    NTP_RLVR,
    REJECTION_RLVR,
    RLPT_RLVR,
    RLVR_ALONE,
    RLVR_CLAIMS,
    RLVR_SHORT,
    RMT_RLVR,
    RPT_RLVR,
    RULES,
    SFT_RLVR,
)
from rpt_core.report.papers.evidence import Compared, Untested, decided
from rpt_core.report.papers.rows import ROWS
from tests.unit.report.outcomes.simulated import SEEDS, START, simulated
from tests.unit.report.outcomes.test_page import made
from tests.unit.report.outcomes.test_segments_page import arms_of

FIXED = "2a9a913078dd87f3"
"""Digest of the claims as they were fixed; a change of it is a change of a claim."""
LEVELS = {
    START: 0.45, RPT_RLVR: 0.62, RLVR_SHORT: 0.52, RLVR_ALONE: 0.86, NTP_RLVR: 0.50, SFT_RLVR: 0.62,
    REJECTION_RLVR: 0.66, MIXED_RLVR: 0.50, "RPT": 0.5,
}  # fmt: skip


SPENT = {RLVR_SHORT: -170.0, "RPT": 1280.0}
"""Beside the 420 of the proxy; what all others spend is 1,530 and a step's size more or less."""


def seeds_of(*seeds: int):
    return [
        replace(
            simulated(arm, seed, level, samples=16, gflops=SPENT.get(arm, 1530.0 + seed % 7 + len(arm))),
            study=VERIFIABLE_REWARDS,
            plain_I=None,
        )
        for seed in seeds
        for arm, level in LEVELS.items()
    ]


def test_the_claims_are_those_that_were_fixed():
    fixed = [
        (c.key, c.sentence, c.method, c.reference, c.score, c.threshold, c.direction) for c in RLVR_CLAIMS
    ]
    assert hashlib.sha256(repr(fixed).encode()).hexdigest()[:16] == FIXED


def test_known_effects_end_in_the_right_verdicts_and_a_missing_arm_is_said_to_be(tmp_path):
    summary, out = made(tmp_path, seeds_of(*SEEDS), study=VERIFIABLE_REWARDS)
    ends = {name[6:8]: end for name, end in summary.items() if name.startswith("claim V")}
    assert ends == {
        "V1": "holds", "V2": "fails", "V3": "holds", "V4": "undecided", "V5": "fails", "V6": "holds",
    }  # fmt: skip
    text = (out / "report.md").read_text()
    assert "V2, “RPT is worth its operations: RLVR after it beats RLVR for all of them”, fails" in text
    lead = text.split("## Every arm")[1].split("|")[0]
    assert "At equal FLOPs but for “RLVR alone, short” and “RPT”, which had less to spend" in lead
    some = [one for one in seeds_of(*SEEDS) if one.arm != MIXED_RLVR]
    summary, _ = made(tmp_path / "some", some, study=VERIFIABLE_REWARDS)
    assert summary[f"claim V6: {RLVR_CLAIMS[5].sentence}"] == "not tested"


@pytest.mark.parametrize(("num", "stands"), [(0, False), (7, False), (8, True)])
def test_rows_of_the_papers_wait_for_eight_seeds(num, stands):
    waiting = [row for row in ROWS if isinstance(row.then, Compared) and row.then.study == VERIFIABLE_REWARDS]
    studies = {VERIFIABLE_REWARDS: arms_of(seeds_of(*SEEDS[:num]))} if num else {}
    found = [one for one in decided(ROWS, studies) if one.row.claim in {row.claim for row in waiting}]
    assert all((one.row.evidence == row.then) is stands for one, row in zip(found, waiting, strict=True))
    ends = [one.end for one in found]
    if stands:
        assert ends == ["holds", "fails", "holds", "fails"]  # the last: Mixed SFT above RPT
    else:
        unknown = [one.end for one in found if isinstance(one.row.evidence, Untested)]
        assert unknown == ["not tested", "not tested"]


AFTER = {
    RLVR_AFTER_RMT: (
        {START: 0.6, RMT_RLVR: 0.7, RPT_RLVR: 0.76, RLVR_SHORT: 0.6, RLVR_ALONE: 0.9},
        {"R1": "fails", "R2": "holds", "R3": "fails"},
    ),
    RLVR_AFTER_RLPT: (
        {START: 0.3, RLPT_RLVR: 0.5, SFT_RLVR: 0.6, RLVR_SHORT: 0.35, RLVR_ALONE: 0.75},
        {"L1": "holds", "L2": "fails", "L3": "fails"},
    ),
}


@pytest.mark.parametrize("study", AFTER)
def test_after_other_methods_known_effects_end_in_the_right_verdicts(study, tmp_path):
    levels, expected = AFTER[study]
    kept = [
        replace(simulated(arm, seed, level, samples=16), study=study, plain_I=None)
        for seed in SEEDS
        for arm, level in levels.items()
    ]
    summary, out = made(tmp_path, kept, study=study)
    ends = {name[6:8]: end for name, end in summary.items() if name.startswith("claim ")}
    assert ends == expected
    text = (out / "report.md").read_text()
    assert RULES[study].method in text.split("\n")[2]
    row = next(one for one in decided(ROWS, {study: arms_of(kept)}) if _is_about(one.row, study))
    assert row.end == ends[RULES[study].claims[0].key]


def _is_about(row, study):
    return isinstance(row.evidence, Compared) and row.evidence.study == study
