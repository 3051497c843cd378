"""What ``--placement`` takes, what it refuses, and that two GPUs are told the truth."""

import json

import pytest

from flows.cli.commands.run import run_recipe, show_plan
from flows.cli.placements import parse_placement
from infra import machine as machine_module
from infra.machine import Gpu, numerics_of
from infra.runs.launch import rank_command
from rpt_core.artifacts.placement import BACKENDS, ENGINES, Placement
from rpt_core.errors import CapacityError, RecipeError
from rpt_core.policy.engines.registry import ENGINES as OPENED
from rpt_core.train.backends.registry import BACKENDS as TRAINED
from tests.unit.infra.test_machine import LAPTOP

TWO_GPUS = LAPTOP.model_copy(
    update={"gpus": (Gpu(name="NVIDIA H100", memory_bytes=80 * 10**9),) * 2, "torch_has_cuda": True}
)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("gpus=1,engine=torch", {"gpus": 1, "engine": "torch"}),
        (
            " layout = packed , checkpoint_activations=true,",
            {"layout": "packed", "checkpoint_activations": True},
        ),
        (
            "tokens_per_micro_batch=4096,deadline_hours=1.5",
            {"tokens_per_micro_batch": 4096, "deadline_hours": 1.5},
        ),
        ("gpus=auto", {}),
        (
            "backend=deepspeed,zero_stage=2,offload=true",
            {"backend": "deepspeed", "zero_stage": 2, "offload": True},
        ),
        ("ranks=2,gpus=0", {"ranks": 2, "gpus": 0}),
    ],
)
def test_parts_become_fields_and_the_rest_stays_auto(text, fields):
    assert parse_placement(text) == Placement(**fields)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpus", "'gpus' sets no field of a placement"),
        (
            "cards=2",
            "'cards=2' sets no field of a placement; write name=value, with a name out of pool, gpus",
        ),
        ("gpus=1,gpus=0", "sets gpus twice, to 1 and to '0'"),
        ("engine=tgi", "engine='tgi': it is one of auto, torch, torch-copy, vllm"),
        ("gpus=many", "gpus='many': "),
        ("zero_stage=4", "zero_stage=4: it is one of auto, 0, 1, 2, 3"),
        ("workers=0", "workers=0: input should be greater than or equal to 1"),
    ],
)
def test_what_is_no_placement_is_refused_in_a_sentence(text, said):
    with pytest.raises(RecipeError) as refused:
        parse_placement(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("parameters", [None, 6e8, 7e9])
def test_a_machine_with_two_gpus_is_told_what_really_runs(parameters, monkeypatch):
    """DeepSpeed installed as well: ``auto`` once said deepspeed, two ranks, and torch ran in one process."""
    monkeypatch.setattr(machine_module, "package_version", lambda name: "0.19.8")
    numerics = numerics_of(Placement(), parameters, TWO_GPUS)
    assert (numerics.engine, numerics.backend, numerics.world_size) == ("torch", "torch", 2)
    assert numerics.engine in OPENED
    assert numerics.backend in TRAINED
    assert "--nproc-per-node=2" in rank_command("tasks.train_main", [], numerics.world_size)
    alone = numerics_of(parse_placement("ranks=1"), parameters, TWO_GPUS)
    assert "torch.distributed.run" not in rank_command("tasks.train_main", [], alone.world_size)


def test_what_a_plan_lets_through_a_registry_opens():
    assert set(ENGINES) == set(OPENED)
    assert set(BACKENDS) == set(TRAINED)


def test_a_plan_takes_the_placement(store, capsys):
    show_plan("tiny_rpt", "train-base", any_overrides(), parse_placement("engine=torch-copy"), as_json=True)
    assert [row["stage"] for row in json.loads(capsys.readouterr().out)][-1] == "train-base"
    with pytest.raises(CapacityError, match="1 GPUs are asked for"):
        show_plan("tiny_rpt", "train-base", any_overrides(), parse_placement("gpus=1"), as_json=True)


def test_a_run_hands_the_placement_to_its_flow(store, monkeypatch):
    from flows.cli.commands import run

    told = []
    monkeypatch.setattr(run, "_flow", lambda to: lambda name, **given: told.append(given))
    monkeypatch.setattr(run, "show_results", lambda artifact, seconds: None)
    run_recipe("tiny_rpt", "train-base", any_overrides(), placement=parse_placement("threads=2"))
    assert told[0]["placement"] == Placement(threads=2)


def any_overrides():
    from flows.recipes import Overrides

    return Overrides()
