"""Where a stage's tensors go."""

import torch

from rpt_core.artifacts.build import Build


def device_of(build: Build) -> torch.device:
    """A CUDA device, unless there is none or the placement wants none."""
    wanted = build.placement.gpus != 0 and torch.cuda.is_available()
    return torch.device("cuda" if wanted else "cpu")
