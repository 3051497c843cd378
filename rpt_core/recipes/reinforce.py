"""Recipes of reinforcement learning: on text, and on problems with verifiable answers."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from rpt_core.artifacts.recipe import Artifact, Frozen, Recipe, Ref, later
from rpt_core.recipes.corpus import PrepareRecipe
from rpt_core.recipes.difficulty import DifficultyRecipe
from rpt_core.recipes.judge import JudgeFields
from rpt_core.recipes.objectives import RlvrObjective, RptObjective, TextObjective
from rpt_core.recipes.rlpt_objective import RlptObjective
from rpt_core.recipes.supervised import BaseRecipe, ColdStartRecipe, Optimiser, SftRecipe

LossName = Literal["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "rlp", "rlpr", "nover", "rejection"]
"""A row of :data:`rpt_core.train.rl.losses.policy.PRESETS`."""
ControlName = Literal["", "permuted", "random", "format"]
"""A row of :data:`rpt_core.objectives.controls.CONTROLS`; empty for the objective's own rewards."""
LEARNS_TRUTH: dict[str, LossName] = {
    "verifree": "rloo", "expected-prefix": "rloo", "jepo": "rloo", "nrt": "grpo",
}  # fmt: skip
"""Objectives that also learn the truth after a thought, and the loss that takes both to one scale."""


class Selection(Frozen):
    """Which groups of answers reach the update (DAPO's dynamic sampling)."""

    drop_equal_from_step: int = Field(0, ge=0)
    """From this step on, groups whose rewards are all equal are dropped."""
    max_refills: int = Field(0, ge=0)
    """Draw up to this many further batches to refill dropped groups."""
    max_empty_steps: int = Field(5, ge=1)
    """This many steps in a row without a usable group end the run as starved."""
    when_starved: Literal["stop", "pass-on"] = "stop"
    """Where nothing can be learned at all (no question, or no group that differs in any step): ``stop`` by
    name, or ``pass-on`` the start model unchanged, which the outcome says."""
    mask_truncated: bool = False
    """Answers cut off at the length limit stay out of the loss and of its denominator."""
    deviation_share: float = later(0.0, ge=0, le=1)
    """Drop groups whose rewards deviate by less than this share of the moving average over steps of their
    mean deviation (RLPR: 0.5), where rewards without steps leave hardly a group equal; 0 for none."""
    deviation_from_step: int = later(11, ge=1)
    """First step that drops any; the average begins five steps before."""
    keep_right: int = later(4, ge=1)
    """Most right answers to one question that ``loss=rejection`` learns from, equal thoughts counted once."""


class RlRecipe(Recipe):
    """What every training by reinforcement has; the concrete recipes add start, objective and stage."""

    corpus: PrepareRecipe | Ref | Artifact
    loss: LossName = "grpo"
    updates_per_batch: int = later(1, ge=1)
    """Optimiser steps on every batch of answers. At 1 the policy that is updated is the one that drew them
    and no ratio is ever clipped; further ones compare with it
    (:data:`rpt_core.train.rl.losses.policy.PRESETS`). They share the step's learning rate:
    schedules, milestones and ``steps`` count batches."""
    minibatches: int = later(1, ge=1)
    """Parts of every batch of answers, by documents, each with an optimiser step of its own, and
    ``updates_per_batch`` times so. For ``loss=rejection``, which learns right answers of any policy."""
    off_policy_steps: int = later(0, ge=0, le=1)
    """Updates between drawing a step's first answers and learning from them. At 1 an engine with weights of
    its own draws them during the update before (:mod:`rpt_core.train.rl.ahead`)."""
    kl_weight: float = Field(0.0, ge=0)
    """Weight of the divergence from the start model."""
    prompts_per_step: int = Field(256, ge=1)
    group_size: int = Field(8, ge=2)
    """Answers to every question; they are compared with each other."""
    temperature: float = Field(0.8, gt=0)
    reasoning_tokens: int = Field(8192, ge=1)
    """Longest answer, thought and prediction together."""
    context_tokens: int = Field(4096, ge=16)
    steps: int = Field(1000, ge=1)
    max_gflops: float = later(0.0, ge=0)
    """Training ends after the step that reaches this many operations (1e9; answers drawn and updates), or
    after ``steps``; 0 for no such end. Arms that are compared at equal FLOPs share it."""
    evaluate_every: int = Field(0, ge=0)
    """Steps between quick held-out evaluations during training; 0 for none."""
    publish_best: bool = later(False)
    """Also publish the model of the best online evaluation as a checkpoint, when the training ends."""
    importance_cap: float = later(2.0, gt=0)
    """Largest weight of a token for an engine that computes slightly other probabilities; 1 throughout where
    engine and trainer share a module."""
    mismatch_nats_max: float = later(0.5, gt=0)
    """Mean gap of log-probabilities between engine and trainer beyond which an update is refused."""
    selection: Selection = Selection()
    optimiser: Optimiser = Optimiser()
    reward_control: ControlName = later("")
    """Something else in the rewards' place, for a control: each group's own rewards ``permuted``, ``random``
    ones (1 in half of the answers), or 1 for the ``format`` alone. Evaluations are not touched by it."""
    seed: int = 0


