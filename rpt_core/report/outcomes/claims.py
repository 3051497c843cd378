"""The claims of the studies by seeds, each fixed before the first reported seed of its study has run.

Sentences, measures, thresholds and directions stand here and nowhere else: none is added, dropped or worded
anew after seed 100 has run. ``tests/unit/report/outcomes/test_page.py`` holds their digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log

from rpt_core.evaluation.by_seed import Direction, SeedClaim, decide_by_seed
from rpt_core.evaluation.kept.arm import ACCURACY_SAMPLES
from rpt_core.evaluation.statistics.compare import Decision
from rpt_core.recipes.reports.outcomes_report import (
    IMPERFECT_TEACHER,
    NEXT_SEGMENTS,
    OTHER_TEXT,
    RLVR_AFTER_RLPT,
    RLVR_AFTER_RMT,
    SHORTER_THOUGHTS,
    VERIFIABLE_REWARDS,
    OutcomesStudyName,
)
from rpt_core.report.outcomes.values import Arm, ScoreName, differences

START, MORE_SFT, REJECTION, RPT, PERMUTED = (
    "start", "more SFT", "rejection SFT", "RPT", "permuted reward",
)  # fmt: skip
FIRST_SEEDS, FURTHER_SEEDS = tuple(range(100, 108)), tuple(range(108, 116))
DECIDED_BY: Mapping[OutcomesStudyName, int] = {
    IMPERFECT_TEACHER: len(FIRST_SEEDS),
    SHORTER_THOUGHTS: len(FIRST_SEEDS),
    NEXT_SEGMENTS: len(FIRST_SEEDS),
    VERIFIABLE_REWARDS: len(FIRST_SEEDS),
    RLVR_AFTER_RMT: len(FIRST_SEEDS),
    RLVR_AFTER_RLPT: len(FIRST_SEEDS),
    OTHER_TEXT: 5,
}
"""Seeds that a study's protocol has before a difference of its arms is judged; no other study judges any."""
TUNING_SEEDS = (10, 11, 12)
RUNS_AN_ARM = 7
"""Tuning runs, the same number for every arm."""
MOST_DEVIATION = 0.03
"""Pooled deviation within arms above which the further seeds are run; looked at once, differences hidden."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: which difference of which score, on which side of what."""

    key: str
    sentence: str
    method: str
    reference: str
    score: ScoreName
    threshold: float
    """In shares: 0.10 is ten points; of ``length``, the logarithm of a ratio."""
    direction: Direction
    expected: str
    """What was guessed before."""


