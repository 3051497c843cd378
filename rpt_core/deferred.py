"""Large packages that are imported by way of something small, kept out of processes that do not need them.

``import nltk.tokenize.punkt`` runs ``nltk/__init__.py`` first, which imports scikit-learn, scipy and pandas:
2 to 4 CPU-seconds in every process of a data stage, for one module of 2,000 lines. ``import deepspeed``
imports MLflow where it is installed, for a tuner that is never called: 40 % of its time.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any, cast


def defer(name: str) -> None:
    """Let a package's own ``__init__.py`` wait until something is asked of it that is no submodule.

    Call it before the first import of a submodule. A package that is imported already stays as it is, and
    whoever asks this one for its functions (``nltk.FreqDist``) gets them: the package is then run whole.

    Args:
        name: Of a top-level package.

    Raises:
        ModuleNotFoundError: it is not installed.

    Example:
        >>> defer("nltk")
        >>> from nltk.tokenize.punkt import PunktParameters
    """
    if name in sys.modules:
        return
    spec = find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package, loader = module_from_spec(spec), spec.loader

    def attribute(wanted: str) -> Any:
        if find_spec(f"{name}.{wanted}"):
            return importlib.import_module(f"{name}.{wanted}")
        del package.__dict__["__getattr__"]
        loader.exec_module(package)
        return getattr(package, wanted)

    package.__dict__["__getattr__"] = attribute  # PEP 562: asked when the package has no such attribute
    sys.modules[name] = package


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Packages as if they were not installed, for an import that does without them; loaded ones stay.

    Example:
        >>> with without("mlflow"):
        ...     import wave
    """
    absent = [name for name in names if name not in sys.modules]
    # None makes `import name` raise ModuleNotFoundError (Python's reference, section 5.3.1)
    sys.modules.update(dict.fromkeys(absent, cast(ModuleType, None)))
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
