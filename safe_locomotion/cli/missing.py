"""What to do about a library that cannot be imported, for one line instead of a traceback."""

ROS = "source /opt/ros/<distribution>/setup.bash, or without a distribution: make setup"
EXTRAS = {
    "mujoco": "sim",
    "matplotlib": "sim",
    "unitree_sdk2py": "robot",
    "cyclonedds": "robot",
    "rosbags": "record",
    "evdev": "gamepad",
    "viser": "viewer",
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
