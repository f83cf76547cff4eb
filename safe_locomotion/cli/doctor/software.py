"""Checks of the installation: Python, packages, ROS and shipped files."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from safe_locomotion import __version__
from safe_locomotion.cli.doctor.findings import Finding, judge
from safe_locomotion.config import load_config
from safe_locomotion.errors import SafeLocomotionError
from safe_locomotion.robot.models import load_robot, robot_file
from safe_locomotion.runtime.stack import ROBOT_DOMAIN, SIMULATION_DOMAIN, robot_sdk
from safe_locomotion.shared_files import share_roots

OLDEST = (3, 10)
NEWEST = (3, 13)
NEEDED = {
    "numpy": "1.26",
    "scipy": "1.11",
    "osqp": "1.0",
    "onnxruntime": "1.17",
    "pydantic": "2.5",
    "click": "8.1",
    "rich": "13.0",
}
VERSIONS = (
    "numpy",
    "scipy",
    "osqp",
    "onnxruntime",
    "mujoco",
    "ros-kilted-rclpy",
    "cyclonedds",
    "unitree-sdk2py-dimos",
    "unitree-legged-sdk",
)
FOR_DEVELOPERS = ("test", "train", "mjlab", "torch", "bench", "ros")  # ROS has a check of its own
DISTRIBUTIONS = ("humble", "iron", "jazzy", "kilted", "rolling")
LAST_SAFE_DOMAIN = 101  # Linux gives the ports of larger domains to other programs
RANGES = ("SUBNET", "LOCALHOST", "OFF", "SYSTEM_DEFAULT")
SIMULATION_RANGE = "LOCALHOST"

Version = Callable[[str], str]
Present = Callable[[str], bool]


def is_importable(module: str) -> bool:
    """Whether a top-level module can be found. Nothing is imported."""
    return find_spec(module) is not None


def check_python(found: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Check that the package is tested with this Python version."""
    return judge(
        "python",
        met=OLDEST <= found[:2] <= NEWEST,
        text=".".join(map(str, found)),
        otherwise="warning" if found[:2] > NEWEST else "problem",
        mend="use Python 3.10 to 3.13, for instance: make setup PYTHON=python3.11",
    )


def check_packages(installed: Version = version) -> Finding:
    """Check that every package of the core is installed and new enough."""
    wrong = []
    texts = []
    for name, least in NEEDED.items():
        try:
            found = installed(name)
        except PackageNotFoundError:
            found = "absent"
        texts.append(f"{name} {found}")
        if found == "absent" or _release(found) < _release(least):
            wrong.append(f"'{name}>={least}'")
    return judge(
        "packages",
        met=not wrong,
        text=", ".join(texts),
        mend=f"{sys.executable} -m pip install {' '.join(wrong)}",
    )


def _release(text: str) -> tuple[int, ...]:
    """The first two numbers of a version: (1, 26) of 1.26.4rc1."""
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())


def check_mujoco(present: Present = is_importable) -> Finding:
    """Check that the simulator is installed. Only simulated robots need it."""
    there = present("mujoco")
    return judge(
        "mujoco",
        met=there,
        text="found" if there else "absent: robots cannot be simulated",
        otherwise="warning",
        mend=f"{sys.executable} -m pip install mujoco",
    )


def check_ros(environment: Mapping[str, str], present: Present = is_importable) -> Finding:
    """Check that rclpy is there, from a sourced distribution or from PyPI."""
    distribution = environment.get("ROS_DISTRO", "")
    if not present("rclpy"):
        although = f" although {distribution} is sourced" if distribution else ""
        return Finding(
            check="ros",
            level="problem",
            text=f"rclpy cannot be imported{although}",
            mend="source /opt/ros/<distribution>/setup.bash and use the Python it was built for;"
            " without a distribution: make setup",
        )
    text = "rclpy from PyPI, no distribution sourced"
    if distribution:
        text = f"distribution {distribution}"
    known = not distribution or distribution in DISTRIBUTIONS
    return judge(
        "ros",
        met=known,
        text=text,
        otherwise="warning",
        mend=f"source one of: {', '.join(DISTRIBUTIONS)}",
    )


def check_rmw(environment: Mapping[str, str]) -> Finding:
    """Check that the middleware of ROS is not the DDS library of the robot's SDK."""
    name = environment.get("RMW_IMPLEMENTATION", "")
    return judge(
        "rmw",
        met="cyclonedds" not in name,
        text=name or "default (Fast DDS)",
        otherwise="warning",
        mend="export RMW_IMPLEMENTATION=rmw_fastrtps_cpp"
        "  # the SDK loads its own CycloneDDS into the bridge",
    )


def check_ros_domain(environment: Mapping[str, str], robot: str = "a1") -> Finding:
    """Check that ROS_DOMAIN_ID is valid and not the domain of a robot's SDK."""
    text = environment.get("ROS_DOMAIN_ID", "")
    said = f"ROS_DOMAIN_ID {text or 'not set, 0'}"
    if text and not (text.isdecimal() and int(text) <= LAST_SAFE_DOMAIN):
        mend = f"export ROS_DOMAIN_ID=42  # 0 to {LAST_SAFE_DOMAIN}"
        return Finding(check="ros_domain", level="problem", text=said, mend=mend)
    speakers = {SIMULATION_DOMAIN: "simulated robots"}
    if robot_sdk(robot) == "unitree_sdk2":
        speakers[ROBOT_DOMAIN] = f"the {robot}"
    speaker = speakers.get(int(text or 0))
    if speaker:
        said += f", also the DDS domain of {speaker} and the SDK: every node receives their traffic"
    return judge(
        "ros_domain",
        met=speaker is None,
        text=said,
        otherwise="warning",
        mend="export ROS_DOMAIN_ID=42  # in every shell that uses these nodes",
    )


