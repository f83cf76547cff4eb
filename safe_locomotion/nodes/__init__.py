"""The ROS 2 side: nodes that move the core's values over topics. The only code that imports rclpy."""

import os

# The matrices here are small: a second BLAS thread would only take the core that another process needs. Before numpy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