CLAIMS: tuple[Claim, ...] = (
    Claim("C1", "RPT beats more SFT", RPT, MORE_SFT, "accuracy", 0.10, "above", "+20 to +30"),
    Claim("C2", "RPT beats rejection SFT", RPT, REJECTION, "accuracy", 0.0, "above", "0 to +12, open"),
    Claim("C3", "RPT raises verified accuracy over the start", RPT, START, "verified", 0.10, "above",
          "+25 to +35"),
    Claim("C4", "the gain is no habit: the think share moves by less than 2 points", RPT, START, "thinks",
          0.02, "within", "holds"),
    Claim("C5", "a permuted reward gains nothing", PERMUTED, START, "accuracy", 0.03, "below",
          "holds, losses of 5 to 20"),
    Claim("C6", "at 5 and 6 steps RPT is above the start", RPT, START, "long", 0.05, "above",
          "+5 to +15, open"),
)  # fmt: skip
"""In the order of the plan; of held-out questions, with 2 to 4 steps where no others are named."""
DESCRIBED: tuple[tuple[str, str, ScoreName], ...] = (
    ("NTP tuned", START, "plain"),
    ("RPT, random positions", RPT, "accuracy"),
    ("RLP", RPT, "accuracy"),
    ("VeriFree", RPT, "accuracy"),
    ("JEPO", RPT, "accuracy"),
    ("RLPR", RPT, "accuracy"),
    ("NOVER", RPT, "accuracy"),
    ("NRT", RPT, "accuracy"),
    ("expected prefix", RPT, "accuracy"),
    ("random reward", START, "accuracy"),
    ("format reward", START, "accuracy"),
    ("Mixed SFT", RPT, "accuracy"),
    ("more SFT, then RPT", RPT, "accuracy"),
    ("more SFT, then RPT", RPT, "verified"),
    ("oracle", RPT, "accuracy"),
    ("learned masker", RPT, "accuracy"),
)
"""Differences that are shown two-sided, without a threshold and without a verdict."""
RMT = "RMT"
ALWAYS, NO_BUDGET, NO_CURRICULUM, NO_NTP = (
    "RMT, length paid always", "RMT without budget", "RMT without curriculum", "RMT without NTP",
)  # fmt: skip
RMT_CLAIMS: tuple[Claim, ...] = (
    Claim("M1", "RMT is as accurate as RPT, within 5 points", RMT, RPT, "accuracy", 0.05, "within",
          "holds or RMT below"),
    Claim("M2", "RMT thinks in half of RPT's tokens or fewer", RMT, RPT, "length", log(0.5), "below",
          "holds, a third"),
    Claim("M3", "the budget adds accuracy", RMT, NO_BUDGET, "accuracy", 0.0, "above", "-3 to +3"),
    Claim("M4", "the curriculum adds accuracy", RMT, NO_CURRICULUM, "accuracy", 0.0, "above", "-2 to +4"),
    Claim("M5", "the next-token loss adds accuracy", RMT, NO_NTP, "accuracy", 0.0, "above", "-2 to +4"),
    Claim("M6", "with the length paid always, as printed, it is as accurate, within 5 points", ALWAYS, RMT,
          "accuracy", 0.05, "within", "fails: length is farmed"),
)  # fmt: skip
"""Of the study of shorter thoughts, fixed before its first reported seed."""
RMT_DESCRIBED: tuple[tuple[str, str, ScoreName], ...] = (
    (RMT, START, "accuracy"),
    (RMT, RPT, "verified"),
    (ALWAYS, RMT, "accuracy"),
)
RLPT, JUDGE_FREE, STRICT, ASR, MSR, ERRS_5, ERRS_20, IN_ORDER = (
    "RLPT", "judge-free", "strict rule", "ASR alone", "MSR alone", "judge errs 5 %", "judge errs 20 %",
    "order of topics",
)  # fmt: skip
SEGMENT_CLAIMS: tuple[Claim, ...] = (
    Claim("S1", "RLPT beats its start, by the world's truth", RLPT, START, "accuracy", 0.05, "above",
          "+15 to +30"),
    Claim("S2", "RLPT beats more SFT", RLPT, MORE_SFT, "accuracy", 0.0, "above", "+10 to +25"),
    Claim("S3", "the prefix rule beats the strict rule", RLPT, STRICT, "accuracy", 0.0, "above", "-3 to +3"),
    Claim("S4", "both tasks beat continuing alone", RLPT, ASR, "accuracy", 0.0, "above", "-3 to +3"),
    Claim("S5", "both tasks beat filling in alone", RLPT, MSR, "accuracy", 0.0, "above", "0 to +6"),
    Claim("S6", "a judge that accepts 20 % of wrong answers costs less than 5 points", ERRS_20, RLPT,
          "accuracy", 0.05, "within", "fails: its errors are learnt"),
    Claim("S7", "without a judge it is as accurate, within 5 points", JUDGE_FREE, RLPT, "accuracy", 0.05,
          "within", "open"),
    Claim("S8", "documents in the order of their topics add accuracy", IN_ORDER, RLPT, "accuracy", 0.0,
          "above", "-5 to +2"),
)  # fmt: skip
"""Of the study of next segments, fixed before its first reported seed."""
SEGMENT_DESCRIBED: tuple[tuple[str, str, ScoreName], ...] = (
    (RLPT, START, "verified"),
    (RLPT, START, "long"),
    (ERRS_5, RLPT, "accuracy"),
    (ERRS_20, START, "accuracy"),
    (JUDGE_FREE, START, "accuracy"),
)
RPT_RLVR, NTP_RLVR, SFT_RLVR, REJECTION_RLVR, MIXED_RLVR, RLVR_ALONE, RLVR_SHORT = (
    "RPT, then RLVR", "NTP tuned, then RLVR", "more SFT, then RLVR", "rejection SFT, then RLVR",
    "Mixed SFT, then RLVR", "RLVR alone", "RLVR alone, short",
)  # fmt: skip
RLVR_CLAIMS: tuple[Claim, ...] = (
    Claim("V1", "RPT is a better start of the same RLVR than the start model", RPT_RLVR, RLVR_SHORT,
          "accuracy", 0.0, "above", "0 to +15"),
    Claim("V2", "RPT is worth its operations: RLVR after it beats RLVR for all of them", RPT_RLVR, RLVR_ALONE,
          "accuracy", 0.0, "above", "-30 to -10, fails"),
    Claim("V3", "RPT is a better start of RLVR than next-token training", RPT_RLVR, NTP_RLVR, "accuracy",
          0.0, "above", "0 to +15"),
    Claim("V4", "RPT is a better start of RLVR than more SFT", RPT_RLVR, SFT_RLVR, "accuracy", 0.0, "above",
          "0 to +15, open"),
    Claim("V5", "RPT is a better start of RLVR than rejection SFT", RPT_RLVR, REJECTION_RLVR, "accuracy",
          0.0, "above", "-3 to +5, open"),
    Claim("V6", "RPT is a better start of RLVR than Mixed SFT", RPT_RLVR, MIXED_RLVR, "accuracy", 0.0,
          "above", "0 to +15, open"),
)  # fmt: skip
"""Of the study of verifiable rewards, of held-out problems; fixed before its first reported seed."""
RLVR_DESCRIBED: tuple[tuple[str, str, ScoreName], ...] = (
    (RPT, START, "accuracy"),
    (RPT_RLVR, RPT, "accuracy"),
    (RPT_RLVR, RLVR_SHORT, "verified"),
    (RLVR_SHORT, START, "accuracy"),
    (RLVR_ALONE, START, "accuracy"),
)
RMT_RLVR, RLPT_RLVR = "RMT, then RLVR", "RLPT, then RLVR"
AFTER_RMT_CLAIMS: tuple[Claim, ...] = (
    Claim("R1", "RMT is a better start of the same RLVR than RPT", RMT_RLVR, RPT_RLVR, "accuracy", 0.0,
          "above", "-5 to +5, open"),
    Claim("R2", "RMT is a better start of the same RLVR than the start model", RMT_RLVR, RLVR_SHORT,
          "accuracy", 0.0, "above", "0 to +10, open"),
    Claim("R3", "RMT is worth its operations: RLVR after it beats RLVR for all of them", RMT_RLVR, RLVR_ALONE,
          "accuracy", 0.0, "above", "-35 to -10, fails"),
)  # fmt: skip
"""Of the study of verifiable rewards after RMT, fixed before its first reported seed."""
AFTER_RMT_DESCRIBED: tuple[tuple[str, str, ScoreName], ...] = (
    (RMT_RLVR, RPT_RLVR, "length"),
    (RPT_RLVR, RLVR_SHORT, "accuracy"),
    (RLVR_SHORT, START, "accuracy"),
    (RLVR_ALONE, START, "accuracy"),
)
AFTER_RLPT_CLAIMS: tuple[Claim, ...] = (
    Claim("L1", "RLPT is a better start of the same RLVR than its start model", RLPT_RLVR, RLVR_SHORT,
          "accuracy", 0.0, "above", "-5 to +10, open"),
    Claim("L2", "RLPT is worth its operations: RLVR after it beats RLVR for all of them", RLPT_RLVR,
          RLVR_ALONE, "accuracy", 0.0, "above", "-35 to -10, fails"),
    Claim("L3", "RLPT is a better start of RLVR than more SFT", RLPT_RLVR, SFT_RLVR, "accuracy", 0.0,
          "above", "-15 to +5, open"),
)  # fmt: skip
"""Of the study of verifiable rewards after RLPT, fixed before its first reported seed."""
AFTER_RLPT_DESCRIBED: tuple[tuple[str, str, ScoreName], ...] = (
    (RLPT_RLVR, RLVR_SHORT, "verified"),
    (RLVR_SHORT, START, "accuracy"),
    (RLVR_ALONE, START, "accuracy"),
)


