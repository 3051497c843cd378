"""Workers that die, hang and say nonsense: every question is answered once, or the engine says that it died.

The workers are fakes under our own interpreter (``tests/contracts/fake_vllm.py``) behind the real protocol.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import psutil
import pytest
import torch

from rpt_core.errors import CapacityError, EngineError
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.serving import Serving
from rpt_core.policy.engines.vllm.launch import environment
from rpt_core.policy.engines.vllm.process import PipeDeadlines
from rpt_core.policy.engines.vllm.replica import LOSSES_MAX
from rpt_core.policy.load import save_policy
from rpt_core.policy.trunk import Sampling
from rpt_core.train.rl.hand_over import hand_over
from tests.conftest import ROOT
from tests.contracts.engines import FAKE_WORKER, faked, own
from tests.contracts.test_engines import _gap, _moved, _train, _trainer
from tests.toys import random_tree, tiny_policy

SAMPLING = Sampling(0.9, 6, frozenset({1}), group_size=3, seed=5)
TRUNKS, _ = random_tree(1, [[(2, 1), (6, 2)], [(4, 0)], [], [(1, 0), (3, 0)]], instruction=2)
IMPATIENT = PipeDeadlines(start=60.0, silence=5.0)


@pytest.fixture(scope="module")
def policy():
    return tiny_policy(sharpness=1.5)


@pytest.fixture(scope="module")
def expected(policy):
    """What a worker answers with which nothing goes wrong."""
    with closing(faked(policy)) as engine:
        return engine.generate(TRUNKS, SAMPLING, 1)


def test_probabilities_are_the_models(policy, expected):
    asked = [trunk for trunk in TRUNKS if trunk.cuts]
    drawn = [of_trunk for of_trunk in expected if of_trunk]
    assert _gap(policy, drawn, trunks=asked) < 1e-5


@pytest.mark.parametrize(
    ("fault", "times"),
    [("dies", LOSSES_MAX), ("dies at the start", LOSSES_MAX), ("dies in a line", 1), ("raises", 1),
     ("says what is no message", 1)],
)  # fmt: skip
def test_what_a_lost_worker_left_is_asked_of_another(fault, times, policy, expected, tmp_path):
    with closing(faked(policy, fault, times, tmp_path)) as engine:
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected
        assert engine.replicas[0].num_lost == times
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected  # and nothing is left of it


@pytest.mark.parametrize(
    "fault", ["forgets an answer", "gives too few", "cuts answers short", "answers twice"]
)
def test_answers_that_are_not_as_asked_are_taken_from_nobody(fault, policy, expected, tmp_path):
    with closing(faked(policy, fault, 1, tmp_path)) as engine:
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected
        assert engine.replicas[0].num_lost == 1


def test_a_hung_worker_is_replaced_once_it_is_silent_for_too_long(policy, expected, tmp_path):
    with closing(faked(policy, "hangs", 1, tmp_path, patience=IMPATIENT)) as engine:
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected
        assert engine.replicas[0].num_lost == 1


@pytest.mark.parametrize(("fault", "times"), [("speaks slowly", 0), ("slow start", 1)])
def test_half_lines_and_slow_starts_are_waited_for(fault, times, policy, expected, tmp_path):
    with closing(faked(policy, fault, times, tmp_path)) as engine:
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected
        assert engine.replicas[0].num_lost == 0


def test_an_engine_none_of_whose_workers_lives_says_so_with_the_end_of_the_log(policy, tmp_path):
    with closing(faked(policy, "raises", 100, tmp_path)) as engine:
        one = [replace(TRUNKS[1], cuts=TRUNKS[1].cuts[:1])]
        with pytest.raises(
            EngineError, match=r"(?s)4 in a row were lost so.*RuntimeError: the device ran out"
        ):
            engine.generate(one, SAMPLING, 1)
    assert "the device ran out of memory" in next(tmp_path.glob("vllm-*/worker-0.log")).read_text()


def test_a_command_that_cannot_start_is_told_with_its_own_words(policy, tmp_path):
    with closing(faked(policy, folder=tmp_path)) as engine:
        engine.replicas[0].command = [sys.executable, "-c", "raise SystemExit('no module named vllm')"]
        with pytest.raises(EngineError, match=r"(?s)ended with code 1; 4 in a row .*no module named vllm"):
            engine.generate(TRUNKS, SAMPLING, 1)


@pytest.mark.parametrize("fault", ["fails to load", "dies while loading"])
def test_a_worker_that_fails_to_load_is_replaced_by_one_with_the_new_weights(fault, policy, tmp_path):
    other, folder = _moved(policy, tmp_path)
    (tmp_path / "engine").mkdir()
    with closing(faked(policy, fault, 1, tmp_path / "engine")) as engine:
        engine.generate(TRUNKS, SAMPLING, 1)
        engine.load_weights(folder, 7)
        drawn = engine.generate([TRUNKS[1]], SAMPLING, 1)
        assert engine.replicas[0].num_lost == 1
        assert {s.version for s in drawn[0][0]} == {7}
        assert _gap(other, drawn, trunks=[TRUNKS[1]]) < 1e-5


def test_a_worker_started_later_serves_the_weights_that_came_before(policy, tmp_path):
    other, folder = _moved(policy, tmp_path)
    (tmp_path / "engine").mkdir()
    with closing(faked(policy, folder=tmp_path / "engine")) as engine:
        engine.generate(TRUNKS, SAMPLING, 1)
        engine.load_weights(folder, 7)
        for file in folder.iterdir():
            file.unlink()  # as the hand-over does with the folder they travelled in
        engine.replicas[0].worker.process.kill()
        drawn = engine.generate([TRUNKS[1]], SAMPLING, 1)
        assert _gap(other, drawn, trunks=[TRUNKS[1]]) < 1e-5
        kept = [path.name for path in next((tmp_path / "engine").glob("vllm-*")).iterdir() if path.is_dir()]
        assert kept == ["weights-1"]  # one version at a time


def test_a_file_that_changed_on_the_way_is_not_served(policy, tmp_path):
    with closing(faked(policy, folder=tmp_path)) as engine:
        save_policy(policy, tmp_path / "new")
        engine.load_weights(tmp_path / "new", 1)
        placed = engine._opening.weights.folder / "model.safetensors"
        data = bytearray(placed.read_bytes())
        data[-1] ^= 1
        placed.unlink()
        placed.write_bytes(data)
        with pytest.raises(EngineError, match=r"could not serve the model: ValueError: .* has the SHA-256"):
            engine.generate(TRUNKS, SAMPLING, 1)


def test_a_file_cut_short_is_refused_before_any_worker_sees_it(policy, tmp_path):
    save_policy(policy, tmp_path / "new")
    whole = (tmp_path / "new/model.safetensors").read_bytes()
    (tmp_path / "new/model.safetensors").write_bytes(whole[: len(whole) // 2])
    with (
        closing(faked(policy, folder=tmp_path)) as engine,
        pytest.raises(EngineError, match="cannot be read"),
    ):
        engine.load_weights(tmp_path / "new", 1)


def test_a_worker_that_keeps_old_weights_is_found_by_the_canary(tmp_path):
    trainer = _trainer(lambda policy: faked(policy, "keeps old weights", folder=tmp_path))
    with closing(trainer.engine):
        hand_over(trainer, 0, tmp_path)
        with torch.no_grad():
            trainer.policy.output_weight.mul_(1.3)
        with pytest.raises(EngineError, match="engine and trainer differ by"):
            hand_over(trainer, 1, tmp_path)


def test_two_replicas_answer_as_one_and_one_may_die(policy, expected, tmp_path):
    serving = Serving("vllm", replicas=2, scratch=tmp_path)
    with closing(faked(policy, "dies", 1, tmp_path, serving=serving)) as engine:
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected
        assert sum(replica.num_lost for replica in engine.replicas) == 1
        assert all(replica.worker for replica in engine.replicas)


def test_rows_without_a_token_are_never_drawn(expected, tmp_path):
    policy = own(tiny_policy(sharpness=1.5))
    often = {token for of_trunk in expected for cut in of_trunk for s in cut for token in s.token_ids} - {1}
    policy.__dict__["unknown_ids"] = torch.tensor(sorted(often))  # as the cached property would hold them
    with closing(faked(policy, folder=tmp_path)) as engine:
        drawn = engine.generate([TRUNKS[1]], SAMPLING, 1)
    assert not often & {token for s in drawn[0][0] for token in s.token_ids}
    assert _gap(policy, drawn, trunks=[TRUNKS[1]]) < 1e-5


def test_longer_rows_are_answered_by_workers_opened_for_them(tmp_path):
    policy = tiny_policy(sharpness=1.5)
    trunks, _ = random_tree(4, [[(500, 0)]])
    with closing(faked(policy, folder=tmp_path)) as engine:
        engine.generate(TRUNKS, SAMPLING, 1)
        first = engine.replicas[0].worker
        assert engine._opening.settings()["room"] == 512  # the places of the model's folder
        engine.generate(trunks, replace(SAMPLING, max_new_tokens=13, group_size=1), 1)
        assert engine.replicas[0].worker is not first
        settings = engine._opening.settings()
        assert (settings["room"], settings["extends"]) == (2048, True)


def test_a_sleeping_worker_is_woken_by_questions_and_by_weights(policy, expected, tmp_path):
    _, folder = _moved(policy, tmp_path)
    with closing(faked(policy, folder=tmp_path)) as engine:
        (replica,) = engine.replicas
        replica.sleep()  # nobody there yet
        engine.generate(TRUNKS, SAMPLING, 1)
        replica.sleep()
        assert engine.generate(TRUNKS, SAMPLING, 1) == expected  # the fake refuses to draw asleep
        replica.sleep()
        engine.load_weights(folder, 1)
        engine.generate(TRUNKS, SAMPLING, 1)
        assert replica.num_lost == 0


def test_closing_leaves_no_process_and_no_weights(policy, tmp_path):
    engine = faked(policy, folder=tmp_path)
    engine.generate(TRUNKS, SAMPLING, 1)
    pid = engine.replicas[0].worker.process.pid
    assert psutil.pid_exists(pid)
    engine.close()
    assert not psutil.pid_exists(pid)
    (left,) = tmp_path.glob("vllm-*")
    assert {path.name for path in left.iterdir()} == {"config.json", "worker-0.log"}


def test_an_engine_that_is_forgotten_ends_its_worker(policy, tmp_path):
    engine = faked(policy, folder=tmp_path)
    engine.generate(TRUNKS, SAMPLING, 1)
    pid = engine.replicas[0].worker.process.pid
    del engine
    assert not psutil.pid_exists(pid)


ORPHAN = """
import sys, time
from pathlib import Path
from rpt_core.policy.engines.vllm.process import Worker
worker = Worker(sys.argv[2:], {}, Path(sys.argv[1]) / "log")
worker.tell({"open": {"folder": sys.argv[1], "digests": {}, "version": 0, "never": []}}, 60)
worker.expect("opened", 0, 60)
cut = [0, 2, [], 0, 0]
ask = {"ask": 1, "documents": [[2, 3]], "stops": [[]], "cuts": [cut], "n": 1, "temperature": 1.0}
worker.tell({"draw": {**ask, "top_k": 0, "top_p": 1.0, "max_tokens": 2}}, 60)
time.sleep(0.5)
print(worker.process.pid, flush=True)
time.sleep(60)
"""


def test_a_worker_does_not_outlive_a_parent_that_is_killed(policy, tmp_path):
    """It hangs in the middle of a draw, and still ends."""
    save_policy(policy, tmp_path)
    (tmp_path / "faults").mkdir()
    (tmp_path / "faults/0").touch()
    command = [sys.executable, str(FAKE_WORKER), str(tmp_path / "faults"), "hangs"]
    parent = subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path), *command], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with parent:
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 10
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.05)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_without_its_environment_the_engine_is_refused_by_name(policy, monkeypatch, tmp_path):
    monkeypatch.setenv("RPT_VLLM_PYTHON", str(tmp_path / "python"))
    with pytest.raises(CapacityError, match=r"there is no .*python\. Make it with make vllm"):
        open_engine("vllm", policy)


def test_a_workers_surroundings_are_its_own(policy, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT", "PYTHONPATH", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "1")
    env = environment(policy, 0, 1)
    assert not {"RANK", "WORLD_SIZE", "MASTER_PORT", "PYTHONPATH", "TORCHELASTIC_RUN_ID"} & env.keys()
    assert env["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert env["PATH"] == os.environ["PATH"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("kills", "steps"), [(4, 6), pytest.param(20, 18, marks=pytest.mark.long)])
def test_a_training_whose_engine_is_killed_often_ends_as_one_whose_is_not(kills, steps, tmp_path):
    """As many answers as asked for, none lost, none counted wrong: rewards and weights are the same."""
    runs = {}
    for name, times in (("whole", 0), ("killed", kills)):
        (tmp_path / name).mkdir()
        trainer = _trainer(lambda policy: faked(policy, "dies now and then", times, tmp_path / name))  # noqa: B023
        with closing(trainer.engine) as engine:
            gaps, rewards = _train(trainer, steps, tmp_path)
            assert engine.replicas[0].num_lost == times
        assert max(gaps) < 1e-3
        runs[name] = rewards, [p.detach().clone() for p in trainer.policy.model.parameters()]
    assert runs["whole"][0] == runs["killed"][0]
    assert all(torch.equal(*pair) for pair in zip(runs["whole"][1], runs["killed"][1], strict=True))
