"""Recipe of the sample world's second edition: what is held out, how its teacher errs, in which languages."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Frozen, later

KindName = Literal[
    "clock", "week", "coins", "months", "compass", "tram", "cooks", "letters",
    "zh-clock", "zh-week", "zh-coins", "zh-months", "zh-compass", "zh-tram", "zh-cooks", "zh-terms",
]  # fmt: skip
"""Kinds of documents, eight to a language."""

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
    kinds: tuple[KindName, ...] = later(())
    """Of the languages' kinds, those that are written; empty for all. Fewer are learnt in fewer steps."""
    planted: bool = later(False)
    """Whether copies, personal data, leaks and broken files lie beside the text, as in the first edition."""

    @model_validator(mode="after")
    def _kinds_of_its_languages(self) -> Self:
        for kind in self.kinds:
            if ("zh" if kind.startswith("zh-") else "en") not in self.languages:
                raise ValueError(
                    f"the kind {kind!r} is of none of the languages {', '.join(self.languages)}: name kinds "
                    "of these, or add its language"
                )
        return self
