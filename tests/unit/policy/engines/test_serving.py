"""How a stage's engines run reaches whoever opens one: the judge, too, and every copy of the weights."""

from contextlib import closing

import pytest
import torch

from infra.machine import check_served, numerics_of
from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError
from rpt_core.evaluation.answers import ModelUnderTest
from rpt_core.objectives.next_segment import judge_local
from rpt_core.objectives.next_segment.judge_local import LocalJudge
from rpt_core.policy.engines.copied import CopiedEngine
from rpt_core.policy.engines.registry import open_engine
from rpt_core.policy.engines.serving import Serving, present_serving, serving
from rpt_core.policy.engines.torch_engine import TorchEngine
from rpt_core.policy.engines.vllm.launch import settings_of
from rpt_core.policy.engines.vllm.weights import Weights
from rpt_core.policy.load import load_policy, save_policy
from tests.toys import save_tiny_model, tiny_policy
from tests.unit.infra.test_machine import LAPTOP


def _build(tmp_path, engine, **placement):
    build = LocalBuild({}, tmp_path / "out", tmp_path / "scratch", Placement(**placement))
    build.numerics = build.numerics.model_copy(update={"engine": engine})
    return build


def test_the_stage_that_runs_says_how_and_only_while_it_runs(tmp_path):
    build = _build(tmp_path, "vllm", engine_replicas=3, tensor_parallel=2, engine_memory_share=0.7)
    assert present_serving() == Serving("torch", 1, 1, 0.4, "cpu", "float32", None)
    with serving(build):
        assert present_serving() == Serving("vllm", 3, 2, 0.7, "cpu", "float32", build.scratch)
        with serving(_build(tmp_path, "torch-copy")):
            assert present_serving().engine == "torch-copy"
        assert present_serving().engine == "vllm"
    assert present_serving() == Serving()


def test_a_local_judge_is_drawn_by_the_stages_engine(tmp_path):
    save_tiny_model(tmp_path / "judge")
    assert type(LocalJudge.load(tmp_path / "judge").model._engine) is TorchEngine
    with serving(_build(tmp_path, "torch-copy")):
        judge = LocalJudge.load(tmp_path / "judge")
    assert type(judge.model._engine) is CopiedEngine


@pytest.mark.parametrize(("gpus", "device"), [(0, "cpu"), ("auto", "cuda"), (2, "cuda")])
def test_a_local_judge_lies_where_the_stages_own_model_does(tmp_path, monkeypatch, gpus, device):
    asked = []
    save_tiny_model(tmp_path / "judge")
    here = load_policy(tmp_path / "judge")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(judge_local, "load_policy", lambda folder, *how: asked.append(how) or here)
    build = _build(tmp_path, "torch", gpus=gpus)
    build.numerics = build.numerics.model_copy(update={"dtype": "bfloat16"})
    with serving(build):
        LocalJudge.load(tmp_path / "judge")
    assert asked == [("bfloat16", device)]


def test_a_checkpoint_under_test_is_in_the_module_and_in_the_engine(tmp_path):
    policy, other = tiny_policy(), tiny_policy()
    with torch.no_grad():
        other.output_weight.mul_(1.3)
    save_policy(other, tmp_path)
    with closing(open_engine("torch-copy", policy)) as engine:
        ModelUnderTest(policy, engine).load_weights(tmp_path, 3)
        for served in (policy, engine.policy):
            assert torch.equal(served.output_weight, other.output_weight)
        assert engine.version == 3


@pytest.mark.parametrize(
    "asked",
    [{"engine_replicas": 2}, {"tensor_parallel": 2, "engine": "torch"}, {"engine_memory_share": 0.5}],
)
def test_several_processes_of_an_engine_that_has_none_are_refused(asked):
    with pytest.raises(
        CapacityError, match=r"draws in the stage's own process\. Set placement.engine to vllm"
    ):
        check_served(Placement(**asked))


def test_workers_take_the_share_of_memory_the_placement_gives_them(tmp_path):
    policy = tiny_policy()
    asked = Serving("vllm", tensor_parallel=2, memory_share=0.7)
    found = settings_of(policy, Weights(tmp_path), [], 64, asked)
    assert (found["memory_share"], found["tensor_parallel"]) == (0.7, 2)


def test_the_number_of_workers_is_part_of_the_numerics(tmp_path, monkeypatch):
    (tmp_path / "python").touch()
    monkeypatch.setenv("RPT_VLLM_PYTHON", str(tmp_path / "python"))
    one, several = (
        numerics_of(Placement(engine="vllm", engine_replicas=n, tensor_parallel=n), 1e6, LAPTOP)
        for n in (1, 2)
    )
    assert one.key() != several.key()
    assert "engine_replicas" not in one.model_dump()
    assert several.model_dump()["engine_replicas"] == several.model_dump()["tensor_parallel"] == 2


def test_vllm_is_served_where_its_environment_is_and_refused_with_the_remedy_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("RPT_VLLM_PYTHON", str(tmp_path / "bin/python"))
    placement = Placement(engine="vllm", engine_replicas=2)
    with pytest.raises(
        CapacityError, match=r"asks for engine=vllm, .* there is no .*bin/python. Make it with"
    ):
        check_served(placement)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    check_served(placement)
