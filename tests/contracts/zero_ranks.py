"""Ranks of DeepSpeed in processes of their own: what one does (``python -m``), and what starts them.

A process takes jobs one after the other, for an import of DeepSpeed costs more than a training of 20 steps.
"""

import hashlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist

from rpt_core.artifacts.zero import Zero
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.deepspeed_backend import opened
from rpt_core.train.backends.ranks import SECONDS_VARIABLE, Ranks, end_ranks, init_ranks
from rpt_core.train.backends.torch_backend import TorchBackend
from rpt_core.train.clock import Clock
from rpt_core.train.rl.collect import collect
from rpt_core.train.rl.state import Progress, Trainer
from rpt_core.train.rl.step import step
from tests.toys import VOCAB, ToyObjective, tiny_policy
from tests.unit.train.rl.test_step import RECIPE

STEPS, HALF = 20, 10
COLLECTIVE_SECONDS = 60
ADAMW = Optimiser(
    learning_rate=2e-3, weight_decay=0.05, betas=(0.9, 0.95), grad_clip=0.2, warmup_steps=4,
    schedule="cosine", final_share=0.1,
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """A training on recorded batches, under one back end."""

    name: str
    zero: str
    layout: str = "two-pass"
    ntp_text: str = "raw"
    start: str = ""
    """Folder of a checkpoint taken after half of the steps; the beginning without it."""
    batches: str = ""
    """File of the recorded batches; the folder's own without it."""
    last: int = STEPS
    kill_after: int = 0
    """Rank 1 kills itself after that step."""
    save_after: int = HALF
    bfloat16: bool = False
    checkpointed: bool = False
    rule: str = "adamw"


def trainer_of(job: Job, open_backend) -> Trainer:
    """The training of a job: its dual objective, several micro-batches, answers of unequal groups."""
    recipe = RECIPE.model_copy(
        update={
            "ntp_weight": 0.2,
            "ntp_text": job.ntp_text,
            "steps": STEPS,
            "optimiser": ADAMW.model_copy(update={"name": job.rule}),
        }
    )
    policy = tiny_policy(sharpness=1.5)
    if job.bfloat16:
        policy = replace(policy, compute_dtype=torch.bfloat16)
    if job.checkpointed:
        policy.checkpoint_activations()
    engine = TorchEngine(policy)
    backend = open_backend(policy, recipe.optimiser, recipe.steps)
    return Trainer(recipe, policy, engine, ToyObjective(VOCAB), backend, job.layout, 60)


def recorded(job: Job, folder: Path):
    """Draw and learn from every step's batch in this process; batches and a checkpoint stay on disk.

    Returns:
        What would be learnt from next, and the metrics of every step.
    """
    trainer = trainer_of(job, TorchBackend)
    progress, batches, rows = Progress(), [], []
    for number in range(1, STEPS + 1):
        batches.append(collect(trainer, progress, Clock()))
        progress, metrics = step(trainer, progress, batches[-1])
        rows.append(metrics)
        if number == HALF:
            write_checkpoint(trainer, progress, folder / "checkpoint")
    (folder / "batches.pickle").write_bytes(pickle.dumps(batches))
    trainer.backend.export(folder / "model")
    return collect(trainer, progress, Clock()), rows


def write_checkpoint(trainer, progress, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    trainer.backend.export(folder / "model")
    trainer.backend.save(folder)
    if trainer.backend.rank == 0:
        (folder / "progress.json").write_text(json.dumps(asdict(progress)))


def learn(trainer, job: Job, batches, folder: Path):
    """The job's steps from where it starts; the metrics of each."""
    progress, rows = Progress(), []
    if job.start:
        progress = Progress(**json.loads((Path(job.start) / "progress.json").read_text()))
        trainer.backend.adopt(Path(job.start) / "model")
        trainer.backend.load(Path(job.start))
    for number in range(progress.step + 1, job.last + 1):
        progress, metrics = step(trainer, progress, batches[number - 1])
        rows.append(metrics)
        if number == job.save_after:
            write_checkpoint(trainer, progress, folder / job.name / "checkpoint")
        if number == job.kill_after and trainer.backend.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    trainer.backend.export(folder / job.name / "model")
    return progress, rows


def digest(tensors) -> str:
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    return sha.hexdigest()


def work(job: Job, folder: Path) -> None:
    """One rank's part of a job; its answer is a file."""
    zero = Zero.named(job.zero)
    trainer = trainer_of(job, lambda *given: opened(*given, Ranks(world_size=dist.get_world_size()), zero))
    batches = pickle.loads(Path(job.batches or folder / "batches.pickle").read_bytes())
    progress, rows = learn(trainer, job, batches, folder)
    backend = trainer.backend
    with backend.whole():
        ours = digest(dict(trainer.policy.model.named_parameters()))
        drawn = collect(trainer, progress, Clock())
    samples = [sample for group in drawn.groups for sample in group.samples]
    found = {
        "rows": rows,
        "weights": backend.all_gather(ours),
        "tokens": [list(sample.token_ids) for sample in samples],
        "logprobs": [list(sample.logprobs) for sample in samples],
        "outside": outside(backend) if zero.stage == 3 else "",
    }
    (folder / f"{job.name}.{backend.rank}.json").write_text(json.dumps(found))


def outside(backend) -> str:
    """What the partitioned model says to a call that is not the engine's."""
    model, said = backend.scorer.model, []
    for call in (model.base_model, model):
        try:
            call(input_ids=torch.ones(1, 3, dtype=torch.int64), use_cache=False)
        except Exception as error:
            said.append(f"{type(error).__name__}: {error}")
    return "\n".join(said)


def start(jobs, folder: Path, world_size: int = 2):
    """Processes that carry out jobs; one for each rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "jobs.json").write_text(json.dumps([asdict(job) for job in jobs]))
    common = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"WORLD_SIZE": str(world_size), SECONDS_VARIABLE: str(COLLECTIVE_SECONDS)}
    processes = []
    for rank in range(world_size):
        with (folder / f"log.{rank}.txt").open("w") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.contracts.zero_ranks", str(folder)],
                    env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                    cwd=ROOT,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    return processes


def finish(processes, folder: Path, seconds: float = 800):
    """Wait for every rank, within a time; their exit codes."""
    try:
        return [process.wait(seconds) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def carry_out(jobs, folder: Path, world_size: int = 2):
    """What every rank found, by job."""
    codes = finish(start(jobs, folder, world_size), folder)
    assert codes == [0] * world_size, logs(folder, world_size)
    return results([job.name for job in jobs], folder, world_size)


def logs(folder: Path, world_size: int = 2) -> str:
    return "\n".join((folder / f"log.{rank}.txt").read_text()[-3000:] for rank in range(world_size))


def results(names, folder: Path, world_size: int = 2):
    """What every rank found, by job; it fails with the logs where one found nothing."""
    files = {name: [folder / f"{name}.{rank}.json" for rank in range(world_size)] for name in names}
    assert all(file.exists() for found in files.values() for file in found), logs(folder, world_size)
    return {name: [json.loads(file.read_text()) for file in found] for name, found in files.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    init_ranks(int(os.environ["WORLD_SIZE"]), always=True)
    here = Path(sys.argv[1])
    for given in json.loads((here / "jobs.json").read_text()):
        work(Job(**given), here)
    dist.barrier()
    end_ranks()
