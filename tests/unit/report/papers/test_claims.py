"""``docs/claims.md``: enough rows, allowed verdicts alone, figures that pages print, nothing by hand."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from flows.cli.commands.studies import PAPER_MACHINE, paper_prices
from flows.kept import read_studies
from flows.recipes import NAMED
from rpt_core.evaluation.kept.file import file_name, to_bytes
from rpt_core.recipes.reports.outcomes_report import SHORTER_THOUGHTS
from rpt_core.report.outcomes.claims import CLAIMS
from rpt_core.report.papers.evidence import ENDS, Decided, Fitted, OverDocuments, PaperClaim, Printed, decided
from rpt_core.report.papers.rows import NEXT, RLPT, RMT, ROWS, RPT
from rpt_core.report.papers.table import TABLES, written
from tests.unit.report.outcomes.simulated import ARMS, EFFECT, SEEDS, START, simulated
from tests.unit.report.outcomes.simulated_sizes import all_sizes, sized

ROOT = Path(__file__).resolve().parents[4]
DOCS = ROOT / "docs"
OUTCOMES = DOCS / "study" / "outcomes"


def outcomes():
    return read_studies(OUTCOMES)


@pytest.fixture(scope="module")
def text():
    return (DOCS / "claims.md").read_text()


def rows(text: str) -> list[list[str]]:
    first = text.split("## Tables", maxsplit=1)[0]
    return [line.strip("|").split(" | ") for line in first.splitlines() if re.match(r"\| \d+ ", line)]


def test_the_page_is_the_one_that_is_generated(text):
    assert text == written(outcomes(), paper_prices(), PAPER_MACHINE)[0]


def test_there_are_enough_rows_and_each_ends_in_an_allowed_word(text):
    found = rows(text)
    assert len(found) == len(ROWS) >= 25
    assert {row[6].strip() for row in found} <= {f"*{end}*" for end in ENDS}
    assert {row[1].strip() for row in found} == {RPT, RMT, RLPT, NEXT}
    for row in found:
        assert row[-1].strip(" |"), row  # every row says why


def test_what_the_papers_leave_to_others_is_there():
    said = " ".join(row.claim for row in ROWS if row.paper == NEXT)
    topics = ("re-arrangement", "dynamic difficulty", "Chinese", "classical", "low-quality", "long context")
    for topic in (*topics, "judge that errs", "cross-modal"):
        assert topic in said


PRINTED = {
    row.claim: by
    for row in ROWS
    for by in (row.evidence.before if isinstance(row.evidence, Fitted) else row.evidence,)
    if isinstance(by, Printed | OverDocuments)
}


@pytest.mark.parametrize("claim", list(PRINTED))
def test_a_figure_stands_in_the_page_it_is_from(claim):
    by = PRINTED[claim]
    page = (DOCS / f"{by.page}.md").read_text()
    if isinstance(by, OverDocuments):
        assert by.figure in page
    else:
        numbers = [str(value) for value in (*by.method, *by.reference)]
        assert all(re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", page) for number in numbers)


def test_the_studys_claims_are_rows_and_each_once():
    keys = [row.evidence.key for row in ROWS if isinstance(row.evidence, Decided)]
    assert keys == [claim.key for claim in CLAIMS]
    assert len({row.claim for row in ROWS}) == len(ROWS)


def test_a_row_with_figures_by_seed_is_decided_by_the_t_test_over_seeds():
    by_seed = Printed("x", "y", (46, 51, 45), (20, 21, 19))
    row = PaperClaim(RLPT, "a claim", "", "", by_seed, "why")
    (found,) = decided([row], {})
    wanted = stats.ttest_rel(by_seed.method, by_seed.reference)
    assert (found.end == "holds") == (wanted.pvalue < 0.05)
    low, high = stats.ttest_1samp(np.subtract(by_seed.method, by_seed.reference), 0).confidence_interval()
    assert (100 * found.interval.low, 100 * found.interval.high) == pytest.approx((low, high))
    documents = PaperClaim(RPT, "another", "", "", OverDocuments("x", "+59.7 [57.1, 62.2]"), "why")
    assert decided([documents], {})[0].end == "undecided"


def test_outcomes_change_the_page():
    some = [simulated(arm, seed, EFFECT[arm]) for seed in SEEDS for arm in (START, *ARMS)]
    text, ends = written(some, paper_prices(), PAPER_MACHINE)
    found = {
        row[2].split(":")[0].strip(): row[6].strip() for row in rows(text) if re.match(r" ?C\d:", row[2])
    }
    assert found == dict.fromkeys(("C1", "C2", "C3", "C4", "C5", "C6"), "*holds*")
    assert "of imperfect-teacher, 8 seeds, 100 to 107 and 5 models" in text
    assert sum(ends.values()) == len(ROWS)


def test_a_study_over_worlds_decides_its_own_rows(tmp_path):
    """Its files lie below the study's, and its seeds are its own."""
    for name, level in (("Chinese: start", 0.3), ("Chinese: RPT", 0.7)):
        for seed in range(200, 205):
            path = tmp_path / "worlds" / file_name(name, seed)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(to_bytes(replace(simulated(name, seed, level), study="other-text")))
    text, _ = written(read_studies(tmp_path), paper_prices(), PAPER_MACHINE)
    (row,) = (one for one in rows(text) if "tokens end inside characters" in one[2])
    assert "5 seeds" in row[5]
    assert row[6].strip() == "*holds*"
    assert "of other-text, 5 seeds, 200 to 204 and 2 models" in text


