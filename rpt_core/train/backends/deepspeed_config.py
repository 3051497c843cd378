"""The configuration of DeepSpeed that a ZeRO stage means.

The update rule, its schedule and the number of micro-batches stay the project's own; every choice below that
is not a default has its reason beside it.
"""

from typing import Any

from rpt_core.artifacts.zero import Zero

BUCKET_ELEMENTS = 50_000_000
"""Numbers in one reduction or gathering: DeepSpeed's default of 5e8 is 2 GB of float32."""


def configuration(zero: Zero, grad_clip: float, world_size: int, *, bfloat16: bool) -> dict[str, Any]:
    """The dictionary that ``deepspeed.initialize`` takes.

    Args:
        zero: Stage and offload.
        grad_clip: Largest norm of the whole gradient.
        world_size: Ranks; the batch size is made up from it, as the trainer splits batches itself.
        bfloat16: Keep parameters in bfloat16 and their float32 masters in the partition of the optimiser.
    """
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "train_batch_size": world_size,
        "gradient_accumulation_steps": 1,
        # The trainer calls backward as often as its micro-batches fall, and step once (DeepSpeed #8183);
        # without it, stage 2 keeps only the last micro-batch's gradient (open-instruct #1498).
        "managed_gradient_accumulation": False,
        "gradient_clipping": grad_clip if zero.stage else 0.0,  # stage 0 is clipped by the project's own rule
        "zero_allow_untested_optimizer": False,
        "zero_force_ds_cpu_optimizer": False,  # DeepSpeed's own CPU optimiser needs a compiler
        "steps_per_print": 1 << 31,
        "zero_optimization": {
            "stage": zero.stage,
            "overlap_comm": False,  # asserted by managed_gradient_accumulation for stages 1 and 3
            "reduce_bucket_size": BUCKET_ELEMENTS,
            **({"offload_optimizer": {"device": "cpu"}} if zero.offload else {}),
            **(_STAGE_1_AND_2 if zero.stage in (1, 2) else _STAGE_3 if zero.stage == 3 else {}),
        },
    }
    if bfloat16:
        config |= {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    return config


_STAGE_1_AND_2: dict[str, Any] = {"allgather_bucket_size": BUCKET_ELEMENTS}
_STAGE_3: dict[str, Any] = {
    "stage3_prefetch_bucket_size": BUCKET_ELEMENTS,
    "stage3_max_live_parameters": 10 * BUCKET_ELEMENTS,
    # 0: no parameter is kept whole for being small, so that tiny models are partitioned as large ones are.
    "stage3_param_persistence_threshold": 0,
}
