"""Simulated robots on MuJoCo that speak the Unitree wire."""

import os

# The matrices here are small: a second BLAS thread would only take the core that another process needs. Before numpy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# No window is opened here, and looking for the library of windows takes a tenth of a start; pictures name what they need.
os.environ.setdefault("MUJOCO_GL", "disable")
