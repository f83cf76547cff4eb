"""`safe-locomotion robot new`: drafts of all files of a robot from a vendor's URDF."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from safe_locomotion.cli.robot.draft_config import config_text, motors_text
from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.models import read_robot, robot_names, shipped_robots
from safe_locomotion.robot.vendor.completed import Answers, CompletedRobot, complete
from safe_locomotion.robot.vendor.legs import quadruped
from safe_locomotion.robot.vendor.mjcf_text import mjcf_text
from safe_locomotion.robot.vendor.tree import read_tree
from safe_locomotion.robot.vendor.urdf_text import urdf_text

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
OPEN = "- [ ] "  #: begins an open point of README.md
CLOSED = "- [x] "  #: begins one that a person has decided

#: What no URDF holds; each is a draft until somebody decides.
ALWAYS = (
    "Inertia of the rotors behind their gears: `armature` of each joint in the MJCF, scaled from"
    " the Go2's by peak torque. Take it from the motor's data sheet.",
    "Torque and speed: a URDF often holds those of the data sheet for a moment, not for minutes."
    " Compare them with the motor's curve (`full_torque_speed` of motors.yaml).",
    "Battery: `voltage_min` and `voltage_warning` of the parameter file and the cells of"
    " motors.yaml are the A1's.",
    "Gains and steps of the last gate: scaled from the A1's. Compare them with what the vendor's"
    " own controller commands.",
    "Trigger set: designed from height and leg length, not from experience.",
    "Foot sensors: for a robot without any, set `foot_sensors: false` of `estimator_node`.",
    "A link to the real robot: the SDKs of the package speak to Unitree's robots alone.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What was written.

    Attributes:
        folder: of the robot.
        mass: of the robot [kg].
        points: what a person must still decide.
    """

    folder: Path
    mass: float
    points: tuple[str, ...]


def new_robot(name: str, urdf: Path, folder: Path, answers: Answers) -> Draft:
    """Write the files of a robot into a new folder of its name inside `folder`.

    Raises:
        ConfigurationError: the name is taken, or the robot does not fit; nothing is left behind.
    """
    _check_name(name)
    target = folder / name
    if target.exists():
        raise ConfigurationError(f"{target} exists; choose another name, or remove it first")
    robot = complete(name, quadruped(read_tree(urdf)), answers)
    points = (*robot.open_points, *ALWAYS)
    building = folder / f".{name}.{os.getpid()}" / name
    try:
        building.mkdir(parents=True)
        mass = _write(robot, building, points, urdf)
        building.rename(target)
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}") from error
    finally:
        _remove(building)
    return Draft(folder=target, mass=mass, points=points)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigurationError(
            f"name {name!r}: a lower-case letter, then letters, digits and _, 40 at most"
        )
    if name in shipped_robots():
        raise ConfigurationError(f"name {name!r}: a robot of the package has it; choose another")
    if name in robot_names():
        raise ConfigurationError(f"name {name!r}: a robot of yours has it; choose another")


def _write(robot: CompletedRobot, folder: Path, points: tuple[str, ...], urdf: Path) -> float:
    """Write all files, and return the mass [kg]."""
    name = robot.name
    (folder / f"{name}.urdf").write_text(urdf_text(robot))
    (folder / f"{name}.xml").write_text(mjcf_text(robot))
    outward, thigh, calf = robot.sit
    sit = {"hip_outward": outward, "thigh": thigh, "calf": calf}
    poses = {"nominal_height": robot.height, "sit": sit}
    (folder / "poses.json").write_text(json.dumps(poses, indent=2) + "\n")
    model = read_robot(folder / f"{name}.urdf")
    (folder / "motors.yaml").write_text(motors_text(model, robot.friction))
    (folder / f"{name}.yaml").write_text(config_text(model, folder / f"{name}.urdf"))
    (folder / "README.md").write_text(_readme(robot, model.mass, points, urdf))
    return model.mass


def _remove(folder: Path) -> None:
    """Remove what a failed attempt has left, and the folder around it."""
    for file in folder.glob("*") if folder.is_dir() else ():
        file.unlink()
    for one in (folder, folder.parent):
        if one.is_dir():
            one.rmdir()


def _readme(robot: CompletedRobot, mass: float, points: tuple[str, ...], urdf: Path) -> str:
    q = robot.quadruped
    lines = [
        f"# {robot.name}",
        "",
        f"Drafts made by `safe-locomotion robot new` from {urdf.name}: {mass:.3f} kg, thighs of"
        f" {q.thigh_length:.4f} m, calves of {q.calf_length:.4f} m, standing at"
        f" {robot.height:g} m.",
        "",
        "What a person must still decide; tick what is decided:",
        "",
        *(f"{OPEN}{point}" for point in points),
        "",
        "| our joint | the vendor's | sign |",
        "|---|---|---|",
    ]
    for leg, one in q.legs.items():
        for kind, joint in zip(("hip", "thigh", "calf"), one.joints, strict=True):
            lines.append(f"| {leg}_{kind}_joint | {joint.vendor} | {joint.sign:+d} |")
    return "\n".join([*lines, ""])


def open_points(folder: Path) -> tuple[int, int]:
    """How many points of a robot's README.md are open, and how many are decided."""
    try:
        lines = (folder / "README.md").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return 0, 0
    return (
        sum(line.startswith(OPEN) for line in lines),
        sum(line.startswith(CLOSED) for line in lines),
    )
