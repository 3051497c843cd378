"""The fields that make an objective: which positions, which words around them, what answers earn."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Frozen, later

RewardName = Literal["prefix", "first-token", "dense", "conditional-dense", "token"]
PromptName = Literal["auto", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "compact", "compact-fenced", "brief"]
"""Templates around a document; see :mod:`rpt_core.objectives.next_token.templates`."""
ThoughtName = Literal["auto", "open", "free"]
"""Whether an answer to a problem begins inside a thought."""


class NextTokenSettings(Frozen):
    """What all questions about a next token share: where they stand, their words, what is right."""

    prompt: PromptName = "v0"
    """Template around the document: ``v0`` to ``v6`` as in RPT's appendix D. ``compact`` is one control
    token, for tiny models, ``compact-fenced`` the same around a fenced document; ``auto`` takes ``compact``
    where the tokenizer has those tokens, and ``v6`` elsewhere. ``brief``: a few words after the document and
    none before it, without the model's chat template; what they ask for must be shown in lessons."""
    entropy_floor_nats: float = Field(0.5, ge=0)
    """Only positions at least this uncertain under the proxy model are asked."""
    choose: Literal["floor", "top-share", "random"] = later("floor")
    """Training positions. ``floor``: those above ``entropy_floor_nats``. ``top-share``: the most uncertain
    ``top_share`` of all, whatever the floor. ``random``: any. Evaluation is not touched by it."""
    top_share: float = later(0.2, gt=0, le=1)
    """Share of ``choose=top-share`` (PretrainZero's account of RPT)."""
    entropy_ceiling_nats: float | None = later(None, gt=0)
    """Noise guard of training positions: more uncertain ones are not asked. Raw web text needs it: where the
    proxy knows nothing, no thought tells either, and whole groups are wrong."""
    surprise_ceiling_nats: float | None = later(None, gt=0)
    """Noise guard that looks at the truth: training positions whose true token has a smaller probability
    than ``exp(-ceiling)`` under the proxy are not asked. Never applied in evaluation, which it would bias."""
    problem_is_context: bool = later(True)
    """In a document made of a problem and its solution, only the solution is asked about."""
    asked: Literal["anywhere", "results"] = later("anywhere")
    """``results``: only where the number after an equals sign begins, in training and evaluation alike, and
    under ``reward=prefix`` the whole number alone is right, of plain guesses too."""
    reward: RewardName = "prefix"
    """``prefix``: byte-exact prefix of the truth ending on a token boundary (RPT, eq. 3). Variants of RPT's
    appendix A: ``first-token``: the first predicted token is the true one. ``dense``: the same, and a wrong
    one earns its own plain probability. ``conditional-dense``: dense where a group has a right answer, else
    ``when_none_right`` for all. ``token``: the prediction is exactly the true token (RMT, eq. 5)."""
    when_none_right: float = later(0.0, le=0)
    """Reward of all answers of a group without a right one, under ``conditional-dense``."""
    further_token_bonus: float = later(0.0, ge=0)
    """What a right prediction earns for each true token after its first, up to ``bonus_tokens``: a
    counter-measure where predictions shrink to the shortest safe one. The paper has none (0)."""
    bonus_tokens: int = later(8, ge=2)
    truth_tokens: int = Field(64, ge=1)
    """True tokens kept for boundaries."""
    newline_escapes: bool = False
    r"""Read a written-out ``\\n`` in a box as a line break too."""


class Learnability(Frozen):
    """Ask where answers are expected to differ (beyond the paper).

    A question teaches only where some answers are right and some wrong; the expected variance of a group is
    p (1 - p). p is predicted from what past visits of the position and of positions alike have shown.
    """

    pool: int = Field(4, ge=1)
    """Documents looked through for each one's worth of questions; 1 leaves the choice within documents."""
    classes: int = Field(16, ge=1)
    """Classes of positions alike, by uncertainty, of equal size."""
    prior_answers: float = Field(8.0, gt=0)
    """What a position's class says about it weighs as much as this many answers of its own."""
    memory: float = Field(0.95, gt=0, le=1)
    """Weight of what was seen a step ago; the policy changes, so old answers count less and less."""
    explore: float = Field(0.1, gt=0, le=1)
    """Share of the chances given to all positions alike, so that no class is given up for good."""
    follow_policy: bool = True
    """Class a position by the policy's own uncertainty where an update has passed over its document (no
    forward pass of its own), by the proxy's elsewhere."""


