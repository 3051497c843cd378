"""One place for a worker: whoever fills it, its questions are answered once each, or the engine has died."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rpt_core.errors import EngineError
from rpt_core.policy.engines.vllm.process import Message, PipeDeadlines, Worker, WorkerFailed, WorkerLost
from rpt_core.policy.engines.vllm.questions import EngineRequest, RequestGroup, group_of, message_of
from rpt_core.policy.trunk import Sampling, Trunk
from rpt_core.policy.work import Work

LOSSES_MAX = 3
"""Workers lost in a row, with no question answered in between, after which the engine has died."""
_log = logging.getLogger(__name__)


@dataclass
class Replica:
    """A worker, started when it is first needed, and those that take its place."""

    command: Sequence[str]
    env: Mapping[str, str]
    log: Path
    patience: PipeDeadlines
    settings: Callable[[], Message]
    """What a worker started now is to open."""
    worker: Worker | None = field(default=None, init=False)
    num_lost: int = field(default=0, init=False)
    """Workers that were replaced since the engine was opened."""
    _losses: int = field(default=0, init=False)
    _asks: int = field(default=0, init=False)
    _sleeps: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    def draw(
        self, questions: Sequence[EngineRequest], trunks: Sequence[Trunk], sampling: Sampling, work: Work
    ) -> dict[EngineRequest, RequestGroup]:
        """Every question with its answers.

        What a lost worker had answered is kept, and the rest is asked of another one. Answers do not depend
        on which worker draws them, for a question brings its seed.

        Raises:
            EngineError: worker after worker was lost.
        """
        found: dict[EngineRequest, RequestGroup] = {}
        while missing := [one for one in questions if one not in found]:
            before = len(found)
            worker = self._served()
            try:
                self._ask(worker, missing, trunks, sampling, work, found)
            except WorkerLost as lost:
                self._losses *= len(found) == before
                self._lose(lost)
            except BaseException:
                self.drop()  # what it is about to say belongs to nobody
                raise
        self._losses = 0
        return found

    def load(self, version: int) -> None:
        """Have the worker serve the weights that :attr:`settings` now names; one not yet started opens them.

        A worker that fails to is of no use any more (vLLM is broken for good then): another one opens them.

        Raises:
            EngineError: no worker can serve them.
        """
        if self.worker is None:
            return
        settings = self.settings()
        message = {name: settings[name] for name in ("folder", "version", "digests")}
        worker = self._served()
        try:
            worker.tell({"load": message}, self.patience.silence)
            worker.expect("loaded", version, self.patience.start)
        except WorkerLost as lost:
            self._lose(lost)
            self._served()
        self._losses = 0

    def sleep(self) -> None:
        """Give the device's memory back until the next question or load; on a CPU nothing happens."""
        if self.worker is None:
            return
        try:
            self.worker.tell({"sleep": True}, self.patience.silence)
            self.worker.expect("slept", True, self.patience.silence)
            self._sleeps = True
        except WorkerLost as lost:
            self._lose(lost)

    def drop(self) -> None:
        """End the worker; another one is started when it is needed."""
        if self.worker is not None:
            self.worker.kill()
            self.worker = None

    def close(self) -> None:
        """End the worker for good."""
        self._closed = True
        if self.worker is not None:
            self.worker.end()
            self.worker = None

    def _served(self) -> Worker:
        """The worker, open and awake."""
        while True:
            try:
                if self.worker is None:
                    return self._open()
                if self._sleeps:
                    self.worker.tell({"wake": True}, self.patience.silence)
                    self.worker.expect("woken", True, self.patience.silence)
                    self._sleeps = False
                return self.worker
            except WorkerFailed as failed:
                raise self._dead(f"could not serve the model: {failed}") from None
            except WorkerLost as lost:
                self._lose(lost)

    def _open(self) -> Worker:
        settings = self.settings()
        self._sleeps = False
        self.worker = worker = Worker(self.command, self.env, self.log)
        worker.tell({"open": settings}, self.patience.start)
        worker.expect("opened", settings["version"], self.patience.start)
        return worker

    def _ask(
        self, worker: Worker, questions: Sequence[EngineRequest], trunks: Sequence[Trunk], sampling: Sampling,
        work: Work, found: dict[EngineRequest, RequestGroup],
    ) -> None:  # fmt: skip
        self._asks += 1
        waiting = dict(enumerate(questions))
        worker.tell({"draw": message_of(self._asks, questions, trunks, sampling)}, self.patience.silence)
        while True:
            kind, content = worker.hear(self.patience.silence)
            if kind == "drawn" and not waiting:
                return
            if kind == "beat":
                continue
            if kind != "answer":
                raise WorkerLost(f"said {kind} with {len(waiting)} questions unanswered")
            try:
                if content["ask"] != self._asks:
                    raise ValueError(f"it is of ask {content['ask']}, and {self._asks} is open")
                question = waiting.pop(content["cut"])
                found[question] = group_of(content, question, sampling, work)
            except (KeyError, TypeError, ValueError) as error:
                raise WorkerLost(f"gave an answer that was not asked for ({error!r})") from None

    def _lose(self, lost: WorkerLost) -> None:
        """Count a lost worker, and end what may be left of it.

        Raises:
            EngineError: it was one too many.
        """
        self._losses, self.num_lost = self._losses + 1, self.num_lost + 1
        if self._closed or self._losses > LOSSES_MAX:
            raise self._dead(f"{lost}; {self._losses} in a row were lost so, and none answered in between")
        _log.warning("a vLLM worker %s; another one takes over. Its log is %s", lost, self.log)
        self.drop()

    def _dead(self, why: str) -> EngineError:
        tail = self.worker.tail() if self.worker else ""
        self.drop()
        return EngineError(
            f"a vLLM worker {why}. No answer was lost or counted; rerun to resume from the last "
            f"checkpoint. The end of its log {self.log}:\n{tail}"
        )
