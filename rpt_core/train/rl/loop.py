"""The training loop: it decides when to log, look, save, publish and stop, and nothing else."""

import time
from collections.abc import Mapping
from dataclasses import replace

from rpt_core.artifacts.build import FLOPS, Build
from rpt_core.errors import EngineError, JudgeError, Stopped
from rpt_core.objectives.next_segment.judge import JUDGE_GFLOPS
from rpt_core.train.clock import Clock, slowest
from rpt_core.train.rl.ahead import step_and_draw
from rpt_core.train.rl.checkpoint import keep_best, publish, save
from rpt_core.train.rl.collect import Batch, collect
from rpt_core.train.rl.hand_over import hand_over
from rpt_core.train.rl.online_eval import online_eval, reported
from rpt_core.train.rl.record import Record
from rpt_core.train.rl.state import Progress, Trainer


def loop(
    trainer: Trainer, build: Build, progress: Progress, record: Record, milestones: frozenset[int]
) -> Progress:
    """Train to the recipe's last step, or until its tokens are used up.

    Args:
        trainer: Its policy changes in place.
        build: Where metrics, checkpoints and milestones go.
        progress: Where to resume from.
        record: What the steps saw, added to.
        milestones: Steps after which the model is published.

    Raises:
        EngineError: the engine died, or does not serve the weights it was handed.
        Stopped: somebody asked to stop; a checkpoint was written first.
    """
    recipe, saved_at = trainer.recipe, time.monotonic()
    hand_over(trainer, progress.step, build.scratch)
    if recipe.evaluate_every and progress.step == 0:
        build.log(0, {FLOPS: progress.gflops, **_look(trainer)})
    while not trainer.is_done(progress):
        if any(trainer.backend.all_gather(build.stopping())):
            if progress.step:
                save(build, trainer, progress, record)
            raise Stopped(f"stopped after step {progress.step} of {recipe.steps}; rerun to resume.")
        clock, cursor, tokens_before = Clock(), progress.cursor, progress.tokens
        batch = _collect(trainer, build, progress, record, clock)
        progress, metrics = step_and_draw(trainer, progress, batch, clock)
        record.add(progress.step, cursor, batch)
        with clock.phase("sync"):
            hand_over(trainer, progress.step, build.scratch)
        counted, seconds = reported(trainer)
        metrics |= counted
        progress = _with_judge(trainer, progress, seconds)
        done = trainer.is_done(progress)
        if recipe.evaluate_every and (done or progress.step % recipe.evaluate_every == 0):
            with clock.phase("eval"):
                metrics |= _look(trainer)
            progress = keep_best(build, trainer, progress, metrics)
        timings = slowest(trainer.backend.all_gather(clock.read(progress.tokens - tokens_before)))
        build.log(progress.step, metrics, timings | seconds)
        build.progress(progress.step, recipe.steps, _note(metrics))
        if progress.step in milestones:
            publish(build, trainer, progress, metrics)
        due = time.monotonic() - saved_at >= build.placement.checkpoint_seconds
        if trainer.backend.all_gather(due)[0] and not done:
            save(build, trainer, progress, record)
            saved_at = time.monotonic()
    return progress


def _collect(trainer: Trainer, build: Build, progress: Progress, record: Record, clock: Clock) -> Batch:
    """The next batch; a judge that stays away or an engine that dies costs no step that was taken."""
    try:
        with trainer.backend.whole():
            return collect(trainer, progress, clock)
    except (JudgeError, EngineError):
        if progress.step:
            save(build, trainer, progress, record)
        raise


def _with_judge(trainer: Trainer, progress: Progress, timings: Mapping[str, float]) -> Progress:
    """The progress with what the judge of a step computed, where that counts towards the end."""
    if not trainer.counts_judge:
        return progress
    return replace(progress, judge_gflops=progress.judge_gflops + timings.get(JUDGE_GFLOPS, 0.0))


def _look(trainer: Trainer) -> dict[str, float]:
    with trainer.backend.whole():
        return online_eval(trainer)


def _note(metrics: dict[str, float]) -> str:
    name = "reward_mean" if "reward_mean" in metrics else "ntp_loss"
    return f"{name.removesuffix('_mean').replace('_', ' ')} {metrics[name]:.3f}"
