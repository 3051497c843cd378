"""What the real vLLM must do behind our engine, held to the torch engine; `make test-vllm`.

The contract of every engine is run over it as well (``test_engines.py``). Each test below is a trap that was
measured: a wrong number without an error, or an engine that is gone.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
import torch

from infra.storage.store import Store
from rpt_core.errors import EngineError
from rpt_core.policy.engines.serving import Serving
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.engines.vllm.engine import VllmEngine
from rpt_core.policy.engines.vllm.process import PipeDeadlines, WorkerFailed
from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.load import save_policy
from rpt_core.policy.trunk import Cut, Sampling, Trunk
from rpt_core.train.rl.hand_over import hand_over
from rpt_core.train.rl.reinforce import train_policy
from tests.conftest import ROOT
from tests.contracts.engines import own
from tests.contracts.test_engines import _moved, _train, _trainer, head_dim
from tests.toys import random_ids, random_tree, save_tiny_model, tiny_policy
from tests.unit.train.rl.test_reinforce import SHORT, _build, toy  # noqa: F401  (a fixture)

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900)]
SAMPLING = Sampling(0.8, 24, frozenset({1}), group_size=4, seed=5)
TRUNKS, _ = random_tree(1, [[(2, 1), (6, 2)], [(4, 0)], [(140, 3), (270, 0), (300, 1)]], instruction=2)


def _tiny(**more):
    return tiny_policy(sharpness=1.5, head_dim=head_dim("vllm"), **more)


@pytest.fixture(scope="module")
def policy():
    return _tiny()


@pytest.fixture(scope="module")
def engine(policy, tmp_path_factory):
    """One for all tests that leave it as it is."""
    with closing(_opened(policy, tmp_path_factory.mktemp("vllm"))) as opened:
        yield opened


def _opened(policy, scratch, replicas=1, **more):
    return VllmEngine(policy, serving=Serving("vllm", replicas, scratch=scratch), **more)


def _gap(policy, trunks, drawn, sampling):
    answers = [[[s.token_ids for s in of_cut] for of_cut in of_trunk] for of_trunk in drawn]
    theirs = torch.tensor(
        [x for of_trunk in drawn for of_cut in of_trunk for s in of_cut for x in s.logprobs]
    )
    scores = branch_logprobs(
        policy, trunks, answers, "rows", sampling.temperature, with_document=False, as_drawn=True
    )
    return float((scores.logprobs_N.detach() - theirs).abs().max())


def _ids(drawn):
    return [[[s.token_ids for s in of_cut] for of_cut in of_trunk] for of_trunk in drawn]


def test_probabilities_are_those_the_torch_engine_has(engine, policy):
    drawn = engine.generate(TRUNKS, SAMPLING, 1)
    assert _gap(policy, TRUNKS, drawn, SAMPLING) < 1e-4
    assert {s.finish for of_trunk in drawn for of_cut in of_trunk for s in of_cut} == {"stop", "length"}


def test_greedy_tokens_are_the_torch_engines(engine, policy):
    greedy = replace(SAMPLING, temperature=1.0, top_k=1, group_size=1)
    ours, theirs = engine.generate(TRUNKS, greedy, 0), TorchEngine(policy).generate(TRUNKS, greedy, 0)
    assert _ids(ours) == _ids(theirs)
    assert all(abs(x) < 1e-6 for of_trunk in ours for (s,) in of_trunk for x in s.logprobs)


def test_truncated_sampling_has_the_probabilities_it_draws_with(engine, policy):
    sampling = replace(SAMPLING, top_k=20, top_p=0.6, group_size=8)
    theirs = TorchEngine(policy)
    for of_trunk, trunk in zip(engine.generate(TRUNKS, sampling, 2), TRUNKS, strict=True):
        for of_cut, cut in zip(of_trunk, trunk.cuts, strict=True):
            for sample in of_cut:
                forced = replace(sampling, forced_ids=sample.token_ids[:-1], group_size=1)
                forced = replace(forced, max_new_tokens=len(sample.token_ids), top_p=0.6)
                ((same,),) = theirs.generate([replace(trunk, cuts=(cut,))], forced, 2)[0]
                first = same.logprobs[: len(sample.logprobs) - 1]
                assert sample.logprobs[:-1] == pytest.approx(first, abs=1e-4)


def test_an_answer_alone_is_the_answer_in_a_batch_and_the_same_each_time(engine):
    together = engine.generate(TRUNKS, SAMPLING, 3)
    assert _ids(engine.generate(TRUNKS, SAMPLING, 3)) == _ids(together)
    assert _ids([engine.generate([trunk], SAMPLING, 3)[0] for trunk in TRUNKS]) == _ids(together)
    for trunk, of_trunk in zip(TRUNKS, together, strict=True):
        alone = [engine.generate([replace(trunk, cuts=(cut,))], SAMPLING, 3)[0][0] for cut in trunk.cuts]
        assert _ids([alone]) == _ids([of_trunk])
    groups = [tuple(s.token_ids for s in of_cut) for of_trunk in together for of_cut in of_trunk]
    assert len(set(groups)) == len(groups)
    assert _ids(engine.generate(TRUNKS, SAMPLING, 4)) != _ids(together)


def test_every_cut_ends_its_answers_by_tokens_of_its_own(engine):
    stops = frozenset(range(0, 64, 2)), frozenset(range(1, 64, 2))
    (trunk,), _ = random_tree(2, [[(3, 1)]])
    cuts = tuple(replace(trunk.cuts[0], stop_ids=ids) for ids in stops)
    ((even, odd),) = engine.generate([replace(trunk, cuts=cuts)], replace(SAMPLING, group_size=16), 1)
    for samples, ids in ((even, stops[0]), (odd, stops[1])):
        assert {s.finish for s in samples} == {"stop"}
        for sample in samples:
            assert sample.token_ids[-1] in ids
            assert not ids & set(sample.token_ids[:-1])


def test_forced_tokens_come_first_unread_and_what_follows_is_conditioned_on_them(engine, policy):
    sampling = replace(SAMPLING, forced_ids=(9, 1), group_size=2)
    drawn = engine.generate(TRUNKS[:2], sampling, 1)
    suffixed = [
        replace(t, cuts=tuple(Cut(c.position, (*c.suffix_ids, 9, 1)) for c in t.cuts)) for t in TRUNKS[:2]
    ]
    rest = [
        [[replace(s, token_ids=s.token_ids[2:], logprobs=s.logprobs[2:]) for s in c] for c in t]
        for t in drawn
    ]
    assert all(s.token_ids[:2] == (9, 1) for t in drawn for c in t for s in c)
    assert all(x != x for t in drawn for c in t for s in c for x in s.logprobs[:2])  # NaN
    assert _gap(policy, suffixed, rest, sampling) < 1e-4


def test_prefix_hits_of_one_documents_cuts_are_no_work(policy, tmp_path):
    """Blocks of 128 tokens: cuts of 300, 310, 320, 390, 400 tokens find 0, 256, 256, 256, 384 computed."""
    places = (300, 310, 320, 390, 400)
    document = random_ids(np.random.default_rng(3), 400)
    trunk = Trunk("long", (), document, tuple(Cut(place) for place in places))
    sampling = replace(SAMPLING, group_size=1, max_new_tokens=1)
    with closing(_opened(policy, tmp_path)) as engine:
        engine.generate([trunk], sampling, 1)
        first = engine.num_forwarded
        assert first == sum(places) - 3 * 256 - 384
        engine.generate([trunk], sampling, 2)
        assert engine.num_forwarded - first == sum(place - (place - 1) // 128 * 128 for place in places)
        drawn = engine.generate([trunk], replace(SAMPLING, group_size=2), 3)
        assert _gap(policy, [trunk], drawn, SAMPLING) < 1e-4


def test_rows_without_a_token_are_never_drawn_and_take_no_probability(tmp_path):
    policy = own(_tiny())
    policy.__dict__["unknown_ids"] = torch.arange(20, 64)
    with closing(_opened(policy, tmp_path)) as engine:
        drawn = engine.generate(TRUNKS, SAMPLING, 1)
        assert max(t for of_trunk in drawn for cut in of_trunk for s in cut for t in s.token_ids) < 20
        assert _gap(policy, TRUNKS, drawn, SAMPLING) < 1e-4
        greedy = replace(SAMPLING, temperature=1.0, top_k=1, group_size=1)
        assert _ids(engine.generate(TRUNKS, greedy, 0)) == _ids(
            TorchEngine(policy).generate(TRUNKS, greedy, 0)
        )


@pytest.mark.parametrize("tied", [True, False])
def test_reloaded_weights_are_served_head_and_prefixes_included(tied, tmp_path):
    """vLLM 0.32 on a CPU keeps a tied head's old numbers, and cached prefixes, without a word."""
    policy = _tiny(tied=tied)
    other, folder = _moved(policy, tmp_path)
    (tmp_path / "engine").mkdir()
    with closing(_opened(policy, tmp_path / "engine")) as engine:
        before = engine.generate(TRUNKS, SAMPLING, 1)
        engine.load_weights(folder, 7)
        drawn = engine.generate(TRUNKS, SAMPLING, 1)
        assert _gap(other, TRUNKS, drawn, SAMPLING) < 1e-4
        assert _gap(policy, TRUNKS, drawn, SAMPLING) > 0.1
        save_policy(policy, tmp_path / "back")
        engine.load_weights(tmp_path / "back", 8)
        again = engine.generate(TRUNKS, SAMPLING, 1)
        assert _ids(again) == _ids(before)
        assert engine.replicas[0].num_lost == 0


