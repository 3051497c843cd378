"""Weights on their way to workers: a folder for each version, verified before anything reads it.

The folder is the engine's own, so that a worker started later, in place of one that was lost, finds the
weights of the present version whatever became of the folder they came in.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rpt_core.errors import EngineError
from rpt_core.policy.loading.replace import Shapes, difference

CONFIG = "config.json"


@dataclass(frozen=True)
class Weights:
    """One version: where it lies, and the SHA-256 of every file of it that was verified."""

    folder: Path
    version: int = 0
    digests: Mapping[str, str] = field(default_factory=dict)


def place(source: Path, target: Path, version: int, shapes: Shapes, config: Path) -> Weights:
    """Put a Hugging Face folder's weights into one of the engine's own; linked where the file system can.

    Args:
        source: Where they lie now.
        target: The folder to make.
        version: Of these weights.
        shapes: Of the model's parameters, by name.
        config: The model's ``config.json``; it does not change with the weights.

    Raises:
        EngineError: the parameters are not this model's, or a file cannot be read.
    """
    if wrong := difference(shapes, _stored_shapes(source)):
        raise EngineError(
            f"the weights in {source} do not fit the model being served: {wrong}. Load weights of the same "
            "architecture."
        )
    target.mkdir(parents=True)
    digests = {}
    for file in sorted([*source.glob("*.safetensors"), *source.glob("*.safetensors.index.json")]):
        _link(file.resolve(), target / file.name)
        with (target / file.name).open("rb") as placed:
            digests[file.name] = file_digest(placed, "sha256").hexdigest()
    shutil.copyfile(config, target / CONFIG)
    return Weights(target, version, digests)


def _stored_shapes(folder: Path) -> Shapes:
    """Of every stored tensor, read from the files' headers alone."""
    shapes: Shapes = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  (no mapping)
                    shapes[name] = tuple(file.get_slice(name).get_shape())
        except (SafetensorError, OSError) as error:
            raise EngineError(
                f"the weights in {path} cannot be read ({error}): the file was cut short or is none of "
                "safetensors. Export them again."
            ) from None
    return shapes


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
