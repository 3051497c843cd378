"""What a rank above 0 may do: take part in a stage, and write nothing that anybody keeps."""

from collections.abc import Callable, Mapping
from pathlib import Path

from infra.runs.attempt import Job, StoreBuild
from infra.storage.store import Store


class FollowerBuild(StoreBuild):
    """Inputs, checkpoints and stops as rank 0 has them; files in a folder of its own.

    What it logs stays there and goes with the attempt; checkpoints, milestones and progress are rank 0's.
    """

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Rank 0 tells."""

    def save(self, step: int, folder: Path) -> None:
        """Rank 0 saves."""

    def milestone(
        self, step: int, folder: Path, summary: Mapping[str, float], state: Path | None = None
    ) -> None:
        """Rank 0 publishes."""


def open_build(job: Job, rank: int, stopping: Callable[[], bool]) -> StoreBuild:
    """The build of one rank of a job."""
    store = Store(job.store, job.cache)
    if rank == 0:
        return StoreBuild(job, store, stopping)
    return FollowerBuild(job.model_copy(update={"folder": job.folder / f"rank-{rank}"}), store, stopping)
