"""vLLM behind the engine's protocol: questions by pipe to workers, weights by folder, the dead replaced."""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from rpt_core.policy.engines.engine import Drawn
from rpt_core.policy.engines.serving import Serving
from rpt_core.policy.engines.vllm import launch
from rpt_core.policy.engines.vllm.process import Message, PipeDeadlines
from rpt_core.policy.engines.vllm.questions import questions_of, shares
from rpt_core.policy.engines.vllm.replica import Replica
from rpt_core.policy.engines.vllm.weights import CONFIG, Weights, place
from rpt_core.policy.load import save_policy
from rpt_core.policy.loading.replace import shapes_of
from rpt_core.policy.model import Policy
from rpt_core.policy.trunk import Sampling, Trunk

ROOM_MIN = 2048
"""Tokens of a prompt with its answer that workers are opened for, at least, where the model has as many."""


@dataclass
class _Opening:
    """What a worker that is started now opens; apart from the engine, which may be forgotten before it."""

    policy: Policy
    serving: Serving
    weights: Weights
    never: torch.Tensor | None
    room: int = 0

    def settings(self) -> Message:
        """The first message to it."""
        never = [] if self.never is None else self.never.tolist()
        return launch.settings_of(self.policy, self.weights, never, self.room, self.serving)


@dataclass
class VllmEngine:
    """Draws answers in worker processes that hold weights of their own.

    Log-probabilities are those of the torch engine to 1e-4 (float32); tokens are not, for the random numbers
    are vLLM's. Workers are started by the first question.
    """

    policy: Policy
    """The model served: its names, shapes, precision and device; its weights as the engine opens."""
    folder: Path | None = None
    """Hugging Face folder of the same weights."""
    serving: Serving = field(default_factory=Serving)
    command: Sequence[str] = field(default_factory=launch.command)
    patience: PipeDeadlines = field(default_factory=PipeDeadlines)
    version: int = field(default=0, init=False)
    shares_weights: bool = field(default=False, init=False)
    replayable: bool = field(init=False)
    """On a CPU in float32 (measured); elsewhere sums, and with them draws, depend on the batch."""
    num_forwarded: int = field(default=0, init=False)
    """Tokens that went through the model: of prompts, those that were not cached."""
    flops: float = field(default=0.0, init=False)
    replicas: list[Replica] = field(init=False)

    def __post_init__(self) -> None:
        self._own = Path(tempfile.mkdtemp(prefix="vllm-", dir=self.serving.scratch)).resolve()
        self._lock, self._num_loads = threading.Lock(), 0
        # sizes are taken before a back end may partition the parameters
        self._shapes, self._work = shapes_of(self.policy), self.policy.work
        if self.folder is None:
            self.folder = self._own / "opened"
            save_policy(self.policy, self.folder)
        self._config = self._own / CONFIG
        shutil.copyfile(self.folder / CONFIG, self._config)
        self.replayable = self.policy.device.type == "cpu" and self.policy.compute_dtype == torch.float32
        weights = Weights(self.folder.resolve())
        self._opening = _Opening(self.policy, self.serving, weights, self.policy.unknown_ids)
        self.replicas = [
            Replica(
                self.command, launch.environment(self.policy, number, self.serving.tensor_parallel),
                self._own / f"worker-{number}.log", self.patience, self._opening.settings,
            )
            for number in range(self.serving.replicas)
        ]  # fmt: skip
        # Threads that start workers live as long as the engine: the kernel ends a worker with its thread.
        self._threads = ThreadPoolExecutor(len(self.replicas), thread_name_prefix="vllm")
        keep_logs = self.serving.scratch is not None
        self._close = weakref.finalize(self, _close, self.replicas, self._threads, self._own, keep_logs)

    def generate(self, trunks: list[Trunk], sampling: Sampling, step: int) -> Drawn:
        """``sampling.group_size`` answers at every cut; log-probabilities of forced tokens are NaN."""
        questions = questions_of(trunks, sampling, step)
        drawn: Drawn = [[[] for _ in trunk.cuts] for trunk in trunks]
        if not questions:
            return drawn
        with self._lock:
            longest = max(one.num_tokens for one in questions)
            self._make_room(longest + sampling.max_new_tokens - len(sampling.forced_ids))
            draw = partial(Replica.draw, trunks=trunks, sampling=sampling, work=self._work)
            found = self._threads.map(draw, self.replicas, shares(questions, len(self.replicas)))
            for question, group in (pair for part in found for pair in part.items()):
                drawn[question.trunk][question.cut] = group.samples
                self.num_forwarded += group.num_forwarded
                self.flops += group.flops
            if self.policy.device.type == "cuda":  # the trainer needs the memory for its update
                list(self._threads.map(Replica.sleep, self.replicas))
        return drawn

    def load_weights(self, path: Path, version: int) -> None:
        """Serve the Hugging Face folder ``path`` from now on, as ``version``.

        Raises:
            EngineError: its parameters are not this model's, and what was served before still is; or no
                worker can serve them.
        """
        with self._lock:
            self._num_loads += 1
            target = self._own / f"weights-{self._num_loads}"
            before = self._opening.weights
            self._opening.weights = place(path, target, version, self._shapes, self._config)
            list(self._threads.map(partial(Replica.load, version=version), self.replicas))
            self.version = version
            if before.folder.is_relative_to(self._own):
                shutil.rmtree(before.folder)

    def close(self) -> None:
        """End the workers and remove the weights; logs stay in the stage's folder."""
        self._close()

    def _make_room(self, longest: int) -> None:
        """Have workers that take rows so long; others are opened in place of those that do not."""
        if longest <= self._opening.room:
            return
        self.policy.refuse_beyond(longest)
        places = launch.places_of(self.policy)
        room = max(ROOM_MIN, 1 << (longest - 1).bit_length())
        self._opening.room = min(room, places) if places and longest <= places else room
        for replica in self.replicas:
            replica.drop()


def _close(replicas: Sequence[Replica], threads: ThreadPoolExecutor, own: Path, keep_logs: bool) -> None:
    for replica in replicas:
        replica.close()
    threads.shutdown(wait=False)
    for path in own.glob("*") if keep_logs else [own]:
        if path.is_dir():  # else a log, or somebody removed all of it before
            shutil.rmtree(path)
