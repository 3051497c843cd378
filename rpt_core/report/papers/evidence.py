"""What a claim of a paper stands on here, and how it ends: the seed is the unit, of every row alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log
from typing import Literal

from rpt_core.evaluation.by_seed import Direction, SeedClaim, decide_by_seed
from rpt_core.evaluation.statistics.intervals import Estimate
from rpt_core.recipes.reports.outcomes_report import IMPERFECT_TEACHER, SIZES, OutcomesStudyName
from rpt_core.report.outcomes.claims import DECIDED_BY, Judged, judged
from rpt_core.report.outcomes.sized_laws import law_words
from rpt_core.report.outcomes.values import Arm, ScoreName, differences, score, tokens_to

Studies = Mapping[str, Mapping[str, Arm]]
"""Arms by name, by study."""
End = Literal["holds", "fails", "undecided", "not tested"]
ENDS: tuple[End, ...] = ("holds", "fails", "undecided", "not tested")


@dataclass(frozen=True, slots=True)
class Decided:
    """A claim of the study, decided by its outcomes (:data:`rpt_core.report.outcomes.claims.CLAIMS`)."""

    key: str


@dataclass(frozen=True, slots=True)
class Compared:
    """A difference of two arms of a study, against a threshold of this table."""

    method: str
    reference: str
    score: ScoreName
    threshold: float = 0.0
    direction: Direction = "above"
    study: OutcomesStudyName = IMPERFECT_TEACHER
    reference_score: ScoreName | None = None
    """The reference's, where it is measured otherwise than the method."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Laws that the page of the study of sizes fits over its checkpoints: they decide nothing here."""

    before: "OverDocuments"
    """What an earlier page says, while that study has not run."""
    page: str
    """Of ``docs``, without its ending: the study's own."""
    why: str
    """What to know beside its laws."""
    study: OutcomesStudyName = SIZES


@dataclass(frozen=True, slots=True)
class Sooner:
    """Tokens of a method until it is as accurate as a reference at its end, over all of the reference's."""

    method: str
    reference: str
    share: float
    """The claim holds below it."""
    study: OutcomesStudyName


@dataclass(frozen=True, slots=True)
class Printed:
    """Figures by seed of an earlier study, as its page prints them, in percent."""

    page: str
    """Of ``docs``, without its ending."""
    row: str
    """What the page calls the rows or the column they stand in."""
    method: tuple[float, ...]
    reference: tuple[float, ...]
    threshold: float = 0.0
    """In shares."""
    direction: Direction = "above"


@dataclass(frozen=True, slots=True)
class OverDocuments:
    """Figures that a page gives over the documents of a few trainings alone: they decide nothing here."""

    page: str
    figure: str
    """As it stands there."""


@dataclass(frozen=True, slots=True)
class Untested:
    """Nothing was run."""


def is_ratio(evidence: "Evidence") -> bool:
    """Whether figures by seed are logarithms of a ratio, in place of a difference of shares."""
    return isinstance(evidence, Sooner) or (isinstance(evidence, Compared) and evidence.score == "length")


Evidence = Decided | Compared | Fitted | Sooner | Printed | OverDocuments | Untested


def seeds_are_in(evidence: Evidence, num_seeds: int) -> bool:
    """Whether a study's protocol lets so many seeds decide; figures that a page prints have all of theirs."""
    if not isinstance(evidence, Compared | Sooner):
        return True
    return evidence.study in DECIDED_BY and num_seeds >= DECIDED_BY[evidence.study]


