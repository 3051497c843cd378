"""Variants of RPT through the training stage itself: they train, and a stopped run ends in the same bytes."""

from pathlib import Path

import pytest

from rpt_core.artifacts.build import LocalBuild
from rpt_core.artifacts.placement import Placement
from rpt_core.recipes.objectives import Learnability, RptObjective
from rpt_core.recipes.reinforce import Selection
from rpt_core.train.rl.reinforce import train_policy
from tests.unit.evaluation.folders import write_corpus, write_model
from tests.unit.train.rl.test_reinforce import MUON, StoppingBuild, _metrics, _weights, stopped_and_resumed
from tests.unit.train.rl.test_step import RECIPE

VARIANTS = {
    "dense": {"reward": "dense"},
    "conditional dense": {"reward": "conditional-dense", "when_none_right": -0.1},
    "learnable": {"learnability": Learnability()},
    "top share, guarded": {"choose": "top-share", "top_share": 0.5, "entropy_ceiling_nats": 2.3},
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    write_corpus(folder, write_model(folder / "model"))
    return {"start": folder, "corpus": folder, "difficulty": folder}


def build(folder: Path, inputs: dict[str, Path], cls=LocalBuild, **more) -> LocalBuild:
    return cls(inputs, folder / "out", folder / "scratch", **more)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_stopped_run_of_a_variant_ends_with_the_same_bytes(tmp_path, inputs, name):
    objective = RptObjective(prompt="compact", entropy_floor_nats=1.0, **VARIANTS[name])
    changes = {
        "objective": objective, "steps": 4, "prompts_per_step": 6, "cuts_per_document": 3, "group_size": 3,
        "reasoning_tokens": 6, "context_tokens": 128, "ntp_weight": 0.1, "optimiser": MUON,
        # random weights never box an answer: groups that are all alike are kept, so that updates happen
        "selection": Selection(drop_equal_from_step=99), "milestones": (), "evaluate_every": 0,
    }  # fmt: skip
    recipe = type(RECIPE).parse({**dict(RECIPE), **changes})
    whole = build(tmp_path / "whole", inputs, placement=Placement(checkpoint_seconds=1e-6))
    outcome = train_policy(recipe, whole)
    broken = build(tmp_path / "broken", inputs, StoppingBuild)
    assert stopped_and_resumed(recipe, broken) == outcome
    assert _weights(broken) == _weights(whole)
    assert _metrics(broken) == _metrics(whole)
