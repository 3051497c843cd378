"""The page about next segments: its claims as fixed, who is fooled, tokens that are never averaged away."""

import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.evaluation.kept.judged import Fooled, JudgedAnswers, Reached
from rpt_core.recipes.reports.outcomes_report import NEXT_SEGMENTS
from rpt_core.report.outcomes.claims import SEGMENT_CLAIMS
from rpt_core.report.outcomes.segments import TARGET, false_accepts, false_rejects
from rpt_core.report.outcomes.values import Arm, score, tokens_to, wrong_answers
from rpt_core.report.papers.evidence import Compared, PaperClaim, Sooner, Untested, decided, sooner
from rpt_core.report.papers.rows import ROWS
from rpt_core.report.papers.table import arms_of, written
from rpt_core.report.study import write_report
from tests.unit.report.outcomes.simulated import SEEDS, START, page_of, simulated

FIXED = "326fc6e610014f7e"
"""Digest of the claims as they were fixed; a change of it is a change of a claim."""
LEVELS = {
    START: 0.30, "RLPT": 0.70, "more SFT": 0.38, "judge-free": 0.70, "strict rule": 0.60, "ASR alone": 0.60,
    "MSR alone": 0.60, "judge errs 5 %": 0.66, "judge errs 20 %": 0.40, "order of topics": 0.60,
}  # fmt: skip
TAKEN = {"judge errs 20 %": 0.8}
"""Of wrong answers, what an erring judge accepts; elsewhere a fifth."""


