"""What the tiny journeys share: their text, their model, and optimisers for minutes on one CPU core."""

from dataclasses import dataclass
from typing import Any, Literal

from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.objectives import RlvrObjective
from rpt_core.recipes.reinforce import RlvrRecipe, Selection
from rpt_core.recipes.supervised import ModelShape, Optimiser

MUON = Optimiser(
    name="muon", learning_rate=3e-3, betas=(0.9, 0.95), weight_decay=0.05, warmup_steps=30,
    schedule="linear", final_share=0.3,
)  # fmt: skip
"""Of the base model."""
COLD = MUON.model_copy(update={"learning_rate": 4e-3, "final_share": 0.05})
"""Of the cold start."""
ADAMW = Optimiser(learning_rate=2e-4, betas=(0.9, 0.95), weight_decay=0.0, warmup_steps=5)
"""Of reinforcement learning."""


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """What follows the model: the words it is asked in, and how fast it is trained."""

    prompt: Literal["auto", "compact"]
    """Of every stage: cold start, policy, problems and evaluation ask alike."""
    cold: Optimiser
    reinforce: Optimiser


OWN = ModelDefaults("compact", COLD, ADAMW)
"""Of a model trained here, from scratch: control tokens, and rates that its size stands."""
GIVEN = ModelDefaults(
    "auto",
    Optimiser(
        learning_rate=1e-4, betas=(0.9, 0.95), weight_decay=0.0, warmup_steps=5, schedule="linear",
        final_share=0.1,
    ),
    ADAMW.model_copy(update={"learning_rate": 1e-5}),
)  # fmt: skip
"""Of a model from elsewhere: words where its tokenizer has no control tokens, and rates that keep what it
knows."""


def defaults(model: str) -> ModelDefaults:
    """How a journey asks and trains: the reader's own model, or one trained here where ``model`` is empty."""
    return GIVEN if model else OWN


def documents(data: str, seed: int) -> IngestRecipe:
    """The reader's own text, or the sample world."""
    return IngestRecipe(data=data) if data else IngestRecipe(sample=SampleWorld(seed=seed))


def corpus(data: str, model: str, seed: int, **fields: Any) -> PrepareRecipe:
    """The cleaned text.

    Where text and model both are the reader's own, problems with solutions are text too: a model that reads
    already can learn from a problem set alone.
    """
    if data and model:
        fields["solutions_as_documents"] = True
    return PrepareRecipe(documents=documents(data, seed), seed=seed, **fields)


def model(name: str, shape: ModelShape) -> ModelShape | GivenModel:
    """The reader's own model, or one trained from scratch."""
    return GivenModel(name=name) if name else shape


def rlvr(
    corpus: PrepareRecipe, start: Any, *, data: str, model: str, seed: int, evaluate_every: int = 0
) -> RlvrRecipe:
    """Verifiable rewards on the corpus's problems, from the model a journey has trained.

    A text of the reader's own may hold no problem at all: the policy then goes on as it is.
    """
    return RlvrRecipe(
        corpus=corpus,
        start=start,
        objective=RlvrObjective(prompt=defaults(model).prompt),
        prompts_per_step=16,
        temperature=1.0,
        reasoning_tokens=64,
        context_tokens=512,
        steps=24,
        evaluate_every=evaluate_every,
        selection=Selection(when_starved="pass-on" if data else "stop"),
        optimiser=defaults(model).reinforce,
        seed=seed,
    )
