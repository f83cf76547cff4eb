"""A vendor's quadruped with every number that our files need, and why each guess was made."""

from dataclasses import dataclass
from math import asin, hypot, inf, isfinite

import numpy as np

from safe_locomotion.errors import ConfigurationError
from safe_locomotion.robot.vendor.legs import Leg, LegJoint, Quadruped
from safe_locomotion.types import JOINT_KINDS, LEGS, Array

#: Of thigh and calf together: the A1 stands at 0.27 m on 0.2 and 0.2 m.
STANDING_SHARE = 0.675
FOOT_RADIUS = 0.02  #: [m] of the A1's feet
FRICTION = 0.2  #: [Nm] of the A1's gearboxes
#: [rad] of hip, thigh and calf where the vendor's file names no range: the A1's.
RANGES = ((-0.802, 0.802), (-1.047, 4.189), (-2.697, -0.916))
FROM_END_STOP = 0.053  #: [rad] between the calf of a sitting robot and its end stop, as on the Go2
#: Of the trunk's box over the distance between the hips: the Go2's, without a box of the vendor's.
BOX_SHARE = (0.97, 1.0)
BOX_HEIGHT = 0.53  #: of the trunk's box over the length of the thigh, likewise

Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What a person already knows, and what the vendor's file may not hold.

    Attributes:
        height: of the base above the ground when standing [m].
        torque, speed: peaks of hip, thigh and calf [Nm], [rad/s].
    """

    height: float | None = None
    torque: Triple | None = None
    speed: Triple | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedRobot:
    """Numbers of our four files.

    Attributes:
        name: of the robot.
        quadruped: links and places.
        ranges: (12, 2) of the joints [rad].
        torque, speed: (12,) peaks [Nm], [rad/s].
        friction: dry friction of the joints [Nm].
        foot_radius: [m].
        height: of the base above the ground when standing [m].
        box: (3,) edges of the trunk's box [m].
        sit: hip_outward, thigh and calf of the sitting pose [rad].
        open_points: what a person must still decide, a sentence each.
    """

    name: str
    quadruped: Quadruped
    ranges: Array
    torque: Array
    speed: Array
    friction: float
    foot_radius: float
    height: float
    box: Array
    sit: Triple
    open_points: tuple[str, ...]


def complete(name: str, robot: Quadruped, answers: Answers) -> CompletedRobot:
    """Fill what is missing.

    Raises:
        ConfigurationError: a torque or speed is unknown, or the legs cannot stand at the height.
    """
    points: list[str] = []
    joints = [joint for leg in LEGS for joint in robot.legs[leg].joints]
    ranges = _ranges(joints, points)
    torque = _peaks(joints, "effort", answers.torque, "--torque")
    speed = _peaks(joints, "velocity", answers.speed, "--speed")
    radius = _radius(robot, points)
    height = _height(robot, answers.height, radius, points)
    box = _box(robot, points)
    sit = _sit(robot, ranges, radius, 0.5 * float(box[2]), points)
    friction = max((joint.friction or 0.0) for joint in joints)
    if not friction > 0.0:
        friction = FRICTION
        points.append(
            f"Dry friction of the joints: {FRICTION} Nm, the A1's. The vendor's file names none."
        )
    points += _changes(robot, joints)
    return CompletedRobot(
        name=name,
        quadruped=robot,
        ranges=ranges,
        torque=torque,
        speed=speed,
        friction=friction,
        foot_radius=radius,
        height=height,
        box=box,
        sit=sit,
        open_points=tuple(points),
    )


def _ranges(joints: list[LegJoint], points: list[str]) -> Array:
    ranges = []
    for i, joint in enumerate(joints):
        found = (joint.lower, joint.upper)
        if not all(map(isfinite, found)):
            found = RANGES[i % 3]
            points.append(
                f"Range of {joint.vendor}: {found[0]} to {found[1]} rad, the A1's. The vendor's"
                " file names none."
            )
        ranges.append(found)
    out = np.array(ranges)
    if (out[2::3, 1] > 0.0).any():
        raise ConfigurationError(
            "the knees must bend backwards, so a calf's angle must stay below 0 in our sign; found"
            f" {', '.join(f'{low:.2f} to {high:.2f}' for low, high in out[2::3])} rad"
        )
    return out


def _peaks(joints: list[LegJoint], key: str, answer: Triple | None, option: str) -> Array:
    """(12,) peaks of the file, or those of the answer."""
    found = np.array([getattr(joint, key) for joint in joints])
    if answer is not None:
        found = np.tile(answer, len(LEGS))
    missing = [joint.vendor for joint, x in zip(joints, found, strict=True) if not 0.0 < x < inf]
    if missing:
        raise ConfigurationError(
            f"the vendor's file names no {key} of {', '.join(missing)}; give it with {option}"
            f" {','.join(k.upper() for k in JOINT_KINDS)}"
        )
    return found


def _radius(robot: Quadruped, points: list[str]) -> float:
    radii = {leg.radius for leg in robot.legs.values()}
    radius = robot.legs[LEGS[0]].radius
    if radius is None or len(radii) > 1:
        points.append(
            f"Feet: balls of {FOOT_RADIUS} m around {robot.legs[LEGS[0]].foot_link}, as the A1's."
            " The vendor's file shows no ball."
        )
        return FOOT_RADIUS
    return radius


def _height(robot: Quadruped, answer: float | None, radius: float, points: list[str]) -> float:
    leg = robot.thigh_length + robot.calf_length
    height = round(STANDING_SHARE * leg, 3) if answer is None else answer
    least = abs(robot.thigh_length - robot.calf_length) + radius
    if not least < height < leg + radius:
        raise ConfigurationError(
            f"--height {height}: legs of {leg:.3f} m stand between {least:.3f} and"
            f" {leg + radius:.3f} m"
        )
    if answer is None:
        points.append(
            f"Standing height: {height} m, the A1's share of the leg's length. --height names"
            " another one."
        )
    return height


def _box(robot: Quadruped, points: list[str]) -> Array:
    if robot.box is not None:
        return robot.box
    hips = np.array([leg.joints[0].place for leg in robot.legs.values()])
    length = np.ptp(hips[:, 0]) * BOX_SHARE[0]
    width = np.ptp(hips[:, 1]) * BOX_SHARE[1]
    box = np.round((length, width, BOX_HEIGHT * robot.thigh_length), 3)
    points.append(
        f"Trunk: a box of {' x '.join(f'{edge:g}' for edge in box)} m. The vendor's file shows"
        " none, and its lower side is where a lying robot touches the ground."
    )
    return box


def _sit(robot: Quadruped, ranges: Array, radius: float, belly: float, points: list[str]) -> Triple:
    """Hip outward, thigh and calf [rad]: folded, with sole and belly at one height."""
    calf = round(float(ranges[2::3, 0].max()) + FROM_END_STOP, 3)
    calf = max(calf, -np.pi + 0.1)
    thigh = round(-0.5 * calf, 4)
    leg: Leg = robot.legs[LEGS[0]]
    reach = robot.thigh_length * np.cos(thigh) + robot.calf_length * np.cos(thigh + calf)
    d = abs(float(leg.joints[1].place[1]))
    # d sin(a) - reach cos(a) = radius - belly
    size = hypot(d, reach)
    lift = np.clip((radius - belly) / size, -1.0, 1.0)
    outward = float(asin(lift) + np.arctan2(reach, d))
    limit = float(np.abs(ranges[0::3]).min()) - 0.02
    outward = round(min(max(outward, 0.0), limit), 3)
    points.append(
        f"Sitting pose: hips {outward} rad outwards, thighs {thigh:.3f}, calves {calf:.3f} rad. See"
        " whether the robot can lie so on its belly."
    )
    return outward, thigh, calf


def _changes(robot: Quadruped, joints: list[LegJoint]) -> list[str]:
    changes = []
    turned = [joint.vendor for joint in joints if joint.sign < 0]
    if turned:
        changes.append(
            f"Sign: our angles of {', '.join(turned)} have the opposite sign of the vendor's."
            " A link to the robot must change it, of angles, speeds and torques."
        )
    if np.abs(robot.moved).max() > 1e-6:
        changes.append(
            f"Base: our base lies {np.round(robot.moved, 4).tolist()} m from {robot.trunk_name}, at"
            " the height of the hips. See where the IMU is."
        )
    left = np.array([robot.legs["FL"].joints[1].place[1], robot.legs["FR"].joints[1].place[1]])
    if abs(left.sum()) > 1e-3:
        changes.append(f"Left and right legs differ: their offsets are {left.tolist()} m.")
    return changes
