"""A worker's side of the pipe, in this process: what it says to each line, and what ends it."""

import ctypes
import hashlib
import io
import json
import os
import queue
import runpy
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from rpt_core.policy.engines.vllm import launch
from rpt_core.policy.engines.vllm.worker import rpt_serve


class Model:
    """Answers with what it is given; each call is on record."""

    def __init__(self, settings):
        self.settings, self.version, self.calls, self.answers = settings, 0, [], []

    def draw(self, ask):
        self.calls.append(("draw", ask["ask"]))
        yield from self.answers

    def load(self, folder):
        self.calls.append(("load", folder))

    def sleep(self):
        self.calls.append("sleep")

    def wake(self):
        self.calls.append("wake")


@pytest.fixture
def served(monkeypatch):
    """A function that has lines answered: the messages said, and the model that was opened."""

    def answered(*lines, answers=()):
        out, models, began = io.StringIO(), [], []
        monkeypatch.setattr(rpt_serve, "_own_stdout", lambda: out)
        monkeypatch.setattr(rpt_serve, "_die_with_parent", lambda: began.append(True))
        monkeypatch.setattr(rpt_serve, "_lines", lambda: iter(json.dumps(line) for line in lines))

        def opened(settings):
            models.append(Model(settings))
            models[-1].answers = answers
            return models[-1]

        rpt_serve.serve(opened)
        assert began == [True]
        return [json.loads(line) for line in out.getvalue().splitlines()], models

    return answered


def _folder(tmp_path, content=b"weights"):
    (tmp_path / "w").write_bytes(content)
    return {"folder": str(tmp_path), "digests": {"w": hashlib.sha256(b"weights").hexdigest()}}


def test_a_worker_opens_loads_sleeps_and_wakes(served, tmp_path):
    settings = {**_folder(tmp_path), "version": 5}
    said, (model,) = served(
        {"open": settings}, {"load": {**settings, "version": 9}}, {"sleep": True}, {"wake": True}
    )
    assert said == [{"opened": 5}, {"loaded": 9}, {"slept": True}, {"woken": True}]
    assert (model.settings, model.version) == (settings, 9)
    assert model.calls == [("load", str(tmp_path)), "sleep", "wake"]


def test_answers_carry_the_ask_and_the_version_and_the_last_line_says_so(served, tmp_path):
    said, (model,) = served(
        {"open": {**_folder(tmp_path), "version": 5}}, {"draw": {"ask": 7}},
        answers=[{"cut": 1, "samples": []}, None, {"cut": 0, "samples": [3]}],
    )  # fmt: skip
    assert model.calls == [("draw", 7)]
    assert said == [
        {"opened": 5},
        {"answer": {"ask": 7, "version": 5, "cut": 1, "samples": []}},
        {"answer": {"ask": 7, "version": 5, "cut": 0, "samples": [3]}},
        {"drawn": 7},
    ]


