"""One token's operations recorded once and replayed: by CUDA graphs on a GPU, by calling them anywhere else.

A decoding step of a small model is some thousand short kernels, and launching them takes longer than they do.
A recorded step is launched as one. It reads and writes the same memory at every replay, so shapes and places
must not change; where they do, the step is recorded anew.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import torch

from rpt_core.policy.work import Work

WARM = 2
"""Calls before recording: libraries allocate what they need at their first."""
WORTH = 8
"""Replays that recording has to be followed by; fewer are called."""
Unit = Callable[[], None]
_log = logging.getLogger("rpt.engine")


class Recorder(Protocol):
    """Turns a function without arguments and results into one that repeats it."""

    def warm(self, unit: Unit) -> None:
        """Carry it out, before it is recorded."""

    def record(self, unit: Unit) -> Unit:
        """What repeats it; the function itself may not take effect meanwhile.

        Raises:
            RuntimeError: it cannot be recorded.
        """


class Calls:
    """Repeats by calling: the same memory and the same operations, on any device."""

    def warm(self, unit: Unit) -> None:
        """Call it."""
        unit()

    def record(self, unit: Unit) -> Unit:
        """The function itself."""
        return unit


class CudaGraphs:
    """Records on a stream of its own, into one pool of memory."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()

    def warm(self, unit: Unit) -> None:
        """Call it on the stream it will be recorded on."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            unit()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, unit: Unit) -> Unit:
        """Capture its kernels; none of them runs until the first replay."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
            unit()
        return graph.replay


class Replays:
    """Carries out one step again and again: called while it is new, recorded once warm, then replayed."""

    def __init__(self, recorder: Recorder, work: Work) -> None:
        """Begin with nothing recorded.

        Args:
            recorder: How to record.
            work: Where the step counts its operations. A replay runs no Python, so it is counted here.
        """
        self.recorder, self.work = recorder, work
        self.refused: str | None = None
        """Why steps are called and not replayed, where recording failed."""
        self.num_recorded = self.num_replayed = 0
        self.forget()

    def forget(self) -> None:
        """Shapes or places have changed: what was recorded holds no longer, and its memory is let go."""
        self._replay: Unit | None = None
        self._calls, self._flops = 0, 0.0

    def run(self, unit: Unit, left: int) -> None:
        """Carry the step out once.

        Args:
            unit: The step; the same one until :meth:`forget`.
            left: How often it will still be carried out in this shape, this time included.
        """
        if self._replay is None and self._calls >= WARM and left >= WORTH and not self.refused:
            self._replay = self._recorded(unit)
        before = self.work.flops
        if self._replay is None:
            self.recorder.warm(unit)
            self._calls, self._flops = self._calls + 1, self.work.flops - before
        else:
            self._replay()
            self.work.flops = before + self._flops
            self.num_replayed += 1

    def _recorded(self, unit: Unit) -> Unit | None:
        before = self.work.flops
        try:
            replay = self.recorder.record(unit)
        except RuntimeError as error:
            self.refused = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            _log.warning("decoding steps are called one by one, for none could be recorded: %s", self.refused)
            self.recorder = Calls()
            return None
        finally:
            self.work.flops = before
        self.num_recorded += 1
        return replay
