"""The card of a model: a Hugging Face README whose every number names the artifact it came from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rpt_core.artifacts.manifest import Manifest
from rpt_core.export.questions import Exported
from rpt_core.pages.words import ends, environment, percent, percent_bare
from rpt_core.report.ran import what_it_took, what_ran
from rpt_core.report.sources import SourceArtifact, StageRow, journey

HOW = (
    *("steps", "prompts_per_step", "group_size", "temperature", "reasoning_tokens", "context_tokens", "loss"),
    *("ntp_weight", "documents_per_step", "problems_per_step", "seed"),
)
"""Fields of a training that a card shows; the recipe has all."""


@dataclass(frozen=True, slots=True)
class Score:
    """One number of an evaluation."""

    mode: str
    of: str
    """Tier of difficulty, or ``all``."""
    estimate: Mapping[str, Any]
    source: SourceArtifact

    @property
    def text(self) -> str:
        """The share with its interval."""
        return f"{percent(self.estimate['value'])} [{ends(self.estimate, percent_bare)}]"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a card says."""

    name: str
    manifest: Manifest
    sources: Sequence[SourceArtifact]
    """The model's artifact and everything it stands on, in the order of the journey."""
    scores: Sequence[Score]
    base_model: str = ""
    """Hub id of the model it was trained from; empty for one trained here or a folder."""
    questions: Exported | None = None
    no_questions: str = ""
    """Why none were exported."""

    def render(self, place: str = "model") -> str:
        """The README.

        Args:
            place: Path of the model's folder, as seen from where the card lies.
        """
        stages = journey(list(self.sources), {})
        context = {
            "card": self,
            "front": dict(self._front()),
            "how": list(self._how()),
            "ran": [*what_ran(self.sources), *what_it_took(self.sources)],
            "stages": stages,
            "rows": [(name, counts) for name, counts in self._splits()],
            "anchor": _anchor,
            "place": place,
        }
        text = environment("rpt_core.export").get_template("card.md.j2").render(context)
        return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"

    def _front(self) -> Iterator[tuple[str, str]]:
        """Front matter, each value as JSON, which YAML contains."""
        tags = ["reinforcement-learning", "plain-text", "rpt-plain-text", self.manifest.kind]
        fields: dict[str, Any] = {
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": tags,
            **({"base_model": self.base_model} if self.base_model else {}),
            **({"model-index": [self._index()]} if self.scores else {}),
        }
        for name, value in fields.items():
            yield name, json.dumps(value, ensure_ascii=False)

    def _index(self) -> dict[str, Any]:
        results = [
            {
                "task": {"type": "text-generation"},
                "dataset": {"type": "held-out", "name": f"held-out questions, {score.mode}, {score.of}"},
                "metrics": [
                    {"type": "accuracy", "value": score.estimate["value"], "name": score.source.short}
                ],
            }
            for score in self.scores
        ]
        return {"name": self.name, "results": results}

    def _how(self) -> Iterator[tuple[str, Any]]:
        recipe = self.manifest.recipe
        objective = recipe.get("objective")
        if isinstance(objective, Mapping):
            yield "objective", objective.get("name")
            yield "reward", objective.get("reward")
        yield from ((name.replace("_", " "), recipe.get(name)) for name in HOW)
        optimiser = recipe.get("optimiser")
        if isinstance(optimiser, Mapping):
            yield "optimiser", f"{optimiser.get('name')}, learning rate {optimiser.get('learning_rate')}"

    def _splits(self) -> Iterator[tuple[str, Any]]:
        if self.questions:
            yield "train", self.questions.train
            yield "test", self.questions.held_out


def scores_of(scores: Mapping[str, Any], source: SourceArtifact, step: int | None = None) -> list[Score]:
    """The accuracies in an evaluation's ``scores.json``.

    Args:
        scores: Its content.
        source: The evaluation.
        step: Of a checkpoint on the way; None for the model that was evaluated.
    """
    modes = scores.get("modes", {})
    if step is not None:
        found = [one for one in scores.get("milestones", ()) if one.get("step") == step]
        modes = {"on the way": found[0]} if found else {}
    return [
        Score(mode, tier, estimate, source)
        for mode, of_mode in modes.items()
        for tier, estimate in of_mode.get("accuracy", {}).items()
    ]


def _anchor(source: SourceArtifact | StageRow) -> str:
    return source.source.anchor if isinstance(source, StageRow) else source.anchor