def test_beats_are_counted_and_at_least_half_a_second_apart(served, monkeypatch, tmp_path):
    # read at the draw's begin, at every None, and once more where a beat is said
    clock = iter([10.0, 10.5, 10.51, 10.52, 11.0, 11.03, 11.04])
    monkeypatch.setattr(rpt_serve, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    said, _ = served({"open": {**_folder(tmp_path), "version": 5}}, {"draw": {"ask": 7}}, answers=[None] * 4)
    assert said[1:] == [{"beat": 1}, {"beat": 2}, {"drawn": 7}]
    assert list(clock) == []


def test_the_weights_are_verified_before_the_model_sees_them(served, tmp_path):
    right = {**_folder(tmp_path), "version": 5}
    wrong = {**right, "digests": {"w": "0" * 64}}
    said, models = served({"open": wrong}, {"open": right}, {"load": {**wrong, "version": 9}})
    found = hashlib.sha256(b"weights").hexdigest()
    told = f"ValueError: {tmp_path}/w has the SHA-256 {found}, and {'0' * 64} was meant"
    assert said == [{"failed": told}, {"opened": 5}, {"failed": told}]
    assert [model.calls for model in models] == [[]]
    assert models[0].version == 5


def test_what_goes_wrong_is_told_and_the_next_line_is_read(served, tmp_path, capsys):
    said, _ = served(
        {"draw": {"ask": 1}}, {"open": {**_folder(tmp_path), "version": 5}}, {"dance": 1},
        {"x" * 3000: 1}, {"sleep": True},
    )  # fmt: skip
    assert said[:3] == [
        {"failed": "AssertionError: the first line opens the model"},
        {"opened": 5},
        {"failed": "ValueError: no message is called 'dance'"},
    ]
    assert len(said[3]["failed"]) == 2000
    assert said[4] == {"slept": True}
    assert "no message is called 'dance'" in capsys.readouterr().err


def test_a_line_with_two_kinds_is_refused(served):
    said, _ = served({"sleep": True, "wake": True})
    assert said[0]["failed"].startswith("ValueError: too many values")


def test_every_message_is_a_line_that_is_sent_at_once(tmp_path):
    with (tmp_path / "pipe").open("w") as out:
        rpt_serve._say(out, {"beat": 3})
        assert (tmp_path / "pipe").read_text() == '{"beat": 3}\n'


def test_what_libraries_print_goes_to_the_log(capfd):
    kept = os.dup(1)
    try:
        out = rpt_serve._own_stdout()
        os.write(1, b"printed by a library")
        rpt_serve._say(out, {"word": "é"})
        out.close()
    finally:
        os.dup2(kept, 1)
        os.close(kept)
    told = capfd.readouterr()
    assert (told.out, told.err) == ('{"word": "\\u00e9"}\n', "printed by a library")


@pytest.fixture
def ends(monkeypatch):
    """What a worker does to end itself, in order; the event is set by the last of it."""
    done, over = [], threading.Event()

    def leave(code):
        done.append(("exit", code))
        over.set()

    fakes = {
        "getpid": lambda: 77, "getpgid": lambda pid: 77 if pid == 0 else 5,
        "killpg": lambda *what: done.append(("killpg", *what)), "_exit": leave,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(rpt_serve.os, name, fake)
    return done, over


def test_a_worker_ends_its_group_when_nobody_is_left_to_ask(monkeypatch, ends):
    done, over = ends
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\ntwo\n"))
    lines = rpt_serve._lines()
    assert (next(lines), next(lines)) == ("one\n", "two\n")
    assert over.wait(10)
    assert done == [("killpg", 0, signal.SIGKILL), ("exit", 0)]


def test_a_worker_in_its_parents_group_ends_alone(monkeypatch, ends):
    done, over = ends
    for pid in (76, 78):
        done.clear()
        over.clear()
        monkeypatch.setattr(rpt_serve.os, "getpid", lambda pid=pid: pid)
        monkeypatch.setattr(sys, "stdin", io.StringIO("one\n"))
        assert next(rpt_serve._lines()) == "one\n"
        assert over.wait(10)
        assert done == [("exit", 0)]


def test_a_group_that_is_gone_is_no_error(monkeypatch, ends):
    done, over = ends

    def gone(*_):
        raise ProcessLookupError

    monkeypatch.setattr(rpt_serve.os, "killpg", gone)
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n"))
    next(rpt_serve._lines())
    assert over.wait(10)
    assert done == [("exit", 0)]


def test_the_reader_does_not_keep_a_worker_alive(monkeypatch, ends):
    _, over = ends
    go_on, before = threading.Event(), set(threading.enumerate())

    def stdin():
        yield "one\n"
        go_on.wait(10)

    monkeypatch.setattr(sys, "stdin", stdin())
    next(rpt_serve._lines())
    (reader,) = set(threading.enumerate()) - before
    assert reader.daemon
    go_on.set()
    assert over.wait(10)


@pytest.mark.parametrize(("platform", "asked"), [("linux", [(1, signal.SIGKILL)]), ("darwin", [])])
def test_a_worker_dies_with_its_parent_where_the_kernel_offers_it(monkeypatch, platform, asked):
    found = []
    library = SimpleNamespace(prctl=lambda *what: found.append(what))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library if name is None else None)
    monkeypatch.setattr(rpt_serve, "sys", SimpleNamespace(platform=platform))
    rpt_serve._die_with_parent()
    assert found == asked


def test_the_model_is_vllms(monkeypatch):
    monkeypatch.setitem(sys.modules, "_rpt_vllm", SimpleNamespace(Served=Model))
    assert rpt_serve.open_vllm({"room": 3}).settings == {"room": 3}


def test_run_by_its_path_it_serves(monkeypatch):
    """Its loop ends here where a worker would wait for the next line."""

    class Ended(Exception):
        pass

    said, told = [], iter(['{"sleep": true}\n'])

    def get(_):
        line = next(told, None)
        if line is None:
            raise Ended
        return line

    monkeypatch.setattr(queue.Queue, "get", get)
    monkeypatch.setattr(threading.Thread, "start", lambda _: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace(prctl=lambda *_: None))
    monkeypatch.setattr(os, "dup", lambda _: 1)
    monkeypatch.setattr(os, "dup2", lambda *_: None)
    out = SimpleNamespace(write=said.append, flush=lambda: None)
    monkeypatch.setattr(os, "fdopen", lambda *_, **__: out)
    with pytest.raises(Ended):
        runpy.run_path(str(launch.SCRIPT), run_name="__main__")
    assert said == ['{"failed": "AssertionError: the first line opens the model"}\n']
