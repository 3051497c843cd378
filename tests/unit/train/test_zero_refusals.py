"""What the back end of DeepSpeed refuses by itself; nothing here needs DeepSpeed."""

import pytest
import torch

from rpt_core.artifacts.zero import Zero
from rpt_core.errors import EngineError, RecipeError, ResumeError
from rpt_core.policy.scorer import Scorer, score_documents
from rpt_core.recipes.supervised import Optimiser
from rpt_core.train.backends.deepspeed_backend import DeepSpeedBackend, _refuse_calls_from_outside
from rpt_core.train.backends.deepspeed_shards import Shards
from rpt_core.train.backends.ranks import ALONE
from tests.toys import random_tree, tiny_policy

SHAPES = {"a": torch.Size([2, 3])}
COUNTS = {"a/step": 5.0}


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_rule_of_whole_matrices_is_refused_where_they_are_cut(stage):
    with pytest.raises(RecipeError, match=f"updates by muon.*deepspeed-zero{stage} cuts"):
        DeepSpeedBackend(tiny_policy(), Optimiser(name="muon"), 1, ALONE, Zero(stage))


@pytest.mark.parametrize(
    ("tensors", "counts", "said"),
    [
        ({"b/exp_avg": torch.zeros(2, 3)}, COUNTS, "moments of 'b' with shape"),
        ({"a/exp_avg": torch.zeros(3, 2)}, COUNTS, r"moments of 'a' with shape \(3, 2\)"),
        ({"a/momentum_buffer": torch.zeros(2, 3)}, COUNTS, "belongs to another model"),
        ({"a/exp_avg": torch.zeros(2, 3)}, {**COUNTS, "b/step": 4.0}, r"counts \[4.0, 5.0\] steps"),
        ({"a/exp_avg": torch.zeros(2, 3)}, {}, r"counts \[\] steps"),
    ],
)
def test_moments_that_are_not_of_this_training_are_refused(tensors, counts, said):
    with pytest.raises(ResumeError, match=said):
        Shards(None, {}, SHAPES, partitions_weights=True).assign_moments(tensors, counts)


def test_moments_before_the_first_step_are_none():
    Shards(None, {}, SHAPES, partitions_weights=True).assign_moments({}, {})


def test_a_partitioned_model_runs_inside_of_the_scorer_only():
    policy = tiny_policy()
    scorer, (trunks, _) = Scorer(policy), random_tree(1, [[(2, 1)]])
    expected = score_documents(scorer, trunks).nll_M
    _refuse_calls_from_outside(scorer)
    assert torch.equal(score_documents(scorer, trunks).nll_M, expected)
    ids = torch.ones(1, 3, dtype=torch.int64)
    with pytest.raises(TypeError):
        scorer(trunks)  # an error inside does not leave the door open
    for call in (policy.model, policy.model.base_model):
        with pytest.raises(EngineError, match="called outside of the engine"):
            call(input_ids=ids, use_cache=False)
    with pytest.raises(EngineError, match="called outside of the engine"):
        policy.model.lm_head(torch.zeros(1, 32))
