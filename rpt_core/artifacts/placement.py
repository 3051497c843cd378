"""Where and how a recipe is carried out: nothing here may change what an exact artifact contains."""

from typing import Literal

from pydantic import Field

from rpt_core.artifacts.number_or_auto import Count, Positive
from rpt_core.artifacts.recipe import Frozen, canonical_json, later

ENGINES, BACKENDS = ("torch", "torch-copy", "vllm"), ("torch", "deepspeed")
"""What stages can really run under: rollouts in this process or vLLM's, torch's own optimisers or DeepSpeed.
A manifest records what ``auto`` resolves to, so nothing may stand here that no stage carries out; the
registries of :mod:`rpt_core.policy.engines` and :mod:`rpt_core.train.backends` hold the same names."""
ENGINE_MEMORY_SHARE = 0.4
"""Of a GPU that the trainer uses as well."""


class Placement(Frozen):
    """Where a stage runs. Every field defaults to ``auto``: taken from the machine and the model's size."""

    pool: str = "auto"
    """Prefect work pool whose workers make the stages that hold a model, each by a run of its own
    (``gpu-pool``); ``auto``: all stages of a journey run where its flow does."""
    gpus: Count = "auto"
    """CUDA devices of a machine to use; ``auto`` takes what is there, and one where a stage uses no more."""
    ranks: Positive = "auto"
    """Training processes, each with a GPU of its own where GPUs are used; ``auto`` is one for every GPU.
    Stages that run in one process (:mod:`rpt_core.recipes.stages`) do so whatever stands here."""
    engine: Literal["auto", "torch", "torch-copy", "vllm"] = "auto"
    """What draws the rollouts."""
    engine_replicas: int = Field(1, ge=1)
    """Processes of the engine that share the questions, each with the whole model (vLLM)."""
    tensor_parallel: int = Field(1, ge=1)
    """GPUs that hold the model of one process of the engine together (vLLM)."""
    engine_memory_share: float = Field(ENGINE_MEMORY_SHARE, gt=0, le=1)
    """Of each GPU's memory, what a process of the engine may take: weights, keys and values (vLLM)."""
    backend: Literal["auto", "torch", "deepspeed"] = "auto"
    """What takes the optimiser's step."""
    zero_stage: Literal["auto", 0, 1, 2, 3] = "auto"
    """What DeepSpeed partitions over ranks: 1 the optimiser's state, 2 gradients too, 3 parameters too, 0
    nothing; ``auto`` is the lower one of 1 and 2 whose states fit."""
    offload: bool = False
    """Let DeepSpeed keep the optimiser's state, and step it, in the host's memory."""
    layout: Literal["auto", "two-pass", "packed", "rows"] = "auto"
    """How a document and its branches are laid out in one update."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """What products are taken in; ``auto`` is float32 on a CPU and bfloat16 on a GPU."""
    tokens_per_micro_batch: Positive = "auto"
    """Tokens of a document and its answers that are updated on at once."""
    threads: Positive = "auto"
    """CPU threads of a training process; ``auto`` is one."""
    workers: int = Field(1, ge=1)
    """Processes that read, clean, mask and cut documents; one is the stage's own."""
    workers_on: Literal["processes", "ray"] = "processes"
    """Where they are: on this machine, or Ray's (the cluster ``RAY_ADDRESS`` names, or one made here).

    Ray's machines read the data where they see it under the same path; else the stage reads it itself.
    """
    stages_at_once: Positive = "auto"
    """Stages of a journey that may run side by side; ``auto``: as many as cores and memory allow, one at a
    time on a GPU."""
    checkpoint_seconds: float = Field(30.0, gt=0)
    """Seconds between checkpoints of an unfinished build, at least; steps stay whole."""
    keep_checkpoints: int = Field(3, ge=1)
    """How many of an unfinished build's checkpoints are kept, the latest; older ones are removed at once."""
    checkpoint_activations: bool = False
    """Compute activations again in the backward pass instead of keeping them; needs the packed layout."""
    stop_grace_seconds: float = Field(25.0, gt=0)
    """How long a stopped process may take to write its last checkpoint. Prefect's process worker kills a
    cancelled run after 30 s: take more only where its own grace is longer."""
    deadline_hours: float = Field(24.0, gt=0)
    """After so many hours a stage is stopped as if a person asked for it; a rerun resumes."""

    def without_training(self) -> "Placement":
        """For a stage that takes no optimiser step: its manifest names no back end that did not run."""
        return self.model_copy(update={"backend": "auto", "zero_stage": "auto", "offload": False})


class Numerics(Frozen):
    """The numerics key: under the same one, the same recipe gives the same bytes."""

    backend: str
    engine: str
    layout: str
    dtype: str
    world_size: int
    tokens_per_micro_batch: int
    torch: str
    """Version of torch, local label included."""
    device: str
    """CPU model or GPU name."""
    threads: int
    engine_replicas: int = later(1)
    tensor_parallel: int = later(1)

    def key(self) -> str:
        """16 hex digits over all fields."""
        import hashlib

        return hashlib.sha256(canonical_json(self.model_dump())).hexdigest()[:16]
