"""What a process held in memory, as Linux tells it of that process alone.

``ru_maxrss`` is no such number: it survives ``exec``, so a child that a large process started begins with its
parent's peak, and two sides measured in children of one parent come out alike.
"""

from pathlib import Path


def status_bytes(name: str) -> int:
    """A size of this process by its name in ``/proc/self/status``: ``VmRSS`` now, ``VmHWM`` at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def peak_bytes() -> int:
    """Most this process held since it began, or since :func:`forget_peak`."""
    return status_bytes("VmHWM")


def forget_peak() -> None:
    """Let the peak begin anew at what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