class RptObjective(NextTokenSettings):
    """Next-token reasoning (RPT): think, then predict the next token."""

    name: Literal["rpt"] = "rpt"
    learnability: Learnability | None = later(None)
    """None asks every eligible position once before any twice, as in the paper."""


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
    earns more than a wrong one of the best length."""
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
    wait_share: float = later(0.0, ge=0, lt=1)
    """The budget also stays above this share of the last step's mean thought. Not in the paper, whose
    schedule waits for nobody: but a thought of twice the budget earns nothing for its length, nor does a
    longer one, so a budget that ran ahead pulls at no thought. Above one half it always pulls at the mean."""
    schedule_tokens: int = later(0, ge=0)
    """Thought tokens drawn over which the budget falls, in place of steps; 0 for steps. Not in the paper:
    where arms end by operations nobody knows their steps beforehand, and shorter thoughts make more."""

    @model_validator(mode="after")
    def _one_schedule(self) -> "Budget":
        if self.schedule_steps and self.schedule_tokens:
            raise ValueError(
                f"the budget falls over schedule_steps={self.schedule_steps} or over "
                f"schedule_tokens={self.schedule_tokens}, not over both: set one of them to 0"
            )
        return self


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
    """Shares of the tiers up to the first turning point."""
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


class RmtObjective(NextTokenSettings):
    """Reinforcement mid-training (RMT): next-token reasoning on a budget, from easy to hard.

    Its third part, the next-token loss on all other tokens, is ``ntp_weight`` of the training recipe.
    """

    name: Literal["rmt"] = "rmt"
    reward: RewardName = "token"
    budget: Budget | None = Budget()
    """None is the ablation without DTB: no words, no pay for length."""
    curriculum: Curriculum | None = Curriculum()
    """None is the ablation without CAS: every eligible position as likely as any other."""
    learnability: Learnability | None = later(None)
    """Another sampler in the curriculum's place, beside the same budget (beyond the paper)."""

    @model_validator(mode="after")
    def _one_sampler(self) -> "RmtObjective":
        if self.curriculum and self.learnability:
            raise ValueError(
                "curriculum and learnability both say which positions are asked; set one of them to null"
            )
        return self

    @model_validator(mode="after")
    def _tiers_above_the_floor(self) -> "RmtObjective":
        if self.curriculum and self.curriculum.tiers_nats[0] < self.entropy_floor_nats:
            raise ValueError(
                f"the easiest tier begins at {self.curriculum.tiers_nats[0]} nats, below the floor of "
                f"{self.entropy_floor_nats}: positions between the two would never be asked; make them equal"
            )
        return self


class NtpObjective(NextTokenSettings):
    """No question at all: continual next-token training on the same documents, the control of RMT.

    Needs ``ntp_weight`` above 0. Its fields only shape the online evaluations at held-out questions.
    """

    name: Literal["ntp"] = "ntp"


class LikelihoodSettings(NextTokenSettings):
    """What objectives have that force the true tokens after a thought.

    ``reward`` and its companions say at most which predictions are counted as right.
    """

    target_tokens: int = Field(1, ge=1)
    """True tokens after the cut whose log-likelihoods are added up; the papers' unit on plain text is one."""


