"""The models that are asked: the one named by the recipe, and its training's published checkpoints."""

import filecmp
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rpt_core.artifacts.build import FLOPS
from rpt_core.errors import IntegrityError
from rpt_core.policy.load import inside

MILESTONE_FILE = "milestone.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model to be evaluated: the one asked for, or one on the way to it."""

    name: str
    folder: Path
    step: int | None = None
    gflops: float | None = None


def published(inputs: Mapping[str, Path]) -> list[Checkpoint]:
    """The checkpoints of the model's training among the inputs, by step.

    Raises:
        IntegrityError: one does not say which it is.
    """
    return sorted(_milestones(inputs), key=lambda one: one.step or 0)


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two checkpoints hold the same bytes, as the last milestone and the final model do."""
    first, second = (checkpoint.folder / "model.safetensors" for checkpoint in (one, other))
    return first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False)


def _milestones(inputs: Mapping[str, Path]) -> Iterator[Checkpoint]:
    for name, folder in inputs.items():
        if name.startswith("milestones."):
            path = folder / MILESTONE_FILE
            if not path.exists():
                raise IntegrityError(
                    f"the checkpoint {name} has no {MILESTONE_FILE}, so nobody knows its step and compute. "
                    "Train again, so that it is published anew."
                )
            note = json.loads(path.read_text())
            step = int(note["step"])
            yield Checkpoint(f"{step:06d}", inside(folder), step, float(note[FLOPS]))
