"""How long something takes, without what else a busy process and a busy machine do meanwhile."""

import gc
import time
from collections.abc import Callable

TRIES = 3


def least_seconds(
    act: Callable[[], object], enough: float, clock: Callable[[], float] = time.thread_time
) -> float:
    """The least seconds of up to three runs of ``act``; one that takes less than ``enough`` is the last.

    By default the processor time of this thread alone. The garbage collector is off: after some thousand
    tests one of its full passes takes as long as what is timed. What is too slow is too slow three times.
    """
    taken = float("inf")
    for _ in range(TRIES):
        gc.collect()
        gc.disable()
        try:
            begun = clock()
            act()
            taken = min(taken, clock() - begun)
        finally:
            gc.enable()
        if taken < enough:
            break
    return taken