@dataclass(frozen=True, slots=True)
class PaperClaim:
    """One row: who claims what, and what it stands on."""

    paper: str
    claim: str
    figure: str
    """The paper's own; empty where it gives none."""
    arms: str
    """That decide it here."""
    evidence: Evidence
    why: str
    """What to know beside the verdict; of a claim that is not tested, why."""
    then: Compared | Sooner | None = None
    """What it stands on instead, as soon as the agreed seeds of that study are in."""
    then_why: str = ""

    def now(self, studies: Studies) -> "PaperClaim":
        """The row by the best evidence that there is."""
        if isinstance(by := self.evidence, Fitted):
            arms = studies.get(by.study, {})
            if not arms:
                return replace(self, evidence=by.before)
            return replace(self, evidence=OverDocuments(by.page, law_words(arms)), why=by.why)
        if self.then is None:
            return self
        arms = studies.get(self.then.study, {})
        pair = [arms[name].by_seed.keys() for name in (self.then.method, self.then.reference) if name in arms]
        if len(pair) < 2 or not seeds_are_in(self.then, len(pair[0] & pair[1])):
            return self
        return replace(self, evidence=self.then, why=self.then_why)


@dataclass(frozen=True, slots=True)
class Found:
    """How a row ended."""

    row: PaperClaim
    end: End
    interval: Estimate | None
    """Over seeds."""
    num_seeds: int


def decided(rows: Sequence[PaperClaim], studies: Studies) -> list[Found]:
    """Decide all rows: the study's claims with their own correction, all others together with one.

    Args:
        rows: Of the table.
        studies: Arms by name, by study; a study without outcomes may be left out.
    """
    rows = [row.now(studies) for row in rows]
    own = {one.claim.key: one for one in judged(studies.get(IMPERFECT_TEACHER, {}))}
    claims = [claim for row in rows if (claim := _seed_claim(row, studies)) is not None]
    ends = {one.name: one for one in decide_by_seed(claims)}
    seeds = {claim.name: len(claim.differences) for claim in claims}
    found = list[Found]()
    for row in rows:
        if isinstance(row.evidence, Decided):
            found.append(_of_study(row, own[row.evidence.key]))
        elif row.claim in ends:
            one = ends[row.claim]
            verdict = one.verdict if seeds_are_in(row.evidence, seeds[row.claim]) else "undecided"
            found.append(Found(row, verdict, one.difference, seeds[row.claim]))
        else:
            end: End = "undecided" if isinstance(row.evidence, OverDocuments | Sooner) else "not tested"
            found.append(Found(row, end, None, 0))
    return found


def _of_study(row: PaperClaim, one: Judged) -> Found:
    if one.decision is None:
        return Found(row, "not tested", None, 0)
    return Found(row, one.decision.verdict, one.decision.difference, len(one.seeds))


def _seed_claim(row: PaperClaim, studies: Studies) -> SeedClaim | None:
    """The row's differences by seed; None where there are none."""
    by = row.evidence
    if isinstance(by, Printed):
        pairs = zip(by.method, by.reference, strict=True)
        values = tuple((one - other) / 100 for one, other in pairs)
        return SeedClaim(row.claim, values, by.threshold, by.direction)
    arms = studies.get(by.study, {}) if isinstance(by, Compared | Sooner) else {}
    if isinstance(by, Sooner):
        ratios = sooner(arms, by)
        return SeedClaim(row.claim, ratios, log(by.share), "below", largest=inf) if ratios else None
    if isinstance(by, Compared) and by.method in arms and by.reference in arms:
        found = differences(arms[by.method], arms[by.reference], by.score, by.reference_score)
        if found:
            largest = inf if is_ratio(by) else 1.0
            return SeedClaim(row.claim, tuple(found.values()), by.threshold, by.direction, largest=largest)
    return None


def sooner(arms: Mapping[str, Arm], by: Sooner) -> tuple[float, ...]:
    """Logarithm of the ratio of tokens by seed; none where an arm is missing.

    The reference's tokens are all that it took, to the accuracy of its end. A method that never has that
    accuracy under a seed has no ratio there, and no mean over the other seeds would be one: then none is
    given, and the row is undecided.
    """
    if by.method not in arms or by.reference not in arms:
        return ()
    method, reference = arms[by.method].by_seed, arms[by.reference].by_seed
    pairs = [(method[seed], reference[seed]) for seed in sorted(method.keys() & reference.keys())]
    found = [(tokens_to(one, score(other, "accuracy")), other.tokens) for one, other in pairs]
    if any(not tokens or not of for tokens, of in found):
        return ()
    return tuple(log(tokens / of) for tokens, of in found if tokens)