def check_discovery(environment: Mapping[str, str]) -> Finding:
    """Check that other machines on the network cannot command this robot by accident."""
    found = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if found and found not in RANGES:
        return Finding(
            check="ros_discovery",
            level="problem",
            text=f"ROS_AUTOMATIC_DISCOVERY_RANGE={found!r} is not a range",
            mend=f"choose one of: {', '.join(RANGES)}",
        )
    local = found in ("LOCALHOST", "OFF") or environment.get("ROS_LOCALHOST_ONLY") == "1"
    return judge(
        "ros_discovery",
        met=local,
        text=found or "not set: the whole subnet can command this robot",
        otherwise="warning",
        mend=f"export {_limit(environment)}  # unless another machine needs this robot",
    )


def _limit(environment: Mapping[str, str]) -> str:
    """The setting that keeps ROS on this machine; Humble has another one."""
    if environment.get("ROS_DISTRO") == "humble":
        return "ROS_LOCALHOST_ONLY=1"
    return f"ROS_AUTOMATIC_DISCOVERY_RANGE={SIMULATION_RANGE}"


def check_files(robot: str, find: Callable[[str, str], Path] = robot_file) -> Finding:
    """Check that configuration and models of the robot are found and complete."""
    try:
        load_robot(robot)
        load_config(robot)
        simulated = find(robot, ".xml")
    except SafeLocomotionError as error:
        return Finding(
            check="files",
            level="problem",
            text=str(error),
            mend="install the package again: make setup, or colcon build",
        )
    return judge(
        "files",
        met=simulated.is_file(),
        text=str(simulated.parent),
        mend=f"{simulated} is missing: install the package again",
    )


def check_versions(installed: Version = version, locks: Path | None = None) -> Finding:
    """Check that packages that decide the behaviour have the versions of the tests."""
    found = {
        name: release for name in VERSIONS if (release := _version(name, installed)) is not None
    }
    listed = (f"{name} {release}" for name, release in found.items())
    text = ", ".join((f"safe_locomotion {__version__}", *listed))
    locked = _locked(find_locks() if locks is None else locks)
    if not locked:
        text += "; no lock file here to compare with"
        return Finding(check="versions", level="ok", text=text)
    other = [
        f"{name} (locked: {' or '.join(sorted(locked[name]))})"
        for name in found
        if found[name] not in locked.get(name, {found[name]})
    ]
    text += f"; not as locked: {', '.join(other)}" if other else "; as locked"
    return judge(
        "versions",
        met=not other,
        text=text,
        otherwise="warning",
        mend="make setup  # installs requirements/*.lock; rclpy of a ROS distribution may differ",
    )


def _version(name: str, installed: Version) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def find_locks() -> Path:
    """Folder of the lock files in a source checkout; an installation has none."""
    return share_roots()[0] / "requirements"


def _locked(folder: Path) -> dict[str, set[str]]:
    """Locked versions of each package; several when they depend on the Python version."""
    versions: dict[str, set[str]] = {}
    for path in folder.glob("*.lock"):
        if path.stem == "colcon":
            continue
        for line in path.read_text().splitlines():
            name, pinned, rest = line.partition("==")
            if pinned and not line.startswith("#"):
                versions.setdefault(name, set()).add(rest.split(";")[0].strip())
    return versions


def check_extras(
    requirements: Sequence[str] | None = None, installed: Version = version
) -> Finding:
    """Check which optional parts are installed. Only their own commands need them."""
    parts = _extras(_requirements() if requirements is None else requirements)
    missing = {
        extra: [name for name in names if _version(name, installed) is None]
        for extra, names in parts.items()
    }
    absent = [extra for extra, names in missing.items() if names]
    text = "there: " + (", ".join(extra for extra in parts if extra not in absent) or "none")
    if absent:
        text += f"; absent: {', '.join(absent)}"
    return judge(
        "extras",
        met=not absent,
        text=text,
        otherwise="warning",
        mend=f"{sys.executable} -m pip install 'safe_locomotion[{','.join(absent)}]'",
    )


def _requirements() -> list[str]:
    try:
        return requires("safe_locomotion") or []
    except PackageNotFoundError:
        return []


def _extras(requirements: Sequence[str]) -> dict[str, list[str]]:
    """Packages of each extra that a user may want, for this Python and machine."""
    from packaging.requirements import Requirement  # comes with onnxruntime

    parts: dict[str, list[str]] = {}
    for text in requirements:
        found = re.search(r"""extra == ["']([^"']+)""", text)
        if found is None or found[1] in FOR_DEVELOPERS:
            continue
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": found[1]}):
            parts.setdefault(found[1], []).append(requirement.name)
    return parts
