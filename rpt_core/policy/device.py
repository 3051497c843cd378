"""Where a stage's tensors go."""

import torch

from rpt_core.artifacts.build import Build


def device_of(build: Build) -> torch.device:
    """A GPU, unless there is none or the placement wants none.

    Torch calls ROCm's devices ``cuda``, too. Apple's are not used: there a stage runs on the CPU.
    """
    wanted = build.placement.gpus != 0 and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")
