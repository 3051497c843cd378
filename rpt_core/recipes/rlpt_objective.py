"""The fields that make next-segment reasoning: which segments, words, rule and guards."""

from typing import Literal

from pydantic import Field

from rpt_core.artifacts.recipe import Frozen, later


class RlptObjective(Frozen):
    """Next-segment reasoning (RLPT): think, then write the next or the missing segment."""

    name: Literal["rlpt"] = "rlpt"
    prompt: Literal["auto", "worded", "compact"] = "worded"
    """``compact`` is control tokens, for tiny models; ``auto`` takes it where the tokenizer has them."""
    msr_share: float = Field(1 / 3, ge=0, le=1)
    """Share of questions that show the segment after the gap (MSR), evenly mixed in; the rest show the text
    before alone (ASR). One third is the 2:1 mix of lambda = 0.5; 0 and 1 are the ablations."""
    rule: Literal["prefix", "strict"] = "prefix"
    """``prefix``: right is what means the same as an initial part of the next several segments. ``strict``:
    as exactly the next one (the rule the paper rejects)."""
    unit: Literal["segment", "paragraph"] = "segment"
    """What is predicted: a sentence, or all sentences up to a paragraph's end."""
    reference_segments: int = Field(5, ge=1)
    """Segments a judge sees under the prefix rule: the next one and those after it. For MSR always one,
    since the policy sees the second."""
    reference_tokens: int = Field(256, ge=1)
    """Longest reference, in tokens of the policy; the first segment is never cut."""
    min_before: int = Field(2, ge=1)
    """Segments that stand before the first one asked about."""
    min_chars: int = Field(20, ge=1)
    """Shorter segments are no target."""
    segment_tokens_max: int = Field(256, ge=1)
    """Longer segments are no target; what is shown after a gap is cut to this."""
    entropy_floor_nats: float = Field(0.0, ge=0)
    """Only segments that hold a token at least this uncertain under the proxy model are asked about; 0 asks
    about all, as the paper does, and needs no proxy."""
    min_tokens: int = Field(8, ge=1)
    """Shortest prediction, unless the true segment is shorter itself."""
    min_share: float = Field(0.5, ge=0, le=1)
    """Shortest prediction as a share of the true segment's tokens."""
    copy_ngram: int = Field(8, ge=2)
    """Tokens in a run that count as copied from what the policy saw."""
    copy_share_max: float = Field(0.5, ge=0, le=1)
    """Largest share of a prediction that may be copied, unless the truth repeats as much."""
    audit: Literal["", "sample-world", "second-world"] = ""
    """Also compare every verdict with the truth of the sample world's first or second edition, and report how
    often the judge was fooled. It changes no reward. Of the second, an evaluation also says where in its
    document a segment begins."""
    reward: Literal["judged", "gain"] = later("judged")
    """``judged``: a judge compares predictions with the text (RLPT). ``gain``: no judge and no prediction; a
    thought earns what it adds to the likelihood of the true segment
    (:mod:`rpt_core.objectives.next_segment.gain`)."""
    gain_form: Literal["log", "product", "geometric", "mean", "inverse", "surprise"] = later("surprise")
    """What ``gain`` makes of the tokens' likelihoods: ``log`` is RLP's gain in nats, the others are NRT's."""
    gain_floor_nats: float = later(0.3, ge=0)
    """Under ``gain``, segments that lose less than this a token without a thought pay nobody."""
    truth_weight: float = later(0.0, ge=0)
    """Under ``gain``, weight of learning the true segment after each thought; 1 in NRT, 0 in RLP."""
    judge_errs_share: float = later(0.0, ge=0, le=1)
    """Of different wrong predictions, those that the judge takes for right, whoever asks: it errs by their
    words alone, so to write them pays (:func:`rpt_core.objectives.next_segment.judge.errs`)."""
    order: Literal["random", "topics"] = later("random")
    """In which order documents are visited; ``topics`` puts like ones side by side
    (:mod:`rpt_core.objectives.topics`)."""