def test_after_a_reload_that_failed_another_worker_serves(policy, tmp_path):
    with closing(_opened(policy, tmp_path)) as engine:
        before = engine.generate(TRUNKS, SAMPLING, 1)
        worker = engine.replicas[0].worker
        worker.tell({"load": {"folder": str(tmp_path / "gone"), "version": 1, "digests": {}}}, 60)
        with pytest.raises(WorkerFailed):
            worker.expect("loaded", 1, 300)
        assert _ids(engine.generate(TRUNKS, SAMPLING, 1)) == _ids(
            before
        )  # vLLM itself is broken for good by then
        assert engine.replicas[0].num_lost >= 1


def test_a_stale_engine_is_found_by_the_canary(tmp_path, monkeypatch):
    trainer = _trainer(lambda policy: _opened(policy, tmp_path), policy=_tiny())
    with closing(trainer.engine) as engine:
        hand_over(trainer, 0, tmp_path)
        with torch.no_grad():
            trainer.policy.output_weight.mul_(1.3)
        monkeypatch.setattr(engine, "load_weights", lambda path, version: None)
        with pytest.raises(EngineError, match="given the weights of step 1 and draws with those of step 0"):
            hand_over(trainer, 1, tmp_path)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_killed_or_hung_in_the_middle_costs_no_answer(how, policy, tmp_path):
    sampling = replace(SAMPLING, group_size=32, max_new_tokens=120, stop_ids=frozenset())
    patience = PipeDeadlines(start=600.0, silence=20.0)
    with closing(_opened(policy, tmp_path, patience=patience)) as engine:
        expected = engine.generate(TRUNKS, sampling, 1)
        pid = engine.replicas[0].worker.process.pid
        threading.Timer(0.5, os.kill, (pid, how)).start()
        assert _ids(engine.generate(TRUNKS, sampling, 1)) == _ids(expected)
        engine.generate(TRUNKS[:1], sampling, 1)  # the signal may have come late
        assert engine.replicas[0].num_lost == 1
        assert not psutil.pid_exists(pid)


