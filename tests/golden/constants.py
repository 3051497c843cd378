"""What results hang on and no recipe says: constants of modules, and defaults of functions and plain classes.

A recipe's field changes the fingerprint with its value; a constant changes what a stage makes under the
fingerprint it had. So each is on record. ``python -m tests.golden.constants`` writes ``constants.json`` anew:
to be run, and its difference read, after a change that is meant to move them.
"""

import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("constants.json")
PACKAGES = ("objectives", "train", "policy", "evaluation", "artifacts")
"""Of ``rpt_core``: what decides about a reward, an update, an answer, a score or a fingerprint."""
COLLECTIONS = (tuple, list, frozenset, set, dict)


def modules() -> dict[str, dict[str, Any]]:
    """Module -> what :func:`constants_of` finds; modules that hold any."""
    files = sorted(path for package in PACKAGES for path in (ROOT / "rpt_core" / package).rglob("[!_]*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files]
    found = {name: constants_of(name) for name in names}
    return {name: values for name, values in found.items() if values}


def constants_of(module: str) -> dict[str, Any]:
    """Name -> its number, truth value or pattern, in JSON's types."""
    found: dict[str, Any] = json.loads(json.dumps(dict(_of_module(importlib.import_module(module)))))
    return found


def _of_module(module: ModuleType) -> Iterator[tuple[str, Any]]:
    # by their capitals: what a module keeps while it runs (a tally, a cache) is no constant
    own = set(re.findall(r"^([A-Z_][A-Z0-9_]*)(?::.*?)? = ", inspect.getsource(module), re.MULTILINE))
    for name, value in vars(module).items():
        if inspect.isfunction(value) and value.__module__ == module.__name__:
            yield from _defaults(name, value)
        elif inspect.isclass(value) and value.__module__ == module.__name__:
            yield from _of_class(value)
        elif name in own and (told := _told(value)) is not None:
            yield name, told


def _of_class(one: type) -> Iterator[tuple[str, Any]]:
    if not issubclass(one, BaseModel):  # whose fields are in recipes.json, or in what is on record by them
        yield from _defaults(one.__name__, one)
    for name, value in vars(one).items():
        bare = getattr(value, "__func__", value)
        if inspect.isfunction(bare) and not name.startswith("__"):
            yield from _defaults(f"{one.__name__}.{name}", bare)


def _defaults(name: str, function: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # classes of C, named tuples of types
        return
    for one in parameters:
        if one.default is not one.empty and (told := _told(one.default)) is not None:
            yield f"{name}({one.name})", told


def _told(value: Any) -> Any:
    """A number, a truth value, a pattern, or a collection that holds one; None for anything else."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, re.Pattern):
        return [value.pattern if isinstance(value.pattern, str) else value.pattern.hex(), value.flags]
    if isinstance(value, dict):
        told = {str(key): _told(one) for key, one in value.items()}
        return told if any(one is not None for one in told.values()) else None
    if isinstance(value, COLLECTIONS):
        items = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        found = [_told(one) for one in items]
        return found if any(one is not None for one in found) else None
    return None


def main() -> None:
    """Write the record."""
    RECORD.write_text(json.dumps(modules(), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
