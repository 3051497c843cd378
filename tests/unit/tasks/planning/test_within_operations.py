"""A training that ends by operations is planned as that many, whatever steps it might take."""

import pytest

from flows.recipes import Overrides, any_journey
from flows.recipes.trees import stage, walk
from rpt_core.artifacts.placement import Placement
from tasks.planning.estimate import PlanQuery, estimate

PLACED = PlanQuery(Placement(gpus=0, threads=1))


def flops_of(name: str, fields: dict) -> float:
    journey = any_journey("tiny_rpt", Overrides(fields=fields))
    recipes = walk(journey)
    found = estimate(recipes, PLACED).by_recipe[recipes.index(stage(journey, name))]
    return found.work.total


@pytest.mark.parametrize(("name", "kind"), [("train-rpt", "policy"), ("cold-start", "cold-start")])
def test_operations_end_a_training_at_the_first_step_that_reaches_them(name, kind):
    whole, twenty, one = (flops_of(name, {f"{kind}.steps": steps}) for steps in (200, 20, 1))
    assert twenty == pytest.approx(20 * one)
    limit = 19.5 * one / 1e9
    assert flops_of(name, {f"{kind}.steps": 200, f"{kind}.max_gflops": limit}) == pytest.approx(twenty)
    assert flops_of(name, {f"{kind}.steps": 200, f"{kind}.max_gflops": 1e9}) == pytest.approx(whole)