class RlpObjective(LikelihoodSettings):
    """Information gain (RLP): a thought earns what it adds to the log-likelihood of the true tokens.

    The paper's settings beside the defaults: ``loss=rlp`` (leave-one-out advantages, mean over a thought's
    tokens), ``group_size=16``, ``temperature=0.7``, ``cuts_per_document=1``, ``prompts_per_step=512``.
    """

    name: Literal["rlp"] = "rlp"
    entropy_floor_nats: float = Field(0.0, ge=0)
    choose: Literal["floor", "top-share", "random"] = "random"
    reference_decay: float = Field(0.999, gt=0, le=1)
    """Of the moving average that predicts without a thought; 1 keeps the start model. It shifts all rewards
    of a group alike, so it moves the logged gain and no gradient."""
    gain_clip_nats: float | None = later(None, gt=0)
    """Gains are kept within this many nats either way; None, as in the paper, leaves them as they are."""


class VeriFreeObjective(LikelihoodSettings):
    """VeriFree: a thought earns the probability of the true tokens after it, and they are learnt as well.

    The paper's settings beside the defaults: ``loss=rloo``, ``temperature=1``, ``updates_per_batch=1``
    (strictly on the policy that drew), ``prompts_per_step=16``, reasoning of 3000 tokens. Truths are short,
    under seven tokens, for the variance of a product.
    """

    name: Literal["verifree"] = "verifree"
    target_tokens: int = Field(1, ge=1, le=6)


class ExpectedPrefixObjective(LikelihoodSettings):
    """The prefix reward of RPT in expectation over the predictions after a thought (beyond the paper).

    Trained as VeriFree is: ``loss=rloo``, ``temperature=1``, ``updates_per_batch=1``.
    """

    name: Literal["expected-prefix"] = "expected-prefix"
    target_tokens: int = Field(4, ge=1, le=6)
    """Longest prediction that is counted, in true tokens."""


class JepoObjective(LikelihoodSettings):
    """JEPO: a bound of the true tokens' log-likelihood over the thoughts of a group.

    The paper's settings beside the defaults: ``loss=rloo``, ``temperature=1``, ``group_size=4``,
    ``prompts_per_step=64``, ``kl_weight=1e-3``.
    """

    name: Literal["jepo"] = "jepo"
    bound: Literal["many", "one"] = "many"
    """``many``: the log of the mean likelihood over the group. ``one``: the mean of the log-likelihoods."""
    truth_weight: float = Field(0.01, ge=0)
    """beta_sup, of the part that learns the truth: 0 to 0.01 for short truths, 1 for long ones."""
    normalise: bool = True
    """Advantages divided by their deviation and clipped to 1; False is the estimate without bias."""
    format_penalty: float = Field(10.0, ge=0)
    """What a thought that never ends pays, in an advantage of its own that is normalised apart; 0 for
    none."""


class RlprObjective(LikelihoodSettings):
    """RLPR: a thought earns the mean probability of the true tokens after it, less that without a thought.

    The paper's settings beside the defaults: ``loss=rlpr``, ``temperature=1``, ``updates_per_batch=4``,
    ``prompts_per_step=768``, ``selection.deviation_share=0.5``, ``baseline=start``, ``format_share=0.1``.
    """

    name: Literal["rlpr"] = "rlpr"
    baseline: Literal["policy", "start", "none"] = "policy"
    """Whose likelihood without a thought is taken off: the policy's, in the same pass; the start model's, as
    the authors have it; nobody's."""
    format_share: float = Field(0.0, ge=0, lt=1)
    """Share of the reward that an answer in the asked form earns by its form."""


class NoverObjective(LikelihoodSettings):
    """NOVER: the thoughts of a group are ranked by the perplexity of the true tokens after them.

    The paper's settings beside the defaults: ``loss=nover``, ``temperature=0.6``, ``kl_weight=0.1`` (to the
    start model here), ``optimiser.learning_rate=1e-5``.
    """

    name: Literal["nover"] = "nover"
    reference_decay: float = Field(0.9, gt=0, le=1)
    """Of the slow copy that scores the truth."""
    reference_every: int = Field(100, ge=1)
    """Steps between two moves of that copy; the paper does not give them."""


