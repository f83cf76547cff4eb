"""The LAPACK solver of the filter and of the MPC, without the import of all of `scipy.linalg`.

`scipy.linalg.lapack` imports its whole package first, and with it `numpy.f2py`, `numpy.testing` and
a parser of docstrings. That takes a fifth of the start of a process, and the stack has up to eight.
The extension module that holds LAPACK needs none of it.
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import scipy  # its libraries must be found before those that link with them

EXTENSION = "scipy.linalg._flapack"


def load_lapack() -> Any:
    """The extension module of `scipy.linalg.lapack`, or that module where SciPy is built otherwise.

    A later import of `scipy.linalg` finds the same extension.
    """
    if EXTENSION in sys.modules:
        return sys.modules[EXTENSION]
    spec = PathFinder.find_spec(EXTENSION, [str(Path(scipy.__file__).parent / "linalg")])
    if spec is None or spec.loader is None:
        return import_module("scipy.linalg.lapack")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[EXTENSION] = module
    return module


#: Solves A X = B for a symmetric positive definite A; returns its factor, X and whether it failed.
dposv: Any = load_lapack().dposv
