"""What a training of several real processes does: ``python -m tests.contracts.two_ranks FOLDER SCENARIO...``.

Run with torchrun's environment (:func:`run_ranks`), or called in the test's own process as the one rank that
all others are held to. A scenario leaves ``SCENARIO.json`` and ``SCENARIO.safetensors`` in the rank's folder.
"""

import copy
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from infra.runs.child import reporting
from infra.runs.lifeline import LIFELINE, RUN_TOKEN
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import JudgeError, Stopped
from rpt_core.objectives.objective import Asked, by_itself
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.judge import JudgeRecipe
from rpt_core.recipes.reinforce import RlptRecipe, Selection
from rpt_core.recipes.supervised import BaseRecipe, ModelShape, Optimiser, SftRecipe
from rpt_core.train.backends.ranks import end_ranks, init_ranks
from rpt_core.train.backends.registry import open_backend
from rpt_core.train.rl.checkpoint import restore_objective, saved_progress
from rpt_core.train.rl.loop import loop
from rpt_core.train.rl.record import Record
from rpt_core.train.rl.state import Progress, Trainer
from rpt_core.train.supervised.base import train_base
from tests.toys import VOCAB, ToyObjective, tiny_policy
from tests.unit.train.rl.test_step import INPUT, RECIPE

SECONDS = 60
"""Deadline of every collective."""
LAUNCH_SECONDS = 900
"""Of all scenarios of a launch; a quiet machine takes 20."""
NUMERICS = LocalBuild.__dataclass_fields__["numerics"].default_factory()
NUMERICS = NUMERICS.model_copy(update={"backend": os.environ.get("RPT_TEST_BACKEND", NUMERICS.backend)})
SLOW = Optimiser(learning_rate=1e-4, grad_clip=0.5)
SCENARIOS: dict[str, dict[str, Any]] = {
    "recorded": {"steps": 20, "optimiser": SLOW, "ntp_weight": 0.1},
    "drawn": {
        "steps": 8, "ntp_weight": 0.1, "ntp_text": "raw", "updates_per_batch": 2, "prompts_per_step": 7,
        "selection": Selection(max_refills=2), "evaluate_every": 4,
    },
    "judged": {"steps": 4, "loss": "dr_grpo"},
    "resumed": {"steps": 6, "optimiser": SLOW},
}  # fmt: skip


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def build_of(folder: Path, inputs: dict[str, Path] | None = None) -> LocalBuild:
    """A rank's own folders, and the numerics of as many ranks as there are."""
    numerics = NUMERICS.model_copy(update={"world_size": world_size()})
    return LocalBuild(
        inputs or {}, folder / "out", folder / "scratch", Placement(checkpoint_seconds=1e9), numerics
    )


@dataclass
class Judged(ToyObjective):
    """Asks a judge about every answer, and counts that; its judge may go away on one rank."""

    asked: int = field(default=0)
    steps: int = field(default=0)
    away_after: int = 10**9
    """Steps."""

    def judge(self, asked: Asked, cut: int, samples: Sequence[Sample]) -> list[Any]:
        self.asked += len(samples)
        if self.steps >= self.away_after:
            raise JudgeError("the judge stayed away")
        return super().judge(asked, cut, samples)

    def report(self, gather=by_itself):
        found = gather(self.asked)
        self.asked, self.steps = 0, self.steps + 1
        return {"judge/asked": float(sum(found)), "judge/busiest": float(max(found))}, {}


def trainer_of(name: str, objective: ToyObjective | None = None) -> Trainer:
    """A training's parts; ``recorded`` answers are those of the start model, whatever is trained."""
    recipe = RECIPE.model_copy(update=SCENARIOS[name])
    policy = tiny_policy(sharpness=1.5)
    drawing = replace(policy, model=copy.deepcopy(policy.model)) if name == "recorded" else policy
    numerics = NUMERICS.model_copy(update={"world_size": world_size()})
    backend = open_backend(numerics, policy, recipe.optimiser, recipe.steps)
    return Trainer(recipe, policy, TorchEngine(drawing), objective or ToyObjective(VOCAB), backend,
                   tokens_per_micro_batch=200)  # fmt: skip


def trained(name: str, folder: Path) -> None:
    """A whole loop."""
    trainer = trainer_of(name, Judged(VOCAB) if name == "judged" else None)
    build = build_of(folder / name)
    progress = loop(trainer, build, Progress(), Record(), frozenset())
    _leave(name, folder, build, trainer.policy.model, vars_of(progress))