TOLD_ONCE = (
    "A true chain is the true steps told once, word for word. A thought that goes over its chain again, as "
    "these starts learnt to, is none and counts among other faults, so that shorter thoughts raise every "
    "figure of true chains on this page by themselves."
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the page of a study claims, and about which arms."""

    method: str
    """That the page is about."""
    claims: tuple[Claim, ...]
    described: tuple[tuple[str, str, ScoreName], ...]
    further: str = ""
    """Seeds that are run for the arms of the claims where trainings scatter too much; empty for none."""
    of_thoughts: str = ""
    """What a reader of the measures of thoughts must know."""

    @property
    def claimed(self) -> frozenset[str]:
        """Arms that some claim is about: what further seeds are run for."""
        return frozenset(name for claim in self.claims for name in (claim.method, claim.reference))


RULES: Mapping[str, Rules] = {
    IMPERFECT_TEACHER: Rules(RPT, CLAIMS, DESCRIBED, further="108 to 115"),
    SHORTER_THOUGHTS: Rules(RMT, RMT_CLAIMS, RMT_DESCRIBED, of_thoughts=TOLD_ONCE),
    NEXT_SEGMENTS: Rules(RLPT, SEGMENT_CLAIMS, SEGMENT_DESCRIBED),
    VERIFIABLE_REWARDS: Rules(RPT_RLVR, RLVR_CLAIMS, RLVR_DESCRIBED),
    RLVR_AFTER_RMT: Rules(RMT_RLVR, AFTER_RMT_CLAIMS, AFTER_RMT_DESCRIBED, of_thoughts=TOLD_ONCE),
    RLVR_AFTER_RLPT: Rules(RLPT_RLVR, AFTER_RLPT_CLAIMS, AFTER_RLPT_DESCRIBED),
}
"""By study."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A claim, how it ended, and the seeds that decided it."""

    claim: Claim
    decision: Decision | None
    """None where an arm or its measure is missing under every seed."""
    seeds: tuple[int, ...] = ()

    @property
    def verdict(self) -> str:
        """Of the closed list *holds, fails, undecided, not tested*."""
        return self.decision.verdict if self.decision else "not tested"


def judged(arms: Mapping[str, Arm], claims: Sequence[Claim] = CLAIMS) -> list[Judged]:
    """Decide all claims together; those without outcomes are not tested, and still count in the correction.

    To wait for an arm must not make the other claims easier, so a missing one enters Holm's correction with
    a p-value of 1. Before the agreed seeds are in, all are undecided: a verdict would be one more look at the
    differences than the plan has.
    """
    found = {claim.key: _differences(arms, claim) for claim in claims}
    decisions = decide_by_seed(
        [_seed_claim(claim, found[claim.key], arms) for claim in claims]
    )  # with the missing ones
    return [
        Judged(claim, _in_time(decision, len(found[claim.key])), tuple(found[claim.key]))
        for claim, decision in zip(claims, decisions, strict=True)
    ]


def _in_time(decision: Decision, num_seeds: int) -> Decision | None:
    if not num_seeds:
        return None
    return decision if num_seeds >= len(FIRST_SEEDS) else replace(decision, verdict="undecided")


def _differences(arms: Mapping[str, Arm], claim: Claim) -> dict[int, float]:
    if claim.method not in arms or claim.reference not in arms:
        return {}
    return differences(arms[claim.method], arms[claim.reference], claim.score)


def _seed_claim(claim: Claim, found: Mapping[int, float], arms: Mapping[str, Arm]) -> SeedClaim:
    values = tuple(found.values()) or (claim.threshold,)
    return SeedClaim(
        f"{claim.key}: {claim.sentence}", values, claim.threshold, claim.direction,
        _one_answer(claim, found, arms), inf if claim.score == "length" else 1.0,
    )  # fmt: skip


def _one_answer(claim: Claim, found: Mapping[int, float], arms: Mapping[str, Arm]) -> float:
    """What one answer more or less changes in the mean over seeds: seeds that agree are no certainty."""
    if not found:
        return 0.0
    asked = [int(arms[claim.method].by_seed[seed].questions.held_I.sum()) for seed in found]
    return 1 / (max(1, min(asked)) * ACCURACY_SAMPLES * len(found))
