"""The training loop: it decides when to log, look, save, publish and stop, and nothing else."""

import time

from rpt_core.artifacts.build import Build
from rpt_core.errors import Stopped
from rpt_core.policy.load import save_policy
from rpt_core.train.checkpoint import save
from rpt_core.train.clock import Clock
from rpt_core.train.gather import gather
from rpt_core.train.look import quick_look
from rpt_core.train.record import Record
from rpt_core.train.state import Progress, Trainer
from rpt_core.train.step import step


def loop(
    trainer: Trainer, build: Build, progress: Progress, record: Record, milestones: frozenset[int]
) -> Progress:
    """Train to the recipe's last step.

    Args:
        trainer: Its policy changes in place.
        build: Where metrics, checkpoints and milestones go.
        progress: Where to go on from.
        record: The table of rollouts, added to.
        milestones: Steps after which the model is published.

    Raises:
        Stopped: somebody asked to stop; a checkpoint was written first.
    """
    recipe, saved_at = trainer.recipe, time.monotonic()
    if recipe.evaluate_every and progress.step == 0:
        build.log(0, quick_look(trainer))
    while progress.step < recipe.steps:
        if build.stopping():
            if progress.step:
                save(build, trainer, progress, record)
            raise Stopped(f"stopped after step {progress.step} of {recipe.steps}; the same command goes on.")
        clock, tokens_before = Clock(), progress.tokens
        batch = gather(trainer, progress, clock)
        with clock.phase("update"):
            progress, metrics = step(trainer, progress, batch)
        record.add(progress.step, batch)
        if _is_due(progress.step, recipe.evaluate_every, recipe.steps):
            with clock.phase("eval"):
                metrics |= quick_look(trainer)
        build.log(progress.step, metrics, clock.read(progress.tokens - tokens_before))
        build.progress(progress.step, recipe.steps, f"reward {metrics['reward_mean']:.3f}")
        if progress.step in milestones:
            folder = build.scratch / f"milestone-{progress.step:06d}"
            save_policy(trainer.policy, folder)
            build.milestone(progress.step, folder, metrics)
        if time.monotonic() - saved_at >= build.placement.checkpoint_seconds and progress.step < recipe.steps:
            save(build, trainer, progress, record)
            saved_at = time.monotonic()
    return progress


def _is_due(number: int, every: int, last: int) -> bool:
    return every > 0 and (number % every == 0 or number == last)