class StopsAt(LocalBuild):
    """Asks to stop once a step is logged; on the last rank alone, where there are several."""

    at = 0

    def log(self, step, values, timings=None):
        super().log(step, values, timings)
        self.stop = step >= self.at and init_ranks(world_size()).rank == world_size() - 1


def resumed(folder: Path, start: Path | None, stop_at: int) -> Path | None:
    """Steps from a checkpoint to ``stop_at``, where another is left, or to the end."""
    trainer = trainer_of("resumed")
    progress, record = Progress(), Record()
    if start is not None:
        progress, record = saved_progress(start, trainer.recipe), Record(start)
        trainer.backend.adopt(start / "model")
        trainer.backend.load(start)
        restore_objective(start, trainer)
    build = build_of(folder / f"resumed-{stop_at}")
    build.__class__, build.at = StopsAt, stop_at
    try:
        progress = loop(trainer, build, progress, record, frozenset())
    except Stopped:
        return build.saves[stop_at]
    _leave("resumed", folder, build, trainer.policy.model, vars_of(progress))
    return None


SHAPE = ModelShape(
    hidden_size=32, num_layers=2, num_heads=2, num_kv_heads=1, head_dim=16, intermediate_size=48,
    vocab_size=300, context_tokens=64,
)  # fmt: skip


def base_and_difficulty(folder: Path) -> None:
    """Two whole stages: a base model from scratch, and the difficulty of its corpus under a fixed proxy."""
    from rpt_core.difficulty import score
    from rpt_core.recipes.difficulty import DifficultyRecipe

    shared = Path(os.environ["RPT_TEST_SHARED"])
    build = build_of(folder / "base", {"corpus": shared / "corpus"})
    recipe = BaseRecipe(corpus=INPUT, model=SHAPE, steps=5, documents_per_step=5, optimiser=SLOW)
    outcome = train_base(recipe, build)
    rows = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    score.PART_TOKENS = 400
    scored = build_of(folder / "difficulty", {"corpus": shared / "corpus", "proxy": shared / "proxy"})
    told = score.score_difficulty(
        DifficultyRecipe(corpus=INPUT, proxy=INPUT, context_tokens=32, stride_tokens=16, top_k=8), scored
    )
    found = {"rows": rows, "base": outcome.model_dump(mode="json"), "scored": told.model_dump(mode="json")}
    (folder / "base_and_difficulty.json").write_text(json.dumps(found))


def stages(folder: Path) -> None:
    """The other supervised stages, then RLPT with a judge that runs here, each on one before."""
    from rpt_core.train.rl.reinforce import train_rlpt
    from rpt_core.train.supervised.cold_start import train_cold_start
    from rpt_core.train.supervised.judge import train_judge
    from rpt_core.train.supervised.sft import train_sft
    from tests.unit.train.test_rlpt_stages import ASKED, COLD, SHAPE

    shared = Path(os.environ["RPT_TEST_SHARED"])
    inputs = {name: shared / name for name in ("corpus", "base", "judge", "start")}
    judged = JudgeRecipe(
        model=SHAPE.model_copy(update={"prediction_marks": False}), steps=6, pairs_per_step=7,
        drills_per_step=3, held_out_pairs=100, optimiser=SLOW,
    )  # fmt: skip
    talked = SftRecipe(base=INPUT, data=str(shared / "talk.jsonl"), conversations_per_step=3, optimiser=SLOW)
    rlpt = RlptRecipe(
        corpus=INPUT, start=INPUT, judge=INPUT, objective=ASKED, prompts_per_step=8, group_size=4,
        cuts_per_document=3, reasoning_tokens=48, context_tokens=300, steps=3, evaluate_every=2,
        unread_share_max=1.0, selection=Selection(when_starved="pass-on"), ntp_weight=0.1, optimiser=SLOW,
    )  # fmt: skip
    cold = COLD.model_copy(update={"steps": 6, "optimiser": SLOW})
    for name, stage, recipe in (
        ("judge", train_judge, judged),
        ("cold_start", train_cold_start, cold),
        ("sft", train_sft, talked),
        ("rlpt", train_rlpt, rlpt),
    ):
        build = build_of(folder / f"stage-{name}", inputs)
        outcome = stage(recipe, build)  # type: ignore[operator]
        (folder / f"stage-{name}.json").write_text(outcome.model_dump_json())


