"""Lets the tests of this folder share `random_values` and `ros_world`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def pytest_configure(config):
    """The grammar package behind rclpy's type hashes uses modules that Python has renamed; that is not ours to mend."""
    config.addinivalue_line("filterwarnings", "ignore:module 'sre_:DeprecationWarning")