class TextRlRecipe(RlRecipe):
    """Reinforcement learning on documents, with questions at several places of each."""

    difficulty: DifficultyRecipe | Ref | Artifact | None
    start: SftRecipe | ColdStartRecipe | BaseRecipe | Ref | Artifact
    ntp_weight: float = Field(0.0, ge=0)
    """lambda of the dual objective: next-token loss on every document token not reasoned about (RMT)."""
    ntp_text: Literal["instructed", "raw"] = later("instructed")
    """What that loss is taken on. ``instructed``: the trunk the branches hang from, in the same pass, for
    nothing. ``raw``: the document alone, the paper's form; one more forward pass over the documents."""
    cuts_per_document: int = Field(4, ge=1)
    """Questions about one document and visit."""
    max_tokens: int = later(0, ge=0)
    """Training ends after the step that reaches this many forwarded tokens (answers drawn and updates), or
    after ``steps``; 0 for no such end. Arms that are compared at equal training tokens share it."""
    count_proxy: bool = later(False)
    """Whether the proxy's pass over the corpus, which chose the positions, counts towards ``max_gflops``:
    arms that are compared at equal FLOPs share it unless they make no use of those positions."""
    milestones: tuple[int, ...] = ()
    """Steps whose checkpoints are published as artifacts; those beyond ``max_tokens`` are never reached."""

    @model_validator(mode="after")
    def _milestones_inside(self) -> Self:
        wrong = [step for step in self.milestones if not 1 <= step <= self.steps]
        if wrong:
            raise ValueError(
                f"milestones {wrong} lie outside the run's {self.steps} steps; change both together"
            )
        return self


class PolicyRecipe(TextRlRecipe):
    """Reinforcement learning on text: ``train-rpt`` trains any objective, the recipe says which."""

    kind: ClassVar[str] = "policy"

    stage: Literal["train-rpt"] = "train-rpt"
    difficulty: DifficultyRecipe | Ref | Artifact
    start: ColdStartRecipe | BaseRecipe | Ref | Artifact
    objective: TextObjective = RptObjective()

    @model_validator(mode="after")
    def _questions_known_ahead(self) -> Self:
        follows = self.objective.name == "rmt" or getattr(self.objective, "learnability", None) is not None
        asks_further = self.objective.name == "pretrainzero"
        if self.off_policy_steps and (follows or asks_further or self.objective.name == "ntp"):
            why = "its questions follow the answers of the step before" if follows else "it asks nothing"
            why = "half of its questions follow the answers of the same step" if asks_further else why
            raise ValueError(
                f"objective {self.objective.name} with off_policy_steps={self.off_policy_steps}: {why}, so "
                "no answers can be drawn ahead. Set off_policy_steps=0."
            )
        return self

    @model_validator(mode="after")
    def _control_of_all_that_is_learnt(self) -> Self:
        learns_truth, is_supervised = self.objective.name in LEARNS_TRUTH, self.loss == "rejection"
        if self.reward_control and (learns_truth or is_supervised):
            what = "loss=rejection" if is_supervised else f"objective {self.objective.name}"
            raise ValueError(
                f"reward_control={self.reward_control} with {what}: it also learns what is true or right, "
                "which no control of rewards takes away. Take an objective and a loss of rewards alone"
            )
        return self

    @model_validator(mode="after")
    def _minibatches_of_right_answers(self) -> Self:
        if self.minibatches > 1 and self.loss != "rejection":
            raise ValueError(
                f"minibatches={self.minibatches} with loss={self.loss}: from the second part on, the policy "
                "is not the one that drew, and only loss=rejection learns from answers of any. Set "
                "minibatches=1, or updates_per_batch for further steps on the whole batch"
            )
        return self

    @model_validator(mode="after")
    def _rejection_of_compared_answers(self) -> Self:
        if self.loss == "rejection" and self.objective.name in ("rlp", "pretrainzero", *LEARNS_TRUTH):
            raise ValueError(
                f"loss=rejection with objective {self.objective.name}: it learns from right answers, and the "
                "objective calls none, or not all, right or wrong. Take objective rpt"
            )
        return self

    @model_validator(mode="after")
    def _truth_on_the_drawing_policy(self) -> Self:
        if self.objective.name not in LEARNS_TRUTH:
            return self
        asked = {
            "loss": self.loss,
            "temperature": self.temperature,
            "updates_per_batch": self.updates_per_batch,
            "off_policy_steps": self.off_policy_steps,
        }
        loss = LEARNS_TRUTH[self.objective.name]
        wanted = {"loss": loss, "temperature": 1.0, "updates_per_batch": 1, "off_policy_steps": 0}
        if wrong := [f"{name}={value}" for name, value in asked.items() if value != wanted[name]]:
            raise ValueError(
                f"objective {self.objective.name} with {', '.join(wrong)}: its two terms belong to one "
                f"gradient only for loss={loss}, on the policy that drew, at temperature 1. Set "
                + ", ".join(f"{name}={value}" for name, value in wanted.items())
            )
        return self


