"""Checks of what is installed and configured: Python, packages, ROS, shipped files."""

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
            text="rclpy cannot be imported"
            + (f" although {distribution} is sourced" if distribution else ""),
            mend="source /opt/ros/<distribution>/setup.bash with the Python it was built for; without a distribution: make setup",
        )
    text = (
        f"distribution {distribution}"
        if distribution
        else "rclpy from PyPI, no distribution sourced"
    )
    known = not distribution or distribution in DISTRIBUTIONS
    return judge(
        "ros",
        met=known,
        text=text,
        otherwise="warning",
        mend=f"source one of: {', '.join(DISTRIBUTIONS)}",
    )


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


def check_ros_domain(environment: Mapping[str, str], robot: str = "a1") -> Finding:
    """ROS_DOMAIN_ID is a number whose ports are safe, and no domain on which a robot's SDK speaks too."""
    text = environment.get("ROS_DOMAIN_ID", "")
    said = f"ROS_DOMAIN_ID {text or 'not set, 0'}"
    if text and not (text.isdecimal() and int(text) <= LAST_SAFE_DOMAIN):
        mend = f"export ROS_DOMAIN_ID=42  # 0 to {LAST_SAFE_DOMAIN}"
        return Finding(check="ros_domain", level="problem", text=said, mend=mend)
    speakers = {SIMULATION_DOMAIN: "simulated robots"} | (
        {ROBOT_DOMAIN: f"the {robot}"} if robot_sdk(robot) == "unitree_sdk2" else {}
    )
    speaker = speakers.get(int(text or 0))
    return judge(
        "ros_domain",
        met=speaker is None,
        text=said
        + (
            f", the DDS domain on which {speaker} and the SDK speak: every node hears their traffic"
            if speaker
            else ""
        ),
        otherwise="warning",
        mend="export ROS_DOMAIN_ID=42  # in every shell that shall see these nodes",
    )


def check_discovery(environment: Mapping[str, str]) -> Finding:
    """Who may command this robot over ROS: others on the network should not by accident."""
    found = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "")
    if found and found not in RANGES:
        return Finding(
            check="ros_discovery",
            level="problem",
            text=f"{found!r} is no range",
            mend=f"choose one of: {', '.join(RANGES)}",
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
    """What decides the behaviour has the versions that the tests ran with."""
    found = {
        name: release for name in VERSIONS if (release := _version(name, installed)) is not None
    }
    text = ", ".join(
        [
            f"safe_locomotion {__version__}",
            *(f"{name} {release}" for name, release in found.items()),
        ]
    )
    locked = _locked(find_locks() if locks is None else locks)
    if not locked:
        return Finding(
            check="versions", level="ok", text=f"{text}; no lock file here to compare with"
        )
    other = [
        f"{name} (locked: {' or '.join(sorted(locked[name]))})"
        for name in found
        if found[name] not in locked.get(name, {found[name]})
    ]
    return judge(
        "versions",
        met=not other,
        text=text + (f"; not as locked: {', '.join(other)}" if other else "; as locked"),
        otherwise="warning",
        mend="make setup  # installs requirements/*.lock; with a ROS distribution its own rclpy counts",
    )


def _version(name: str, installed: Version) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def find_locks() -> Path:
    """Folder of the lock files of a source checkout; an installation has none."""
    return share_roots()[0] / "requirements"


def _locked(folder: Path) -> dict[str, set[str]]:
    """Versions of each package; several where they depend on the interpreter."""
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
    """Optional parts: what is missing costs its own commands only."""
    parts = _extras(_requirements() if requirements is None else requirements)
    absent = {
        extra: names
        for extra, names in parts.items()
        if any(_version(name, installed) is None for name in names)
    }
    packages = " ".join(
        dict.fromkeys(
            f"'{name}'"
            for names in absent.values()
            for name in names
            if _version(name, installed) is None
        )
    )
    there = ", ".join(extra for extra in parts if extra not in absent) or "none"
    return judge(
        "extras",
        met=not absent,
        text=f"there: {there}" + (f"; absent: {', '.join(absent)}" if absent else ""),
        otherwise="warning",
        mend=f"{sys.executable} -m pip install {packages}",
    )


def _requirements() -> list[str]:
    try:
        return requires("safe_locomotion") or []
    except PackageNotFoundError:
        return []


def _extras(requirements: Sequence[str]) -> dict[str, list[str]]:
    """Packages of each extra that a user may want."""
    parts: dict[str, list[str]] = {}
    for text in requirements:
        extra = re.search(r"""extra == ["']([^"']+)""", text)
        name = re.match(r"[A-Za-z0-9._-]+", text)
        if extra and name and extra[1] not in FOR_DEVELOPERS:
            parts.setdefault(extra[1], []).append(name[0])
    return parts
