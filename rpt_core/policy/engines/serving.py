"""How a stage's engines run: what the placement says of them, for whoever opens one while the stage runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from rpt_core.artifacts.build import Build
from rpt_core.artifacts.placement import ENGINE_MEMORY_SHARE
from rpt_core.policy.device import device_of


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and by how many processes answers are drawn; engines in this process need nothing of it."""

    engine: str = "torch"
    """Name of the stage's engine (:data:`rpt_core.policy.engines.registry.ENGINES`)."""
    replicas: int = 1
    """Workers that share the questions."""
    tensor_parallel: int = 1
    """GPUs that hold one worker's weights together."""
    memory_share: float = ENGINE_MEMORY_SHARE
    """Of a GPU's memory, what a worker may take."""
    device: str = "cpu"
    """Where models go that are loaded beside the trained one, a judge's."""
    dtype: str = "float32"
    """What they are held in."""
    scratch: Path | None = None
    """Folder for logs and weights on their way; None for one among the system's temporary files."""


_PRESENT: ContextVar[Serving | None] = ContextVar("serving", default=None)


def present_serving() -> Serving:
    """How engines are to be opened now: as the stage that runs says, else one of torch."""
    return _PRESENT.get() or Serving()


@contextmanager
def serving(build: Build) -> Iterator[None]:
    """Engines opened inside run as the build's placement says, those of judges and scorers included."""
    placement = build.placement
    present = Serving(
        engine=build.numerics.engine,
        replicas=placement.engine_replicas,
        tensor_parallel=placement.tensor_parallel,
        memory_share=placement.engine_memory_share,
        device=device_of(build).type,
        dtype=build.numerics.dtype,
        scratch=build.scratch,
    )
    token = _PRESENT.set(present)
    try:
        yield
    finally:
        _PRESENT.reset(token)