def test_two_replicas_draw_what_one_draws(engine, policy, tmp_path):
    with closing(_opened(policy, tmp_path, replicas=2)) as both:
        assert _ids(both.generate(TRUNKS, SAMPLING, 1)) == _ids(engine.generate(TRUNKS, SAMPLING, 1))
        assert len({replica.worker.process.pid for replica in both.replicas}) == 2


def test_nothing_outlives_the_engine(policy, tmp_path):
    with closing(_opened(policy, tmp_path)) as engine:
        engine.generate(TRUNKS[:1], SAMPLING, 1)
        started = psutil.Process(engine.replicas[0].worker.process.pid)
        family = [started, *started.children(recursive=True)]
    assert not [process for process in family if process.is_running()]


def test_a_training_whose_engine_is_killed_twenty_times_ends_as_one_whose_is_not(tmp_path):
    """As many answers as asked for, none lost, none counted wrong: rewards and weights are the same."""
    runs = {}
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        trainer = _trainer(lambda policy: _opened(policy, tmp_path / name), policy=_tiny())  # noqa: B023
        with closing(trainer.engine) as engine:
            if name == "killed":
                _kill_now_and_then(engine, 20)
            gaps, rewards = _train(trainer, 24, tmp_path)
            assert engine.replicas[0].num_lost == (20 if name == "killed" else 0)
        assert max(gaps) < 1e-3
        runs[name] = rewards, [p.detach().clone() for p in trainer.policy.model.parameters()]
    assert runs["whole"][0] == runs["killed"][0]
    assert all((a - b).abs().max() < 1e-3 for a, b in zip(runs["whole"][1], runs["killed"][1], strict=True))


