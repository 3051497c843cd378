"""The page about an imperfect teacher, of seeds with a known effect, and of seeds with none."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.errors import RecipeError
from rpt_core.evaluation.by_seed import SeedClaim, decide_by_seed
from rpt_core.recipes.reports.outcomes_report import SHORTER_THOUGHTS
from rpt_core.report.outcomes.claims import CLAIMS, FURTHER_SEEDS, RUNS_AN_ARM
from rpt_core.report.outcomes.page import names_of_runs
from rpt_core.report.outcomes.tuning import TuningRun, check_fair
from rpt_core.report.sources import SourceArtifact
from rpt_core.report.study import write_report
from tests.unit.report.outcomes.simulated import ARMS, EFFECT, SEEDS, START, page_of, simulated
from tests.unit.report.test_report import Page

STUDIES = 2000
FIXED = "ca0953607df5aca2"
"""Digest of the claims as they were fixed; a change of it is a change of a claim."""


def made(tmp_path, outcomes, tuning=None, **fields):
    recipe, inputs = page_of(tmp_path, outcomes, tuning, **fields)
    build = LocalBuild(inputs, tmp_path / "out", tmp_path / "scratch")
    summary = write_report(recipe, build).summary
    return summary, build.out


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    outcomes = [simulated(arm, seed, EFFECT[arm]) for seed in SEEDS for arm in (START, *ARMS)]
    return made(tmp_path_factory.mktemp("known"), outcomes)


def test_a_known_effect_ends_in_the_right_verdicts(known):
    summary, out = known
    found = {name[6:8]: end for name, end in summary.items() if name.startswith("claim C")}
    assert found == dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C6"), "holds")
    claims = json.loads((out / "report.json").read_text())["claims"]
    assert {claim["difference"]["num_clusters"] for claim in claims} == {len(SEEDS)}  # the seed is the unit


def test_nothing_is_decided_before_the_agreed_seeds_are_in(tmp_path):
    outcomes = [simulated(arm, seed, EFFECT[arm]) for seed in SEEDS[:-1] for arm in (START, *ARMS)]
    summary, out = made(tmp_path, outcomes)
    assert {end for name, end in summary.items() if name.startswith("claim C")} == {"undecided"}
    claims = json.loads((out / "report.json").read_text())["claims"]
    assert {claim["verdict"] for claim in claims} == {"undecided"}
    assert {claim["difference"]["num_clusters"] for claim in claims} == {len(SEEDS) - 1}


def test_the_page_says_first_what_is_better_thinking_and_what_habit(known):
    text = (known[1] / "report.md").read_text()
    sections = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert sections[0] == "Better thinking, or a habit"
    assert text.index("better thinking and not the habit") < text.index("## ")
    for name in ("Claims", "Every arm", "Sharper or wider", "Never solved", "Faults", "What it took"):
        assert name in sections
    assert "8 seeds, 100 to 107" in text
    page = Page((known[1] / "report.html").read_text())
    assert page.open == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_page_counts_arms_that_other_machines_have_trained(known):
    """Their files hold what they cost; manifests of their trainings are not there."""
    text = (known[1] / "report.md").read_text()
    assert "- Outcomes: 40, each of one arm under one seed" in text
    assert "- Compute: 51.8T operations of all arms, 13\u2009200\u2009000 tokens; 6.4T of their start" in text
    assert "- Text: " not in text


def test_a_habit_is_told_from_better_thinking(tmp_path):
    """All of the gain is from thinking more often: none of it counts as better thinking."""
    outcomes = [simulated(START, seed, 0.30, thinks=0.3) for seed in SEEDS]
    outcomes += [simulated("RPT", seed, 0.55, thinks=0.95) for seed in SEEDS]
    summary, out = made(tmp_path, outcomes)
    assert summary["claim C4: the gain is no habit: the think share moves by less than 2 points"] == "fails"
    assert summary["better_thinking_high"] < 0
    assert "better thinking, at least" in (out / "report.md").read_text()


def test_missing_arms_and_measures_are_not_tested_and_said(tmp_path):
    outcomes = [simulated(arm, seed, EFFECT[arm]) for seed in SEEDS[:3] for arm in (START, "RPT")]
    bare = [
        replace(one, answers=replace(one.answers, verified_IS=None, hits_I=None, faults_IS=None))
        for one in outcomes
    ]
    summary, out = made(tmp_path, bare)
    ends = {name[6:8]: end for name, end in summary.items() if name.startswith("claim C")}
    assert [ends[key] for key in ("C1", "C2", "C3", "C5")] == ["not tested"] * 4
    text = (out / "report.md").read_text()
    assert "Thoughts were not judged" in text
    assert "Fewer than 8 seeds were run of start, RPT." in text
    assert "## Never solved" not in text


def test_arms_that_were_asked_other_questions_are_refused(tmp_path):
    one, other = simulated(START, 100, 0.3), simulated("RPT", 100, 0.6)
    other = replace(other, questions=replace(other.questions, digest="another"))
    with pytest.raises(RecipeError, match="different questions"):
        made(tmp_path, [one, other])


@pytest.mark.parametrize("scatter", [0.03])
def test_a_null_effect_is_called_a_success_in_one_study_of_twenty_at_most(scatter):
    """Every claim at the very edge of being false, and every claim with no effect at all."""
    rng = np.random.default_rng(11)
    for edge in (True, False):
        wrong = 0
        for _ in range(STUDIES):
            claims = []
            for claim in CLAIMS:
                true = claim.threshold if edge else 0.0
                if claim.direction != "above" and not edge:
                    true = (
                        2 * claim.threshold
                    )  # where no effect at all makes it true, something else is false
                drawn = rng.normal(true, scatter, len(SEEDS))
                claims.append(SeedClaim(claim.key, tuple(drawn), claim.threshold, claim.direction))
            wrong += any(found.verdict == "holds" for found in decide_by_seed(claims))
        assert wrong <= 0.05 * STUDIES


def test_the_claims_are_those_that_were_fixed():
    fixed = [(c.key, c.sentence, c.method, c.reference, c.score, c.threshold, c.direction) for c in CLAIMS]
    assert hashlib.sha256(repr(fixed).encode()).hexdigest()[:16] == FIXED


def shorter(seed: int, arm: str, accuracy: float, factor: int):
    """An arm of the study of shorter thoughts, which thinks so many times as long."""
    one = simulated(arm, seed, accuracy)
    tokens = factor * one.answers.thought_tokens_I
    return replace(
        one, study=SHORTER_THOUGHTS, arm=arm, answers=replace(one.answers, thought_tokens_I=tokens)
    )


def test_lengths_are_compared_as_ratios_under_the_claims_of_their_own_study(tmp_path):
    arms = {
        START: (0.30, 6), "RPT": (0.60, 6), "RMT": (0.60, 2), "RMT, length paid always": (0.40, 1),
        "RMT without budget": (0.50, 6), "RMT without curriculum": (0.50, 2), "RMT without NTP": (0.50, 2),
    }  # fmt: skip
    outcomes = [shorter(seed, arm, *known) for seed in SEEDS for arm, known in arms.items()]
    summary, out = made(tmp_path, outcomes, study=SHORTER_THOUGHTS)
    found = {name[6:8]: end for name, end in summary.items() if name.startswith("claim M")}
    assert found == {"M6": "fails"} | {f"M{number}": "holds" for number in range(1, 6)}
    assert not [name for name in summary if name.startswith("claim C")]
    text = (out / "report.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith("| M2 |"))
    assert "0.33 times [0.33, 0.33]" in row
    assert "upper end below 0.5 times" in row
    assert "RMT changes accuracy" in text


def test_thoughts_that_are_no_shorter_fail_the_claim_in_words_of_ratios(tmp_path):
    outcomes = [shorter(seed, arm, 0.5, 3) for seed in SEEDS for arm in (START, "RPT", "RMT")]
    summary, out = made(tmp_path, outcomes, study=SHORTER_THOUGHTS)
    assert summary["claim M2: RMT thinks in half of RPT's tokens or fewer"] == "fails"
    text = (out / "report.md").read_text()
    assert "fails: 1.00 times [1.00, 1.00] over 8 seeds; to hold: upper end below 0.5 times." in text


def runs(arm: str, num: int, seed: int = 10):
    return [replace(simulated(arm, seed, 0.3, samples=8), setting={"rate": n}) for n in range(num)]


def test_tuning_runs_are_shown_and_no_arm_has_more(tmp_path):
    start = [simulated(START, 10, 0.3)]
    _, out = made(tmp_path / "fair", start, [*runs("RPT", RUNS_AN_ARM), *runs("more SFT", RUNS_AN_ARM)])
    text = (out / "report.md").read_text()
    assert text.count("| RPT: ") == RUNS_AN_ARM == text.count("| more SFT: ")
    for number, unfair in enumerate(
        ([*runs("RPT", 7), *runs("more SFT", 6)], runs("RPT", RUNS_AN_ARM + 1), runs("RPT", 7, seed=100))
    ):
        with pytest.raises(RecipeError, match=r"same number|tuning run is of seed 100"):
            made(tmp_path / str(number), start, unfair)
    check_fair([])


def test_every_tuning_run_is_named_where_its_outcomes_are_listed():
    found = [
        TuningRun("RPT", number, seed, {}, 0.5, 1.0, SourceArtifact("outcomes", f"f{number}"))
        for number, seed in ((1, 10), (2, 10), (6, 11))
    ]
    assert names_of_runs(found) == {
        "f1": "RPT, run 1, seed 10", "f2": "RPT, run 2, seed 10", "f6": "RPT, run 6, seed 11",
    }  # fmt: skip


def test_further_seeds_are_asked_for_only_where_the_protocol_asks_for_them(tmp_path):
    arms = (START, "RPT", "RMT")
    near = [simulated(arm, seed, 0.5, scatter=0.001) for seed in SEEDS for arm in arms]
    _, out = made(tmp_path / "near", near)
    assert "over the first seeds: not above 3, so 8 do." in (out / "report.md").read_text()
    wide = [simulated(arm, seed, 0.5, scatter=0.1) for seed in SEEDS for arm in arms]
    _, out = made(tmp_path / "by the rule", wide)
    text = (out / "report.md").read_text()
    assert "over the first seeds: above 3, so seeds 108 to 115 are to be run for these arms." in text
    others = [replace(one, study=SHORTER_THOUGHTS) for one in wide]
    _, out = made(tmp_path / "without one", others, study=SHORTER_THOUGHTS)
    text = (out / "report.md").read_text()
    assert "accuracy scatters by" in text
    assert "108" not in text.split("What fell short")[0]


def test_further_seeds_of_the_claims_arms_decide_and_are_no_second_look(tmp_path):
    claimed = (START, "RPT", "more SFT", "rejection SFT", "permuted reward")
    wide = [simulated(arm, seed, 0.5, scatter=0.1) for seed in SEEDS for arm in (*claimed, "RLP")]
    _, out = made(tmp_path / "first", wide)
    first = (out / "report.md").read_text()
    still = [simulated(arm, seed, 0.9, scatter=0.001) for seed in FURTHER_SEEDS for arm in claimed]
    _, out = made(tmp_path / "all", [*wide, *still])
    text = (out / "report.md").read_text()
    looked = [line.partition("accuracy scatters by ")[2][:4] for line in (first + text).splitlines()]
    assert len({one for one in looked if one}) == 1, "further seeds never move the one look"
    assert "above 3, so seeds 108 to 115 were run for these arms." in text
    head = "5 arms from one start model · 4 under 16 seeds, 100 to 115; 1 under 8 seeds, 100 to 107"
    assert head in (out / "report.html").read_text()
    assert "Arms that differ in their seeds are compared under those they share." in text
    assert "Arms that differ" not in first
    (row,) = (line for line in text.splitlines() if line.startswith("| C1 |"))
    assert "| 16 |" in row
    assert "Over 16 seeds, 100 to 115, RPT changes accuracy" in text


def test_an_arm_that_answered_less_often_is_in_no_table_of_what_was_never_solved(tmp_path):
    arms = [simulated(arm, seed, 0.5) for seed in SEEDS for arm in (START, "RPT")]
    fewer = [simulated("base model", seed, 0.5, samples=8) for seed in SEEDS]
    _, out = made(tmp_path, [*arms, *fewer])
    text = (out / "report.md").read_text()
    never, sharper = (
        text.partition(f"## {name}")[2].partition("\n## ")[0] for name in ("Never solved", "Sharper")
    )
    assert "| RPT |" in never
    assert "base model" not in never
    (row,) = (line for line in sharper.splitlines() if line.startswith("| base model |"))
    assert row.rstrip(" |").endswith("undecided")


@pytest.mark.parametrize(("samples", "said"), [(4, "too few tries"), (16, "widens"), (64, "widens")])
def test_a_few_tries_do_not_say_that_a_model_finds_more(tmp_path, samples, said):
    better = [
        simulated(arm, seed, level, samples=samples)
        for seed in SEEDS
        for arm, level in ((START, 0.02), ("RPT", 0.2))
    ]
    _, out = made(tmp_path, better)
    section = (out / "report.md").read_text().partition("## Sharper or wider")[2].partition("\n## ")[0]
    (row,) = (line for line in section.splitlines() if line.startswith("| RPT |"))
    assert row.rstrip(" |").endswith(said)
    assert ("tries are not many" in section) == (samples == 4)


def test_a_reader_of_true_chains_is_told_what_else_raises_them(tmp_path, known):
    _, out = known
    assert "told once, word for word" not in (out / "report.md").read_text()
    outcomes = [shorter(seed, arm, 0.5, 3) for seed in SEEDS for arm in (START, "RPT", "RMT")]
    _, out = made(
        tmp_path, [replace(one, updated_IS=None, at_updates=0) for one in outcomes], study=SHORTER_THOUGHTS
    )
    text = (out / "report.md").read_text()
    assert "A true chain is the true steps told once, word for word." in text
    assert "equal updates" not in text
