"""What to do about a library that cannot be imported, for one line instead of a traceback."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from safe_locomotion.errors import ConfigurationError

ROS = "source /opt/ros/<distribution>/setup.bash, or without a distribution: make setup"
EXTRAS = {
    "mujoco": "sim",
    "matplotlib": "sim",
    "unitree_sdk2py": "robot",
    "cyclonedds": "robot",
    "rosbags": "record",
    "rerun": "rerun",
    "evdev": "gamepad",
    "viser": "viewer",
    "segno": "viewer",
    "ray": "ray",
    "daqp": "bench",
    "proxsuite": "bench",
    "torch": "train",
    "warp": "train",
    "mujoco_warp": "train",
    "mjlab": "train",
    "rsl_rl": "train",
}
"""Extra of the package that installs a module."""
SIMULATION = {"mujoco": "sim", "cyclonedds": "sim", "unitree_sdk2py": "sim", "rclpy": "ros"}
"""Extra of each module that a run on the simulated robot needs."""
ROS_MODULES = ("rclpy", "rcl_interfaces", "builtin_interfaces", "ament_index_python", "launch")


def remedy(error: ImportError) -> str:
    """Message for a library that is missing or broken: which one, and what installs it."""
    module = (error.name or "").partition(".")[0]
    if not module:
        return f"a library cannot be loaded: {error}; safe-locomotion doctor says more"
    if module in ROS_MODULES or module.endswith(("_msgs", "_srvs")):
        return f"this command needs ROS 2, and {module} cannot be imported: {ROS}"
    if module in EXTRAS:
        extra = EXTRAS[module]
        return f"{module} cannot be imported: pip install 'safe_locomotion[{extra}]'"
    return f"{module} cannot be imported; safe-locomotion doctor says what is missing"


def require_simulation(find: Callable[[str], Any] = find_spec) -> None:
    """Refuse a run on the simulated robot before its processes would fail one by one.

    Args:
        find: gives None for a module that is not installed.

    Raises:
        ConfigurationError: a library is missing; the message says what installs all of them.
    """
    absent = [module for module in SIMULATION if find(module) is None]
    if not absent:
        return
    extras = ",".join(dict.fromkeys(SIMULATION[module] for module in absent))
    distribution = f"; with a distribution: {ROS.partition(',')[0]}" if "rclpy" in absent else ""
    raise ConfigurationError(
        f"the simulated robot needs {', '.join(absent)}: pip install 'safe_locomotion[{extras}]'"
        f"{distribution}"
    )
