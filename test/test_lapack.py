"""LAPACK without the rest of `scipy.linalg`."""

import subprocess
import sys

import numpy as np
from scipy.linalg import lapack

from safe_locomotion.lapack import dposv

LOOK = """
import sys
import safe_locomotion.pipeline
print(sorted({"onnx", "osqp", "scipy.linalg", "scipy.sparse"} & set(sys.modules)))
from scipy.linalg import lapack
from safe_locomotion.lapack import dposv
print(dposv is lapack.dposv)
"""


def test_it_solves_a_symmetric_system() -> None:
    """A X = B by hand: A = [[4, 2], [2, 3]], X = [1, -1]; a matrix that is not positive says so."""
    _, x, failed = dposv(np.array([[4.0, 2.0], [2.0, 3.0]]), np.array([2.0, -1.0]))
    assert not failed and np.allclose(x, [1.0, -1.0], atol=1e-12)
    assert dposv(np.diag([1.0, -1.0]), np.ones(2))[2] == 2


def test_it_is_the_function_of_scipy() -> None:
    """No second copy of the library is loaded, whichever comes first."""
    assert dposv is lapack.dposv


def test_the_pipeline_starts_without_the_packages() -> None:
    """Libraries that most processes do not need are not imported; SciPy still works afterwards."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.split("\n") == ["[]", "True", ""]
