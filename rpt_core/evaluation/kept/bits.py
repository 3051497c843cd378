"""Arrays of bits and half bytes as text: question by question, the highest bit first, in base64."""

import base64

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