class RlptRecipe(JudgeFields, TextRlRecipe):
    """Next-segment reasoning judged by a generative model (RLPT): ``train-rlpt``.

    The paper has no next-token loss beside the reward, so ``ntp_weight`` is 0.
    """

    kind: ClassVar[str] = "rlpt"

    stage: Literal["train-rlpt"] = "train-rlpt"
    difficulty: DifficultyRecipe | Ref | Artifact | None = None
    """Needed where the objective has an entropy floor."""
    objective: RlptObjective = RlptObjective()
    prompts_per_step: int = Field(512, ge=1)
    cuts_per_document: int = Field(8, ge=1)
    """Segments asked about per document and epoch round."""
    temperature: float = Field(1.0, gt=0)
    count_judge: bool = later(False)
    """Whether what a judge in this process computes counts towards ``max_gflops``. It then forgets its
    verdicts after every step, so that what a step costs, and where the training ends, follows from the step
    alone."""
    # in the fingerprint at their defaults, unlike in the other recipes
    ntp_text: Literal["instructed", "raw"] = "instructed"
    max_tokens: int = Field(0, ge=0)
    publish_best: bool = False

    @property
    def is_judged(self) -> bool:
        """Whether its reward is a judge's."""
        return self.objective.reward == "judged"

    @model_validator(mode="after")
    def _reward_as_its_own(self) -> Self:
        if not self.is_judged and (self.judge is not None or self.judge_model):
            raise ValueError("objective.reward=gain asks no judge: set judge to null and judge_model to ''")
        if self.count_judge and self.judge is None:
            why = (
                "an address says nothing of its own" if self.is_judged else "objective.reward=gain asks none"
            )
            raise ValueError(f"count_judge counts a judge of this process, and {why}: set count_judge=false")
        if self.is_judged and self.objective.truth_weight:
            raise ValueError("objective.truth_weight needs objective.reward=gain: no judge forces the truth")
        if not self.objective.truth_weight:
            return self
        changed = self.updates_per_batch != 1 or self.off_policy_steps or self.temperature != 1
        if changed or self.reward_control or self.loss == "rejection":
            raise ValueError(
                "objective.truth_weight also learns the truth, which belongs to one gradient with the "
                "thoughts only on the policy that drew: set temperature=1, updates_per_batch=1, "
                "off_policy_steps=0, and neither reward_control nor loss=rejection"
            )
        return self


Trained = PolicyRecipe | RlptRecipe | SftRecipe | ColdStartRecipe | BaseRecipe | Ref | Artifact
"""A model to go on from: to be made, a version in the store, or an artifact; a folder is a base given."""


