"""Recipe of the sample world's second edition: what is held out, how its teacher errs, in which languages."""

from typing import Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Frozen

SALT = "study-1"
"""Of the hold-out: another salt is another choice of questions."""


class SecondEdition(Frozen):
    """Questions that are new as questions, and thoughts that are wrong in most cases."""

    salt: str = Field(SALT, min_length=1)
    """Decides which sentences no training shows; together with nothing else."""
    held: Literal["test", "tuning"] = "test"
    """Which of them the held-out documents ask: settings are searched on questions of their own."""
    held_share: float = Field(0.08, gt=0, lt=1)
    """Of documents and problems, written to be held out."""
    right_share: float = Field(0.3, ge=0, le=1)
    """Of traces that are right; the others err by a named fault and box what they come to."""
    long_share: float = Field(0.2, ge=0, lt=1)
    """Of traces with four steps, among all traces: fewer are written where it asks for fewer, and fewer of
    the shorter ones where it asks for more. 0 for none."""
    languages: tuple[Literal["en", "zh"], ...] = Field(("en",), min_length=1)
    """Documents take turns; Chinese is written without blanks, so tokens may end inside a character."""
    noise_share: float = Field(0.0, ge=0, lt=1)
    """Of paragraphs that say nothing of the world, between those that do."""
