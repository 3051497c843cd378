"""Every check on a GPU where there is one; on a CPU, that the checks themselves hold."""

import pytest
import torch

from tests.gpu.checks import CHECKS


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", CHECKS)
def test_a_gpu_gives_what_a_cpu_gives(name):
    assert CHECKS[name]("cuda")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", CHECKS)
def test_the_check_holds_between_a_cpu_and_itself(name):
    assert CHECKS[name]("cpu")
