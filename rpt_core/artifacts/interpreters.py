"""Interpreters of other environments: what cannot be installed beside Prefect runs under its own."""

import os
from pathlib import Path

from rpt_core.errors import CapacityError

VLLM_PYTHON = "RPT_VLLM_PYTHON"
"""Environment variable that names the interpreter of an environment with vLLM."""
VLLM_VENV = Path(__file__).resolve().parents[2] / ".venv-vllm"
"""Where ``make vllm`` puts one."""
HARNESS_PYTHON = "RPT_HARNESS_PYTHON"
"""Environment variable that names the interpreter of an environment with lm-evaluation-harness."""
HARNESS_VENV = VLLM_VENV.parent / ".venv-harness"
"""Where ``make harness`` puts one."""


def vllm_python() -> Path:
    """The interpreter vLLM's worker runs under.

    Raises:
        CapacityError: there is none.
    """
    path = _named(VLLM_PYTHON, VLLM_VENV)
    if not path.is_file():
        raise CapacityError(
            f"the placement asks for engine=vllm, and vLLM's environment is not here: there is no {path}. "
            f"Make it with make vllm, name an interpreter that has vLLM in {VLLM_PYTHON}, or leave "
            "placement.engine at auto."
        )
    return path


def harness_python() -> Path:
    """The interpreter lm-evaluation-harness runs under.

    Raises:
        CapacityError: there is none.
    """
    path = _named(HARNESS_PYTHON, HARNESS_VENV)
    if not path.is_file():
        raise CapacityError(
            f"lm-evaluation-harness is asked for, and its environment is not here: there is no {path}. Make "
            f"it with make harness, or name an interpreter that has it in {HARNESS_PYTHON}."
        )
    return path


def _named(variable: str, venv: Path) -> Path:
    named = os.environ.get(variable)
    return Path(named) if named else venv / "bin/python"
