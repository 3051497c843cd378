"""What a safetensors file says of its tensors, from its header alone: neither torch nor a weight is read."""

import math
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rpt_core.errors import RecipeError, brief

Shapes = dict[str, tuple[int, ...]]
"""Tensor -> its shape."""


def file_shapes(path: Path) -> Shapes:
    """Name and shape of every tensor in a safetensors file.

    Raises:
        RecipeError: the file is truncated, or no such file.
    """
    try:
        with safe_open(path, framework="np") as stored:
            names = stored.keys()
            return {name: tuple(stored.get_slice(name).get_shape()) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        size = f"; {path.stat().st_size:,} bytes" if path.is_file() else ""
        raise RecipeError(
            f"the weights in {path} cannot be read ({brief(error)}{size}): the file is truncated or damaged. "
            "Fetch it again."
        ) from None


def num_numbers(shapes: Shapes) -> int:
    """How many numbers tensors of these shapes hold together.

    Example:
        >>> num_numbers({"weight": (3, 4), "bias": (3,), "scale": ()})
        16
    """
    return sum(math.prod(shape) for shape in shapes.values())
