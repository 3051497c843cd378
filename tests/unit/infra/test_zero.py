"""DeepSpeed by placement: refused where it is not there, named where it ran, and nowhere else."""

import pytest

from flows.make import fitted
from flows.recipes import Overrides, any_journey
from infra import machine as machine_module
from infra.machine import check_served, numerics_of, resolve_placement
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError
from rpt_core.recipes.stages import ROWS
from tests.unit.infra.test_machine import LAPTOP, NODE


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(machine_module, "package_version", lambda name: "0.19.8")


def test_it_is_refused_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(machine_module, "package_version", lambda name: "absent")
    target, asked = any_journey("tiny_rpt", Overrides()), Placement(backend="deepspeed")
    for refused in (lambda: fitted(target, asked), lambda: numerics_of(asked, None, NODE)):
        with pytest.raises(CapacityError, match=r"DeepSpeed is not installed here.*DS_BUILD_OPS=0") as found:
            refused()
        assert found.value.exit_code == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"zero_stage": 2}, "zero_stage=2 under backend=auto, and only DeepSpeed does that"),
        ({"zero_stage": 1, "backend": "torch"}, "zero_stage=1 under backend=torch"),
        ({"offload": True}, "offload=True under backend=auto"),
        ({"backend": "deepspeed", "zero_stage": 0, "offload": True}, "offload=true at zero_stage=0"),
    ],
)
def test_fields_that_nothing_would_carry_out_are_refused(installed, fields, said):
    with pytest.raises(CapacityError, match=said):
        check_served(Placement(**fields))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "torch"),
        ({"zero_stage": 0}, "torch"),
        ({"backend": "deepspeed"}, "deepspeed-zero1"),
        ({"backend": "deepspeed", "zero_stage": 0}, "deepspeed-zero0"),
        ({"backend": "deepspeed", "zero_stage": 3, "offload": True}, "deepspeed-zero3-offload"),
    ],
)
def test_a_manifest_names_the_stage_that_ran(installed, fields, name):
    explicit = resolve_placement(Placement(**fields), 640_000, LAPTOP)
    assert numerics_of(explicit, 640_000, LAPTOP).backend == name
    assert resolve_placement(explicit, 640_000, LAPTOP) == explicit  # a manifest's own placement runs again


def test_auto_partitions_gradients_where_whole_ones_do_not_fit(installed):
    asked = Placement(backend="deepspeed", gpus=1)
    stages = [resolve_placement(asked, size, NODE).zero_stage for size in (1e9, 4e9, 6e9)]
    assert stages == [1, 1, 2]  # 2 + 4 + 12 bytes a parameter against 60 % of 141 GB


def test_stages_that_take_no_optimiser_step_name_no_back_end_of_theirs():
    asked = Placement(backend="deepspeed", zero_stage=3, offload=True, threads=2)
    assert asked.without_training() == Placement(threads=2)
    assert {row.name for row in ROWS if row.trains} == {
        "train-base", "cold-start", "train-rpt", "train-rlpt", "train-judge", "sft", "finetune-rlvr",
    }  # fmt: skip
