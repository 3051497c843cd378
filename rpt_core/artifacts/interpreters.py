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
    return _interpreter(
        VLLM_PYTHON,
        VLLM_VENV,
        "the placement asks for engine=vllm, and vLLM's environment is not here: there is no {path}. "
        "Make it with make vllm, name an interpreter that has vLLM in {variable}, or leave "
        "placement.engine at auto.",
    )


def harness_python() -> Path:
    """The interpreter lm-evaluation-harness runs under.

    Raises:
        CapacityError: there is none.
    """
    return _interpreter(
        HARNESS_PYTHON,
        HARNESS_VENV,
        "lm-evaluation-harness is asked for, and its environment is not here: there is no {path}. Make "
        "it with make harness, or name an interpreter that has it in {variable}.",
    )


def _interpreter(variable: str, venv: Path, missing: str) -> Path:
    """What the variable names, else the environment's own.

    Raises:
        CapacityError: ``missing``, with ``path`` and ``variable`` filled in; there is no such file.
    """
    named = os.environ.get(variable)
    path = Path(named) if named else venv / "bin/python"
    if not path.is_file():
        raise CapacityError(missing.format(path=path, variable=variable))
    return path