SHARED_WITH_FILTER = ("objective", "temperature", "reasoning_tokens", "context_tokens", "seed")
"""How a training asks, and the pass rates that it reads were asked for; both stand on one corpus besides."""


class PassRateRecipe(Recipe):
    """How often a model solves each training problem: what a difficulty filter reads (``score-pass-rate``).

    Made once and only read by trainings, so another range of rates, or another training on the same problems,
    asks no model again.
    """

    kind: ClassVar[str] = "pass-rates"

    stage: Literal["score-pass-rate"] = "score-pass-rate"
    corpus: PrepareRecipe | Ref | Artifact
    model: Trained
    """Inside an RLVR recipe it may be left out, as may the corpus and how it is asked: then they are those of
    the training, and the model is the one it starts from."""
    objective: RlvrObjective = RlvrObjective()
    samples: int = Field(8, ge=1)
    """Answers to each problem."""
    num_problems: int = Field(0, ge=0)
    """Training problems asked, drawn by seed so that fewer are a part of more; 0 for all."""
    temperature: float = Field(0.8, gt=0)
    reasoning_tokens: int = Field(8192, ge=1)
    context_tokens: int = Field(4096, ge=16)
    seed: int = 0


class RlvrRecipe(RlRecipe):
    """Reinforcement learning with verifiable rewards on problems, from any trained model."""

    kind: ClassVar[str] = "rlvr"

    stage: Literal["finetune-rlvr"] = "finetune-rlvr"
    start: Trained
    objective: RlvrObjective = RlvrObjective()
    prompts_per_step: int = Field(64, ge=1)
    steps: int = Field(60, ge=1)
    pass_rates: PassRateRecipe | Ref | Artifact | None = later(None)
    """How often a model solves each problem. Problems without a rate are left out as ``no-pass-rate``."""
    pass_rate_min: float = later(0.05, ge=0, le=1)
    """Problems solved less often are left out as ``too-hard``: at 8 samples, those that were never solved."""
    pass_rate_max: float = later(0.95, ge=0, le=1)
    """Problems solved more often are left out as ``too-easy``: at 8 samples, those always solved."""
    overlong_tokens: int = later(0, ge=0)
    """Soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13): an answer that reaches into this many last
    tokens of ``reasoning_tokens`` loses reward on a straight line, ``overlong_penalty`` at the limit; 0 for
    none. Overlong filtering, which leaves cut answers out of the loss, is ``selection.mask_truncated``."""
    overlong_penalty: float = later(1.0, gt=0)
    """What an answer that was cut off loses."""

    @model_validator(mode="before")
    @classmethod
    def _rates_of_the_start(cls, data: Any) -> Any:
        """Pass rates without a model are of the start model, asked as the training asks."""
        rates = data.get("pass_rates") if isinstance(data, dict) else None
        if not isinstance(rates, dict) or "fingerprint" in rates or "ref" in rates:
            return data
        shared = {name: data[name] for name in ("corpus", *SHARED_WITH_FILTER) if name in data}
        own = {**shared, "model": data.get("start")}
        return {**data, "pass_rates": {**own, **rates}}

    @model_validator(mode="after")
    def _filtered_by_rates(self) -> Self:
        low, high = self.pass_rate_min, self.pass_rate_max
        if low > high:
            raise ValueError(f"pass_rate_min {low} is above pass_rate_max {high}: no problem is in between")
        if self.pass_rates is None and not {"pass_rate_min", "pass_rate_max"}.isdisjoint(_changed(self)):
            raise ValueError("pass_rate_min and pass_rate_max need pass_rates, for example pass_rates={}")
        rates = self.pass_rates
        if isinstance(rates, PassRateRecipe) and rates.corpus != self.corpus:
            raise ValueError("pass_rates are of another corpus than the training's: make the two equal")
        return self

    @model_validator(mode="after")
    def _overlong_inside_the_answer(self) -> Self:
        if self.overlong_tokens > self.reasoning_tokens:
            raise ValueError(
                f"overlong_tokens {self.overlong_tokens} of an answer of at most {self.reasoning_tokens} "
                "tokens: the punishment would begin before the answer; give fewer"
            )
        return self


def _changed(recipe: RlvrRecipe) -> set[str]:
    """Fields that are not at their defaults."""
    return set(recipe.model_dump(exclude_defaults=True))
