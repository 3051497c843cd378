"""Which recipes a flow may be given: the form of a run offers them as a choice and refuses any other.

They are the recipes whose journey has the flow's stage (``tests/unit/flows/test_forms.py`` walks them all).
They are written out because every command imports the flows, and walking takes half a second.
"""

from typing import TYPE_CHECKING, Literal

_TINY_TOKENS = ("tiny_rpt", "tiny_teacher", "tiny_real", "tiny_rmt")
_TOKENS = (
    *_TINY_TOKENS, "rpt_small", "rpt_14b", "rmt_small", "rmt_14b", "rmt_qwen3_14b", "smollm2_gsm8k",
)  # fmt: skip
_PAPER_SEGMENTS = ("rlpt_small", "rlpt_3b", "rlpt_4b", "rlpt_8b")
_FILTERED = ("tiny_rlvr", "rlvr_small", "rlvr_small_sft")
_SEGMENTS = ("tiny_rlpt", *_PAPER_SEGMENTS)

if TYPE_CHECKING:
    AnyRecipe = str
    TokenRecipe = str
    SegmentRecipe = str
    ScoredRecipe = str
    RatedRecipe = str
    JudgedRecipe = str
    FilteredRecipe = str
    EvaluatedRecipe = str
else:
    AnyRecipe = Literal[(*_TOKENS, *_SEGMENTS, *_FILTERED)]
    """Of every journey: with text, a base model and RLVR. Any of them scores the quality of its
    documents, too, where a reader's own fields ask for it."""
    TokenRecipe = Literal[_TOKENS]
    """Of journeys that train RPT or RMT and fit a scaling law."""
    SegmentRecipe = Literal[_SEGMENTS]
    """Of journeys that train RLPT and evaluate segments by a judge."""
    ScoredRecipe = Literal[(*_TOKENS, "tiny_rlpt")]
    """Of journeys with a proxy that scores the difficulty of every token."""
    RatedRecipe = Literal[(*_PAPER_SEGMENTS, "rlvr_small_sft")]
    """Of journeys that fine-tune on conversations."""
    JudgedRecipe = Literal["tiny_rlpt"]
    """Of journeys that train a judge of their own."""
    FilteredRecipe = Literal[_FILTERED]
    """Of journeys that filter problems by the start model's pass rate."""
    EvaluatedRecipe = Literal[(*_TOKENS, *_FILTERED)]
    """Of journeys that evaluate next tokens or problems without a judge."""