@pytest.mark.parametrize(("num", "said"), [(1, "[no interval], 1 seed"), (4, "4 seeds")])
def test_a_study_decides_nothing_before_the_seeds_of_its_protocol_are_in(num, said):
    some = [
        replace(simulated(name, seed, level), study="other-text")
        for name, level in (("noise 30 %: start", 0.3), ("noise 30 %: RPT", 0.7))
        for seed in range(200, 200 + num)
    ]
    text, _ = written(some, paper_prices(), PAPER_MACHINE)
    (row,) = (one for one in rows(text) if "low-quality" in one[2])
    assert row[5].strip().endswith(said)
    assert row[6].strip() == "*undecided*"


def test_the_study_of_sizes_shows_a_figure_and_a_law_and_decides_neither():
    known, _ = written(all_sizes(), paper_prices(), PAPER_MACHINE)
    found = {row[2].strip(): row for row in rows(known)}
    matched = found["a model without reasoning of twice the size is matched"]
    ends = [
        method.answers.right_IS[held, :8].mean() - reference.plain_I[held].mean()
        for method, reference in (
            (sized("1 M", "RPT", seed, 0.01), sized("3 M", "NTP", seed, 0.01)) for seed in (300, 301, 302)
        )
        for held in (method.questions.held_I,)
    ]
    assert f"{100 * np.mean(ends):+.1f}" in matched[5]
    assert "3 seeds" in matched[5]
    assert matched[6].strip() == "*undecided*"
    law = found["accuracy follows a power law in training compute"]
    assert law[5].strip().startswith("(R² 0.9")
    assert law[6].strip() == "*undecided*"
    unknown, _ = written([], paper_prices(), PAPER_MACHINE)
    before = {row[2].strip(): row for row in rows(unknown)}
    assert before["a model without reasoning of twice the size is matched"][6].strip() == "*not tested*"
    assert before["accuracy follows a power law in training compute"][5].strip() == "(0.991, 0.991, 0.968)"


def test_every_table_names_a_recipe_and_its_price(text):
    assert {table.recipe for table in TABLES} <= set(NAMED)
    for table in TABLES:
        line = next(one for one in text.splitlines() if f"`{table.command}`" in one and table.what in one)
        assert re.search(r"\| [\d.]+e\+\d\d \| [\d,]+ \| ", line)


def test_the_study_of_shorter_thoughts_decides_the_rows_of_rmt_and_lengths_as_ratios():
    """RMT thinks in a third of RPT's tokens here, and its budget adds nothing."""

    def of(arm: str, seed: int, tokens: int):
        one = simulated(arm, seed, 0.6)
        thought = np.full_like(one.answers.thought_tokens_I, tokens + 10 * (seed % 3))
        return replace(one, study=SHORTER_THOUGHTS, answers=replace(one.answers, thought_tokens_I=thought))

    lengths = {"RPT": 1920, "RMT": 640, "RMT without budget": 1920}
    outcomes = [of(arm, seed, tokens) for seed in SEEDS for arm, tokens in lengths.items()]
    early, _ = written([one for one in outcomes if one.seed < 107], paper_prices(), PAPER_MACHINE)
    late, _ = written(outcomes, paper_prices(), PAPER_MACHINE)
    found = {row[2].strip(): row for row in rows(late)}
    length = found["at 21 % of RPT's thinking length"]
    assert (length[5].strip(), length[6].strip()) == ("0.34 times [0.33, 0.34], 8 seeds", "*holds*")
    assert found["the budget adds accuracy"][6].strip() != "*holds*"
    assert "8 seeds" in found["the budget adds accuracy"][5]
    before = {row[2].strip(): row for row in rows(early)}
    assert before["at 21 % of RPT's thinking length"][5].strip() == "(48.3 % [46.2, 50.6])"
