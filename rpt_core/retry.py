"""How long to wait before the next attempt: twice as long each time, or what the other side asks for."""


def pause_seconds(attempt: int, first: float, most: float, asked: float = 0.0) -> float:
    """The pause after a failed attempt.

    Args:
        attempt: Number of the attempt that failed, from 0.
        first: Pause after attempt 0; it doubles from attempt to attempt.
        most: Longest pause.
        asked: Seconds the other side asked for, where it did.

    Example:
        >>> [pause_seconds(attempt, 0.5, 3.0) for attempt in range(4)], pause_seconds(0, 0.5, 60.0, asked=9.0)
        ([0.5, 1.0, 2.0, 3.0], 9.0)
    """
    return min(most, max(asked, first * 2**attempt))


def seconds_asked(retry_after: str | None, most: float = 3600.0) -> float:
    """Seconds of a ``Retry-After`` header; 0 for none, a date, or what is no plain number.

    Example:
        >>> seconds_asked(" 7"), seconds_asked("Wed, 21 Oct 2026 07:28:00 GMT"), seconds_asked("9999", 60.0)
        (7.0, 0.0, 60.0)
    """
    text = (retry_after or "").strip()
    return min(float(text), most) if text.isascii() and text.isdigit() else 0.0
