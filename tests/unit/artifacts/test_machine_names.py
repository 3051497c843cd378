"""What a manifest records of back ends and interpreters, by name."""

from pathlib import Path

import pytest

from rpt_core.artifacts import interpreters
from rpt_core.artifacts.interpreters import harness_python, vllm_python
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.zero import STAGES, Zero
from rpt_core.errors import CapacityError


def test_every_zero_stage_has_a_name_of_its_own_that_is_read_back():
    every = [Zero(stage, offload) for stage in STAGES for offload in (False, True)]
    assert [zero.name for zero in every] == [
        f"deepspeed-zero{stage}{end}" for stage in (0, 1, 2, 3) for end in ("", "-offload")
    ]
    assert [Zero.named(zero.name) for zero in every] == every
    assert Zero(2) == Zero(2, offload=False)


@pytest.mark.parametrize(
    "name", ["torch", "deepspeed", "deepspeed-zero4", "a-deepspeed-zero1", "deepspeed-zero1-offloaded", ""]
)
def test_another_back_ends_name_is_no_zero_stage(name: str):
    assert Zero.named(name) is None


ENVIRONMENTS = {
    "vllm": (vllm_python, interpreters.VLLM_VENV, "VLLM_VENV", "RPT_VLLM_PYTHON"),
    "harness": (harness_python, interpreters.HARNESS_VENV, "HARNESS_VENV", "RPT_HARNESS_PYTHON"),
}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_is_the_interpreter_that_is_named_or_the_one_made_here(
    name, tmp_path: Path, monkeypatch
):
    python, _, venv, variable = ENVIRONMENTS[name]
    named, usual = tmp_path / "named", tmp_path / "venv" / "bin" / "python"
    monkeypatch.setattr(interpreters, venv, tmp_path / "venv")
    monkeypatch.setenv(variable, str(named))
    with pytest.raises(CapacityError, match=f"there is no {named}"):
        python()
    named.touch()
    assert python() == named
    for unset in (lambda: monkeypatch.setenv(variable, ""), lambda: monkeypatch.delenv(variable)):
        unset()
        usual.unlink(missing_ok=True)
        with pytest.raises(CapacityError, match=f"there is no {usual}"):
            python()
        usual.parent.mkdir(parents=True, exist_ok=True)
        usual.touch()
        assert python() == usual


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_lies_beside_the_packages(name):
    venv = ENVIRONMENTS[name][1]
    assert venv.name == f".venv-{name}"
    assert (venv.parent / "rpt_core" / "artifacts" / "interpreters.py").is_file()


@pytest.mark.parametrize(
    ("field", "least"),
    [
        ("engine_replicas", 1), ("tensor_parallel", 1), ("workers", 1), ("keep_checkpoints", 1),
    ],
)  # fmt: skip
def test_counts_of_a_placement_begin_at_one(field: str, least: int):
    assert getattr(Placement(**{field: least}), field) == least
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Placement(**{field: least - 1})


@pytest.mark.parametrize("field", ["checkpoint_seconds", "stop_grace_seconds", "deadline_hours"])
def test_durations_of_a_placement_are_positive(field: str):
    assert getattr(Placement(**{field: 1e-9}), field) == 1e-9
    for value in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match=field):
            Placement(**{field: value})


def test_usual_durations_and_counts():
    usual = Placement()
    assert (usual.checkpoint_seconds, usual.stop_grace_seconds, usual.deadline_hours) == (30.0, 25.0, 24.0)
    assert (usual.keep_checkpoints, usual.workers, usual.engine_replicas, usual.tensor_parallel) == (
        3,
        1,
        1,
        1,
    )
    assert (usual.offload, usual.checkpoint_activations, usual.workers_on) == (False, False, "processes")
