"""A worker's side of the pipe: one JSON object a line, questions in on stdin, answers out on stdout.

The first line is ``{"open": settings}``; the model it opens answers what follows:

    {"draw": {"ask": 7, "cuts": [...], ...}}     {"answer": {"ask": 7, "cut": 0, ...}} ... {"drawn": 7}
    {"load": {"folder": ..., "version": 3}}      {"loaded": 3}
    {"sleep": true} and {"wake": true}           {"slept": true} and {"woken": true}

While it draws, ``{"beat": n}`` says that it goes on. What goes wrong is ``{"failed": why}``, after which the
worker is of no use any more. It ends when its stdin does: nobody is left to ask.

This file is run by its path under another environment's interpreter, so it imports the standard library
alone; vLLM comes with the first line, when stdout and the parent are seen to.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

BEAT_SECONDS = 0.5
PR_SET_PDEATHSIG = 1
Message = dict[str, Any]


class ServedModel(Protocol):
    """What a worker serves."""

    version: int

    def draw(self, ask: Message) -> Iterator[Message | None]:
        """Answers, each once its cut is done, and None in between whenever something went on."""

    def load(self, folder: str) -> None:
        """Serve other weights, and forget what was computed under earlier ones."""

    def sleep(self) -> None:
        """Give the device's memory back, where it can be."""

    def wake(self) -> None:
        """Take it again."""


def serve(open_model: Callable[[Message], ServedModel]) -> None:
    """Answer until stdin ends."""
    out = _own_stdout()
    _die_with_parent()
    model: ServedModel | None = None
    for line in _lines():
        try:
            ((kind, content),) = json.loads(line).items()
            if kind == "open":
                _verify(content["folder"], content["digests"])
                model = open_model(content)
                model.version = content["version"]
                _say(out, {"opened": content["version"]})
                continue
            assert model is not None, "the first line opens the model"
            _answer(out, model, kind, content)
        except Exception as error:  # noqa: BLE001  (told, and the worker is replaced)
            traceback.print_exc()
            _say(out, {"failed": f"{type(error).__name__}: {error}"[:2000]})


def open_vllm(settings: Message) -> ServedModel:
    """The model in vLLM; takes seconds to import, and prints."""
    from _rpt_vllm import Served

    served: ServedModel = Served(settings)
    return served


def _answer(out: TextIO, model: ServedModel, kind: str, content: Any) -> None:
    if kind == "draw":
        _draw(out, model, content)
    elif kind == "load":
        _verify(content["folder"], content["digests"])
        model.load(content["folder"])
        model.version = content["version"]
        _say(out, {"loaded": model.version})
    elif kind == "sleep":
        model.sleep()
        _say(out, {"slept": True})
    elif kind == "wake":
        model.wake()
        _say(out, {"woken": True})
    else:
        raise ValueError(f"no message is called {kind!r}")


def _draw(out: TextIO, model: ServedModel, ask: Message) -> None:
    beats, beaten = 0, time.monotonic()
    for answer in model.draw(ask):
        if answer is not None:
            _say(out, {"answer": {"ask": ask["ask"], "version": model.version, **answer}})
        elif time.monotonic() - beaten > BEAT_SECONDS:
            beats, beaten = beats + 1, time.monotonic()
            _say(out, {"beat": beats})
    _say(out, {"drawn": ask["ask"]})


def _verify(folder: str, digests: Mapping[str, str]) -> None:
    """Refuse a folder whose files are not those that were meant."""
    for name, expected in digests.items():
        with (Path(folder) / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ValueError(f"{folder}/{name} has the SHA-256 {found}, and {expected} was meant")


def _own_stdout() -> TextIO:
    """Keep stdout for messages: libraries print there, and what they print goes to the log instead."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _say(out: TextIO, message: Message) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


def _lines() -> Iterator[str]:
    """Lines of stdin, read by a thread of their own, which ends the process group with the last one.

    So a worker whose parent was killed ends in the middle of its work, too, and its own children with it.
    """
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        with contextlib.suppress(OSError):
            if os.getpgid(0) == os.getpid():
                os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _die_with_parent() -> None:
    """Where the kernel offers it: SIGKILL once the thread that started this process is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    serve(open_vllm)
