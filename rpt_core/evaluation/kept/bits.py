"""Arrays as they stand in a file of outcomes: bits and half bytes in base64, whole numbers as lists.

Bits and half bytes are packed question by question, the highest bit first. Legend of shapes: ``I`` questions.
"""

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def bits(values: NDArray[np.bool_] | None) -> str | None:
    """Bits of any shape, packed; None stays None."""
    return None if values is None else base64.b64encode(np.packbits(values.ravel()).tobytes()).decode()


def of_bits(text: str | None, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """The bits of :func:`bits` again.

    Raises:
        ValueError: they are not as many as the shape has.
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
        ValueError: there are none, or not as many as the shape has.
    """
    found = of_bits(text, shape)
    if found is None:
        raise ValueError("no bits where there must be some")
    return found


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


def halves(codes: NDArray[np.uint8] | None) -> str | None:
    """Codes below 16, two in a byte; None stays None."""
    if codes is None:
        return None
    flat = np.append(codes.ravel(), np.zeros(codes.size % 2, np.uint8))
    return base64.b64encode((flat[::2] << 4 | flat[1::2]).astype(np.uint8).tobytes()).decode()


def of_halves(text: str | None, shape: tuple[int, int], num: int) -> NDArray[np.uint8] | None:
    """The codes of :func:`halves` again.

    Raises:
        ValueError: they are not as many as the shape has, or one is not below ``num``.
    """
    if text is None:
        return None
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    count = shape[0] * shape[1]
    if len(packed) != -(-count // 2):
        raise ValueError(f"{len(packed)} bytes for {count} half bytes")
    found = np.stack([packed >> 4, packed & 15], axis=1).ravel()[:count]
    if count and int(found.max()) >= num:
        raise ValueError(f"the fault {int(found.max())} of {num}")
    return found.reshape(shape)
