"""The dictionary DeepSpeed is given, whole: every key of it changes what is trained or how fast."""

import pytest

from rpt_core.artifacts.zero import Zero
from rpt_core.train.backends.deepspeed_config import configuration

SHARED = {
    "train_micro_batch_size_per_gpu": 1,
    "train_batch_size": 5,
    "gradient_accumulation_steps": 1,
    "managed_gradient_accumulation": False,
    "gradient_clipping": 0.25,
    "zero_allow_untested_optimizer": False,
    "zero_force_ds_cpu_optimizer": False,
    "steps_per_print": 2_147_483_648,
}
FLAT = {"overlap_comm": False, "reduce_bucket_size": 50_000_000}
STAGE_3 = {
    "stage3_prefetch_bucket_size": 50_000_000,
    "stage3_max_live_parameters": 500_000_000,
    "stage3_param_persistence_threshold": 0,
}
CPU = {"offload_optimizer": {"device": "cpu"}}


@pytest.mark.parametrize(
    ("zero", "own"),
    [
        (Zero(0), {"stage": 0}),
        (Zero(1), {"stage": 1, "allgather_bucket_size": 50_000_000}),
        (Zero(2), {"stage": 2, "allgather_bucket_size": 50_000_000}),
        (Zero(2, offload=True), {"stage": 2, "allgather_bucket_size": 50_000_000, **CPU}),
        (Zero(3), {"stage": 3, **STAGE_3}),
        (Zero(3, offload=True), {"stage": 3, **STAGE_3, **CPU}),
    ],
)
def test_every_stage_has_its_configuration(zero: Zero, own: dict):
    clipping = {} if zero.stage else {"gradient_clipping": 0.0}
    expected = {**SHARED, **clipping, "zero_optimization": {**FLAT, **own}}
    assert configuration(zero, 0.25, 5, bfloat16=False) == expected
    assert configuration(zero, 0.25, 5, bfloat16=True) == {
        **expected, "bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"},
    }  # fmt: skip
