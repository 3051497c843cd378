"""What runs are called in Prefect: by the recipe and what the run changes about it."""

from collections.abc import Mapping
from typing import Any

from prefect import runtime

MOST_FIELDS = 2
"""Of those a run changes, in its name; a list of runs has little room."""


def run_name() -> str:
    """Name of the flow run that begins now, of its parameters."""
    return named(runtime.flow_run.parameters)


def named(parameters: Mapping[str, Any]) -> str:
    """A run's name: two fields by name, or three, and of more how many there are.

    Example:
        >>> named({"recipe": "tiny_rpt", "overrides": {"seed": 1, "fields": {"policy.steps": 20}}})
        'tiny_rpt, seed 1, policy.steps=20'
        >>> named({"recipe": "tiny_rmt", "seeds": (0, 1), "about": "table-1"})
        'tiny_rmt, table-1, seeds 0 1'
        >>> named({"model": "tiny_rpt-base", "benchmarks": ("gsm8k", "mmlu")})
        'tiny_rpt-base on gsm8k mmlu'
    """
    given = parameters.get("overrides") or {}
    overrides = given if isinstance(given, Mapping) else given.model_dump()
    parts = [str(parameters.get("recipe") or parameters.get("title") or parameters.get("model") or "")]
    if on := parameters.get("benchmarks"):
        parts[0] += f" on {' '.join(on)}"
    parts += [str(parameters[name]) for name in ("kind", "about") if parameters.get(name)]
    if seeds := parameters.get("seeds"):
        parts.append(f"seeds {' '.join(map(str, seeds))}")
    if overrides.get("seed") is not None:
        parts.append(f"seed {overrides['seed']}")
    parts += [f"{name}={overrides[name]}" for name in ("data", "model") if overrides.get(name)]
    fields = [f"{name}={value}" for name, value in (overrides.get("fields") or {}).items()]
    parts += fields[:MOST_FIELDS]
    if more := fields[MOST_FIELDS:]:
        parts.append(f"{len(more)} more fields" if len(more) > 1 else more[0])
    return ", ".join(parts)[:200]
