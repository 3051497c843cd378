"""Interpreters of other environments: vLLM cannot be installed beside Prefect and runs under its own."""

import os
from pathlib import Path

from rpt_core.errors import CapacityError

VLLM_PYTHON = "RPT_VLLM_PYTHON"
"""Environment variable that names the interpreter of an environment with vLLM."""
VLLM_VENV = Path(__file__).resolve().parents[2] / ".venv-vllm"
"""Where ``make vllm`` puts one."""


def vllm_python() -> Path:
    """The interpreter vLLM's worker runs under.

    Raises:
        CapacityError: there is none.
    """
    named = os.environ.get(VLLM_PYTHON)
    path = Path(named) if named else VLLM_VENV / "bin/python"
    if not path.is_file():
        raise CapacityError(
            f"the placement asks for engine=vllm, and vLLM's environment is not here: there is no {path}. "
            f"Make it with make vllm, name an interpreter that has vLLM in {VLLM_PYTHON}, or leave "
            "placement.engine at auto."
        )
    return path
