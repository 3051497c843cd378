"""The fields that make an objective: which positions, which words around them, what answers earn."""

from typing import Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Frozen


class RptObjective(Frozen):
    """Next-token reasoning (RPT): think, then predict the next token."""

    name: Literal["rpt"] = "rpt"
    prompt: Literal["auto", "v0", "v6", "compact"] = "v0"
    """Template around the document. ``compact`` is one control token, for tiny models; ``auto`` takes it
    where the tokenizer has those tokens, and ``v6`` elsewhere."""
    entropy_floor_nats: float = Field(0.5, ge=0)
    """Only positions at least this uncertain under the proxy model are asked (methods 1.3 default)."""
    reward: Literal["prefix", "first-token"] = "prefix"
    """``prefix``: byte-exact prefix of the truth ending on a token boundary (RPT, eq. 3)."""
    truth_tokens: int = Field(64, ge=1)
    """True tokens kept for boundaries (methods 1.1 f)."""
    newline_escapes: bool = False
    r"""Read a written-out ``\\n`` in a box as a line break too (methods 1.1 d)."""


class RlvrObjective(Frozen):
    """Verifiable answers: the boxed answer must equal the known one."""

    name: Literal["rlvr"] = "rlvr"
    prompt: Literal["auto", "plain", "compact"] = "plain"
    """``auto``: ``compact`` where the tokenizer has its control tokens, ``plain`` elsewhere."""
