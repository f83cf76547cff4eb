"""Simulated robots on MuJoCo that speak the Unitree wire."""

import os

# The matrices here are small: a second BLAS thread would only take the core that another process needs. Before numpy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