def _kill_now_and_then(engine, times):
    """SIGKILL for the worker before some of its asks, never three times in a row."""
    (replica,) = engine.replicas
    ask, chance, killed = replica._ask, random.Random(0), [0, 0]  # so often, and so often in a row

    def ask_or_kill(worker, *given):
        unlucky = killed[0] < times and killed[1] < 2 and chance.random() < 0.45
        killed[:] = [killed[0] + unlucky, killed[1] + 1 if unlucky else 0]
        if unlucky:
            worker.process.kill()
            worker.process.wait()
        ask(worker, *given)

    replica._ask = ask_or_kill


def test_a_stage_trains_twelve_steps_with_the_engine_its_placement_names(tmp_path, toy):  # noqa: F811
    save_tiny_model(tmp_path / "in/model", head_dim=32)
    build = _build(tmp_path, tmp_path / "in")
    build.numerics = build.numerics.model_copy(update={"engine": "vllm"})
    recipe = SHORT.model_copy(update={"steps": 12, "milestones": (), "evaluate_every": 6})
    outcome = train_policy(recipe, build)
    assert outcome.rows.rows_in == 12 * 8
    rows = [json.loads(line) for line in (build.out / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "reward_mean" in row]
    assert len(steps) == 12
    assert max(row.get("mismatch_nats", 0.0) for row in steps) < 1e-3
    assert all(sum(v for name, v in row.items() if name.startswith("verdict/")) == 8 * 4 for row in steps)
    assert list(build.scratch.glob("vllm-*/worker-0.log"))  # kept in the attempt's folder


SMALL = (
    "documents.sample.num_documents=120", "base.steps=20", "cold-start.steps=30", "policy.steps=12",
    "policy.prompts_per_step=4", "policy.group_size=4", "policy.ntp_weight=1.0",
    'policy.selection={"drop_equal_from_step":12}',
)  # fmt: skip


def test_twelve_steps_of_tiny_rpt_through_its_flow(tmp_path):
    words = [word for setting in SMALL for word in ("-p", setting)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    done = subprocess.run(
        [
            sys.executable, "-m", "flows", "run", "tiny_rpt", "--to", "train-rpt",
            "--placement", "engine=vllm", *words,
        ],
        env={**env, "RPT_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"},
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=800,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    store = Store(str(tmp_path / "home/store"), tmp_path / "home/cache")
    (manifest,) = (found for found in store.manifests() if found.recipe.get("stage") == "train-rpt")
    assert manifest.numerics.engine == "vllm"
    folder = store.materialise(manifest.artifact)
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if "reward_mean" in row]
    assert len(steps) == 12
    assert max(row.get("mismatch_nats", 0.0) for row in steps) < 1e-3
    assert all(sum(v for name, v in row.items() if name.startswith("verdict/")) >= 16 for row in steps)
    assert pq.read_table(Path(folder) / "rollouts.parquet").num_rows > 0
