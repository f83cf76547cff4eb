"""Checks of what is installed and configured: Python, packages, ROS, shipped files."""

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from safe_locomotion.cli.findings import Finding, judge
from safe_locomotion.config import load_config
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.robots import load_robot, robot_file

OLDEST, NEWEST = (3, 10), (3, 13)
NEEDED = {
    "numpy": "1.26",
    "scipy": "1.11",
    "osqp": "1.0",
    "onnxruntime": "1.17",
    "pydantic": "2.5",
    "click": "8.1",
    "rich": "13.0",
}
DISTRIBUTIONS = ("humble", "iron", "jazzy", "kilted", "rolling")
LAST_SAFE_DOMAIN = 101  # the ports of larger ones are handed out by Linux to other programs
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
SIMULATION_RANGE = "LOCALHOST"

Version = Callable[[str], str]
Present = Callable[[str], bool]


def is_importable(module: str) -> bool:
    """Whether a top-level module can be found; nothing is imported."""
    return find_spec(module) is not None


def check_python(found: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """The interpreter is one the package is tested on."""
    return judge(
        "python",
        met=OLDEST <= found[:2] <= NEWEST,
        text=".".join(map(str, found)),
        otherwise="warning" if found[:2] > NEWEST else "problem",
        mend="use Python 3.10 to 3.13, for instance: make setup PYTHON=python3.11",
    )


def check_packages(installed: Version = version) -> Finding:
    """Every package that the core imports is there and new enough."""
    wrong, texts = [], []
    for name, least in NEEDED.items():
        try:
            found = installed(name)
        except PackageNotFoundError:
            found = "absent"
        texts.append(f"{name} {found}")
        if found == "absent" or _release(found) < _release(least):
            wrong.append(f"'{name}>={least}'")
    return judge("packages", met=not wrong, text=", ".join(texts), mend=f"{sys.executable} -m pip install {' '.join(wrong)}")


def _release(text: str) -> tuple[int, ...]:
    """Leading numbers of a version: 1.26.4rc1 is (1, 26)."""
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def check_mujoco(present: Present = is_importable) -> Finding:
    """The simulator is there; only simulated robots need it."""
    there = present("mujoco")
    return judge(
        "mujoco",
        met=there,
        text="found" if there else "absent: no simulated robot",
        otherwise="warning",
        mend=f"{sys.executable} -m pip install mujoco",
    )


def check_ros(environment: Mapping[str, str], present: Present = is_importable) -> Finding:
    """Nodes can run: rclpy comes from a sourced distribution or from PyPI."""
    distribution = environment.get("ROS_DISTRO", "")
    if not present("rclpy"):
        return Finding(
            check="ros",
            level="problem",
            text="rclpy cannot be imported" + (f" although {distribution} is sourced" if distribution else ""),
            mend="source /opt/ros/<distribution>/setup.bash with the Python it was built for; without a distribution: make setup",
        )
    text = f"distribution {distribution}" if distribution else "rclpy from PyPI, no distribution sourced"
    known = not distribution or distribution in DISTRIBUTIONS
    return judge("ros", met=known, text=text, otherwise="warning", mend=f"source one of: {', '.join(DISTRIBUTIONS)}")


def check_rmw(environment: Mapping[str, str]) -> Finding:
    """The middleware of ROS does not clash with the DDS of the robot's SDK in one process."""
    name = environment.get("RMW_IMPLEMENTATION", "")
    return judge(
        "rmw",
        met="cyclonedds" not in name,
        text=name or "default (Fast DDS)",
        otherwise="warning",
        mend="export RMW_IMPLEMENTATION=rmw_fastrtps_cpp  # the SDK brings a CycloneDDS of its own into the bridge",
    )


def check_ros_domain(environment: Mapping[str, str]) -> Finding:
    """ROS_DOMAIN_ID is a number whose ports are safe."""
    text = environment.get("ROS_DOMAIN_ID", "")
    met = not text or (text.isdecimal() and int(text) <= LAST_SAFE_DOMAIN)
    return judge(
        "ros_domain",
        met=met,
        text=f"ROS_DOMAIN_ID {text or 'not set, 0'}",
        mend=f"export ROS_DOMAIN_ID=0  # 0 to {LAST_SAFE_DOMAIN}",
    )


def check_discovery(environment: Mapping[str, str]) -> Finding:
    """Who may command this robot over ROS: others on the network should not by accident."""
    found = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if found and found not in RANGES:
        return Finding(
            check="ros_discovery", level="problem", text=f"{found!r} is no range", mend=f"choose one of: {', '.join(RANGES)}"
        )
    local = found in ("LOCALHOST", "OFF") or environment.get("ROS_LOCALHOST_ONLY") == "1"
    return judge(
        "ros_discovery",
        met=local,
        text=found or "not set: the whole subnet",
        otherwise="warning",
        mend=f"export ROS_AUTOMATIC_DISCOVERY_RANGE={SIMULATION_RANGE}  # unless another machine shall see this robot",
    )


def check_files(robot: str, find: Callable[[str, str], Path] = robot_file) -> Finding:
    """Configuration and models of the robot are found and complete."""
    try:
        load_robot(robot)
        load_config(robot)
        simulated = find(robot, ".xml")
    except SafeLocomotionError as error:
        return Finding(
            check="files", level="problem", text=str(error), mend="install the package again: make setup, or colcon build"
        )
    return judge(
        "files", met=simulated.is_file(), text=str(simulated.parent), mend=f"{simulated} is missing: install the package again"
    )