def of_segments(arm: str, seed: int, level: float):
    """An arm whose first checkpoint has nothing right, and whose second nine tenths of its answers."""
    tokens = 300_000 + (3_000 * (seed - 104) if arm == "RLPT" else 0)
    alike = "RLPT" if arm == "judge-free" else arm  # answers of the one are those of the other
    one = replace(simulated(alike, seed, level, samples=8, scatter=0.01), arm=arm)
    one = replace(
        one, study=NEXT_SEGMENTS, tokens=0 if arm == START else tokens, at_updates=0, updated_IS=None
    )
    rng = np.random.default_rng(seed)
    right = one.answers.right_IS
    wrong = wrong_answers(one)
    fooling = wrong & (rng.random(right.shape) < TAKEN.get(arm, 0.2))
    reinforced = arm not in (START, "more SFT")
    most = right & (rng.random(right.shape) < 0.9)
    checkpoints = (Reached(8, tokens // 10, right & False), Reached(16, tokens // 5, most))
    judged = JudgedAnswers(
        accepted_IS=right | (wrong & (rng.random(right.shape) < 0.02)),
        fooling_IS={0.05: fooling & (rng.random(right.shape) < 0.25), 0.2: fooling},
        checkpoints=checkpoints if reinforced else (),
        fooled=Fooled((100, 100), (50, 20), (1, 9), (0, 8)) if reinforced and arm != "judge-free" else None,
    )
    return replace(one, judged=judged)


@pytest.fixture(scope="module")
def outcomes():
    return [of_segments(arm, seed, level) for seed in SEEDS for arm, level in LEVELS.items()]


@pytest.fixture(scope="module")
def made(outcomes, tmp_path_factory):
    recipe, inputs = page_of(tmp_path_factory.mktemp("page"), outcomes, study=NEXT_SEGMENTS)
    build = LocalBuild(inputs, tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("scratch"))
    summary = write_report(recipe, build).summary
    return summary, (build.out / "report.md").read_text()


def row(text: str, section: str, name: str) -> list[str]:
    part = text.split(f"## {section}", maxsplit=1)[1].split("\n## ", maxsplit=1)[0]
    (line,) = (one for one in part.splitlines() if one.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_claims_are_those_that_were_fixed():
    fixed = [
        (c.key, c.sentence, c.method, c.reference, c.score, c.threshold, c.direction) for c in SEGMENT_CLAIMS
    ]
    assert hashlib.sha256(repr(fixed).encode()).hexdigest()[:16] == FIXED


def test_a_known_effect_ends_in_the_right_verdicts(made):
    summary, text = made
    found = {name[6:8]: end for name, end in summary.items() if name.startswith("claim S")}
    assert found == dict.fromkeys(("S1", "S2", "S3", "S4", "S5", "S7"), "holds") | {
        "S6": "fails",
        "S8": "fails",
    }
    assert "correction over all eight" in text
    assert "the smallest p of eight" in text


def test_the_page_says_who_is_fooled(made):
    _, text = made
    erring, plain = (row(text, "How judges are fooled", name) for name in ("judge errs 20 %", "RLPT"))
    assert plain[4].startswith(("19.", "20."))
    assert erring[4].startswith(("78.", "79.", "80."))
    assert (plain[5], plain[6], plain[7]) == ("1.0 % [all 8 agree]", "9.0 % [all 8 agree]", "1.0, 9.0")
    assert row(text, "How judges are fooled", "judge-free")[5:] == ["–", "–", "–"]


def test_shares_of_judges_are_of_the_answers_they_speak_of(outcomes):
    one = next(each for each in outcomes if each.arm == "RLPT")
    held, right = one.questions.held_I, one.answers.right_IS
    wrong = wrong_answers(one)
    assert false_rejects(one) == 0.0
    assert false_accepts(one) == pytest.approx(
        (one.judged.accepted_IS & wrong)[held].sum() / wrong[held].sum()
    )
    assert score(one, "fooled-20") == pytest.approx(
        one.judged.fooling_IS[0.2][held].sum() / wrong[held].sum()
    )
    assert not (wrong & right).any()
    assert np.isnan(score(simulated("RPT", 100, 0.5), "fooled-20"))


def test_tokens_are_those_of_the_first_checkpoint_that_has_the_accuracy(outcomes):
    by_arm = {one.arm: one for one in outcomes if one.seed == 100}
    rlpt, lessons = by_arm["RLPT"], by_arm["more SFT"]
    own = score(rlpt, "accuracy")
    assert tokens_to(rlpt, 0.8 * own) == rlpt.tokens // 5
    assert tokens_to(rlpt, 0.97 * own) == tokens_to(rlpt, own) == rlpt.tokens
    assert tokens_to(rlpt, own + 0.001) is None
    assert tokens_to(lessons, score(lessons, "accuracy")) == 300_000  # its end is its only checkpoint


def test_an_arm_that_never_has_the_accuracy_is_said_to_and_has_no_mean(made):
    _, text = made
    section = f"Tokens to {100 * TARGET:g} %"
    reached, never = row(text, section, "RLPT"), row(text, section, "judge errs 20 %")
    assert reached[1] == "8 of 8"
    assert re.fullmatch(r"\d+\u2009\d{3} \[\d+\u2009\d{3}, \d+\u2009\d{3}\]", reached[2])
    assert never[1:3] == ["0 of 8", "–"]
    assert "100: more than 300\u2009000" in never[3]
    some = [replace(of_segments("RLPT", seed, 0.7 if seed < 104 else 0.3)) for seed in SEEDS]
    assert [tokens_to(one, TARGET) is None for one in some] == [False] * 4 + [True] * 4


def test_a_third_of_the_tokens_is_decided_by_ratios_and_never_over_some_seeds():
    by = Sooner("RLPT", "more SFT", 1 / 3, NEXT_SEGMENTS)
    claim = PaperClaim("RLPT", "a third of the tokens", "", "", Untested(), "not run", by, "then")
    outcomes = [of_segments(arm, seed, LEVELS[arm]) for seed in SEEDS for arm in ("RLPT", "more SFT")]
    arms = arms_of(outcomes)
    wanted = [(60_000 + 600 * (seed - 104)) / 300_000 for seed in SEEDS]
    assert np.exp(sooner(arms, by)) == pytest.approx(wanted)
    (found,) = decided([claim], {NEXT_SEGMENTS: arms})
    assert (found.end, found.num_seeds, found.row.why) == ("holds", 8, "then")
    weak = arms["RLPT"].by_seed | {107: of_segments("RLPT", 107, 0.2)}
    (censored,) = decided([claim], {NEXT_SEGMENTS: arms | {"RLPT": Arm("RLPT", weak, {})}})
    assert (censored.end, censored.interval) == ("undecided", None)


def test_rows_of_the_papers_wait_for_the_agreed_seeds_and_then_stand_on_the_study(outcomes):
    waiting = [one for one in ROWS if one.then is not None and one.then.study == NEXT_SEGMENTS]
    assert [ROWS.index(one) + 1 for one in waiting] == [28, 29, 30, 31, 32, 36, 38, 43]
    early = {NEXT_SEGMENTS: arms_of([one for one in outcomes if one.seed < 107])}
    for studies, stands in (({}, False), (early, False), ({NEXT_SEGMENTS: arms_of(outcomes)}, True)):
        assert all((one.now(studies).evidence == one.then) is stands for one in waiting)
    ends = {
        found.row.claim: found.end
        for found in decided(ROWS, {NEXT_SEGMENTS: arms_of(outcomes)})
        if isinstance(found.row.evidence, Compared | Sooner) and found.row.evidence.study == NEXT_SEGMENTS
    }
    assert len(ends) == len(waiting)
    assert ends["a judge that errs is not exploited"] == "fails"
    assert ends["next-segment reasoning beats the cold start"] == "holds"
    text, _ = written(outcomes, _free_prices(), "a machine")
    (line,) = (one for one in text.splitlines() if "| a third of the tokens" in one)
    assert "0.20 times [0.19, 0.20], 8 seeds | *holds*" in line


def _free_prices():
    from rpt_core.report.papers.table import TABLES, Price

    return {table.recipe: Price("1", "1", "none") for table in TABLES}