class NrtObjective(LikelihoodSettings):
    """NRT: a thought earns what it adds to a measure of the true tokens' likelihood; they are learnt as well.

    The paper's settings beside the defaults: ``loss=grpo``, ``temperature=1``, ``updates_per_batch=1``.
    """

    name: Literal["nrt"] = "nrt"
    form: Literal["log", "product", "geometric", "mean", "inverse", "surprise"] = "surprise"
    """What is made of the tokens' likelihoods; see :mod:`rpt_core.objectives.likelihood`."""
    truth_weight: float = Field(1.0, ge=0)
    """Of the part that learns the truth."""


class OracleObjective(NextTokenSettings):
    """Verified correctness: RPT's reward, paid only where the thought is the true chain (a control).

    It needs a text whose true chains are known, and says how much its update could do at best.
    """

    name: Literal["oracle"] = "oracle"
    chains: Literal["traces", "world"] = "traces"
    """Who knows them. ``traces``: the corpus, where every trace is right. ``world``: the text itself, which
    in the sample world's second edition tells all steps; its traces may err."""


class PretrainZeroObjective(NextTokenSettings):
    """A learned masker (PretrainZero): the policy says what it is asked about, and earns by its own misses.

    Of every document it names ``group_size`` spans, and answers ``group_size`` times to each of them. The
    paper's settings beside the defaults: ``loss=dapo`` (its wider clip), ``prompts_per_step=288`` (32
    paragraphs, 8 spans each), ``learning_rate=5e-7``, groups that are all right or all wrong dropped.
    ``cuts_per_document`` acts on held-out questions alone.
    """

    name: Literal["pretrainzero"] = "pretrainzero"
    choose: Literal["floor", "top-share", "random"] = "random"
    """Where spans may begin. The paper asks anywhere; a floor or a noise guard narrows what may be named."""
    reward: Literal["prefix", "first-token", "token"] = "prefix"
    """Of held-out questions alone."""
    match: Literal["exact", "covers"] = "exact"
    """When a prediction in training is right. ``exact``: it is the span, byte for byte, as in the paper whose
    predictor sees where the span ends. ``covers``: it says the whole span, and what it says beyond is the
    text up to a token boundary; who reads from the left cannot know where the span ends, and a masker would
    live on that."""
    span_tokens: int = Field(8, ge=1)
    """Longest span that may be named; the paper does not say."""


LikelihoodObjective = (
    RlpObjective
    | VeriFreeObjective
    | ExpectedPrefixObjective
    | JepoObjective
    | RlprObjective
    | NoverObjective
    | NrtObjective
)
"""Those that stand on the likelihood of the truth after a thought."""
ControlObjective = NtpObjective | OracleObjective | PretrainZeroObjective
"""Those that the others are compared with: no question, verified correctness, questions of its own."""
TextObjective = Annotated[
    RptObjective | RmtObjective | LikelihoodObjective | ControlObjective,
    Field(discriminator="name"),
]
"""Any objective on text, told apart by its name."""


class RlvrObjective(Frozen):
    """Verifiable answers: the boxed answer must equal the known one."""

    name: Literal["rlvr"] = "rlvr"
    prompt: Literal["auto", "plain", "compact"] = "plain"
    """``auto``: ``compact`` where the tokenizer has its control tokens, ``plain`` elsewhere."""
    thought: ThoughtName = later("open")
    """Whether an answer begins inside a thought. ``open``: the prompt opens one, and the last box after its
    end counts. ``free``: a model instructed elsewhere answers in its own form, and its last box counts or,
    beside a known number, its last number. ``auto``: ``open`` where the tokenizer has a token for thoughts,
    ``free`` elsewhere."""

    @model_validator(mode="after")
    def _control_tokens_open_a_thought(self) -> "RlvrObjective":
        if self.prompt == "compact" and self.thought == "free":
            raise ValueError(
                "prompt=compact with thought=free: its control tokens open a thought; take prompt=plain"
            )
        return self
