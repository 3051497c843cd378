"""The fields that make an objective: which positions, which words around them, what answers earn."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Frozen


class NextTokenObjective(Frozen):
    """What all questions about a next token share: where they stand, their words, what is right."""

    prompt: Literal["auto", "v0", "v6", "compact"] = "v0"
    """Template around the document. ``compact`` is one control token, for tiny models; ``auto`` takes it
    where the tokenizer has those tokens, and ``v6`` elsewhere."""
    entropy_floor_nats: float = Field(0.5, ge=0)
    """Only positions at least this uncertain under the proxy model are asked (methods 1.3 default)."""
    reward: Literal["prefix", "first-token", "token"] = "prefix"
    """``prefix``: byte-exact prefix of the truth ending on a token boundary (RPT, eq. 3). ``first-token``:
    the first predicted token is the true one (RPT, appendix A). ``token``: the prediction is exactly the
    true token (RMT, eq. 5)."""
    truth_tokens: int = Field(64, ge=1)
    """True tokens kept for boundaries (methods 1.1 f)."""
    newline_escapes: bool = False
    r"""Read a written-out ``\\n`` in a box as a line break too (methods 1.1 d)."""


class RptObjective(NextTokenObjective):
    """Next-token reasoning (RPT): think, then predict the next token."""

    name: Literal["rpt"] = "rpt"


class Budget(Frozen):
    """The dynamic token budget (RMT, DTB): shorter and shorter thoughts are asked for and paid."""

    first: int = Field(800, ge=1)
    """B_0, thought tokens at the first step."""
    decay: float = Field(0.2, gt=0, le=1)
    """gamma: the last step's budget as a share of the first's."""
    least: int = Field(1, ge=1)
    """B_min, tokens."""
    schedule_steps: int = Field(0, ge=0)
    """Steps over which the budget falls, then it holds; 0 for all steps of the training."""
    weight: float = Field(0.2, ge=0, lt=1)
    """w of the composite reward; the paper does not give it. Below one half a right answer of any length
    earns more than a wrong one of the best length (methods 2.3)."""
    highest: float = Field(1.0, gt=0)
    """r_max, what a thought of exactly the budget earns before it is weighted."""
    paid: Literal["always", "when-right"] = "always"
    """``always``: as printed in the paper. ``when-right``: no pay for the length of a wrong answer, so that
    nothing can be earned by thinking of nothing for the right time."""
    words: bool = True
    """Whether the prompt states the budget, after the cut."""
    hard_cap: bool = False
    """Stop drawing at twice the budget plus ``answer_tokens``; what is cut off counts as truncated."""
    answer_tokens: int = Field(32, ge=1)
    """Room for the end of the thought and the prediction under ``hard_cap``."""


class Curriculum(Frozen):
    """Curriculum-based adaptive sampling (RMT, CAS): draw a tier of entropy, then a token of that tier."""

    follows: Literal["proxy", "policy", "success"] = "proxy"
    """``proxy``: tiers by the stored difficulty, on the paper's schedule. ``policy``: the same schedule over
    tiers by the current policy's own entropy, where an update has passed over the document (no forward pass
    of its own). ``success``: tiers by the stored difficulty, harder or easier as the answers come out, to
    keep the share of right answers near ``target``."""
    tiers_nats: tuple[float, ...] = (0.5, 1.0, 1.5)
    """Lower ends of the tiers, easiest first; the last has no upper end. What lies below is not asked."""
    early: tuple[float, ...] = (0.6, 0.3, 0.1)
    """Shares of the tiers up to the first turning point (defaults of methods 2.3)."""
    late: tuple[float, ...] = (0.1, 0.3, 0.6)
    """Shares from the second turning point on; between the two, a straight line."""
    turns: tuple[float, float] = (0.3, 0.7)
    """The turning points, as shares of the schedule."""
    schedule_steps: int = Field(0, ge=0)
    """Steps of the schedule; 0 for all steps of the training."""
    target: float = Field(0.5, gt=0, lt=1)
    """Share of right answers that ``success`` steers for: rewards differ most at one half."""
    gain: float = Field(0.5, gt=0)
    """Tiers that ``success`` moves in one step at a share of right answers one above ``target``."""

    @model_validator(mode="after")
    def _shares_of_tiers(self) -> "Curriculum":
        if list(self.tiers_nats) != sorted(set(self.tiers_nats)) or not self.tiers_nats:
            raise ValueError(f"tiers_nats {self.tiers_nats}: give rising entropies, one per tier")
        for name, shares in (("early", self.early), ("late", self.late)):
            if len(shares) != len(self.tiers_nats) or min(shares) < 0 or not math.isclose(sum(shares), 1):
                raise ValueError(
                    f"{name} {shares}: give {len(self.tiers_nats)} shares, one per tier, that add up to 1"
                )
        if not 0 <= self.turns[0] < self.turns[1] <= 1:
            raise ValueError(f"turns {self.turns}: the first lies before the second, both within 0 and 1")
        return self


class RmtObjective(NextTokenObjective):
    """Reinforcement mid-training (RMT): next-token reasoning on a budget, from easy to hard.

    Its third part, the next-token loss on all other tokens, is ``ntp_weight`` of the training recipe.
    """

    name: Literal["rmt"] = "rmt"
    reward: Literal["prefix", "first-token", "token"] = "token"
    budget: Budget | None = Budget()
    """None is the ablation without DTB: no words, no pay for length."""
    curriculum: Curriculum | None = Curriculum()
    """None is the ablation without CAS: every eligible position as likely as any other."""

    @model_validator(mode="after")
    def _tiers_above_the_floor(self) -> "RmtObjective":
        if self.curriculum and self.curriculum.tiers_nats[0] < self.entropy_floor_nats:
            raise ValueError(
                f"the easiest tier begins at {self.curriculum.tiers_nats[0]} nats, below the floor of "
                f"{self.entropy_floor_nats}: positions between the two would never be asked; make them equal"
            )
        return self


class NtpObjective(NextTokenObjective):
    """No question at all: continual next-token training on the same documents, the control of RMT.

    Needs ``ntp_weight`` above 0. Its fields only shape the quick looks at held-out questions.
    """

    name: Literal["ntp"] = "ntp"


TextObjective = Annotated[RptObjective | RmtObjective | NtpObjective, Field(discriminator="name")]
"""Any objective on text, told apart by its name."""


class RlvrObjective(Frozen):
    """Verifiable answers: the boxed answer must equal the known one."""

    name: Literal["rlvr"] = "rlvr"
    prompt: Literal["auto", "plain", "compact"] = "plain"
    """``auto``: ``compact`` where the tokenizer has its control tokens, ``plain`` elsewhere."""
