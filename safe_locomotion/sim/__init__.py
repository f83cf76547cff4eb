"""Simulated robots on MuJoCo that speak the Unitree wire."""

import os

# The matrices here are small: a second BLAS thread would only take the core that another process
# needs. This must be set before numpy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Nothing here opens a window, and the search for a window library takes a tenth of the start-up
# time. Programs that draw pictures set MUJOCO_GL themselves.
os.environ.setdefault("MUJOCO_GL", "disable")
