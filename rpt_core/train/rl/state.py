"""What a training holds, and how far it is."""

from dataclasses import dataclass, replace

from rpt_core.objectives.objective import Drawn, LimitsLength, Objective, StatefulObjective
from rpt_core.policy.engines.engine import RolloutEngine
from rpt_core.policy.forward import Layout
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sampling
from rpt_core.recipes.reinforce import RlptRecipe, RlRecipe, TextRlRecipe
from rpt_core.train.backends.backend import TrainerBackend
from rpt_core.train.rl.losses.policy import PRESETS, Preset


@dataclass(frozen=True, slots=True)
class DrawnAnswers:
    """Answers that nobody has judged yet, in the order asked; of one rank, or of all."""

    drawn: Drawn
    forwarded: int
    """Tokens the engine forwarded for them."""
    flops: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is, and what it has used up: all of it that is not in the weights and moments."""

    step: int = 0
    cursor: int = 0
    """The objective's place in its data, refills included."""
    empty_steps: int = 0
    """Steps in a row, up to this one, without a group worth an update."""
    asked: int = 0
    used: int = 0
    """Questions whose groups reached an update."""
    tokens: int = 0
    """Tokens forwarded to draw answers and in updates."""
    gflops: float = 0.0
    best_step: int = 0
    """Step of the best online evaluation so far, where the recipe publishes it; 0 before the first."""
    best_accuracy: float = 0.0
    deviation: float = 0.0
    """Moving average of the groups' deviations of reward, where the recipe's selection stands on it."""
    judge_gflops: float = 0.0
    """Of the judge, where the recipe counts them towards its end."""
    ahead: DrawnAnswers | None = None
    """The next step's first answers, where they were drawn during the last update
    (:mod:`rpt_core.train.rl.ahead`)."""


@dataclass(frozen=True, slots=True)
class Trainer:
    """The parts of one training; ``policy`` and ``backend`` change in place, nothing else does."""

    recipe: RlRecipe
    policy: Policy
    engine: RolloutEngine
    objective: Objective
    backend: TrainerBackend
    layout: Layout = "two-pass"
    tokens_per_micro_batch: int = 16_384
    reference: Policy | None = None
    """The start model, where the recipe keeps the policy near it."""
    average: Policy | None = None
    """The reference that the objective's rewards stand on: its moving average, or the start model frozen."""
    charged_gflops: float = 0.0
    """Spent before the first step on what this training stands on, and counted towards its end."""

    @property
    def preset(self) -> Preset:
        """The loss the recipe names."""
        return PRESETS[self.recipe.loss]

    @property
    def ntp_weight(self) -> float:
        """Weight of the documents' own next-token loss; problems have none."""
        return self.recipe.ntp_weight if isinstance(self.recipe, TextRlRecipe) else 0.0

    @property
    def ntp_text(self) -> str:
        """What that loss is taken on: the instructed trunk, or the document alone."""
        return self.recipe.ntp_text if isinstance(self.recipe, TextRlRecipe) else "instructed"

    @property
    def counts_judge(self) -> bool:
        """Whether what the judge computes counts towards the end."""
        return isinstance(self.recipe, RlptRecipe) and self.recipe.count_judge

    @property
    def watches_documents(self) -> bool:
        """Whether updates score the documents' own tokens: for their loss, or for the objective to see."""
        wanted = isinstance(self.objective, StatefulObjective) and self.objective.wants_entropies
        return self.ntp_weight > 0 or wanted

    def is_done(self, progress: Progress) -> bool:
        """Whether the training has reached its last step, or used up its tokens or operations."""
        tokens = self.recipe.max_tokens if isinstance(self.recipe, TextRlRecipe) else 0
        gflops = self.recipe.max_gflops
        used_up = bool(tokens and progress.tokens >= tokens) or bool(
            gflops and progress.gflops + progress.judge_gflops + self.charged_gflops >= gflops
        )
        return used_up or progress.step >= self.recipe.steps

    def sampling_at(self, step: int) -> Sampling:
        """How a step's answers are drawn; an objective may end them sooner than the recipe does."""
        if not isinstance(self.objective, LimitsLength):
            return self.sampling
        return replace(self.sampling, max_new_tokens=self.objective.longest_answer(step))

    @property
    def sampling(self) -> Sampling:
        """How answers are drawn: from the policy's own distribution, never a truncated one."""
        return Sampling(
            temperature=self.recipe.temperature,
            max_new_tokens=self.recipe.reasoning_tokens,
            stop_ids=self.objective.stop_ids,
            group_size=self.recipe.group_size,
            seed=self.recipe.seed,
        )
