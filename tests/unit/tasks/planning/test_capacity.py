"""What a machine can hold: refused by the figures a plan shows, with what would help."""

import re
from dataclasses import replace

import pytest

from flows.recipes import Overrides, any_journey
from flows.recipes.trees import stage, walk
from infra import machine as machine_module
from infra.machine import resolve_placement
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import CapacityError
from rpt_core.planning.held import Held, states
from rpt_core.planning.memory import Spread, memory
from rpt_core.planning.shape import Shape
from rpt_core.recipes.given import GivenModel
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.recipes.supervised import BaseRecipe
from tasks.planning import capacity
from tasks.planning.capacity import check_capacity, held_by
from tasks.planning.shapes import spread_of
from tests.unit.infra.test_machine import CPU_BUILD, LAPTOP, NODE

LARGE = Held(14.8e9, trains=True)
"""A model of which only the size is known."""


def trained(name: str, **fields: object) -> tuple[PolicyRecipe, Held]:
    """A journey's training on text, and what it holds."""
    recipe = stage(any_journey(name, Overrides()), "train-rpt").model_copy(update=fields)
    held = held_by(recipe)
    assert isinstance(recipe, PolicyRecipe)
    assert held is not None
    return recipe, held


@pytest.mark.parametrize("name", ["tiny_rpt", "rpt_small", "rlpt_small", "rmt_14b", "rlpt_8b"])
@pytest.mark.parametrize("machine", [LAPTOP, NODE], ids=["cpu", "gpus"])
def test_what_a_refusal_stands_on_is_the_plans_table_at_its_least(name, machine):
    """No stage is refused for answers it may never draw, nor for less than its states."""
    found = [held for recipe in walk(any_journey(name, Overrides())) if (held := held_by(recipe))]
    weighed = [held for held in found if held.shape and held.job]
    assert len(weighed) >= 3
    for held in weighed:
        assert held.shape is not None
        assert held.job is not None
        spread = spread_of(resolve_placement(Placement(), held.parameters, machine))
        load = replace(held.job.load, documents=max(held.job.load.documents, spread.ranks))
        most, least = memory(held.shape, load, spread), held.least(spread)
        assert least.peak <= most.peak
        for part in ("weights", "gradients", "moments", "reference models", "judge", "framework"):
            assert least.part(part) == most.part(part), part


def test_a_longer_context_takes_more_at_least():
    recipe, held = trained("tiny_rpt")
    longer, more = trained("tiny_rpt", context_tokens=64 * recipe.context_tokens)
    assert capacity.demand(longer, Placement(gpus=0)) > 1.2 * capacity.demand(recipe, Placement(gpus=0))
    assert more.parameters == held.parameters


def test_what_cannot_be_weighed_whole_is_weighed_by_its_states():
    """A model without a row and a stage without a load: their states, at least."""
    _, held = trained("rpt_14b")
    for spread in (Spread(gpu=False), Spread(dtype="bfloat16", zero_stage=2, ranks=8)):
        known = held.least(spread)
        bare = states(held.parameters, spread, trains=True)
        for part in ("weights", "gradients", "moments", "master, moments", "framework"):
            assert bare.part(part) == pytest.approx(known.part(part), rel=0.01), part
        assert bare.peak < known.peak
    given = GivenModel(name="org/Some-2B-chat", num_parameters=2e9)
    journey = any_journey("rpt_small", Overrides())
    bases = [one.model_copy(update={"model": given}) for one in walk(journey) if isinstance(one, BaseRecipe)]
    assert held_by(bases[0]) == Held(2e9, trains=False)


def test_memory_is_weighed_by_rank():
    check_capacity("train-rpt", Held(4e8, trains=True), Placement(), LAPTOP)
    with pytest.raises(CapacityError, match="Missing"):
        check_capacity("train-rpt", Held(4e8, trains=True), Placement(ranks=2), LAPTOP)


def test_the_papers_model_is_refused_without_a_gpu_saying_what_to_do():
    recipe, held = trained("rpt_14b")
    with pytest.raises(CapacityError) as refused:
        check_capacity(recipe.stage, held, Placement(), LAPTOP)
    said = str(refused.value)
    assert refused.value.exit_code == 2
    for part in ("train-rpt", "14.8 B", "no GPU", "Missing: a GPU", "gpu-pool", "tiny_rpt"):
        assert part in said
    needed, least = (
        float(figure.replace(",", "")) for figure in re.findall(r"([0-9,]+) GB (?:for|\()?", said)[:2]
    )
    assert needed > 16 * 14.8
    assert least < needed


def test_a_large_model_is_refused_on_a_cpu_however_much_memory_it_has():
    huge = LAPTOP.model_copy(update={"memory_bytes": 10**13})
    with pytest.raises(CapacityError, match="Missing: a GPU"):
        check_capacity("train-rpt", LARGE, Placement(), huge)
    check_capacity("train-rpt", LARGE, Placement(gpus=0), huge)  # insisted on


def test_what_fits_passes(monkeypatch):
    check_capacity("train-rpt", Held(640_000, trains=True), Placement(), LAPTOP)
    check_capacity("score-difficulty", Held(1.78e9, trains=False), Placement(), NODE)
    monkeypatch.setattr(machine_module, "package_version", lambda name: "absent")
    with pytest.raises(CapacityError, match="1 x NVIDIA H200"):
        check_capacity("train-rpt", LARGE, Placement(), NODE)
    monkeypatch.setattr(machine_module, "package_version", lambda name: "0.19.8")
    with pytest.raises(CapacityError, match="1 x NVIDIA H200") as found:  # DeepSpeed is there, and unused
        check_capacity("train-rpt", LARGE, Placement(), NODE)
    assert "backend=deepspeed,zero_stage=3" in str(found.value)
    with pytest.raises(CapacityError, match=r"engine=vllm,tensor_parallel=N"):
        check_capacity("score-quality", Held(140e9, trains=False), Placement(), NODE)


def test_an_engine_over_several_gpus_holds_a_share_each(monkeypatch):
    monkeypatch.setattr(machine_module, "vllm_python", lambda: None)
    shared = Placement(engine="vllm", tensor_parallel=4)
    check_capacity("score-quality", Held(140e9, trains=False), shared, NODE)


def test_a_gpu_the_installed_torch_cannot_use_is_named():
    with pytest.raises(CapacityError, match=r"CPU build of torch 2\.13\.0\+cpu"):
        check_capacity("train-rpt", LARGE, Placement(), CPU_BUILD)


def test_a_plan_weighs_what_each_rank_holds(monkeypatch):
    """14 B parameters: 224 GB of states on each rank by torch, 63 by ZeRO-2 over eight."""
    monkeypatch.setattr(machine_module, "package_version", lambda name: "0.19.8")
    with pytest.raises(CapacityError, match=r"Missing: [0-9]+ GB of GPU memory"):
        check_capacity("train-rpt", Held(14e9, trains=True), Placement(backend="torch"), NODE)
    check_capacity("train-rpt", Held(14e9, trains=True), Placement(backend="deepspeed"), NODE)


def test_a_tiny_shape_is_weighed_by_its_own_sizes():
    _, held = trained("tiny_rpt")
    assert isinstance(held.shape, Shape)
    assert held.shape.parameters == held.parameters
