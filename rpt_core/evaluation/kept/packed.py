"""Arrays as they stand in a file of outcomes: bits and half bytes in base64, whole numbers as lists.

Legend of shapes: ``I`` questions, ``S`` answers to each.
"""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rpt_core.evaluation.kept.arm import FAULTS


def hundredths(values_I: NDArray[np.float64]) -> list[int]:
    """Numbers to a hundredth, as whole numbers of them."""
    return np.rint(100 * values_I).astype(int).tolist()


def ints(values: Sequence[int], wanted: int) -> NDArray[np.int64]:
    """A whole number for each question.

    Raises:
        ValueError: there are not so many.
    """
    found = np.array(values, dtype=np.int64)
    if found.shape != (wanted,):
        raise ValueError(f"{found.shape} numbers for {wanted} questions")
    return found


def bits(values: NDArray[np.bool_] | None) -> str | None:
    """Truth values in their order, the highest bit first; None stays None."""
    return None if values is None else base64.b64encode(np.packbits(values.ravel()).tobytes()).decode()


def of_bits(text: str | None, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """What :func:`bits` packed.

    Raises:
        ValueError: it is of another shape, or no base64.
    """
    if text is None:
        return None
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    count = shape[0] * shape[1]
    if len(packed) != -(-count // 8):
        raise ValueError(f"{len(packed)} bytes for {count} bits")
    return np.unpackbits(packed, count=count).astype(bool).reshape(shape)


def known_bits(text: str | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The same where there must be some.

    Raises:
        ValueError: there are none, of another shape, or no base64.
    """
    found = of_bits(text, shape)
    if found is None:
        raise ValueError("no bits where there must be some")
    return found


def halves(codes: NDArray[np.uint8] | None) -> str | None:
    """Codes below 16 in their order, two a byte; None stays None."""
    if codes is None:
        return None
    flat = np.append(codes.ravel(), np.zeros(codes.size % 2, np.uint8))
    return base64.b64encode((flat[::2] << 4 | flat[1::2]).astype(np.uint8).tobytes()).decode()


def of_halves(text: str | None, shape: tuple[int, int]) -> NDArray[np.uint8] | None:
    """What :func:`halves` packed.

    Raises:
        ValueError: it is of another shape, no base64, or holds a code that stands for nothing.
    """
    if text is None:
        return None
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    count = shape[0] * shape[1]
    if len(packed) != -(-count // 2):
        raise ValueError(f"{len(packed)} bytes for {count} half bytes")
    found = np.stack([packed >> 4, packed & 15], axis=1).ravel()[:count]
    if count and int(found.max()) >= len(FAULTS):
        raise ValueError(f"the fault {int(found.max())} of {len(FAULTS)}")
    return found.reshape(shape)
