"""The ROS 2 side: nodes that move the values of the stages over topics."""

import os

# The matrices are small: a second BLAS thread would only take the core of another process.
# This must stand before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
