"""Recipe of a page about a study's outcomes: arms under seeds, which need not be the same of each arm."""

from collections import Counter
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Frozen, Ref
from rpt_core.recipes.outcomes import KeptOutcomesRecipe, OutcomesRecipe
from rpt_core.recipes.reports.report import PageRecipe

IMPERFECT_TEACHER: Literal["imperfect-teacher"] = "imperfect-teacher"
SHORTER_THOUGHTS: Literal["shorter-thoughts"] = "shorter-thoughts"
NEXT_SEGMENTS: Literal["next-segments"] = "next-segments"
VERIFIABLE_REWARDS: Literal["verifiable-rewards"] = "verifiable-rewards"
RLVR_AFTER_RMT: Literal["rlvr-after-rmt"] = "rlvr-after-rmt"
RLVR_AFTER_RLPT: Literal["rlvr-after-rlpt"] = "rlvr-after-rlpt"
DOSE_RESPONSE: Literal["dose-response"] = "dose-response"
OTHER_TEXT: Literal["other-text"] = "other-text"
SIZES: Literal["sizes"] = "sizes"
REAL_TEXT: Literal["real-text"] = "real-text"
WorldStudyName = Literal["dose-response", "other-text"]
"""Studies of the start and of RPT in several worlds."""
OutcomesStudyName = Literal[
    "imperfect-teacher",
    "shorter-thoughts",
    "next-segments",
    "verifiable-rewards",
    "rlvr-after-rmt",
    "rlvr-after-rlpt",
    "dose-response",
    "other-text",
    "sizes",
    "real-text",
]
OUTCOME_PAGES: dict[OutcomesStudyName, str] = {
    IMPERFECT_TEACHER: "rpt_core.report.outcomes.page:study",
    SHORTER_THOUGHTS: "rpt_core.report.outcomes.page:study",
    NEXT_SEGMENTS: "rpt_core.report.outcomes.page:study",
    VERIFIABLE_REWARDS: "rpt_core.report.outcomes.page:study",
    RLVR_AFTER_RMT: "rpt_core.report.outcomes.page:study",
    RLVR_AFTER_RLPT: "rpt_core.report.outcomes.page:study",
    DOSE_RESPONSE: "rpt_core.report.outcomes.worlds:study",
    OTHER_TEXT: "rpt_core.report.outcomes.worlds:study",
    REAL_TEXT: "rpt_core.report.outcomes.real_text:study",
    SIZES: "rpt_core.report.outcomes.sizes:study",
}
"""By study, the ``module:function`` that says what its page holds."""


class StudyArm(Frozen):
    """One arm's outcomes, one for each seed it was run under."""

    name: str = Field(min_length=1)
    outcomes: tuple[OutcomesRecipe | KeptOutcomesRecipe | Ref | Artifact, ...] = Field(min_length=1)


class OutcomesReportRecipe(PageRecipe):
    """A study read from its outcomes alone: no model, no answer's text and no other artifact is needed."""

    kind: ClassVar[str] = "outcomes-report"

    stage: Literal["report-outcomes"] = "report-outcomes"
    title: str = "Better thinking from an imperfect teacher"
    study: OutcomesStudyName = "imperfect-teacher"
    seeds: tuple[int, ...] = Field(min_length=1)
    """All that some arm was run under."""
    arms: tuple[StudyArm, ...] = Field(min_length=1)
    """The start model first."""
    tuning: tuple[StudyArm, ...] = ()
    """Tuning runs, by arm."""

    @property
    def page(self) -> str:
        """``module:function`` of rpt_core that says what the page holds."""
        return OUTCOME_PAGES[self.study]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        twice = [name for name, num in Counter(arm.name for arm in self.arms).items() if num > 1]
        if twice:
            raise ValueError(f"the arm {twice[0]!r} stands twice: give every arm a name of its own")
        return self
