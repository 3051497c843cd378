"""One submodule of a large package, without the code of the package around it.

``import nltk.tokenize.punkt`` runs ``nltk/__init__.py`` first, which imports scikit-learn, scipy and pandas:
2 to 4 CPU-seconds in every process of a data stage, for one module of 2,000 lines.
"""

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from typing import Any


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