def unequal(folder: Path) -> None:
    """The last rank begins with other weights."""
    policy = tiny_policy(sharpness=1.5 + (init_ranks(world_size()).rank == world_size() - 1))
    open_backend(NUMERICS.model_copy(update={"world_size": world_size()}), policy, SLOW, 1)


def judge_away(folder: Path) -> None:
    """The judge goes away from the last rank in its second step; every rank saves what was trained."""
    last = init_ranks(world_size()).rank == world_size() - 1
    trainer = trainer_of("judged", Judged(VOCAB, away_after=1 if last else 10**9))
    build = build_of(folder / "judge_away")
    try:
        loop(trainer, build, Progress(), Record(), frozenset())
    finally:
        (folder / "judge_away.saves").write_text(json.dumps(sorted(build.saves)))


def long_training(folder: Path) -> None:
    """Steps until it is stopped or killed; the next run goes on from its last checkpoint."""
    init_ranks(world_size())
    saves = folder.parent / "saves"
    trainer = trainer_of("resumed")
    object.__setattr__(trainer, "recipe", trainer.recipe.model_copy(update={"steps": 10**6}))
    progress, record, build = Progress(), Record(), build_of(folder / f"long-{os.getpid()}")
    build.placement = Placement(checkpoint_seconds=1e-3)
    found = sorted(saves.glob("*/done"))
    if found:
        start = found[-1].parent
        progress, record = saved_progress(start, trainer.recipe), Record(start)
        trainer.backend.adopt(start / "model")
        trainer.backend.load(start)
    (folder / "began").write_text(str(progress.step))
    rank, stopping = trainer.backend.rank, _Asked.stopping

    class Saving(LocalBuild):
        def save(self, step, kept):
            super().save(step, kept)
            if rank == 0:
                target = saves / f"{step:06d}"
                shutil.rmtree(target, ignore_errors=True)  # one whose saving was killed
                target.parent.mkdir(exist_ok=True)
                self.saves[step].rename(target)
                (target / "done").write_text("")

        def log(self, step, values, timings=None):
            (folder / "step").write_text(str(step))

        def stopping(self):
            return stopping()

    build.__class__ = Saving
    loop(trainer, build, progress, record, frozenset())


class _Asked:
    stopping = staticmethod(lambda: False)


def vars_of(progress: Progress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in progress.__slots__}


def _leave(name: str, folder: Path, build: LocalBuild, model: Any, progress: dict[str, Any]) -> None:
    rows = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    (folder / f"{name}.json").write_text(json.dumps({"rows": rows, "progress": progress}))
    weights = {key: p.detach().clone() for key, p in model.named_parameters()}
    save_file(weights, folder / f"{name}.safetensors")


ALONE = {
    "base_and_difficulty": base_and_difficulty, "stages": stages, "unequal": unequal,
    "judge_away": judge_away, "long_training": long_training,
}  # fmt: skip


def run(name: str, folder: Path) -> None:
    """One scenario in this rank's folder; ``resumed:START:STEP`` goes on from a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    if name.startswith("resumed:"):
        _, start, stop_at = name.split(":")
        left = resumed(folder, Path(start) if start else None, int(stop_at))
        (folder / f"left-{stop_at}").write_text(str(left))
    elif name in ALONE:
        ALONE[name](folder)
    else:
        trained(name, folder)


def run_ranks(folder: Path, scenarios: Sequence[str], num: int = 2, **env: str) -> list[int]:
    """The same in ``num`` processes of their own; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(num),
        "RPT_COLLECTIVE_SECONDS": str(SECONDS), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE",
    }  # fmt: skip
    inherited = {name: word for name, word in os.environ.items() if name not in (RUN_TOKEN, LIFELINE)}
    folder.mkdir(parents=True, exist_ok=True)
    processes = []
    for rank in range(num):
        with (folder / f"log-{rank}.txt").open("w") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.contracts.two_ranks", str(folder), *scenarios],
                    env={**inherited, **meeting, "RANK": str(rank), **env},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    end = time.monotonic() + LAUNCH_SECONDS
    try:
        return [process.wait(max(1.0, end - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def main() -> None:
    """A rank; how it ended is left as a stage's ranks leave it."""
    folder, scenarios = Path(sys.argv[1]), sys.argv[2:]
    with reporting(folder) as stopping:
        _Asked.stopping = staticmethod(stopping)
        for name in scenarios:
            run(name, folder / f"rank-{os.environ.get('RANK', '0')}")
        end_ranks()


if __name__ == "__main__":
    main()
