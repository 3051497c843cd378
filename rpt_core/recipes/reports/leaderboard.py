"""Recipe of the leaderboard: checkpoints that were evaluated, side by side."""

from collections import Counter
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Frozen, Ref
from rpt_core.recipes.reports.report import PageRecipe


class Entry(Frozen):
    """One checkpoint."""

    name: str = Field(min_length=1)
    evaluations: tuple[Ref | Artifact, ...] = Field(min_length=1)
    """Artifacts that hold a table of outcomes, of any kind."""
    trained_on: tuple[Ref | Artifact, ...] = ()
    """Corpora it stands on; with none, nothing is said of contamination."""
    asked_from: tuple[Ref | Artifact, ...] = ()
    """Corpora its questions were drawn from, where the evaluations do not bring them along."""


class LeaderboardRecipe(PageRecipe):
    """Checkpoints by benchmarks, each number with its interval, its place, and beside it the clean one."""

    kind: ClassVar[str] = "leaderboard"

    stage: Literal["leaderboard"] = "leaderboard"
    revision: int = 2
    title: str = "Leaderboard"
    entries: tuple[Entry, ...] = Field(min_length=1)
    ngram_words: int = Field(13, ge=4)
    """A question is touched by training text that shares a run of this many words with it."""
    examples: int = Field(5, ge=0)
    """Touched questions shown of each benchmark."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        twice = [name for name, num in Counter(one.name for one in self.entries).items() if num > 1]
        if twice:
            raise ValueError(f"the name {twice[0]!r} stands twice: give every checkpoint a name of its own")
        return self
